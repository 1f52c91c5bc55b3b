/* The reference for the other levels. Eight sums side by side: one alone would lose digits over
 * thousands of terms. */
#include "index/distance_kernels.h"

#include <math.h>

#define INLINE __attribute__((always_inline)) static inline

enum { LANES = 8 };

INLINE float float_of(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

/* Without a branch, unlike half_to_float4: a multiplication moves the exponent, and makes subnormal
 * numbers normal, too. Infinity and NaN, which no value has, come out finite. */
INLINE float widen(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13 | (uint32_t)(half & 0x8000) << 16;
    return float_of(bits) * 0x1p112F;
}

INLINE float load_number(const uint8_t *at, enum element element)
{
    return element == ELEMENT_FLOAT16 ? widen(load_be16(at)) : float_of(load_be32(at));
}

INLINE void add_term(float x, float y, enum metric metric, float *sum, float *norm)
{
    if (metric == METRIC_L2)
        *sum += (x - y) * (x - y);
    else if (metric == METRIC_L1)
        *sum += fabsf(x - y);
    else
        *sum += x * y;
    if (metric == METRIC_COSINE)
        *norm += y * y;
}

INLINE float add_lanes(const float *lanes)
{
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

/* `space` is known when this is compiled: its element and metric, not its dimensions. */
INLINE uint32_t compare_dense(const struct query *query, const struct value *values, uint32_t count,
                              float *sums, float *norms, struct space space)
{
    const enum element element = space.element;
    const enum metric metric = space.metric;
    size_t width = element == ELEMENT_FLOAT16 ? 2 : 4;
    uint32_t dims = query->space.dims, even = dims / LANES * LANES;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query))
            return i;
        const uint8_t *at = values[i].bytes + 4;
        float sum[LANES] = {0}, norm[LANES] = {0};
        for (uint32_t j = 0; j < even; j += LANES)
            for (uint32_t l = 0; l < LANES; l++)
                add_term(query->numbers[j + l], load_number(at + (j + l) * width, element), metric,
                         &sum[l], &norm[l]);
        for (uint32_t j = even; j < dims; j++)
            add_term(query->numbers[j], load_number(at + j * width, element), metric,
                     &sum[j - even], &norm[j - even]);
        sums[i] = add_lanes(sum);
        if (metric == METRIC_COSINE)
            norms[i] = add_lanes(norm);
    }
    return count;
}

#define DENSE(name, element, metric)                                                               \
    static uint32_t name(const struct query *query, const struct value *values, uint32_t count,    \
                         float *sums, float *norms)                                                \
    {                                                                                              \
        return compare_dense(query, values, count, sums, norms,                                    \
                             (struct space){element, metric, 0});                                  \
    }
DENSE(float32_l2, ELEMENT_FLOAT32, METRIC_L2)
DENSE(float32_ip, ELEMENT_FLOAT32, METRIC_IP)
DENSE(float32_cosine, ELEMENT_FLOAT32, METRIC_COSINE)
DENSE(float32_l1, ELEMENT_FLOAT32, METRIC_L1)
DENSE(float16_l2, ELEMENT_FLOAT16, METRIC_L2)
DENSE(float16_ip, ELEMENT_FLOAT16, METRIC_IP)
DENSE(float16_cosine, ELEMENT_FLOAT16, METRIC_COSINE)
DENSE(float16_l1, ELEMENT_FLOAT16, METRIC_L1)

static uint32_t bits_any(const struct query *query, const struct value *values, uint32_t count,
                         float *sums, float *norms)
{
    bool jaccard = query->space.metric == METRIC_JACCARD;
    size_t size = query->size - 4;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query) ||
            (values[i].bytes[query->size - 1] & query->padding) != 0)
            return i;
        const uint8_t *bits = values[i].bytes + 4;
        uint32_t sum = 0, norm = 0;
        for (size_t j = 0; j < size; j += 8) {
            uint64_t x, y = 0;
            memcpy(&x, query->bits + j, 8);
            memcpy(&y, bits + j, size - j < 8 ? size - j : 8);
            sum += (uint32_t)__builtin_popcountll(jaccard ? x & y : x ^ y);
            norm += jaccard ? (uint32_t)__builtin_popcountll(y) : 0;
        }
        sums[i] = (float)sum;
        norms[i] = (float)norm;
    }
    return count;
}

