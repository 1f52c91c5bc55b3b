/* Runs of big-endian numbers, as the wire has them, into little-endian ones, as files have them. The
 * two may lie at any alignment, and must not overlap.
 */
#ifndef CODEC_BIG_ENDIAN_H
#define CODEC_BIG_ENDIAN_H

#include "codec/bytes.h"

/* Eight bytes at a time: each step turns one number, two or four. */

static inline void big_endian_copy8(uint8_t *to, const uint8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        store_le64(to + 8 * i, load_be64(from + 8 * i));
}

static inline void big_endian_copy4(uint8_t *to, const uint8_t *from, size_t count)
{
    size_t i = 0;
    for (; i + 2 <= count; i += 2) {
        uint64_t pair = load_be64(from + 4 * i);
        store_le64(to + 4 * i, pair << 32 | pair >> 32);
    }
    if (i < count)
        store_le32(to + 4 * i, load_be32(from + 4 * i));
}

static inline void big_endian_copy2(uint8_t *to, const uint8_t *from, size_t count)
{
    const uint64_t low = 0x00ff00ff00ff00ff;
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint64_t four = load_le64(from + 2 * i);
        store_le64(to + 2 * i, (four & low) << 8 | (four >> 8 & low));
    }
    for (; i < count; i++)
        store_le16(to + 2 * i, load_be16(from + 2 * i));
}

/* `width`: 1, 2, 4 or 8 bytes. */
static inline void big_endian_copy(uint8_t *to, const uint8_t *from, size_t count, size_t width)
{
    if (width == 8)
        big_endian_copy8(to, from, count);
    else if (width == 4)
        big_endian_copy4(to, from, count);
    else if (width == 2)
        big_endian_copy2(to, from, count);
    else if (count > 0)
        memcpy(to, from, count);
}

#endif
