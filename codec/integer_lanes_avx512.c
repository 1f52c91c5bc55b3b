/* Eight numbers at a time, without a branch on what they are, as words of eight digits, the first
 * in the lowest byte; integer_lanes_avx2.c says how. */
#include "codec/integer_lanes_simd.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl")))
#define INLINE AVX512 __attribute__((always_inline)) static inline

#define EIGHT_DIGITS 100000000

INLINE __m512i all16(int number) { return _mm512_set1_epi16((short)number); }
INLINE __m512i all64(uint64_t number) { return _mm512_set1_epi64((long long)number); }

/* Of numbers below 10^8. */
INLINE __m512i eight_digits(__m512i number)
{
    __m512i high = _mm512_srli_epi64(_mm512_mul_epu32(number, all64(109951163)), 40);
    __m512i low = _mm512_sub_epi64(number, _mm512_mul_epu32(high, all64(10000)));
    __m512i halves = _mm512_or_si512(high, _mm512_slli_epi64(low, 32));
    __m512i hundreds = _mm512_srli_epi32(_mm512_mulhi_epu16(halves, all16(5243)), 3);
    __m512i rest = _mm512_sub_epi16(halves, _mm512_mullo_epi16(hundreds, all16(100)));
    __m512i pairs = _mm512_or_si512(hundreds, _mm512_slli_epi32(rest, 16));
    __m512i tens = _mm512_mulhi_epu16(pairs, all16(6554));
    rest = _mm512_sub_epi16(pairs, _mm512_mullo_epi16(tens, all16(10)));
    return _mm512_or_si512(tens, _mm512_slli_epi16(rest, 8));
}

/* 255 for each digit that is printed: all from the first that is not 0, which is in this word or,
 * if `all`, in one before it. */
INLINE __m512i printed(__m512i digits, __mmask8 all)
{
    __m512i seen = _mm512_or_si512(digits, _mm512_slli_epi64(digits, 8));
    seen = _mm512_or_si512(seen, _mm512_slli_epi64(seen, 16));
    seen = _mm512_or_si512(seen, _mm512_slli_epi64(seen, 32));
    seen = _mm512_mask_mov_epi64(seen, all, _mm512_set1_epi8(1));
    return _mm512_movm_epi8(_mm512_test_epi8_mask(seen, seen));
}

INLINE __m512i to_text(__m512i digits, __m512i print, __m512i pad)
{
    return _mm512_ternarylogic_epi64(print, _mm512_or_si512(digits, _mm512_set1_epi8('0')), pad,
                                     0xca);
}

INLINE __m512i count_bytes(__m512i print)
{
    return _mm512_sad_epu8(_mm512_abs_epi8(print), _mm512_setzero_si512());
}

INLINE void store_lengths(uint8_t *length, __m512i digits, __mmask8 negative)
{
    __m512i sum = _mm512_add_epi64(digits, all64(1));
    sum = _mm512_mask_add_epi64(sum, negative, sum, all64(1));
    _mm_storel_epi64((__m128i *)length, _mm512_cvtepi64_epi8(sum));
}

/* a[0], b[0], a[1], … */
INLINE __m512i zip_low(__m512i a, __m512i b)
{
    return _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b);
}
INLINE __m512i zip_high(__m512i a, __m512i b)
{
    return _mm512_permutex2var_epi64(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b);
}

#define DASHES UINT64_C(0x2d2d2d2d2d2d2d2d)
#define LAST_DIGIT all64(UINT64_C(0xff) << 56)

INLINE void eight_int4(__m512i number, __mmask8 negative, __m512i pad, uint8_t *text,
                       uint8_t *length)
{
    __m512i high = _mm512_srli_epi64(_mm512_mul_epu32(number, all64(1441151881)), 57);
    __m512i low = _mm512_sub_epi64(number, _mm512_mul_epu32(high, all64(EIGHT_DIGITS)));
    __m512i tens = _mm512_srli_epi64(_mm512_mul_epu32(high, all64(103)), 10);
    __m512i ones = _mm512_sub_epi64(high, _mm512_mul_epu32(tens, all64(10)));
    __m512i first = _mm512_or_si512(_mm512_slli_epi64(tens, 48), _mm512_slli_epi64(ones, 56));
    __m512i last = eight_digits(low);
    __mmask8 ten = _mm512_test_epi64_mask(tens, tens);
    __mmask8 nine = _mm512_test_epi64_mask(high, high);
    __m512i print_first = _mm512_maskz_mov_epi64(nine, LAST_DIGIT);
    print_first = _mm512_mask_mov_epi64(print_first, ten, all64(UINT64_C(0xffff) << 48));
    __m512i print_last = _mm512_or_si512(printed(last, nine), LAST_DIGIT);
    store_lengths(length, _mm512_add_epi64(count_bytes(print_first), count_bytes(print_last)),
                  negative);
    first = to_text(first, print_first, pad);
    last = to_text(last, print_last, all64(DASHES));
    _mm512_storeu_si512(text, zip_low(first, last));
    _mm512_storeu_si512(text + 64, zip_high(first, last));
}

