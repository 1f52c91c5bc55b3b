/* Sets of numbers, a bit each: bit i % 64 of word i / 64. */
#ifndef INDEX_BITS_H
#define INDEX_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

static inline bool bit_is_set(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static inline void bit_set(uint64_t *bits, uint64_t i) { bits[i / 64] |= UINT64_C(1) << i % 64; }

static inline void bit_clear(uint64_t *bits, uint64_t i)
{
    bits[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* The words of a set of the numbers below `count`: one at least. */
static inline size_t bit_words(uint64_t count) { return (size_t)(count / 64 + 1); }

/* None is in it; from calloc. NULL: no memory. */
static inline uint64_t *bits_new(uint64_t count)
{
    return calloc(bit_words(count), sizeof(uint64_t));
}

#endif
