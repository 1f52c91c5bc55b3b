/* Schubfach: Raffaello Giulietti, "The Schubfach way to render doubles" (2020, revised 2022),
 * without the bounds of the interval. There are no branches on digits: their number and values are
 * close to random, and a mispredicted branch costs as much as all the arithmetic.
 *
 * For a number c * 2^q let k = floor(log10(2^q)), of 3/4 of 2^q if the gap below is half as wide.
 * The number's interval then holds at least one multiple of 10^k and at most one of 10^(k+1). The
 * latter wins; else the closer of two multiples of 10^k does, ties to even. The number and both
 * ends of the interval are compared as 4 * x / 10^k, rounded to odd: so comparing with an even
 * integer is exact.
 */
#include "codec/float_text.h"

#include "codec/bytes.h"
#include "codec/float_table.h"
#include "codec/float_text_simd.h"
#include "codec/isa.h"

#include <stdbool.h>

__extension__ typedef unsigned __int128 uint128;

#define ZEROS UINT64_C(0x3030303030303030) /* "00000000" */

/* A finite number that is not 0: digits * 10^exponent. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* Exact for all exponents that occur. All compilers shift negative numbers arithmetically. */
static inline int floor_log10_pow2(int e, bool three_quarters)
{
    return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static inline int floor_log2_pow10(int e) { return (e * 1741647) >> 19; }

/* The paper's choice from lower < value < upper, each 4 * x / 10^k rounded to odd: the last
 * multiple of ten below upper, if it is above lower; else the integer closest to value, or, if that
 * is not above lower, the next one. */
static inline uint64_t shortest_digits(uint64_t lower, uint64_t value, uint64_t upper)
{
    uint64_t below = lower >> 2;
    uint64_t coarse = (upper - 1) / 40 * 10;
    uint64_t fine = (value + 1 + (value >> 2 & 1)) >> 2;
    fine += fine <= below;
    uint64_t mask = 0 - (uint64_t)(coarse > below);
    return (coarse & mask) | (fine & ~mask);
}

static inline uint32_t round_to_odd_32(uint64_t power, uint32_t c)
{
    uint128 product = (uint128)power * c;
    return (uint32_t)(product >> 64) | ((uint64_t)product >> 32 > 1);
}

static inline uint64_t round_to_odd_64(struct power_of_ten power, uint64_t c)
{
    uint128 low = (uint128)power.low * c;
    uint128 product = (uint128)power.high * c + (uint64_t)(low >> 64);
    return (uint64_t)(product >> 64) | ((uint64_t)product > 1);
}

static inline struct decimal float4_shortest(uint32_t biased, uint32_t fraction)
{
    const struct float4_scale *row = &float4_table[biased + (fraction == 0 ? 255 : 0)];
    bool narrow = fraction == 0 && biased > 1; /* the gap below is half as wide */
    uint32_t c = fraction | (uint32_t)(biased != 0) << 23;
    uint32_t scaled = 4 * c << row->shift, half_gap = 2U << row->shift;
    uint32_t lower = round_to_odd_32(row->power, scaled - (half_gap >> narrow));
    uint32_t value = round_to_odd_32(row->power, scaled);
    uint32_t upper = round_to_odd_32(row->power, scaled + half_gap);
    return (struct decimal){shortest_digits(lower, value, upper), row->k};
}

static inline struct decimal float8_shortest(uint32_t biased, uint64_t fraction)
{
    uint64_t c = biased != 0 ? fraction | UINT64_C(1) << 52 : fraction;
    int q = (biased != 0 ? (int)biased : 1) - 1075;
    bool narrow = fraction == 0 && biased > 1; /* the gap below is half as wide */
    int k = floor_log10_pow2(q, narrow);
    int shift = q + floor_log2_pow10(-k) + 1;
    struct power_of_ten power = float_table[-k - FLOAT_TABLE_FIRST];
    uint64_t scaled = 4 * c << shift, half_gap = UINT64_C(2) << shift;
    uint64_t lower = round_to_odd_64(power, scaled - (half_gap >> narrow));
    uint64_t value = round_to_odd_64(power, scaled);
    uint64_t upper = round_to_odd_64(power, scaled + half_gap);
    return (struct decimal){shortest_digits(lower, value, upper), k};
}

/* The eight digits of n < 10^8 as bytes 0 to 9, the first in the lowest byte. Lanes are halved in
 * parallel; quotients are multiplications. */
static inline uint64_t spread_digits(uint32_t n)
{
    uint64_t fours = n / 10000 | (uint64_t)(n % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t twos = hundreds + ((fours - 100 * hundreds) << 16);
    uint64_t tens = (twos * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return tens + ((twos - 10 * tens) << 8);
}

/* How many of the eight digits are left without trailing zeros. */
static inline int count_digits(uint64_t spread)
{
    /* From the other end: to count leading zeros is slow on machines without an instruction for
     * it. */
    return spread == 0 ? 0 : 8 - __builtin_ctzll(__builtin_bswap64(spread)) / 8;
}

static inline size_t write_exponent(char *out, int exponent)
{
    uint32_t e = (uint32_t)(exponent < 0 ? -exponent : exponent);
    size_t n = 0;
    out[n++] = 'e';
    out[n++] = exponent < 0 ? '-' : '+';
    if (e >= 100)
        out[n++] = (char)('0' + e / 100);
    out[n++] = (char)('0' + e / 10 % 10);
    out[n++] = (char)('0' + e % 10);
    return n;
}

/* 0, the infinities and NaN. */
static size_t write_special(bool zero, bool negative, bool nan, char *out)
{
    if (nan) {
        memcpy(out, "NaN", 3);
        return 3;
    }
    out[0] = '-';
    memcpy(out + negative, zero ? "0" : "Infinity", zero ? 1 : 8);
    return (zero ? 1U : 8U) + negative;
}

size_t float4_text(uint32_t bits, char *out)
{
    bool negative = bits >> 31;
    uint32_t biased = bits >> 23 & 0xff, fraction = bits & 0x7fffff;
    if (biased == 0xff || (bits & 0x7fffffff) == 0)
        return write_special(biased == 0, negative, biased != 0 && fraction != 0, out);

    /* Nine digits, d.dddddddd * 10^e. Only subnormal numbers come with fewer than seven. */
    struct decimal decimal = float4_shortest(biased, fraction);
    uint64_t digits = decimal.digits;
    int e = decimal.exponent;
    for (; digits < 1000000; e--)
        digits *= 10;
    static const uint32_t to_nine[] = {100, 10, 1}; /* conditionals would become branches */
    int length = (digits >= 10000000) + (digits >= 100000000);
    e += 6 + length;
    digits *= to_nine[length];
    uint32_t first = (uint32_t)(digits / 100000000);
    uint64_t spread = spread_digits((uint32_t)(digits - (uint64_t)first * 100000000));
    int count = 1 + count_digits(spread);
    uint64_t rest = spread | ZEROS;
    char digit = (char)('0' + first);

    *out = '-';
    out += negative;
    if (e >= -4 && e < 6) {
        /* A fraction is 0.000ddd. Else the first digits, and all digits once more behind the point:
         * the stores overlap, and later ones win. */
        int small = e >> 31; /* all ones if e < 0 */
        int ahead = e & ~small, zeros = -(e & small);
        uint64_t digits8 = rest << 8 | (uint8_t)digit, mask = (uint64_t)(int64_t)small;
        store_le64(out, (digits8 & ~mask) | (ZEROS & mask));
        store_le64(out + zeros + ahead + 2, rest >> 8 * ahead);
        out[ahead + 1] = '.';
        out[zeros + (small & 1)] = digit;
        int behind = count - 1 - ahead; /* digits behind the point, counted from the first */
        return (size_t)(ahead + 1 + zeros + (behind > 0 || small ? behind + 1 : 0)) + negative;
    }
    out[0] = digit;
    out[1] = '.';
    store_le64(out + 2, rest);
    size_t n = count == 1 ? 1 : (size_t)count + 1;
    return n + write_exponent(out + n, e) + negative;
}

size_t float8_text(uint64_t bits, char *out)
{
    bool negative = bits >> 63;
    uint32_t biased = bits >> 52 & 0x7ff;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (biased == 0x7ff || bits << 1 == 0)
        return write_special(biased == 0, negative, biased != 0 && fraction != 0, out);

    /* Seventeen digits; only subnormal numbers come with fewer than sixteen. */
    struct decimal decimal = float8_shortest(biased, fraction);
    uint64_t digits = decimal.digits;
    int e = decimal.exponent;
    for (; digits < UINT64_C(1000000000000000); e--)
        digits *= 10;
    uint32_t is_long = digits >= UINT64_C(10000000000000000);
    e += 15 + (int)is_long;
    digits *= is_long ? 1 : 10;
    uint32_t nine = (uint32_t)(digits / 100000000), first = nine / 100000000;
    uint64_t left = spread_digits(nine - first * 100000000);
    uint64_t right = spread_digits((uint32_t)(digits - (uint64_t)nine * 100000000));
    int count = 1 + (right != 0 ? 8 + count_digits(right) : count_digits(left));
    left |= ZEROS;
    right |= ZEROS;
    char digit = (char)('0' + first);

    *out = '-';
    out += negative;
    if (e >= -4 && e < 0) {
        store_le64(out, ZEROS);
        out[1] = '.';
        out[1 - e] = digit;
        store_le64(out + 2 - e, left);
        store_le64(out + 10 - e, right);
        return (size_t)(1 - e + count) + negative;
    }
    int point = e >= 0 && e < 15 ? e : 0; /* digits behind the first and before the point */
    out[0] = digit;
    store_le64(out + 1, left);
    store_le64(out + 9, right);
    uint128 moved = ((uint128)right << 64 | left) >> 8 * point;
    out[point + 1] = '.';
    store_le64(out + point + 2, (uint64_t)moved);
    if (point < 8)
        store_le64(out + point + 10, (uint64_t)(moved >> 64));
    size_t n = (size_t)(count <= point + 1 ? point + 1 : count + 1);
    return n + (point == e ? 0 : write_exponent(out + n, e)) + negative;
}

size_t float4_texts_scalar(const uint8_t *wire, size_t count, char *out, uint8_t *lengths)
{
    char *at = out;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = load_be32(wire + 4 * i);
        if ((bits & 0x7f800000) == 0x7f800000)
            return 0;
        size_t n = float4_text(bits, at);
        at[n] = ',';
        at += n + 1;
        if (lengths != NULL)
            lengths[i] = (uint8_t)(n + 1);
    }
    return (size_t)(at - out);
}

size_t float4_texts(const uint8_t *wire, size_t count, char *out, uint8_t *lengths)
{
#if defined(__x86_64__)
    switch (count > 2 ? isa_level() : ISA_SCALAR) { /* a block of them takes as long as three */
    case ISA_AVX512:
        return float4_texts_avx512(wire, count, out, lengths);
    case ISA_AVX2:
        return float4_texts_avx2(wire, count, out, lengths);
    case ISA_SCALAR:
        break;
    }
#endif
    return float4_texts_scalar(wire, count, out, lengths);
}
