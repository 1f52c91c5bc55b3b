/* The levels of a Parquet page: a small number for each value, which says at what depth it is
 * defined, or at what depth it begins anew. Written as Parquet's RLE/bit-packing hybrid
 * (Encodings.md of parquet-format), with its size in front, as pages of version 1 have it:
 *
 *   levels   u32 size of the runs in bytes, little-endian | runs
 *   run      varint count << 1 | the level in one byte: so many equal levels; or
 *            varint (count / 8) << 1 | 1 | the levels, bit_width bits each, the lowest bits of each
 *            byte first: a multiple of 8 levels. If fewer are left at the end, zeros fill it.
 *
 * Eight equal levels or more become a run of the first kind.
 *
 * Lifetime: levels_open … levels_close; it borrows the buffer, to which it appends.
 * Threads: none; one owner. Errors: remembered, and told by levels_close; -ENOMEM.
 */
#ifndef CODEC_PARQUET_LEVELS_H
#define CODEC_PARQUET_LEVELS_H

#include "codec/buffer.h"

struct levels {
    struct buffer *out;
    int failed;         /* 0, or the first error */
    unsigned bit_width; /* 1 or 2 */
    size_t start;       /* where the size stands in `out` */
    /* Equal levels at the end that are not written yet. */
    uint8_t level;
    uint32_t equal;
    /* Levels before those that are to be bit-packed: a multiple of 8 in `packed`, and up to 7. */
    struct buffer packed;
    unsigned pending;
    uint32_t pending_bits;
};

/* Levels up to `most`, 1 to 3. */
void levels_open(struct levels *levels, unsigned most, struct buffer *out);
/* Appends `count` times the same level. All levels together are fewer than 2^31. */
void levels_put(struct levels *levels, uint8_t level, uint32_t count);
MUST_CHECK int levels_close(struct levels *levels);

#endif
