/* Eight numbers at a time, in four sums; the last ones under a mask. Bits in words of 64. Sparse
 * values have no kernel here: gathering would be no faster than looking up one by one. */
#include "index/distance_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

#define AVX2 __attribute__((target("avx2,fma,f16c,bmi,bmi2,popcnt")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

enum { LANES = 8 };

INLINE __m256 swap_float32(__m256i raw)
{
    const __m128i order = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    return _mm256_castsi256_ps(_mm256_shuffle_epi8(raw, _mm256_broadcastsi128_si256(order)));
}

INLINE __m256 widen_float16(__m128i raw)
{
    const __m128i order = _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    return _mm256_cvtph_ps(_mm_shuffle_epi8(raw, order));
}

INLINE __m256 load_eight(const uint8_t *at, enum element element)
{
    if (element == ELEMENT_FLOAT16)
        return widen_float16(_mm_loadu_si128((const void *)at));
    return swap_float32(_mm256_loadu_si256((const void *)at));
}

/* The first `count` of eight numbers, and 0 for the others, whose memory is not touched. */
INLINE __m256 load_some(const uint8_t *at, uint32_t count, enum element element)
{
    if (element == ELEMENT_FLOAT16) {
        uint8_t raw[16] = {0};
        for (uint32_t i = 0; i < 2 * count; i++)
            raw[i] = at[i];
        return widen_float16(_mm_loadu_si128((const void *)raw));
    }
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count),
                                      _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    return swap_float32(_mm256_maskload_epi32((const void *)at, mask));
}

INLINE __m256 add_term(__m256 sum, __m256 x, __m256 y, enum metric metric)
{
    if (metric == METRIC_L2) {
        __m256 difference = _mm256_sub_ps(x, y);
        return _mm256_fmadd_ps(difference, difference, sum);
    }
    if (metric == METRIC_L1)
        return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0F), _mm256_sub_ps(x, y)));
    return _mm256_fmadd_ps(x, y, sum);
}

struct sums {
    __m256 sum[4], norm[4];
};

INLINE void step(struct sums *sums, int lane, const float *x, __m256 y, enum metric metric)
{
    sums->sum[lane] = add_term(sums->sum[lane], _mm256_load_ps(x), y, metric);
    if (metric == METRIC_COSINE)
        sums->norm[lane] = _mm256_fmadd_ps(y, y, sums->norm[lane]);
}

INLINE float add_lanes(const __m256 *lanes)
{
    __m256 sum =
        _mm256_add_ps(_mm256_add_ps(lanes[0], lanes[2]), _mm256_add_ps(lanes[1], lanes[3]));
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

/* `space` is known when this is compiled: its element and metric, not its dimensions. */
INLINE uint32_t compare_dense(const struct query *query, const struct value *values, uint32_t count,
                              float *sums, float *norms, struct space space)
{
    const enum element element = space.element;
    const enum metric metric = space.metric;
    const size_t width = element == ELEMENT_FLOAT16 ? 2 : 4;
    const float *x = query->numbers;
    const uint32_t dims = query->space.dims, wide = dims / 32 * 32, even = dims / LANES * LANES;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query))
            return i;
        const uint8_t *at = values[i].bytes + 4;
        struct sums s = {0};
        for (uint32_t j = 0; j < wide; j += 32) {
            step(&s, 0, x + j, load_eight(at + j * width, element), metric);
            step(&s, 1, x + j + 8, load_eight(at + (j + 8) * width, element), metric);
            step(&s, 2, x + j + 16, load_eight(at + (j + 16) * width, element), metric);
            step(&s, 3, x + j + 24, load_eight(at + (j + 24) * width, element), metric);
        }
        for (uint32_t j = wide; j < even; j += LANES)
            step(&s, 0, x + j, load_eight(at + j * width, element), metric);
        if (even < dims)
            step(&s, 1, x + even, load_some(at + even * width, dims - even, element), metric);
        sums[i] = add_lanes(s.sum);
        if (metric == METRIC_COSINE)
            norms[i] = add_lanes(s.norm);
    }
    return count;
}

#define DENSE(name, element, metric)                                                               \
    AVX2 static uint32_t name(const struct query *query, const struct value *values,               \
                              uint32_t count, float *sums, float *norms)                           \
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

INLINE void count_word(uint64_t x, uint64_t y, enum metric metric, uint64_t *sum, uint64_t *norm)
{
    *sum += (uint64_t)__builtin_popcountll(metric == METRIC_JACCARD ? x & y : x ^ y);
    if (metric == METRIC_JACCARD)
        *norm += (uint64_t)__builtin_popcountll(y);
}

INLINE uint32_t compare_bits(const struct query *query, const struct value *values, uint32_t count,
                             float *sums, float *norms, enum metric metric)
{
    const size_t size = query->size - 4, whole = size / 8 * 8;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query) || (values[i].bytes[size + 3] & query->padding) != 0)
            return i;
        const uint8_t *at = values[i].bytes + 4;
        uint64_t sum = 0, norm = 0, x, y;
        for (size_t j = 0; j < whole; j += 8) {
            memcpy(&x, query->bits + j, 8);
            memcpy(&y, at + j, 8);
            count_word(x, y, metric, &sum, &norm);
        }
        if (whole < size) {
            y = 0;
            memcpy(&x, query->bits + whole, 8);
            memcpy(&y, at + whole, size - whole);
            count_word(x, y, metric, &sum, &norm);
        }
        sums[i] = (float)sum;
        norms[i] = (float)norm;
    }
    return count;
}

AVX2 static uint32_t bits_hamming(const struct query *query, const struct value *values,
                                  uint32_t count, float *sums, float *norms)
{
    return compare_bits(query, values, count, sums, norms, METRIC_HAMMING);
}

AVX2 static uint32_t bits_jaccard(const struct query *query, const struct value *values,
                                  uint32_t count, float *sums, float *norms)
{
    return compare_bits(query, values, count, sums, norms, METRIC_JACCARD);
}

distance_kernel *distance_kernel_avx2(const struct space *space)
{
    static distance_kernel *const kernels[ELEMENT_COUNT][METRIC_COUNT] = {
        [ELEMENT_FLOAT32] = {float32_l2, float32_ip, float32_cosine, float32_l1},
        [ELEMENT_FLOAT16] = {float16_l2, float16_ip, float16_cosine, float16_l1},
        [ELEMENT_BIT] = {[METRIC_HAMMING] = bits_hamming, [METRIC_JACCARD] = bits_jaccard},
    };
    return kernels[space->element][space->metric];
}

#endif
