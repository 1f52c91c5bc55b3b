/* Vectors to test with: as lists of numbers, as the bytes of a value (span.h), and the distances
 * between them, computed plainly in double. */
#ifndef VECTORS_H
#define VECTORS_H

#include "codec/bytes.h"
#include "codec/half_text.h"
#include "index/span.h"

#include <math.h>
#include <stdlib.h>

/* The numbers that are not left out; dense vectors and bits leave none out. */
struct vector {
    uint32_t dims, n;
    uint32_t *at;
    double *numbers;
};

static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline void vector_init(struct vector *vector, uint32_t dims, uint32_t n)
{
    *vector = (struct vector){dims, n, calloc(n + 1U, 4), calloc(n + 1U, sizeof(double))};
    for (uint32_t i = 0; i < n; i++)
        vector->at[i] = i;
}

static inline void vector_clear(struct vector *vector)
{
    free(vector->at);
    free(vector->numbers);
}

static inline double float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return (double)number;
}

static inline double random_number(enum element element, uint64_t *random)
{
    uint64_t r = next_random(random);
    if (element == ELEMENT_BIT)
        return r >> 40 & 1;
    if (element == ELEMENT_FLOAT16) /* all below 2, subnormal ones too */
        return float_of(half_to_float4((uint16_t)(r >> 20) & 0xbfff));
    double number = (double)(float)((double)(r >> 11) / (double)((uint64_t)1 << 52) - 1);
    return number == 0 ? 1 : number;
}

/* Sparse ones have up to `most` numbers, the more of them near the beginning the more there are. */
static inline void vector_random(struct vector *vector, enum element element, uint32_t dims,
                                 uint32_t most, uint64_t *random)
{
    uint32_t n = dims;
    if (element == ELEMENT_SPARSE) {
        n = (uint32_t)(next_random(random) >> 20) % (most + 1);
        n = n < dims ? n : dims;
    }
    vector_init(vector, dims, n);
    uint32_t next = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (element == ELEMENT_SPARSE) {
            uint32_t room = dims - next - (n - i), step = i % 8 == 7 ? 2 * (dims / n) : 2;
            next += (uint32_t)(next_random(random) >> 20) % (room < step ? room + 1 : step + 1);
        }
        vector->at[i] = element == ELEMENT_SPARSE ? next++ : i;
        vector->numbers[i] = random_number(element, random);
    }
}

/* malloc'd; of numbers that the element has exactly. */
static inline uint8_t *vector_value(const struct vector *vector, enum element element, size_t *size)
{
    static uint16_t *halves; /* by the float4's upper 19 bits; a half needs no more */
    uint32_t n = vector->n;
    size_t sizes[] = {4 + 4 * (size_t)n, 4 + 2 * (size_t)n, 12 + 8 * (size_t)n,
                      4 + ((size_t)n + 7) / 8};
    *size = sizes[element];
    uint8_t *value = calloc(1, *size);
    if (element == ELEMENT_FLOAT16 && halves == NULL) {
        halves = calloc((size_t)1 << 19, sizeof *halves);
        for (uint32_t half = 0; half < 0x10000; half++)
            halves[half_to_float4((uint16_t)half) >> 13] = (uint16_t)half;
    }
    if (element == ELEMENT_FLOAT32 || element == ELEMENT_FLOAT16)
        store_be16(value, (uint16_t)vector->dims);
    else
        store_be32(value, vector->dims);
    if (element == ELEMENT_SPARSE)
        store_be32(value + 4, n);
    for (uint32_t i = 0; i < n; i++) {
        float number = (float)vector->numbers[i];
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        if (element == ELEMENT_FLOAT32) {
            store_be32(value + 4 + 4 * (size_t)i, bits);
        } else if (element == ELEMENT_FLOAT16) {
            store_be16(value + 4 + 2 * (size_t)i, halves[bits >> 13]);
        } else if (element == ELEMENT_SPARSE) {
            store_be32(value + 12 + 4 * (size_t)i, vector->at[i]);
            store_be32(value + 12 + 4 * ((size_t)n + i), bits);
        } else if (number != 0) {
            value[4 + i / 8] |= (uint8_t)(0x80 >> i % 8);
        }
    }
    return value;
}

/* What distances are made of. */
struct sums {
    double squares, products, sizes, differ, both, a, b; /* a, b: squares, or bits */
    double terms;                                        /* the products' absolute values */
};

static inline void sums_add(struct sums *sums, double x, double y)
{
    sums->squares += (x - y) * (x - y);
    sums->products += x * y;
    sums->terms += fabs(x * y);
    sums->sizes += fabs(x - y);
    sums->differ += x != y;
    sums->both += x * y;
    sums->a += x * x;
    sums->b += y * y;
}

/* `slack`: by how much sums in float32 may be off. */
static inline double vector_distance(const struct vector *x, const struct vector *y,
                                     enum metric metric, double *slack)
{
    struct sums s = {0};
    uint32_t i = 0, j = 0;
    while (i < x->n || j < y->n) {
        bool left = j == y->n || (i < x->n && x->at[i] <= y->at[j]);
        bool right = i == x->n || (j < y->n && y->at[j] <= x->at[i]);
        sums_add(&s, left ? x->numbers[i] : 0, right ? y->numbers[j] : 0);
        i += left;
        j += right;
    }
    double similarity = s.products / sqrt(s.a * s.b);
    double distances[METRIC_COUNT] = {
        sqrt(s.squares), -s.products, 1 - similarity,
        s.sizes,         s.differ,    s.both == 0 ? 1 : 1 - s.both / (s.a + s.b - s.both)};
    double slacks[METRIC_COUNT] = {sqrt(s.squares), s.terms, 1, s.sizes, 0, 0};
    *slack = slacks[metric] * 1e-5;
    return distances[metric];
}

#endif
