#if defined(__x86_64__)

#include "index/code_kernels.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,popcnt")))

AVX2 static inline __m128i half_load(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* Sixteen products, summed in pairs. Bytes are widened first, as the instruction for bytes
 * saturates. */
AVX2 static inline __m256i products(__m128i codes, const int8_t *query)
{
    return _mm256_madd_epi16(_mm256_cvtepu8_epi16(codes), _mm256_cvtepi8_epi16(half_load(query)));
}

AVX2 static inline int32_t sum_lanes(__m256i x)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}

AVX2 static inline float sum_floats(__m256 x)
{
    __m128 sum = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    return _mm_cvtss_f32(_mm_add_ss(sum, _mm_shuffle_ps(sum, sum, 1)));
}

AVX2 static void dot8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                      uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        __m256i x = _mm256_setzero_si256(), y = x;
        for (uint32_t d = 0; d < field->space.dims; d += 32) {
            x = _mm256_add_epi32(x, products(half_load(look + d), probe->dense.codes + d));
            y = _mm256_add_epi32(y,
                                 products(half_load(look + d + 16), probe->dense.codes + d + 16));
        }
        int32_t dot = sum_lanes(_mm256_add_epi32(x, y));
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

AVX2 static void dot4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                      uint32_t n, float *out)
{
    const __m128i half = _mm_set1_epi8(15);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        __m256i x = _mm256_setzero_si256(), y = x;
        for (uint32_t b = 0; b < field->tail; b += 16) {
            const int8_t *codes =
                probe->dense.codes + b / NIBBLE_BYTES * NIBBLES + b % NIBBLE_BYTES;
            __m128i both = half_load(look + b);
            x = _mm256_add_epi32(x, products(_mm_and_si128(both, half), codes));
            y = _mm256_add_epi32(
                y, products(_mm_and_si128(_mm_srli_epi16(both, 4), half), codes + NIBBLE_BYTES));
        }
        int32_t dot = sum_lanes(_mm256_add_epi32(x, y));
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

AVX2 static void sad8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                      uint32_t n, float *out)
{
    uint32_t dims = field->space.dims, whole = dims / 16 * 16;
    const __m128i flip = _mm_set1_epi8((char)0x80);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        __m128i sums = _mm_setzero_si128();
        for (uint32_t d = 0; d < whole; d += 16)
            sums = _mm_add_epi64(
                sums, _mm_sad_epu8(half_load(look + d),
                                   _mm_xor_si128(half_load(probe->dense.codes + d), flip)));
        int64_t sum = _mm_cvtsi128_si64(sums) + _mm_extract_epi64(sums, 1);
        for (uint32_t d = whole; d < dims; d++) {
            int difference = look[d] - 128 - probe->dense.codes[d];
            sum += difference < 0 ? -difference : difference;
        }
        out[i] = field->step * (float)sum;
    }
}

AVX2 static inline __m256 widen(const uint8_t *at)
{
    return _mm256_cvtepi32_ps(
        _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)at)));
}

AVX2 static void fine8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                       uint32_t n, float *out)
{
    const __m256 part = _mm256_set1_ps(1.0F / 256);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m256 x = _mm256_setzero_ps();
        for (uint32_t d = 0; d < field->space.dims; d += 8)
            x = _mm256_fmadd_ps(_mm256_loadu_ps(probe->dense.floats + d),
                                _mm256_fmadd_ps(widen(fine + d), part, widen(look + d)), x);
        out[i] = finish_fine(probe, tail_of(field, look), sum_floats(x));
    }
}

AVX2 static void fine4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                       uint32_t n, float *out)
{
    const __m128i half = _mm_set1_epi8(15);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m256 x = _mm256_setzero_ps(), y = x;
        for (uint32_t b = 0; b < field->tail; b += 16) {
            const float *floats =
                probe->dense.floats + b / NIBBLE_BYTES * NIBBLES + b % NIBBLE_BYTES;
            __m128i high = half_load(look + b), low = half_load(fine + b);
            uint8_t first[16], second[16];
            _mm_storeu_si128((__m128i *)(void *)first,
                             _mm_or_si128(_mm_slli_epi16(_mm_and_si128(high, half), 4),
                                          _mm_and_si128(low, half)));
            _mm_storeu_si128((__m128i *)(void *)second,
                             _mm_or_si128(_mm_andnot_si128(half, high),
                                          _mm_and_si128(_mm_srli_epi16(low, 4), half)));
            for (int j = 0; j < 16; j += 8) {
                x = _mm256_fmadd_ps(_mm256_loadu_ps(floats + j), widen(first + j), x);
                y = _mm256_fmadd_ps(_mm256_loadu_ps(floats + NIBBLE_BYTES + j), widen(second + j),
                                    y);
            }
        }
        out[i] = finish_fine(probe, tail_of(field, look), sum_floats(_mm256_add_ps(x, y)));
    }
}

AVX2 static void fine_l1(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out)
{
    const __m256 part = _mm256_set1_ps(1.0F / 256), step = _mm256_set1_ps(field->step);
    const __m256 centre = _mm256_set1_ps(CODE_CENTRE), sign = _mm256_set1_ps(-0.0F);
    uint32_t dims = field->space.dims, whole = dims / 8 * 8;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m256 sums = _mm256_setzero_ps();
        for (uint32_t d = 0; d < whole; d += 8) {
            __m256 code = _mm256_fmadd_ps(widen(fine + d), part, widen(look + d));
            __m256 x = _mm256_mul_ps(step, _mm256_sub_ps(code, centre));
            __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(probe->dense.floats + d), x);
            sums = _mm256_add_ps(sums, _mm256_andnot_ps(sign, difference));
        }
        float sum = sum_floats(sums);
        for (uint32_t d = whole; d < dims; d++) {
            float code = (float)look[d] + (float)fine[d] / 256 - CODE_CENTRE;
            sum += __builtin_fabsf(probe->dense.floats[d] - field->step * code);
        }
        out[i] = sum;
    }
}

#define POPCNT __attribute__((target("popcnt")))

POPCNT static void hamming(const struct field *field, const struct probe *probe,
                           const uint32_t *ids, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        uint64_t count = 0;
        for (uint32_t b = 0; b < field->tail; b += 8) {
            uint64_t x, y;
            __builtin_memcpy(&x, look + b, 8);
            __builtin_memcpy(&y, probe->bits.record + b, 8);
            count += (uint64_t)_mm_popcnt_u64(x ^ y);
        }
        out[i] = (float)count;
    }
}

POPCNT static void jaccard(const struct field *field, const struct probe *probe,
                           const uint32_t *ids, uint32_t n, float *out)
{
    uint32_t own, set;
    __builtin_memcpy(&own, probe->bits.record + field->tail, sizeof own);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]);
        uint32_t both = 0;
        for (uint32_t b = 0; b < field->tail; b += 8) {
            uint64_t x, y;
            __builtin_memcpy(&x, look + b, 8);
            __builtin_memcpy(&y, probe->bits.record + b, 8);
            both += (uint32_t)_mm_popcnt_u64(x & y);
        }
        __builtin_memcpy(&set, look + field->tail, sizeof set);
        out[i] = both == 0 ? 1 : 1 - (float)both / (float)(own + set - both);
    }
}

const struct code_kernels code_kernels_avx2 = {
    .dot8 = dot8,
    .dot4 = dot4,
    .sad8 = sad8,
    .fine8 = fine8,
    .fine4 = fine4,
    .fine_l1 = fine_l1,
    .hamming = hamming,
    .jaccard = jaccard,
};

#endif
