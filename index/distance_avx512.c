/* Sixteen numbers at a time, in four sums, so that an addition need not wait for the one before it;
 * the last numbers under a mask. */
#include "index/distance_kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>

#define AVX512                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,"    \
                          "avx512vpopcntdq,bmi,bmi2,lzcnt,popcnt")))
#define INLINE AVX512 __attribute__((always_inline)) static inline

INLINE __m512i swap32(__m512i raw)
{
    return _mm512_shuffle_epi8(raw, _mm512_broadcast_i32x4(_mm_setr_epi8(
                                        3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)));
}

INLINE __m256i swap16(__m256i raw)
{
    return _mm256_shuffle_epi8(raw, _mm256_broadcastsi128_si256(_mm_setr_epi8(
                                        1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)));
}

/* The numbers in `mask`, and 0 for the others, whose memory is not touched. */
INLINE __m512 load_numbers(const uint8_t *at, __mmask16 mask, enum element element)
{
    if (element == ELEMENT_FLOAT16)
        return _mm512_cvtph_ps(swap16(_mm256_maskz_loadu_epi16(mask, at)));
    return _mm512_castsi512_ps(swap32(_mm512_maskz_loadu_epi32(mask, at)));
}

INLINE __m512 add_term(__m512 sum, __m512 x, __m512 y, enum metric metric)
{
    if (metric == METRIC_L2) {
        __m512 difference = _mm512_sub_ps(x, y);
        return _mm512_fmadd_ps(difference, difference, sum);
    }
    if (metric == METRIC_L1)
        return _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(x, y)));
    return _mm512_fmadd_ps(x, y, sum);
}

struct sums {
    __m512 sum[4], norm[4];
};

INLINE void step(struct sums *sums, int lane, const float *x, __m512 y, enum metric metric)
{
    sums->sum[lane] = add_term(sums->sum[lane], _mm512_load_ps(x), y, metric);
    if (metric == METRIC_COSINE)
        sums->norm[lane] = _mm512_fmadd_ps(y, y, sums->norm[lane]);
}

INLINE float add_lanes(const __m512 *lanes)
{
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(lanes[0], lanes[2]), _mm512_add_ps(lanes[1], lanes[3])));
}

/* `space` is known when this is compiled: its element and metric, not its dimensions. */
INLINE uint32_t compare_dense(const struct query *query, const struct value *values, uint32_t count,
                              float *sums, float *norms, struct space space)
{
    const enum element element = space.element;
    const enum metric metric = space.metric;
    const size_t width = element == ELEMENT_FLOAT16 ? 2 : 4;
    const float *x = query->numbers;
    const uint32_t dims = query->space.dims, wide = dims / 64 * 64, even = dims / 16 * 16;
    const __mmask16 all = 0xffff, last = (__mmask16)((1U << dims % 16) - 1);
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query))
            return i;
        const uint8_t *at = values[i].bytes + 4;
        struct sums s = {0};
        for (uint32_t j = 0; j < wide; j += 64) {
            step(&s, 0, x + j, load_numbers(at + j * width, all, element), metric);
            step(&s, 1, x + j + 16, load_numbers(at + (j + 16) * width, all, element), metric);
            step(&s, 2, x + j + 32, load_numbers(at + (j + 32) * width, all, element), metric);
            step(&s, 3, x + j + 48, load_numbers(at + (j + 48) * width, all, element), metric);
        }
        if (wide + 16 <= even)
            step(&s, 0, x + wide, load_numbers(at + wide * width, all, element), metric);
        if (wide + 32 <= even)
            step(&s, 1, x + wide + 16, load_numbers(at + (wide + 16) * width, all, element),
                 metric);
        if (wide + 48 <= even)
            step(&s, 2, x + wide + 32, load_numbers(at + (wide + 32) * width, all, element),
                 metric);
        if (last != 0)
            step(&s, 3, x + even, load_numbers(at + even * width, last, element), metric);
        sums[i] = add_lanes(s.sum);
        if (metric == METRIC_COSINE)
            norms[i] = add_lanes(s.norm);
    }
    return count;
}

