/* Sixteen numbers at a time, without a branch on what they are, in four steps.
 *
 * Step 1 finds c, q and k of Schubfach (float_text.c), and 10^-k in a table.
 *
 * Step 2 makes Schubfach's three products and its choice, exactly. The products are not rounded to
 * odd, but keep 32 bits behind the point. They have 64 bits, so even and odd numbers are done
 * apart; all else has 32 bits.
 *
 * Step 3 splits numbers into digits, by multiplication with rounded inverses. Trailing zeros of the
 * digits are leading zeros of the word whose lowest byte is the first digit. Each number gets a
 * lane of 16 bytes, and a bit for each place of it that is printed.
 *
 * Step 4 shuffles into a lane all that a number of its exponent may print:
 *
 *   -d.dddddddde+XX,    the point behind one to six digits
 *   -0.000ddddddddd,    for the exponents -4 to -1
 *
 * and compresses away what is not printed, of four lanes together.
 *
 * If a number does not fit (it is subnormal, or not finite), the scalar code does its sixteen.
 */
#include "codec/float_text_simd.h"

#if defined(__x86_64__)

#include "codec/bytes.h"
#include "codec/float_layout.h"
#include "codec/float_text.h"

#include <immintrin.h>
#include <stdbool.h>

#define AVX512                                                                                     \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,"    \
                          "avx512vpopcntdq,bmi,bmi2,lzcnt,popcnt")))
#define INLINE AVX512 __attribute__((always_inline)) static inline

#define ODD 0xaaaa /* of 16 */

INLINE __m512i all32(uint32_t number) { return _mm512_set1_epi32((int)number); }
INLINE __m512i all64(uint64_t number) { return _mm512_set1_epi64((long long)number); }

/* Row i of 96. */
INLINE __m512i look_up(const uint32_t *table, __m512i i, __mmask16 bit5, __mmask16 bit6)
{
    __m512i row =
        _mm512_permutex2var_epi32(_mm512_loadu_si512(table), i, _mm512_loadu_si512(table + 16));
    row = _mm512_mask_mov_epi32(row, bit5,
                                _mm512_permutex2var_epi32(_mm512_loadu_si512(table + 32), i,
                                                          _mm512_loadu_si512(table + 48)));
    return _mm512_mask_mov_epi32(row, bit6,
                                 _mm512_permutex2var_epi32(_mm512_loadu_si512(table + 64), i,
                                                           _mm512_loadu_si512(table + 80)));
}

/* Each step is a loop of its own over a few sixteens: the steps of one sixteen are a chain that is
 * longer than the processor looks ahead. */
#define SIXTEENS 8

/* Numbers come as the rows of a 4 * 4 matrix, and are worked on as its columns: so even and odd
 * numbers, then the halves of their lanes, unpack into the order in which they are written. */
#define TRANSPOSED(i) ((i) % 4 * 4 + (i) / 4)

struct sixteen {
    __m512i bits, exponent;
    union {
        struct {
            __m512i high, low;           /* 10^-k, rounded up, a factor of what follows: */
            __m512i lower, value, upper; /* the number and the ends of its interval */
        };
        __m512i digits;
        __m512i lanes[4]; /* of 0 to 3, 4 to 7 and so on */
    };
    uint64_t kept[4];
    __mmask16 present, nonzero;
    bool unfit; /* they must be done one by one */
};

/* Eight products without their last 32 bits. */
INLINE __m512i multiply(__m512i high, __m512i low, __m512i by)
{
    return _mm512_add_epi64(_mm512_mul_epu32(high, by),
                            _mm512_srli_epi64(_mm512_mul_epu32(low, by), 32));
}

/* What eight numbers may print, with 34 bits behind the point, not rounded yet. */
struct interval {
    __m512i lower, closest, tens;
};

INLINE struct interval find_interval(__m512i high, __m512i low, __m512i lower, __m512i value,
                                     __m512i upper)
{
    lower = multiply(high, low, lower);
    value = multiply(high, low, value);
    upper = multiply(high, low, upper);
    /* Rounds to the closest, ties to even. 1 below is a tie, too: the powers were rounded. */
    __m512i odd = _mm512_and_si512(_mm512_srli_epi64(value, 33), all64(2));
    __m512i half = all64((UINT64_C(1) << 33) - 2);
    __m512i closest = _mm512_add_epi64(_mm512_add_epi64(value, half), odd);
    /* The last multiple of ten below the upper end, which itself is never accepted. */
    __m512i last = _mm512_srli_epi64(_mm512_sub_epi64(upper, all64(2)), 34);
    return (struct interval){lower, closest, _mm512_mul_epu32(last, all64(0xcccccccd))};
}

