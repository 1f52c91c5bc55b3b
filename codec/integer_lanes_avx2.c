/* Four numbers at a time, without a branch on what they are.
 *
 * A number is cut into words of eight digits, the first digit in the lowest byte. Halves, then
 * pairs, then digits are split off side by side, by products with rounded inverses, which are exact
 * for numbers this small. Dashes replace what stands before the first digit that is not 0: one of
 * them is the sign, if the text begins there, and the others are never copied.
 */
#include "codec/integer_lanes_simd.h"

#if defined(__x86_64__)

#include "codec/bytes.h"

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,bmi,bmi2,lzcnt,popcnt")))
#define INLINE AVX2 __attribute__((always_inline)) static inline

#define EIGHT_DIGITS 100000000

INLINE __m256i all16(int number) { return _mm256_set1_epi16((short)number); }
INLINE __m256i all64(uint64_t number) { return _mm256_set1_epi64x((long long)number); }

/* Of numbers below 10^8. */
INLINE __m256i eight_digits(__m256i number)
{
    __m256i high = _mm256_srli_epi64(_mm256_mul_epu32(number, all64(109951163)), 40);
    __m256i low = _mm256_sub_epi64(number, _mm256_mul_epu32(high, all64(10000)));
    __m256i halves = _mm256_or_si256(high, _mm256_slli_epi64(low, 32));
    __m256i hundreds = _mm256_srli_epi32(_mm256_mulhi_epu16(halves, all16(5243)), 3);
    __m256i rest = _mm256_sub_epi16(halves, _mm256_mullo_epi16(hundreds, all16(100)));
    __m256i pairs = _mm256_or_si256(hundreds, _mm256_slli_epi32(rest, 16));
    __m256i tens = _mm256_mulhi_epu16(pairs, all16(6554));
    rest = _mm256_sub_epi16(pairs, _mm256_mullo_epi16(tens, all16(10)));
    return _mm256_or_si256(tens, _mm256_slli_epi16(rest, 8));
}

/* 255 for each digit that is printed: all from the first that is not 0, which is in this word or,
 * if `all` is -1, in one before it. */
INLINE __m256i printed(__m256i digits, __m256i all)
{
    __m256i seen = _mm256_or_si256(digits, _mm256_slli_epi64(digits, 8));
    seen = _mm256_or_si256(seen, _mm256_slli_epi64(seen, 16));
    seen = _mm256_or_si256(seen, _mm256_slli_epi64(seen, 32));
    return _mm256_or_si256(_mm256_cmpgt_epi8(seen, _mm256_setzero_si256()), all);
}

/* -1 for each number that is not 0; none is negative. */
INLINE __m256i nonzero(__m256i number)
{
    return _mm256_cmpgt_epi64(number, _mm256_setzero_si256());
}

INLINE __m256i to_text(__m256i digits, __m256i print, __m256i pad)
{
    return _mm256_blendv_epi8(pad, _mm256_or_si256(digits, _mm256_set1_epi8('0')), print);
}

INLINE __m256i count_bytes(__m256i print)
{
    return _mm256_sad_epu8(_mm256_abs_epi8(print), _mm256_setzero_si256());
}

/* `negative`: -1 or 0 */
INLINE void store_lengths(uint8_t *length, __m256i digits, __m256i negative)
{
    __m256i sum = _mm256_sub_epi64(_mm256_add_epi64(digits, all64(1)), negative);
    __m128i low = _mm256_castsi256_si128(sum), high = _mm256_extracti128_si256(sum, 1);
    low = _mm_or_si128(low, _mm_slli_epi64(high, 16)); /* 0, 2, 1, 3 */
    uint64_t even = (uint64_t)_mm_cvtsi128_si64(low);
    uint64_t odd = (uint64_t)_mm_extract_epi64(low, 1);
    store_le32(length, (uint32_t)(even | odd << 8));
}

#define DASHES UINT64_C(0x2d2d2d2d2d2d2d2d)
#define LAST_DIGIT all64(UINT64_C(0xff) << 56)