#define DENSE(name, element, metric)                                                               \
    AVX512 static uint32_t name(const struct query *query, const struct value *values,             \
                                uint32_t count, float *sums, float *norms)                         \
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

struct counts {
    __m512i sum, norm;
};

INLINE void count_bits(struct counts *counts, __m512i x, __m512i y, enum metric metric)
{
    __m512i bits = metric == METRIC_JACCARD ? _mm512_and_si512(x, y) : _mm512_xor_si512(x, y);
    counts->sum = _mm512_add_epi64(counts->sum, _mm512_popcnt_epi64(bits));
    if (metric == METRIC_JACCARD)
        counts->norm = _mm512_add_epi64(counts->norm, _mm512_popcnt_epi64(y));
}

INLINE uint32_t compare_bits(const struct query *query, const struct value *values, uint32_t count,
                             float *sums, float *norms, enum metric metric)
{
    const size_t size = query->size - 4, wide = size / 64 * 64;
    const __mmask64 last = ((__mmask64)1 << size % 64) - 1;
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        if (!value_is_of(&values[i], query) || (values[i].bytes[size + 3] & query->padding) != 0)
            return i;
        const uint8_t *at = values[i].bytes + 4;
        struct counts counts = {_mm512_setzero_si512(), _mm512_setzero_si512()};
        for (size_t j = 0; j < wide; j += 64)
            count_bits(&counts, _mm512_load_si512(query->bits + j), _mm512_loadu_si512(at + j),
                       metric);
        if (last != 0)
            count_bits(&counts, _mm512_load_si512(query->bits + wide),
                       _mm512_maskz_loadu_epi8(last, at + wide), metric);
        sums[i] = (float)_mm512_reduce_add_epi64(counts.sum);
        if (metric == METRIC_JACCARD)
            norms[i] = (float)_mm512_reduce_add_epi64(counts.norm);
    }
    return count;
}

AVX512 static uint32_t bits_hamming(const struct query *query, const struct value *values,
                                    uint32_t count, float *sums, float *norms)
{
    return compare_bits(query, values, count, sums, norms, METRIC_HAMMING);
}

AVX512 static uint32_t bits_jaccard(const struct query *query, const struct value *values,
                                    uint32_t count, float *sums, float *norms)
{
    return compare_bits(query, values, count, sums, norms, METRIC_JACCARD);
}

/* The query's numbers at these dimensions, which have been checked; `hits`: the lanes that have
 * one. */
INLINE __m512 look_up(const struct query *query, __m512i dims, __mmask16 mask, __mmask16 *hits)
{
    const __m512i none = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
    __m512i word = _mm512_srli_epi32(dims, 5);
    __m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(dims, _mm512_set1_epi32(31)));
    __m512i bits = _mm512_mask_i32gather_epi32(none, mask, word, query->words, 8);
    *hits = _mm512_mask_test_epi32_mask(mask, bits, bit);
    if (*hits == 0)
        return _mm512_setzero_ps();
    __m512i before = _mm512_mask_i32gather_epi32(none, *hits, word, &query->words[0].before, 8);
    __m512i lower = _mm512_and_si512(bits, _mm512_sub_epi32(bit, one));
    __m512i at = _mm512_add_epi32(before, _mm512_popcnt_epi32(lower));
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), *hits, at, query->numbers, 4);
}

INLINE __m512d add_seen(__m512d seen, __m512 x, enum metric metric)
{
    __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
    __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
    if (metric == METRIC_L1)
        return _mm512_add_pd(seen, _mm512_add_pd(_mm512_abs_pd(low), _mm512_abs_pd(high)));
    return _mm512_fmadd_pd(low, low, _mm512_fmadd_pd(high, high, seen));
}

