/* The digits of eight numbers at a time, four in a register, as in float_text_avx512.c. The powers
 * of ten are loaded one by one: they are too many for AVX2's shuffles. Then one shuffle makes each
 * number text; its exponent and its number of digits choose the shuffle.
 */
#include "codec/float_text_simd.h"

#if defined(__x86_64__)

#include "codec/bytes.h"
#include "codec/float_layout.h"
#include "codec/float_table.h"
#include "codec/float_text.h"

#include <immintrin.h>
#include <stdbool.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

#define ODD 0xaa /* of 8 */

INLINE __m256i all32(uint32_t number) { return _mm256_set1_epi32((int)number); }
INLINE __m256i all64(uint64_t number) { return _mm256_set1_epi64x((long long)number); }

INLINE __m256i load_rows(const struct float4_scale *a, const struct float4_scale *b)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)a)),
        _mm_loadu_si128((const __m128i *)(const void *)b), 1);
}

INLINE __m256i multiply(__m256i high, __m256i low, __m256i by)
{
    return _mm256_add_epi64(_mm256_mul_epu32(high, by),
                            _mm256_srli_epi64(_mm256_mul_epu32(low, by), 32));
}

/* The digits of four numbers as 64-bit integers, and their k in the lower halves. */
struct decimals {
    __m256i digits, k;
};

INLINE struct decimals find_decimals(__m256i c, __m256i narrow, const struct float4_scale *rows[4])
{
    __m256i first = load_rows(rows[0], rows[2]), second = load_rows(rows[1], rows[3]);
    __m256i power = _mm256_unpacklo_epi64(first, second);
    __m256i k_shift = _mm256_unpackhi_epi64(first, second);
    __m256i high = _mm256_srli_epi64(power, 32);
    __m256i shift = _mm256_srli_epi64(k_shift, 32);

    __m256i value = _mm256_sllv_epi64(_mm256_slli_epi64(c, 2), shift);
    __m256i gap = _mm256_sllv_epi64(all64(2), shift);
    __m256i gap_below = _mm256_srlv_epi64(gap, narrow);
    __m256i lower = multiply(high, power, _mm256_sub_epi64(value, gap_below));
    __m256i upper = multiply(high, power, _mm256_add_epi64(value, gap));
    value = multiply(high, power, value);

    /* Rounds to the closest, ties to even. 1 below is a tie, too: the powers were rounded. */
    __m256i odd = _mm256_and_si256(_mm256_srli_epi64(value, 33), all64(2));
    __m256i half = all64((UINT64_C(1) << 33) - 2);
    __m256i closest = _mm256_srli_epi64(_mm256_add_epi64(_mm256_add_epi64(value, half), odd), 34);
    __m256i below = _mm256_srli_epi64(lower, 34);
    /* The last multiple of ten below the upper end, which itself is never accepted. */
    __m256i last = _mm256_srli_epi64(_mm256_sub_epi64(upper, all64(2)), 34);
    __m256i tens = _mm256_srli_epi64(_mm256_mul_epu32(last, all64(0xcccccccd)), 35);
    __m256i coarse = _mm256_mul_epu32(tens, all64(10));
    __m256i fine = _mm256_max_epu32(closest, _mm256_add_epi64(below, all64(1)));
    return (struct decimals){_mm256_blendv_epi8(fine, coarse, _mm256_cmpgt_epi32(coarse, below)),
                             k_shift};
}

struct spread {
    __m256i first, others;
};

INLINE struct spread spread_digits(__m256i number)
{
    __m256i inverse = all64(3518437209), ten_thousand = all64(10000); /* 2^45 / 10^4 */
    __m256i five = _mm256_srli_epi64(_mm256_mul_epu32(number, inverse), 45);
    __m256i first = _mm256_srli_epi64(_mm256_mul_epu32(five, inverse), 45);
    __m256i left = _mm256_sub_epi64(five, _mm256_mul_epu32(first, ten_thousand));
    __m256i right = _mm256_sub_epi64(number, _mm256_mul_epu32(five, ten_thousand));
    __m256i fours = _mm256_or_si256(left, _mm256_slli_epi64(right, 32));
    __m256i hundreds = _mm256_srli_epi16(_mm256_mulhi_epu16(fours, all32(5243)), 3);
    __m256i twos = _mm256_sub_epi32(_mm256_slli_epi32(fours, 16),
                                    _mm256_mullo_epi32(hundreds, all32((100 << 16) - 1)));
    __m256i tens = _mm256_mulhi_epu16(twos, _mm256_set1_epi16(6554));
    return (struct spread){
        first, _mm256_sub_epi16(_mm256_slli_epi16(twos, 8),
                                _mm256_mullo_epi16(tens, _mm256_set1_epi16((10 << 8) - 1)))};
}

