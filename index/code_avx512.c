#if defined(__x86_64__)

#include "index/code_kernels.h"

#include <immintrin.h>

#define AVX512                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,"         \
                          "popcnt")))

/* The caller fetches records of up to FETCHED bytes. Of longer ones all lines are fetched, AHEAD
 * slots ahead: the processor itself finds no pattern in slots. */
enum { AHEAD = 3, FETCHED = 128 };

static inline void fetch_lines(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i += 64)
        __builtin_prefetch(at + i);
}

static inline void fetch_ahead(const struct field *field, const uint32_t *ids, uint32_t i,
                               uint32_t n)
{
    if (field->look_stride > FETCHED && i + AHEAD < n)
        fetch_lines(look_of(field, ids[i + AHEAD]), field->look_stride);
}

static inline void fetch_first(const struct field *field, const uint32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; field->look_stride > FETCHED && i < n && i < AHEAD; i++)
        fetch_lines(look_of(field, ids[i]), field->look_stride);
}

AVX512 static inline __m512i load(const void *at) { return _mm512_loadu_si512(at); }

AVX512 static inline float sum_fine(__m512 x, __m512 y)
{
    return _mm512_reduce_add_ps(_mm512_add_ps(x, y));
}

AVX512 static void dot8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                        uint32_t n, float *out)
{
    uint32_t dims = field->space.dims;
    fetch_first(field, ids, n);
    for (uint32_t i = 0; i < n; i++) {
        fetch_ahead(field, ids, i, n);
        const uint8_t *look = look_of(field, ids[i]);
        __m512i x = _mm512_setzero_si512(), y = x;
        uint32_t d = 0;
        for (; d + 64 < dims; d += 128) {
            x = _mm512_dpbusd_epi32(x, load(look + d), load(probe->dense.codes + d));
            y = _mm512_dpbusd_epi32(y, load(look + d + 64), load(probe->dense.codes + d + 64));
        }
        if (d < dims)
            x = _mm512_dpbusd_epi32(x, load(look + d), load(probe->dense.codes + d));
        int32_t dot = _mm512_reduce_add_epi32(_mm512_add_epi32(x, y));
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

AVX512 static void dot4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                        uint32_t n, float *out)
{
    const __m512i half = _mm512_set1_epi8(15);
    fetch_first(field, ids, n);
    for (uint32_t i = 0; i < n; i++) {
        fetch_ahead(field, ids, i, n);
        const uint8_t *look = look_of(field, ids[i]);
        __m512i x = _mm512_setzero_si512(), y = x;
        const int8_t *codes = probe->dense.codes;
        for (uint32_t b = 0; b < field->tail; b += NIBBLE_BYTES, codes += NIBBLES) {
            __m512i both = load(look + b);
            __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), half);
            x = _mm512_dpbusd_epi32(x, _mm512_and_si512(both, half), load(codes));
            y = _mm512_dpbusd_epi32(y, high, load(codes + NIBBLE_BYTES));
        }
        int32_t dot = _mm512_reduce_add_epi32(_mm512_add_epi32(x, y));
        out[i] = finish_dot(field, probe, tail_of(field, look), (float)dot);
    }
}

/* The probe's codes are 0 behind the last dimension, but records are not: so the last block is
 * masked. */
AVX512 static void sad8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                        uint32_t n, float *out)
{
    uint32_t dims = field->space.dims;
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    fetch_first(field, ids, n);
    for (uint32_t i = 0; i < n; i++) {
        fetch_ahead(field, ids, i, n);
        const uint8_t *look = look_of(field, ids[i]);
        __m512i sum = _mm512_setzero_si512();
        for (uint32_t d = 0; d < dims; d += 64) {
            __mmask64 mask = dims - d >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << (dims - d)) - 1;
            __m512i x = _mm512_maskz_loadu_epi8(mask, look + d);
            __m512i q = _mm512_xor_si512(load(probe->dense.codes + d), flip);
            sum = _mm512_add_epi64(sum, _mm512_sad_epu8(x, _mm512_maskz_mov_epi8(mask, q)));
        }
        out[i] = field->step * (float)_mm512_reduce_add_epi64(sum);
    }
}

AVX512 static inline __m512 widen(const uint8_t *at)
{
    return _mm512_cvtepi32_ps(
        _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at)));
}

AVX512 static void fine8(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out)
{
    const __m512 part = _mm512_set1_ps(1.0F / 256);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m512 x = _mm512_setzero_ps(), y = x;
        uint32_t d = 0;
        for (; d + 16 < field->space.dims; d += 32) {
            x = _mm512_fmadd_ps(_mm512_loadu_ps(probe->dense.floats + d),
                                _mm512_fmadd_ps(widen(fine + d), part, widen(look + d)), x);
            y = _mm512_fmadd_ps(_mm512_loadu_ps(probe->dense.floats + d + 16),
                                _mm512_fmadd_ps(widen(fine + d + 16), part, widen(look + d + 16)),
                                y);
        }
        if (d < field->space.dims)
            x = _mm512_fmadd_ps(_mm512_loadu_ps(probe->dense.floats + d),
                                _mm512_fmadd_ps(widen(fine + d), part, widen(look + d)), x);
        out[i] = finish_fine(probe, tail_of(field, look), sum_fine(x, y));
    }
}