/* Step 1: the interval and its power of ten; `exponent` is k + 45. */
INLINE void find_scale(struct sixteen *sixteen, __m512i bits, __mmask16 present)
{
    __m512i magnitude = _mm512_and_si512(bits, all32(0x7fffffff));
    __mmask16 nonzero = _mm512_test_epi32_mask(magnitude, magnitude);
    __m512i above = _mm512_sub_epi32(magnitude, all32(2U << 23));
    sixteen->unfit = _mm512_mask_cmpge_epu32_mask(nonzero, above, all32(253U << 23)) != 0;

    __m512i biased = _mm512_srli_epi32(magnitude, 23);
    __mmask16 narrow = _mm512_testn_epi32_mask(magnitude, all32(0x7fffff));
    __m512i c = _mm512_ternarylogic_epi32(magnitude, all32(0x7fffff), all32(1 << 23), 0xea);

    /* k = floor(log10(2^q)), of 3/4 of 2^q if narrow, q = biased - 150; 1233 / 2^12 = log10(2) */
    __m512i offset = _mm512_mask_mov_epi32(all32(45 * 4096 - 150 * 1233), narrow,
                                           all32(45 * 4096 - 150 * 1233 - 512));
    __m512i k =
        _mm512_srli_epi32(_mm512_add_epi32(_mm512_madd_epi16(biased, all32(1233)), offset), 12);
    /* q + floor(log2(10^-k)) + 3; 27213 / 2^13 = log2(10) */
    __m512i power =
        _mm512_sub_epi32(all32(45 * 27213 + 8192 * (3 - 150)), _mm512_madd_epi16(k, all32(27213)));
    __m512i shift = _mm512_add_epi32(_mm512_srai_epi32(power, 13), biased);

    __m512i value = _mm512_sllv_epi32(c, shift);
    __m512i gap = _mm512_sllv_epi32(all32(1), _mm512_sub_epi32(shift, all32(1)));
    __mmask16 bit5 = _mm512_test_epi32_mask(k, all32(32));
    __mmask16 bit6 = _mm512_test_epi32_mask(k, all32(64));
    sixteen->high = look_up(layout_power_high, k, bit5, bit6);
    sixteen->low = look_up(layout_power_low, k, bit5, bit6);
    sixteen->lower = _mm512_sub_epi32(value, _mm512_mask_srli_epi32(gap, narrow, gap, 1));
    sixteen->value = value;
    sixteen->upper = _mm512_add_epi32(value, gap);
    sixteen->bits = bits;
    sixteen->exponent = k;
    sixteen->present = present;
    sixteen->nonzero = nonzero;
}

/* The even and the odd numbers' integers, 32 bits and `more` from the right. */
#define JOIN(even, odd, more)                                                                      \
    _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32 + (more)), ODD, _mm512_srli_epi64(odd, more))

INLINE __m512i odd_ones(__m512i numbers) { return _mm512_srli_epi64(numbers, 32); }

/* Step 2: nine digits as a number; `exponent` is that of the first digit, plus 39. */
INLINE void find_digits(struct sixteen *sixteen)
{
    struct interval even =
        find_interval(sixteen->high, sixteen->low, sixteen->lower, sixteen->value, sixteen->upper);
    struct interval odd =
        find_interval(odd_ones(sixteen->high), odd_ones(sixteen->low), odd_ones(sixteen->lower),
                      odd_ones(sixteen->value), odd_ones(sixteen->upper));
    __m512i below = JOIN(even.lower, odd.lower, 2);
    __m512i closest = JOIN(even.closest, odd.closest, 2);
    __m512i coarse = _mm512_mullo_epi32(JOIN(even.tens, odd.tens, 3), all32(10));
    __m512i fine = _mm512_max_epu32(closest, _mm512_add_epi32(below, all32(1)));
    __m512i digits = _mm512_mask_mov_epi32(fine, _mm512_cmpgt_epi32_mask(coarse, below), coarse);

    /* seven to nine digits */
    __mmask16 eight = _mm512_cmpge_epu32_mask(digits, all32(10000000));
    __mmask16 nine = _mm512_cmpge_epu32_mask(digits, all32(100000000));
    __m512i scale = _mm512_mask_mov_epi32(all32(100), eight, all32(10));
    scale = _mm512_mask_mov_epi32(scale, nine, all32(1));
    __m512i exponent = sixteen->exponent;
    exponent = _mm512_mask_add_epi32(exponent, eight, exponent, all32(1));
    exponent = _mm512_mask_add_epi32(exponent, nine, exponent, all32(1));
    sixteen->digits = _mm512_maskz_mullo_epi32(sixteen->nonzero, digits, scale);
    sixteen->exponent = _mm512_mask_mov_epi32(all32(39), sixteen->nonzero, exponent);
}

