/* Blocks: a few bytes of text that are looked at together, sixteen with SSE2, which every x86-64
 * has, else eight. In a block that a search returns, all bits of a found byte are set, and none of
 * the others. Its mask is cheaper to test.
 *
 * BYTE_BLOCK_PORTABLE: eight at a time in any case, for tests.
 */
#ifndef CODEC_BYTE_BLOCK_H
#define CODEC_BYTE_BLOCK_H

#include "codec/bytes.h"

#include <stddef.h>

/* Loads fewer than eight bytes; the others are 0. No byte behind them is read. */
static inline uint64_t load_le_part(const uint8_t *at, size_t size)
{
    if (size >= 4)
        return load_le32(at) | (uint64_t)load_le32(at + size - 4) << 8 * (size - 4);
    if (size == 0)
        return 0;
    size_t middle = size / 2, last = size - 1;
    return at[0] | (uint64_t)at[middle] << 8 * middle | (uint64_t)at[last] << 8 * last;
}

#if defined(__SSE2__) && !defined(BYTE_BLOCK_PORTABLE)

#include <emmintrin.h>

typedef __m128i byte_block;
typedef uint32_t byte_mask; /* a bit a byte */

enum { BLOCK_SIZE = 16 };

static inline byte_block block_load(const uint8_t *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

/* size < BLOCK_SIZE; the bytes behind them are 0. */
static inline byte_block block_load_part(const uint8_t *at, size_t size)
{
    if (size < 8)
        return _mm_set_epi64x(0, (long long)load_le_part(at, size));
    uint64_t high = load_le64(at + size - 8) >> 8 >> 8 * (15 - size);
    return _mm_set_epi64x((long long)high, (long long)load_le64(at));
}

static inline void block_store(uint8_t *at, byte_block block)
{
    _mm_storeu_si128((__m128i *)(void *)at, block);
}

static inline byte_block block_equal(byte_block block, uint8_t byte)
{
    return _mm_cmpeq_epi8(block, _mm_set1_epi8((char)byte));
}

/* Bytes below 0x20. */
static inline byte_block block_control(byte_block block)
{
    return _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
}

static inline byte_block block_or(byte_block a, byte_block b) { return _mm_or_si128(a, b); }

static inline byte_mask block_mask(byte_block found) { return (byte_mask)_mm_movemask_epi8(found); }

/* The mask of the first `size` bytes, size < BLOCK_SIZE. */
static inline byte_mask block_mask_part(size_t size) { return (1U << size) - 1; }

static inline size_t mask_first(byte_mask mask) { return (size_t)__builtin_ctz(mask); }

#else

typedef uint64_t byte_block;
typedef uint64_t byte_mask; /* the highest bit of each byte */

enum { BLOCK_SIZE = 8 };

#define BLOCK_ALL(byte) (UINT64_C(0x0101010101010101) * (byte))

static inline byte_block block_load(const uint8_t *at) { return load_le64(at); }

static inline byte_block block_load_part(const uint8_t *at, size_t size)
{
    return load_le_part(at, size);
}

static inline void block_store(uint8_t *at, byte_block block) { store_le64(at, block); }

static inline byte_block block_zero(byte_block block)
{
    uint64_t low = (block & BLOCK_ALL(0x7f)) + BLOCK_ALL(0x7f); /* no carry from byte to byte */
    return (~(low | block | BLOCK_ALL(0x7f)) >> 7) * 0xff;
}

static inline byte_block block_equal(byte_block block, uint8_t byte)
{
    return block_zero(block ^ BLOCK_ALL(byte));
}

static inline byte_block block_control(byte_block block)
{
    return block_zero(block & BLOCK_ALL(0xe0));
}

static inline byte_block block_or(byte_block a, byte_block b) { return a | b; }

static inline byte_mask block_mask(byte_block found) { return found & BLOCK_ALL(0x80); }

static inline byte_mask block_mask_part(size_t size) { return (UINT64_C(1) << 8 * size) - 1; }

static inline size_t mask_first(byte_mask mask) { return (size_t)__builtin_ctzll(mask) / 8; }

#undef BLOCK_ALL

#endif

/* What a text is searched for: returns the found bytes of a block. */
typedef byte_block block_search(byte_block block);

/* How many bytes come before the first that is found; `size`: none is. */
__attribute__((always_inline)) static inline size_t block_find(const uint8_t *text, size_t size,
                                                               block_search *search)
{
    size_t i = 0;
    for (; size - i >= BLOCK_SIZE; i += BLOCK_SIZE) {
        byte_mask found = block_mask(search(block_load(text + i)));
        if (found != 0)
            return i + mask_first(found);
    }
    byte_mask found = block_mask(search(block_load_part(text + i, size - i)));
    found &= block_mask_part(size - i);
    return found != 0 ? i + mask_first(found) : size;
}

/* The same, and copies these bytes. Up to `size` + BLOCK_SIZE bytes are written. */
__attribute__((always_inline)) static inline size_t block_copy(uint8_t *to, const uint8_t *text,
                                                               size_t size, block_search *search)
{
    size_t i = 0;
    for (; size - i >= BLOCK_SIZE; i += BLOCK_SIZE) {
        byte_block block = block_load(text + i);
        byte_mask found = block_mask(search(block));
        block_store(to + i, block);
        if (found != 0)
            return i + mask_first(found);
    }
    byte_block block = block_load_part(text + i, size - i);
    byte_mask found = block_mask(search(block)) & block_mask_part(size - i);
    block_store(to + i, block);
    return found != 0 ? i + mask_first(found) : size;
}

#endif
