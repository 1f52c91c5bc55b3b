/* The seek table of zstd's seekable format, version 0.1.0 (contrib/seekable_format in zstd): where
 * each frame of a file begins, so that a reader can go to any place without what stands before it.
 * It is the last thing in the file, in a frame of its own that decoders pass over. All numbers are
 * little-endian, u32 but for one.
 *
 *   0x184D2A5E, the size of all that follows
 *   of each frame: its size in the file, the size of what it holds
 *   the number of frames, u8 flags (0: no checksums here, since each frame has its own), 0x8F92EAB1
 *
 * Threads: pure functions.
 */
#ifndef CODEC_SEEK_TABLE_H
#define CODEC_SEEK_TABLE_H

#include "codec/buffer.h"

enum {
    SEEK_ENTRY_SIZE = 8,       /* of a frame */
    SEEK_TABLE_LAST = 0x8F,    /* the last byte */
    SEEK_FRAMES_MOST = 1 << 27 /* as many as the format allows */
};

/* Appends the entry of one frame. */
MUST_CHECK int seek_entry_put(uint32_t frame_size, uint32_t raw_size, struct buffer *out);

/* Appends the table of these entries. -EFBIG: they are more than SEEK_FRAMES_MOST. */
MUST_CHECK int seek_table_put(const struct buffer *entries, struct buffer *out);

#endif
