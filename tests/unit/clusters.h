/* Many made-up vectors of any element, in clusters, with a fixed seed: for tests of indexes. A
 * row's key is made of its number. */
#ifndef TESTS_CLUSTERS_H
#define TESTS_CLUSTERS_H

#include "codec/buffer.h"
#include "codec/bytes.h"
#include "index/hnsw.h"

#include <math.h>
#include <stdlib.h>

enum { VECTORS_CLUSTERS = 40, VECTORS_SPARSE = 24 /* dimensions of a sparse value */ };

struct vectors {
    struct space space;
    uint32_t rows, room;
    struct buffer bytes;
    uint64_t *starts;
    struct row_key *keys;
    uint64_t random;
};

static inline void vectors_must(bool holds)
{
    if (!holds)
        abort();
}

static inline uint64_t vectors_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* Nearly normal, of deviation 1. */
static inline float vectors_noise(uint64_t *state)
{
    float sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (float)(vectors_random(state) >> 40) * 0x1p-24F - 0.5F;
    return sum * 1.732F;
}

static inline void vectors_init(struct vectors *v, struct space space, uint64_t seed)
{
    *v = (struct vectors){.space = space, .random = seed};
    v->starts = calloc(1, sizeof *v->starts);
    vectors_must(v->starts != NULL);
}

static inline void vectors_clear(struct vectors *v)
{
    buffer_clear(&v->bytes);
    free(v->starts);
    free(v->keys);
}

static inline struct row_key vectors_key(uint32_t row)
{
    return (struct row_key){.place = UINT64_C(5) << 48 | row, .xmin = 7 * row + 1};
}

static inline uint32_t vectors_row(struct row_key key)
{
    uint32_t row = (uint32_t)key.place;
    vectors_must(key.place == vectors_key(row).place && key.xmin == vectors_key(row).xmin);
    return row;
}

/* Ends the row whose bytes have been appended; none: NULL. */
static inline void vectors_end_row(struct vectors *v)
{
    if (v->rows == v->room) {
        v->room = 2 * v->room + 64;
        v->starts = realloc(v->starts, (v->room + 1) * sizeof *v->starts);
        v->keys = realloc(v->keys, v->room * sizeof *v->keys);
        vectors_must(v->starts != NULL && v->keys != NULL);
    }
    v->keys[v->rows] = vectors_key(v->rows);
    v->starts[++v->rows] = v->bytes.size;
}

static inline uint8_t *vectors_grow(struct vectors *v, size_t size)
{
    vectors_must(buffer_reserve(&v->bytes, size) == 0);
    uint8_t *at = v->bytes.data + v->bytes.size;
    v->bytes.size += size;
    return at;
}

/* A half near to the number, of those that are not subnormal. */
static inline uint16_t vectors_half(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    int exponent = (int)(bits >> 23 & 255) - 127 + 15;
    if (exponent <= 0)
        return (uint16_t)(bits >> 16 & 0x8000);
    vectors_must(exponent < 31);
    return (uint16_t)((bits >> 16 & 0x8000) | (uint32_t)exponent << 10 | (bits >> 13 & 1023));
}

/* One row of float32 or float16. */
static inline void vectors_add(struct vectors *v, const float *numbers)
{
    uint32_t dims = v->space.dims;
    bool half = v->space.element == ELEMENT_FLOAT16;
    uint8_t *at = vectors_grow(v, 4 + (size_t)dims * (half ? 2 : 4));
    store_be16(at, (uint16_t)dims);
    store_be16(at + 2, 0);
    for (uint32_t i = 0; i < dims; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        if (half)
            store_be16(at + 4 + 2 * (size_t)i, vectors_half(numbers[i]));
        else
            store_be32(at + 4 + 4 * (size_t)i, bits);
    }
    vectors_end_row(v);
}

static inline void vectors_add_sparse(struct vectors *v, const uint32_t *at_dims,
                                      const float *numbers, uint32_t count)
{
    uint8_t *at = vectors_grow(v, 12 + (size_t)count * 8);
    store_be32(at, v->space.dims);
    store_be32(at + 4, count);
    store_be32(at + 8, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        store_be32(at + 12 + 4 * (size_t)i, at_dims[i]);
        store_be32(at + 12 + 4 * ((size_t)count + i), bits);
    }
    vectors_end_row(v);
}