/* Digits as bytes 0 to 9: the first by itself, the other eight as a word, the second in its lowest
 * byte. The upper halves of the numbers are ignored. */
struct spread {
    __m512i first, others;
};

INLINE struct spread spread_digits(__m512i number)
{
    __m512i inverse = all64(3518437209), ten_thousand = all64(10000); /* 2^45 / 10^4 */
    __m512i five = _mm512_srli_epi64(_mm512_mul_epu32(number, inverse), 45);
    __m512i first = _mm512_srli_epi64(_mm512_mul_epu32(five, inverse), 45);
    __m512i left = _mm512_sub_epi64(five, _mm512_mul_epu32(first, ten_thousand));
    __m512i right = _mm512_sub_epi64(number, _mm512_mul_epu32(five, ten_thousand));
    __m512i fours = _mm512_or_si512(left, _mm512_slli_epi64(right, 32));
    /* twos = hundreds + (fours - 100 * hundreds << 16), and so on */
    __m512i hundreds = _mm512_srli_epi16(_mm512_mulhi_epu16(fours, all32(5243)), 3);
    __m512i twos = _mm512_sub_epi32(_mm512_slli_epi32(fours, 16),
                                    _mm512_mullo_epi32(hundreds, all32((100 << 16) - 1)));
    __m512i tens = _mm512_mulhi_epu16(twos, _mm512_set1_epi16(6554));
    return (struct spread){
        first, _mm512_sub_epi16(_mm512_slli_epi16(twos, 8),
                                _mm512_mullo_epi16(tens, _mm512_set1_epi16((10 << 8) - 1)))};
}

/* The places that sixteen numbers keep, bits 0 to 15 of each number. */
INLINE __m512i find_kept(__m512i bits, __m512i exponent, __m512i zeros)
{
    __m512i kind = _mm512_min_epu32(_mm512_sub_epi32(exponent, all32(39 - 4)), all32(10));
    __m512i i = _mm512_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(kind, 3), kind), zeros);
    __m512i kept = _mm512_permutex2var_epi16(_mm512_loadu_si512(layout_kept), i,
                                             _mm512_loadu_si512(layout_kept + 32));
    __m512i more = _mm512_permutex2var_epi16(_mm512_loadu_si512(layout_kept + 64), i,
                                             _mm512_loadu_si512(layout_kept + 96));
    kept = _mm512_mask_mov_epi32(kept, _mm512_test_epi32_mask(i, all32(64)), more);
    return _mm512_or_si512(kept, _mm512_srli_epi32(bits, 31));
}

/* Step 3: the lanes, and which of their places are kept. */
INLINE void find_lanes(struct sixteen *sixteen)
{
    struct spread even = spread_digits(sixteen->digits);
    struct spread odd = spread_digits(odd_ones(sixteen->digits));
    __m512i zeros = _mm512_or_si512(_mm512_lzcnt_epi64(even.others),
                                    _mm512_slli_epi64(_mm512_lzcnt_epi64(odd.others), 32));
    zeros = _mm512_srli_epi32(zeros, 3);
    static const uint16_t transposed[32] = {0, 8,  16, 24, 2, 10, 18, 26,
                                            4, 12, 20, 28, 6, 14, 22, 30};
    __m512i kept = find_kept(sixteen->bits, sixteen->exponent, zeros);
    kept = _mm512_maskz_permutexvar_epi16(sixteen->present, _mm512_loadu_si512(transposed), kept);
    _mm256_storeu_si256((void *)sixteen->kept, _mm512_castsi512_si256(kept));

    __mmask16 bit5 = _mm512_test_epi32_mask(sixteen->exponent, all32(32));
    __mmask16 bit6 = _mm512_test_epi32_mask(sixteen->exponent, all32(64));
    __m512i tail = look_up(layout_tail, sixteen->exponent, bit5, bit6);
    __m512i signs = all64((uint8_t)('.' - '0') << 8 | (uint32_t)('e' - '0') << 24);
    __m512i even_rest =
        _mm512_ternarylogic_epi64(even.first, _mm512_slli_epi64(tail, 32), signs, 0xfe);
    __m512i odd_rest = _mm512_mask_mov_epi32(_mm512_or_si512(odd.first, signs), ODD, tail);
    sixteen->lanes[0] = _mm512_unpacklo_epi64(even.others, even_rest);
    sixteen->lanes[1] = _mm512_unpacklo_epi64(odd.others, odd_rest);
    sixteen->lanes[2] = _mm512_unpackhi_epi64(even.others, even_rest);
    sixteen->lanes[3] = _mm512_unpackhi_epi64(odd.others, odd_rest);
}