/* The numbers of 16 dimensions. Of both parts, the halves that count are the low ones of their
 * bytes. */
AVX512 static inline __m512 join(__m128i high, __m128i low)
{
    __m128i whole = _mm_or_si128(_mm_slli_epi16(high, 4), low);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(whole));
}

AVX512 static void fine4(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out)
{
    const __m128i half = _mm_set1_epi8(15);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m512 x = _mm512_setzero_ps(), y = x;
        for (uint32_t b = 0; b < field->tail; b += 16) {
            /* byte b is of this dimension, and of the one NIBBLE_BYTES behind it */
            const float *floats =
                probe->dense.floats + b / NIBBLE_BYTES * NIBBLES + b % NIBBLE_BYTES;
            __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(look + b));
            __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(fine + b));
            x = _mm512_fmadd_ps(_mm512_loadu_ps(floats),
                                join(_mm_and_si128(high, half), _mm_and_si128(low, half)), x);
            y = _mm512_fmadd_ps(_mm512_loadu_ps(floats + NIBBLE_BYTES),
                                join(_mm_and_si128(_mm_srli_epi16(high, 4), half),
                                     _mm_and_si128(_mm_srli_epi16(low, 4), half)),
                                y);
        }
        out[i] = finish_fine(probe, tail_of(field, look), sum_fine(x, y));
    }
}

AVX512 static void fine_l1(const struct field *field, const struct probe *probe,
                           const uint32_t *ids, uint32_t n, float *out)
{
    const __m512 part = _mm512_set1_ps(1.0F / 256), step = _mm512_set1_ps(field->step);
    const __m512 centre = _mm512_set1_ps(CODE_CENTRE);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *look = look_of(field, ids[i]), *fine = fine_of(field, ids[i]);
        __m512 sum = _mm512_setzero_ps();
        for (uint32_t d = 0; d < field->space.dims; d += 16) {
            uint32_t left = field->space.dims - d;
            __mmask16 mask = left >= 16 ? 0xffff : (__mmask16)((1U << left) - 1);
            __m512 code = _mm512_fmadd_ps(widen(fine + d), part, widen(look + d));
            __m512 x = _mm512_mul_ps(step, _mm512_sub_ps(code, centre));
            __m512 difference = _mm512_sub_ps(_mm512_loadu_ps(probe->dense.floats + d), x);
            sum = _mm512_mask_add_ps(sum, mask, sum, _mm512_abs_ps(difference));
        }
        out[i] = _mm512_reduce_add_ps(sum);
    }
}

AVX512 static inline __mmask8 words_left(uint32_t bytes) /* of 8 */
{
    return bytes >= 64 ? 0xff : (__mmask8)((1U << bytes / 8) - 1);
}

AVX512 static void hamming(const struct field *field, const struct probe *probe,
                           const uint32_t *ids, uint32_t n, float *out)
{
    fetch_first(field, ids, n);
    for (uint32_t i = 0; i < n; i++) {
        fetch_ahead(field, ids, i, n);
        const uint8_t *look = look_of(field, ids[i]);
        __m512i count = _mm512_setzero_si512();
        for (uint32_t b = 0; b < field->tail; b += 64) {
            __mmask8 mask = words_left(field->tail - b);
            __m512i x = _mm512_maskz_loadu_epi64(mask, look + b);
            __m512i q = _mm512_maskz_loadu_epi64(mask, probe->bits.record + b);
            count = _mm512_add_epi64(count, _mm512_popcnt_epi64(_mm512_xor_si512(x, q)));
        }
        out[i] = (float)_mm512_reduce_add_epi64(count);
    }
}

AVX512 static void jaccard(const struct field *field, const struct probe *probe,
                           const uint32_t *ids, uint32_t n, float *out)
{
    uint32_t own, set;
    __builtin_memcpy(&own, probe->bits.record + field->tail, sizeof own);
    fetch_first(field, ids, n);
    for (uint32_t i = 0; i < n; i++) {
        fetch_ahead(field, ids, i, n);
        const uint8_t *look = look_of(field, ids[i]);
        __m512i count = _mm512_setzero_si512();
        for (uint32_t b = 0; b < field->tail; b += 64) {
            __mmask8 mask = words_left(field->tail - b);
            __m512i x = _mm512_maskz_loadu_epi64(mask, look + b);
            __m512i q = _mm512_maskz_loadu_epi64(mask, probe->bits.record + b);
            count = _mm512_add_epi64(count, _mm512_popcnt_epi64(_mm512_and_si512(x, q)));
        }
        __builtin_memcpy(&set, look + field->tail, sizeof set);
        uint32_t both = (uint32_t)_mm512_reduce_add_epi64(count);
        out[i] = both == 0 ? 1 : 1 - (float)both / (float)(own + set - both);
    }
}

const struct code_kernels code_kernels_avx512 = {
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