/* False: the dimensions do not ascend, or one is too large. */
INLINE bool compare_one(const struct query *query, const struct sparse *value, float *out,
                        float *norm, enum metric metric)
{
    const __m512i end = _mm512_set1_epi32((int)query->space.dims);
    __m512 sums = _mm512_setzero_ps(), norms = _mm512_setzero_ps();
    __m512d seen = _mm512_setzero_pd();
    uint32_t hits = 0, n = value->n;
    for (uint32_t j = 0; j < n; j += 16) {
        const uint8_t *at = value->dims + 4 * (size_t)j;
        __mmask16 mask = n - j >= 16 ? 0xffff : (__mmask16)((1U << (n - j)) - 1);
        /* -1 stands before the first: so it is seen, too, if it is below 0 */
        __mmask16 behind = j == 0 ? mask & 0xfffe : mask;
        __m512i dims = swap32(_mm512_maskz_loadu_epi32(mask, at));
        __m512i before = swap32(_mm512_mask_loadu_epi32(_mm512_set1_epi32(-1), behind, at - 4));
        if (_mm512_mask_cmpgt_epi32_mask(_mm512_mask_cmplt_epi32_mask(mask, dims, end), dims,
                                         before) != mask)
            return false;
        __mmask16 hit;
        __m512 x = look_up(query, dims, mask, &hit);
        __m512 y = load_numbers(value->numbers + 4 * (size_t)j, mask, ELEMENT_SPARSE);
        sums = add_term(sums, x, y, metric);
        if (metric == METRIC_COSINE)
            norms = _mm512_fmadd_ps(y, y, norms);
        if ((metric == METRIC_L2 || metric == METRIC_L1) && hit != 0) {
            seen = add_seen(seen, x, metric);
            hits += (uint32_t)__builtin_popcount(hit);
        }
    }
    double sum = (double)_mm512_reduce_add_ps(sums);
    if (metric == METRIC_L2 || metric == METRIC_L1) {
        double all = metric == METRIC_L2 ? query->squares : query->sizes;
        double rest = sparse_rest(query, sum, all, _mm512_reduce_add_pd(seen), hits);
        sum = rest < 0 ? sparse_merge(query, value) : sum + rest;
    }
    *out = (float)sum;
    *norm = _mm512_reduce_add_ps(norms);
    return true;
}

INLINE uint32_t compare_sparse(const struct query *query, const struct value *values,
                               uint32_t count, float *sums, float *norms, enum metric metric)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].size == 0) {
            sums[i] = norms[i] = NAN;
            continue;
        }
        struct sparse value;
        if (!sparse_take_apart(&values[i], query, &value) ||
            !compare_one(query, &value, &sums[i], &norms[i], metric))
            return i;
    }
    return count;
}

#define SPARSE(name, metric)                                                                       \
    AVX512 static uint32_t name(const struct query *query, const struct value *values,             \
                                uint32_t count, float *sums, float *norms)                         \
    {                                                                                              \
        return compare_sparse(query, values, count, sums, norms, metric);                          \
    }
SPARSE(sparse_l2, METRIC_L2)
SPARSE(sparse_ip, METRIC_IP)
SPARSE(sparse_cosine, METRIC_COSINE)
SPARSE(sparse_l1, METRIC_L1)

distance_kernel *distance_kernel_avx512(const struct space *space)
{
    static distance_kernel *const kernels[ELEMENT_COUNT][METRIC_COUNT] = {
        [ELEMENT_FLOAT32] = {float32_l2, float32_ip, float32_cosine, float32_l1},
        [ELEMENT_FLOAT16] = {float16_l2, float16_ip, float16_cosine, float16_l1},
        [ELEMENT_SPARSE] = {sparse_l2, sparse_ip, sparse_cosine, sparse_l1},
        [ELEMENT_BIT] = {[METRIC_HAMMING] = bits_hamming, [METRIC_JACCARD] = bits_jaccard},
    };
    return space->element == ELEMENT_SPARSE && sparse_words(space->dims) == 0
               ? NULL
               : kernels[space->element][space->metric];
}

#endif
