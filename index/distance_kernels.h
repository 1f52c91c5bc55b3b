/* A prepared query, and the kernels that compare it with values, at each level of instructions
 * (isa.h), which the machine must have; for index/distance*.c alone.
 *
 * A kernel sums up what a distance is made of:
 *
 *   metric    sum                          norm
 *   l2        squared differences
 *   ip        products
 *   cosine    products                     the value's squares
 *   l1        absolute differences
 *   hamming   bits that differ
 *   jaccard   bits in both                 the value's bits
 *
 * Sums of bits are whole numbers that float32 can hold: query_new sees to that. The sums of a value
 * do not depend on the other values.
 */
#ifndef INDEX_DISTANCE_KERNELS_H
#define INDEX_DISTANCE_KERNELS_H

#include "codec/bytes.h"
#include "index/distance.h"

/* Returns the number of values before the first that is not one of the space. The sum of NULL is
 * NaN. `norms` is written if the table above has a norm. */
typedef uint32_t distance_kernel(const struct query *query, const struct value *values,
                                 uint32_t count, float *sums, float *norms);

/* How many struct sparse_word a query of so many dimensions has; 0: it has none, they are too
 * many. */
static inline size_t sparse_words(uint32_t dims)
{
    enum { MOST = 1 << 17 }; /* 1 MiB, for 4 million dimensions */
    size_t words = ((size_t)dims + 31) / 32;
    return words <= MOST ? words : 0;
}

/* Which of 32 dimensions a sparse query has, and how many it has before them. */
struct sparse_word {
    uint32_t bits, before;
};

struct query {
    struct space space;
    struct value value; /* what query_new was given, a copy */
    distance_kernel *kernel;
    uint32_t header; /* the first 4 bytes of every value, as they lie */
    uint32_t size;   /* of every value; sparse: 0 */
    float norm;      /* the query's own, as a kernel sums it up */
    float *numbers;  /* dims of them, then 0 up to a multiple of 64; sparse: n */
    uint8_t *bits;   /* as in a value, then 0 up to a multiple of 64 bytes */
    uint8_t padding; /* the bits of a value's last byte that belong to no dimension */
    /* Of sparse vectors: */
    uint32_t n;                /* numbers that are not 0 */
    uint32_t *dims;            /* n, ascending */
    struct sparse_word *words; /* by dimension / 32; NULL: see sparse_words */
    double squares, sizes;     /* sums of the numbers' squares and absolute values */
};

/* NULL: the level has no kernel of its own for this space, and the scalar one serves. */
distance_kernel *distance_kernel_scalar(const struct space *space);
#if defined(__x86_64__)
distance_kernel *distance_kernel_avx2(const struct space *space);
distance_kernel *distance_kernel_avx512(const struct space *space);
#endif

/* Whether these are the bytes of a value of the query's space; not for sparse vectors. */
static inline bool value_is_of(const struct value *value, const struct query *query)
{
    uint32_t header;
    if (value->size != query->size)
        return false;
    memcpy(&header, value->bytes, sizeof header);
    return header == query->header;
}

/* The parts of a sparse value. */
struct sparse {
    uint32_t n;
    const uint8_t *dims;    /* 4 bytes each */
    const uint8_t *numbers; /* 4 bytes each */
};

/* False: these are not the bytes of a sparse value, as far as can be told without looking at
 * `dims`. */
static inline bool sparse_take_apart(const struct value *value, const struct query *query,
                                     struct sparse *out)
{
    uint32_t header, zero;
    if (value->size < 12)
        return false;
    memcpy(&header, value->bytes, sizeof header);
    memcpy(&zero, value->bytes + 8, sizeof zero);
    uint32_t n = load_be32(value->bytes + 4);
    if (header != query->header || zero != 0 || value->size != 12 + 8 * (size_t)n)
        return false;
    *out = (struct sparse){n, value->bytes + 12, value->bytes + 12 + 4 * (size_t)n};
    return true;
}

/* What a sparse l2 or l1 sum over the value's dimensions lacks: the terms of the query's numbers at
 * other dimensions. `all`: the sum over all of the query's numbers; `seen`: over the `hits` of them
 * at the value's dimensions. -1: the difference of the two would not be precise beside `sum`. */
static inline double sparse_rest(const struct query *query, double sum, double all, double seen,
                                 uint32_t hits)
{
    if (hits == query->n)
        return 0;
    double rest = all - seen;
    return sum + rest > all * 1e-8 ? rest : -1;
}

/* The sum in double, going through both lists. The value's dimensions have been checked. */
double sparse_merge(const struct query *query, const struct sparse *value);

#endif
