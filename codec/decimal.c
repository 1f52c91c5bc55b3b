#include "codec/decimal.h"

#include "codec/bytes.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Powers of ten that are exact in double. */
static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                              1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                              1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum { TENS_MOST = 22 };

/* What the digits say: digits * 10^exponent. */
struct decimal {
    uint64_t digits;
    int exponent;
    bool negative, short_enough; /* `digits` has all of them */
};

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Reads "e", sign and digits, if they come next. */
static const char *read_exponent(const char *at, const char *end, struct decimal *out)
{
    const char *start = at;
    if (at == end || (*at != 'e' && *at != 'E'))
        return start;
    bool negative = ++at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || !is_digit(*at))
        return start;
    int exponent = 0;
    for (; at < end && is_digit(*at); at++)
        exponent = exponent < 10000 ? exponent * 10 + (*at - '0') : exponent;
    out->exponent += negative ? -exponent : exponent;
    return at;
}

/* How many of eight characters are digits, up to the first that is not, and their value. The first
 * character is the lowest byte. */
static inline size_t read_eight(const char *at, uint64_t *value)
{
    uint64_t x = load_le64(at) ^ UINT64_C(0x3030303030303030);
    uint64_t others = ((x + UINT64_C(0x7676767676767676)) | x) & UINT64_C(0x8080808080808080);
    size_t count = others != 0 ? (size_t)__builtin_ctzll(others) / 8 : 8;
    if (count == 0)
        return 0;
    x <<= 8 * (8 - count); /* puts zeros in front, and drops what stands behind the digits */
    x = x * 10 + (x >> 8);
    *value = ((x & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
              (x >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
             32;
    return count;
}

static inline const char *read_digits(const char *at, const char *end, uint64_t *digits)
{
    static const uint64_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    while (end - at >= 8) {
        uint64_t value;
        size_t count = read_eight(at, &value);
        if (count > 0)
            *digits = *digits * powers[count] + value;
        at += count;
        if (count < 8)
            return at;
    }
    while (at < end && is_digit(*at))
        *digits = *digits * 10 + (uint64_t)(*at++ - '0');
    return at;
}

static inline const char *read_decimal(const char *at, const char *end, struct decimal *out)
{
    /* No branch: a sign cannot be predicted. */
    *out = (struct decimal){.negative = at < end && *at == '-'};
    at += out->negative | (at < end && *at == '+');
    const char *first = at;
    uint64_t digits = 0;
    while (at < end && is_digit(*at))
        digits = digits * 10 + (uint64_t)(*at++ - '0');
    size_t count = (size_t)(at - first);
    if (at < end && *at == '.') {
        const char *point = ++at;
        at = read_digits(at, end, &digits);
        out->exponent = -(int)(at - point);
        count += (size_t)(at - point);
    }
    if (count == 0)
        return NULL;
    out->digits = digits;
    out->short_enough = count <= 18 && digits < UINT64_C(1) << 53;
    return read_exponent(at, end, out);
}

/* One correctly rounded operation in double. To round that once more gives the nearest float,
 * unless the double lies exactly between two of them. */
static inline bool quick(const struct decimal *decimal, float *out)
{
    if (!decimal->short_enough || decimal->exponent < -TENS_MOST || decimal->exponent > TENS_MOST)
        return false;
    double value = (double)decimal->digits;
    value =
        decimal->exponent < 0 ? value / tens[-decimal->exponent] : value * tens[decimal->exponent];
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bool between = (bits & 0x1fffffff) == 0x10000000;
    if (between || (value != 0 && (value < (double)FLT_MIN || value > (double)FLT_MAX)))
        return false;
    bits |= (uint64_t)decimal->negative << 63;
    memcpy(&value, &bits, sizeof value);
    *out = (float)value;
    return true;
}

/* Everything else: by the C library, from a copy that ends. */
static const char *slow(const char *at, const char *end, float *out)
{
    enum { USUAL = 128 };
    const char *stop = at;
    while (stop < end && (is_digit(*stop) || (*stop >= 'a' && *stop <= 'z') ||
                          (*stop >= 'A' && *stop <= 'Z') || strchr("+-.", *stop) != NULL))
        stop++;
    size_t size = (size_t)(stop - at);
    char usual[USUAL], *copy = size < USUAL ? usual : malloc(size + 1), *after;
    if (size == 0 || copy == NULL)
        return NULL;
    memcpy(copy, at, size);
    copy[size] = '\0';
    float value = strtof(copy, &after);
    size_t used = (size_t)(after - copy);
    if (copy != usual)
        free(copy);
    if (used == 0)
        return NULL;
    *out = value;
    return at + used;
}

const char *decimal_float(const char *at, const char *end, float *out)
{
    struct decimal decimal;
    const char *after = read_decimal(at, end, &decimal);
    bool done =
        after != NULL && (after == end || (*after != 'x' && *after != 'X')) && quick(&decimal, out);
    return done ? after : slow(at, end, out);
}