/* Step 4, for four numbers; returns their end. */
INLINE char *write_lanes(char *out, __m512i lanes, uint64_t kept)
{
    static const uint8_t frame[16] = {'-', '0', '0', '0', '0', '0', '0', '0',
                                      '0', '0', '0', '0', '0', '0', '0', ','};
    static const uint8_t places[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    __m512i row = _mm512_shuffle_epi8(lanes, _mm512_set1_epi8(15));
    __m512i i = _mm512_or_si512(row, _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)places)));
    __m512i slots = _mm512_permutex2var_epi8(_mm512_loadu_si512(layout_slots), i,
                                             _mm512_loadu_si512(layout_slots + 4));
    __m512i text = _mm512_add_epi8(_mm512_shuffle_epi8(lanes, slots),
                                   _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)frame)));
    /* Not compressed to memory: that is microcode on Zen 4. */
    _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(_cvtu64_mask64(kept), text));
    return out + _mm_popcnt_u64(kept);
}

INLINE char *write_sixteen(const struct sixteen *sixteen, char *at, uint8_t *lengths)
{
    for (int i = 0; i < 4; i++)
        at = write_lanes(at, sixteen->lanes[i], sixteen->kept[i]);
    if (lengths != NULL) {
        __m256i kept = _mm256_loadu_si256((const void *)sixteen->kept);
        _mm512_mask_cvtepi32_storeu_epi8(lengths, sixteen->present,
                                         _mm512_popcnt_epi32(_mm512_cvtepu16_epi32(kept)));
    }
    return at;
}

/* NULL: a number is not finite. */
AVX512 __attribute__((noinline)) static char *write_each(const struct sixteen *sixteen, char *at,
                                                         uint8_t *lengths)
{
    uint32_t each[16];
    _mm512_storeu_si512(each, sixteen->bits);
    for (unsigned i = 0; i < 16 && (sixteen->present >> i & 1) != 0; i++) {
        uint32_t bits = each[TRANSPOSED(i)];
        if ((bits & 0x7f800000) == 0x7f800000)
            return NULL;
        size_t n = float4_text(bits, at);
        at[n] = ',';
        at += n + 1;
        if (lengths != NULL)
            lengths[i] = (uint8_t)(n + 1);
    }
    return at;
}

INLINE __m512i load(const uint8_t *wire, __mmask16 present)
{
    static const uint8_t order[64] = {
        3,  2,  1,  0,  19, 18, 17, 16, 35, 34, 33, 32, 51, 50, 49, 48, 7,  6,  5,  4,  23, 22,
        21, 20, 39, 38, 37, 36, 55, 54, 53, 52, 11, 10, 9,  8,  27, 26, 25, 24, 43, 42, 41, 40,
        59, 58, 57, 56, 15, 14, 13, 12, 31, 30, 29, 28, 47, 46, 45, 44, 63, 62, 61, 60};
    return _mm512_permutexvar_epi8(_mm512_loadu_si512(order),
                                   _mm512_maskz_loadu_epi32(present, wire));
}

AVX512 size_t float4_texts_avx512(const uint8_t *wire, size_t count, char *out, uint8_t *lengths)
{
    struct sixteen sixteens[SIXTEENS];
    char *at = out;
    for (size_t done = 0, n; done < count; done += 16 * n) {
        for (n = 0; n < SIXTEENS && done + 16 * n < count; n++) {
            size_t left = count - done - 16 * n;
            __mmask16 present = left < 16 ? (__mmask16)((1U << left) - 1) : 0xffff;
            find_scale(&sixteens[n], load(wire + 4 * (done + 16 * n), present), present);
        }
        for (size_t i = 0; i < n; i++)
            find_digits(&sixteens[i]);
        for (size_t i = 0; i < n; i++)
            find_lanes(&sixteens[i]);
        for (size_t i = 0; i < n; i++) {
            uint8_t *each = lengths != NULL ? lengths + done + 16 * i : NULL;
            if (!sixteens[i].unfit)
                at = write_sixteen(&sixteens[i], at, each);
            else if ((at = write_each(&sixteens[i], at, each)) == NULL)
                return 0;
        }
    }
    return (size_t)(at - out);
}

#endif