AVX512 void int4_lanes_avx512(const uint8_t *wire, size_t count, uint8_t end, uint8_t *text,
                              uint8_t *length)
{
    const __m512i turned =
        _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
    const __m512i pad = all64((DASHES & ~UINT64_C(0xff)) | end);
    for (size_t i = 0; i < count; i += 16) {
        __m512i numbers = _mm512_shuffle_epi8(_mm512_loadu_si512(wire + 4 * i), turned);
        unsigned negative = _mm512_movepi32_mask(numbers);
        numbers = _mm512_abs_epi32(numbers);
        eight_int4(_mm512_cvtepu32_epi64(_mm512_castsi512_si256(numbers)), (__mmask8)negative, pad,
                   text + 16 * i, length + i);
        eight_int4(_mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(numbers, 1)),
                   (__mmask8)(negative >> 8), pad, text + 16 * i + 128, length + i + 8);
    }
}

/* number / 10^8, and the remainder. Floating point makes it wrong by one at most. */
INLINE __m512i split(__m512i number, __m512i *rest)
{
    const __m512i divisor = all64(EIGHT_DIGITS);
    __m512i high =
        _mm512_cvttpd_epu64(_mm512_mul_pd(_mm512_cvtepu64_pd(number), _mm512_set1_pd(1e-8)));
    __m512i low = _mm512_sub_epi64(number, _mm512_mullo_epi64(high, divisor));
    __mmask8 over = _mm512_cmpge_epi64_mask(low, divisor), under = _mm512_movepi64_mask(low);
    high = _mm512_mask_add_epi64(high, over, high, all64(1));
    low = _mm512_mask_sub_epi64(low, over, low, divisor);
    high = _mm512_mask_sub_epi64(high, under, high, all64(1));
    *rest = _mm512_mask_add_epi64(low, under, low, divisor);
    return high;
}

INLINE void store_lanes32(uint8_t *text, __m512i pads, __m512i first, __m512i middle, __m512i last)
{
    const __m512i low = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i high = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i front = zip_low(pads, first), back = zip_low(middle, last);
    _mm512_storeu_si512(text, _mm512_permutex2var_epi64(front, low, back));
    _mm512_storeu_si512(text + 64, _mm512_permutex2var_epi64(front, high, back));
    front = zip_high(pads, first), back = zip_high(middle, last);
    _mm512_storeu_si512(text + 128, _mm512_permutex2var_epi64(front, low, back));
    _mm512_storeu_si512(text + 192, _mm512_permutex2var_epi64(front, high, back));
}

AVX512 void int8_lanes_avx512(const uint8_t *wire, size_t count, uint8_t end, uint8_t *text,
                              uint8_t *length)
{
    const __m512i turned =
        _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    const __m512i pad = all64((DASHES & ~UINT64_C(0xff)) | end), dashes = all64(DASHES);
    for (size_t i = 0; i < count; i += 8) {
        __m512i numbers = _mm512_shuffle_epi8(_mm512_loadu_si512(wire + 8 * i), turned);
        __mmask8 negative = _mm512_movepi64_mask(numbers);
        __m512i low, high = split(_mm512_abs_epi64(numbers), &low);
        /* 10^8 = 390625 * 256 */
        __m512i top =
            _mm512_srli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(high, 8), all64(720575941)), 48);
        __m512i mid = _mm512_sub_epi64(high, _mm512_mul_epu32(top, all64(EIGHT_DIGITS)));
        __m512i first = eight_digits(top), middle = eight_digits(mid), last = eight_digits(low);
        __m512i print_first = printed(first, 0);
        __m512i print_middle = printed(middle, _mm512_test_epi64_mask(top, top));
        __m512i print_last =
            _mm512_or_si512(printed(last, _mm512_test_epi64_mask(high, high)), LAST_DIGIT);
        __m512i digits = _mm512_add_epi64(count_bytes(print_first), count_bytes(print_middle));
        store_lengths(length + i, _mm512_add_epi64(digits, count_bytes(print_last)), negative);
        store_lanes32(text + 32 * i, pad, to_text(first, print_first, dashes),
                      to_text(middle, print_middle, dashes), to_text(last, print_last, dashes));
    }
}

#endif