/* The even and the odd numbers' 64-bit integers together. */
INLINE __m256i join(__m256i even, __m256i odd)
{
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), ODD);
}

/* What eight numbers become text from. */
struct work {
    uint8_t lanes[8][16]; /* what layout_text chooses from, less ASCII 0 */
    uint32_t kinds[8];    /* rows of layout_text with no trailing zeros */
};

INLINE void store_lanes(uint8_t (*lanes)[16], __m256i two, int first, int second)
{
    _mm_storeu_si128((void *)lanes[first], _mm256_castsi256_si128(two));
    _mm_storeu_si128((void *)lanes[second], _mm256_extracti128_si256(two, 1));
}

/* Eight numbers: nine digits each, and the exponent of the first digit. */
struct eight {
    __m256i digits, exponent;
};

/* Seven to nine digits, times 10^k, become nine. */
INLINE struct eight with_nine_digits(__m256i digits, __m256i k)
{
    __m256i eight = _mm256_cmpgt_epi32(digits, all32(9999999));
    __m256i nine = _mm256_cmpgt_epi32(digits, all32(99999999));
    __m256i scale = _mm256_blendv_epi8(all32(100), all32(10), eight);
    scale = _mm256_blendv_epi8(scale, all32(1), nine);
    __m256i exponent = _mm256_add_epi32(k, all32(6));
    return (struct eight){_mm256_mullo_epi32(digits, scale),
                          _mm256_sub_epi32(_mm256_sub_epi32(exponent, eight), nine)};
}

/* False: they must be done one by one. */
INLINE bool find_eight(__m256i bits, struct eight *out)
{
    __m256i magnitude = _mm256_and_si256(bits, all32(0x7fffffff)), none = _mm256_setzero_si256();
    __m256i zero = _mm256_cmpeq_epi32(magnitude, none);
    /* A zero becomes a one, until its digits are known. */
    magnitude = _mm256_blendv_epi8(magnitude, all32(127U << 23), zero);
    __m256i unfit = _mm256_or_si256(_mm256_cmpgt_epi32(all32(2U << 23), magnitude),
                                    _mm256_cmpgt_epi32(magnitude, all32((255U << 23) - 1)));
    if (!_mm256_testz_si256(unfit, unfit))
        return false;

    __m256i fraction = _mm256_and_si256(magnitude, all32(0x7fffff));
    __m256i power_of_two = _mm256_cmpeq_epi32(fraction, none);
    __m256i narrow = _mm256_srli_epi32(power_of_two, 31);
    __m256i c = _mm256_or_si256(fraction, all32(1 << 23));
    __m256i row = _mm256_add_epi32(_mm256_srli_epi32(magnitude, 23),
                                   _mm256_and_si256(power_of_two, all32(255)));
    uint32_t row_of[8];
    _mm256_storeu_si256((void *)row_of, row);
    const struct float4_scale *rows[2][4];
    for (int i = 0; i < 8; i++)
        rows[i % 2][i / 2] = &float4_table[row_of[i]];

    __m256i low_half = all64(UINT32_MAX);
    struct decimals even =
        find_decimals(_mm256_and_si256(c, low_half), _mm256_and_si256(narrow, low_half), rows[0]);
    struct decimals odd =
        find_decimals(_mm256_srli_epi64(c, 32), _mm256_srli_epi64(narrow, 32), rows[1]);
    *out = with_nine_digits(join(even.digits, odd.digits), join(even.k, odd.k));
    out->digits = _mm256_andnot_si256(zero, out->digits);
    return true;
}