static bool ascend(const struct sparse *value, uint32_t dims)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < value->n; i++) {
        uint32_t dim = load_be32(value->dims + 4 * (size_t)i);
        if (dim < next || dim >= dims)
            return false;
        next = dim + 1;
    }
    return true;
}

/* What one dimension adds to a sparse sum. */
INLINE double sparse_term(double x, double y, enum metric metric)
{
    if (metric == METRIC_L2)
        return (x - y) * (x - y);
    if (metric == METRIC_L1)
        return fabs(x - y);
    return x * y;
}

double sparse_merge(const struct query *query, const struct sparse *value)
{
    enum metric metric = query->space.metric;
    double sum = 0;
    uint32_t i = 0, j = 0;
    while (i < query->n && j < value->n) {
        uint32_t a = query->dims[i], b = load_be32(value->dims + 4 * (size_t)j);
        double x = a <= b ? query->numbers[i] : 0;
        double y = b <= a ? load_number(value->numbers + 4 * (size_t)j, ELEMENT_SPARSE) : 0;
        sum += sparse_term(x, y, metric);
        i += a <= b;
        j += b <= a;
    }
    for (; i < query->n; i++)
        sum += sparse_term(query->numbers[i], 0, metric);
    for (; j < value->n; j++)
        sum += sparse_term(0, load_number(value->numbers + 4 * (size_t)j, ELEMENT_SPARSE), metric);
    return sum;
}

/* The sum over the value's dimensions, looking each up in the query. */
static double sparse_look_up(const struct query *query, const struct sparse *value)
{
    enum metric metric = query->space.metric;
    double sum = 0, seen = 0;
    uint32_t hits = 0;
    for (uint32_t i = 0; i < value->n; i++) {
        uint32_t dim = load_be32(value->dims + 4 * (size_t)i), bit = dim % 32;
        struct sparse_word word = query->words[dim / 32];
        double x = 0;
        if (word.bits >> bit & 1) {
            uint32_t lower = word.bits & (((uint32_t)1 << bit) - 1);
            x = query->numbers[word.before + (uint32_t)__builtin_popcount(lower)];
            seen += sparse_term(x, 0, metric);
            hits++;
        }
        double y = load_number(value->numbers + 4 * (size_t)i, ELEMENT_SPARSE);
        sum += sparse_term(x, y, metric);
    }
    if (metric != METRIC_L2 && metric != METRIC_L1)
        return sum;
    double all = metric == METRIC_L2 ? query->squares : query->sizes;
    double rest = sparse_rest(query, sum, all, seen, hits);
    return rest < 0 ? sparse_merge(query, value) : sum + rest;
}

static uint32_t sparse_any(const struct query *query, const struct value *values, uint32_t count,
                           float *sums, float *norms)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        struct sparse value;
        if (!sparse_take_apart(&values[i], query, &value) || !ascend(&value, query->space.dims))
            return i;
        double sum =
            query->words == NULL ? sparse_merge(query, &value) : sparse_look_up(query, &value);
        double norm = 0;
        if (query->space.metric == METRIC_COSINE)
            for (uint32_t j = 0; j < value.n; j++) {
                double y = load_number(value.numbers + 4 * (size_t)j, ELEMENT_SPARSE);
                norm += y * y;
            }
        sums[i] = (float)sum;
        norms[i] = (float)norm;
    }
    return count;
}

distance_kernel *distance_kernel_scalar(const struct space *space)
{
    static distance_kernel *const dense[][METRIC_COUNT] = {
        [ELEMENT_FLOAT32] = {float32_l2, float32_ip, float32_cosine, float32_l1},
        [ELEMENT_FLOAT16] = {float16_l2, float16_ip, float16_cosine, float16_l1},
    };
    if (space->element == ELEMENT_SPARSE)
        return sparse_any;
    return space->element == ELEMENT_BIT ? bits_any : dense[space->element][space->metric];
}