static inline void vectors_add_bits(struct vectors *v, const uint8_t *bits)
{
    size_t size = ((size_t)v->space.dims + 7) / 8;
    uint8_t *at = vectors_grow(v, 4 + size);
    store_be32(at, v->space.dims);
    memcpy(at + 4, bits, size);
    if (v->space.dims % 8 != 0)
        at[4 + size - 1] &= (uint8_t)(0xFF00 >> v->space.dims % 8);
    vectors_end_row(v);
}

static inline void vectors_add_null(struct vectors *v) { vectors_end_row(v); }

/* Row `from` once more. */
static inline void vectors_add_copy(struct vectors *v, uint32_t from)
{
    size_t size = (size_t)(v->starts[from + 1] - v->starts[from]);
    uint8_t *at = vectors_grow(v, size);
    memcpy(at, v->bytes.data + v->starts[from], size);
    vectors_end_row(v);
}

/* The zero vector; no bit set. */
static inline void vectors_add_zero(struct vectors *v)
{
    float *zeros = calloc(v->space.dims > 1000000 ? 1 : v->space.dims, sizeof *zeros);
    vectors_must(zeros != NULL);
    if (v->space.element == ELEMENT_SPARSE)
        vectors_add_sparse(v, NULL, NULL, 0);
    else if (v->space.element == ELEMENT_BIT)
        vectors_add_bits(v, (const uint8_t *)zeros);
    else
        vectors_add(v, zeros);
    free(zeros);
}

static inline int vectors_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static inline void vectors_add_some_sparse(struct vectors *v, uint64_t *cluster)
{
    uint32_t dims[VECTORS_SPARSE], count = 0;
    float numbers[VECTORS_SPARSE];
    for (int i = 0; i < VECTORS_SPARSE; i++) {
        uint64_t own = vectors_random(cluster), any = vectors_random(&v->random);
        dims[i] = (uint32_t)((any % 4 == 0 ? any >> 8 : own >> 8) % v->space.dims);
    }
    qsort(dims, VECTORS_SPARSE, sizeof *dims, vectors_order);
    for (int i = 0; i < VECTORS_SPARSE; i++)
        if (count == 0 || dims[i] != dims[count - 1])
            dims[count++] = dims[i];
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = 1 + (float)(dims[i] % 3) + 0.3F * vectors_noise(&v->random);
        if (numbers[i] == 0)
            numbers[i] = 1;
    }
    vectors_add_sparse(v, dims, numbers, count);
}

/* One more row: near the middle of a cluster that the seed chooses. */
static inline void vectors_add_some(struct vectors *v)
{
    uint64_t cluster = 1000 + vectors_random(&v->random) % VECTORS_CLUSTERS;
    if (v->space.element == ELEMENT_SPARSE) {
        vectors_add_some_sparse(v, &cluster);
        return;
    }
    float *numbers = malloc((v->space.dims + 8) * sizeof *numbers);
    uint8_t *bits = (uint8_t *)numbers;
    vectors_must(numbers != NULL);
    if (v->space.element == ELEMENT_BIT) {
        for (uint32_t i = 0; i < (v->space.dims + 7) / 8; i++) {
            uint64_t flips = vectors_random(&v->random);
            bits[i] = (uint8_t)(vectors_random(&cluster) ^ (flips & flips >> 8 & flips >> 16));
        }
        vectors_add_bits(v, bits);
    } else {
        for (uint32_t i = 0; i < v->space.dims; i++)
            numbers[i] = vectors_noise(&cluster) + 0.6F * vectors_noise(&v->random);
        vectors_add(v, numbers);
    }
    free(numbers);
}

static inline void vectors_make(struct vectors *v, struct space space, uint32_t rows, uint64_t seed)
{
    vectors_init(v, space, seed);
    while (v->rows < rows)
        vectors_add_some(v);
}

/* The rows [first, first + rows), valid until more are added. */
static inline struct span vectors_span(const struct vectors *v, uint32_t first, uint32_t rows)
{
    return (struct span){.bytes = v->bytes.data, .rows = rows, .starts = v->starts + first};
}

/* Row `row` as a query. */
static inline struct query *vectors_query(const struct vectors *v, uint32_t row)
{
    struct query *query = NULL;
    struct span span = vectors_span(v, row, 1);
    size_t size;
    const uint8_t *value = span_value(&span, 0, &size);
    vectors_must(query_new(&v->space, value, size, &query, NULL) == 0);
    return query;
}

static inline bool vectors_bit(const uint64_t *bits, uint64_t i)
{
    return bits == NULL || (bits[i / 64] >> i % 64 & 1) != 0;
}

#endif