/* Sign, tens and ones of the exponent less ASCII 0, then a comma, highest in the lane. */
INLINE __m256i exponent_text(__m256i exponent)
{
    __m256i size = _mm256_abs_epi32(exponent);
    __m256i tens = _mm256_mulhi_epu16(size, all32(6554));
    __m256i ones = _mm256_sub_epi32(size, _mm256_mullo_epi16(tens, all32(10)));
    __m256i sign = _mm256_and_si256(_mm256_srai_epi32(exponent, 31), all32('-' - '+'));
    __m256i text =
        _mm256_add_epi32(sign, all32((uint8_t)('+' - '0') | (uint32_t)(uint8_t)(',' - '0') << 24));
    return _mm256_or_si256(
        text, _mm256_or_si256(_mm256_slli_epi32(tens, 8), _mm256_slli_epi32(ones, 16)));
}

INLINE void lay_out_eight(const struct eight *eight, struct work *work)
{
    __m256i tail = exponent_text(eight->exponent), low_half = all64(UINT32_MAX);
    __m256i kind = _mm256_min_epu32(_mm256_add_epi32(eight->exponent, all32(4)), all32(10));
    kind = _mm256_add_epi32(_mm256_slli_epi32(kind, 3), kind);
    _mm256_storeu_si256((void *)work->kinds, kind);

    struct spread even_digits = spread_digits(_mm256_and_si256(eight->digits, low_half));
    struct spread odd_digits = spread_digits(_mm256_srli_epi64(eight->digits, 32));
    __m256i signs = all32((uint8_t)('.' - '0') << 8 | (uint32_t)('e' - '0') << 24);
    __m256i even_rest = _mm256_blend_epi32(_mm256_or_si256(even_digits.first, signs),
                                           _mm256_slli_epi64(tail, 32), ODD);
    __m256i odd_rest = _mm256_blend_epi32(_mm256_or_si256(odd_digits.first, signs), tail, ODD);
    store_lanes(work->lanes, _mm256_unpacklo_epi64(even_digits.others, even_rest), 0, 4);
    store_lanes(work->lanes, _mm256_unpacklo_epi64(odd_digits.others, odd_rest), 1, 5);
    store_lanes(work->lanes, _mm256_unpackhi_epi64(even_digits.others, even_rest), 2, 6);
    store_lanes(work->lanes, _mm256_unpackhi_epi64(odd_digits.others, odd_rest), 3, 7);
}

/* Returns the length with the comma. */
INLINE size_t write_lane(const uint8_t lane[16], uint32_t kind, bool negative, char *out)
{
    const uint8_t *shuffle = layout_text[kind + _lzcnt_u64(load_le64(lane)) / 8];
    __m128i text = _mm_shuffle_epi8(_mm_loadu_si128((const void *)lane),
                                    _mm_loadu_si128((const void *)shuffle));
    *out = '-';
    _mm_storeu_si128((void *)(out + negative), _mm_add_epi8(text, _mm_set1_epi8('0')));
    return shuffle[15] + (size_t)negative;
}

/* The length with the comma; 0: the number is not finite. */
static size_t write_one(uint32_t bits, char *out)
{
    if ((bits & 0x7f800000) == 0x7f800000)
        return 0;
    size_t n = float4_text(bits, out);
    out[n] = ',';
    return n + 1;
}

AVX2 size_t float4_texts_avx2(const uint8_t *wire, size_t count, char *out, uint8_t *lengths)
{
    const __m256i swap = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
    char *at = out;
    for (size_t i = 0; i < count; i += 8) {
        size_t n = count - i < 8 ? count - i : 8;
        uint8_t part[32] = {0};
        const uint8_t *numbers = wire + 4 * i;
        if (n < 8)
            numbers = memcpy(part, numbers, 4 * n);
        __m256i bits = _mm256_shuffle_epi8(_mm256_loadu_si256((const void *)numbers), swap);
        struct eight eight;
        struct work work;
        bool found = find_eight(bits, &eight);
        if (found)
            lay_out_eight(&eight, &work);
        for (size_t j = 0; j < n; j++) {
            size_t length = found
                                ? write_lane(work.lanes[j], work.kinds[j], numbers[4 * j] >> 7, at)
                                : write_one(load_be32(numbers + 4 * j), at);
            if (length == 0)
                return 0;
            at += length;
            if (lengths != NULL)
                lengths[i + j] = (uint8_t)length;
        }
    }
    return (size_t)(at - out);
}

#endif