INLINE void four_int4(__m256i number, __m256i negative, __m256i pad, uint8_t *text, uint8_t *length)
{
    __m256i high = _mm256_srli_epi64(_mm256_mul_epu32(number, all64(1441151881)), 57);
    __m256i low = _mm256_sub_epi64(number, _mm256_mul_epu32(high, all64(EIGHT_DIGITS)));
    __m256i tens = _mm256_srli_epi64(_mm256_mul_epu32(high, all64(103)), 10);
    __m256i ones = _mm256_sub_epi64(high, _mm256_mul_epu32(tens, all64(10)));
    __m256i first = _mm256_or_si256(_mm256_slli_epi64(tens, 48), _mm256_slli_epi64(ones, 56));
    __m256i last = eight_digits(low);
    __m256i nine = nonzero(high);
    __m256i print_first =
        _mm256_or_si256(_mm256_slli_epi64(nine, 56), _mm256_slli_epi64(nonzero(tens), 48));
    __m256i print_last = _mm256_or_si256(printed(last, nine), LAST_DIGIT);
    store_lengths(length, _mm256_add_epi64(count_bytes(print_first), count_bytes(print_last)),
                  negative);
    first = to_text(first, print_first, pad);
    last = to_text(last, print_last, all64(DASHES));
    __m256i even = _mm256_unpacklo_epi64(first, last), odd = _mm256_unpackhi_epi64(first, last);
    _mm256_storeu_si256((__m256i *)text, _mm256_permute2x128_si256(even, odd, 0x20));
    _mm256_storeu_si256((__m256i *)(text + 32), _mm256_permute2x128_si256(even, odd, 0x31));
}

AVX2 void int4_lanes_avx2(const uint8_t *wire, size_t count, uint8_t end, uint8_t *text,
                          uint8_t *length)
{
    const __m128i turned = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    const __m256i pad = all64((DASHES & ~UINT64_C(0xff)) | end);
    for (size_t i = 0; i < count; i += 4) {
        __m128i numbers =
            _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(wire + 4 * i)), turned);
        __m256i negative = _mm256_cvtepi32_epi64(_mm_srai_epi32(numbers, 31));
        four_int4(_mm256_cvtepu32_epi64(_mm_abs_epi32(numbers)), negative, pad, text + 16 * i,
                  length + i);
    }
}

/* The parts of a number: what stands before its last 16 digits, the next 8, the last 8. */
struct parts {
    uint64_t top[4], mid[4], low[4], sign[4];
};

INLINE void split(const uint8_t *wire, struct parts *parts)
{
    for (int i = 0; i < 4; i++) {
        uint64_t bits = load_be64(wire + 8 * i), sign = 0 - (bits >> 63);
        uint64_t number = (bits ^ sign) - sign, high = number / EIGHT_DIGITS;
        parts->sign[i] = sign;
        parts->low[i] = number - high * EIGHT_DIGITS;
        parts->top[i] = (high >> 8) * 720575941 >> 48; /* 10^8 = 390625 * 256 */
        parts->mid[i] = high - parts->top[i] * EIGHT_DIGITS;
    }
}

INLINE __m256i load(const uint64_t *from) { return _mm256_loadu_si256((const __m256i *)from); }

INLINE void store_lanes32(uint8_t *text, __m256i pads, __m256i first, __m256i middle, __m256i last)
{
    __m256i front = _mm256_unpacklo_epi64(pads, first);
    __m256i back = _mm256_unpacklo_epi64(middle, last);
    _mm256_storeu_si256((__m256i *)text, _mm256_permute2x128_si256(front, back, 0x20));
    _mm256_storeu_si256((__m256i *)(text + 64), _mm256_permute2x128_si256(front, back, 0x31));
    front = _mm256_unpackhi_epi64(pads, first);
    back = _mm256_unpackhi_epi64(middle, last);
    _mm256_storeu_si256((__m256i *)(text + 32), _mm256_permute2x128_si256(front, back, 0x20));
    _mm256_storeu_si256((__m256i *)(text + 96), _mm256_permute2x128_si256(front, back, 0x31));
}

AVX2 void int8_lanes_avx2(const uint8_t *wire, size_t count, uint8_t end, uint8_t *text,
                          uint8_t *length)
{
    const __m256i pad = all64((DASHES & ~UINT64_C(0xff)) | end), dashes = all64(DASHES);
    for (size_t i = 0; i < count; i += 4) {
        struct parts parts;
        split(wire + 8 * i, &parts);
        __m256i top = load(parts.top), mid = load(parts.mid), low = load(parts.low);
        __m256i first = eight_digits(top), middle = eight_digits(mid), last = eight_digits(low);
        __m256i print_first = printed(first, _mm256_setzero_si256());
        __m256i some = nonzero(top);
        __m256i print_middle = printed(middle, some);
        some = _mm256_or_si256(some, nonzero(mid));
        __m256i print_last = _mm256_or_si256(printed(last, some), LAST_DIGIT);
        __m256i digits = _mm256_add_epi64(count_bytes(print_first), count_bytes(print_middle));
        store_lengths(length + i, _mm256_add_epi64(digits, count_bytes(print_last)),
                      load(parts.sign));
        store_lanes32(text + 32 * i, pad, to_text(first, print_first, dashes),
                      to_text(middle, print_middle, dashes), to_text(last, print_last, dashes));
    }
}

#endif
