#include "codec/number_text.h"

#include "codec/bytes.h"
#include "codec/float_text.h"

_Static_assert(VALUE_ROOM >= FLOAT8_TEXT_MAX + 2 && VALUE_ROOM >= INTEGER_TEXT_MAX + 2,
               "a value has room for its text in quotes");

#define EIGHT_DIGITS 100000000
#define ASCII_ZEROS UINT64_C(0x3030303030303030)

/* The eight digits of a number below 10^8, one a byte, the first in the lowest. Halves, then pairs,
 * then digits are split off side by side in one word. Of n in a part of the word, q = n / 10^k
 * stays, and n - q * 10^k goes s bits higher; together that is (n << s) - q * ((10^k << s) - 1).
 * The quotients are products with rounded inverses, which are exact for numbers this small. */
static inline uint64_t eight_digits(uint32_t number)
{
    uint64_t high = number / 10000;
    uint64_t halves = ((uint64_t)number << 32) - high * ((UINT64_C(10000) << 32) - 1);
    uint64_t hundreds = (halves * 10486 >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t pairs = (halves << 16) - hundreds * ((100 << 16) - 1);
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000f000f000f000f);
    return (pairs << 8) - tens * ((10 << 8) - 1);
}

static inline uint8_t *write_eight(uint8_t *at, uint32_t number)
{
    store_le64(at, eight_digits(number) | ASCII_ZEROS);
    return at + 8;
}

/* Without leading zeros. Eight bytes are overwritten in any case. */
static inline uint8_t *write_below(uint8_t *at, uint32_t number)
{
    uint64_t digits = eight_digits(number);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) / 8;
    store_le64(at, (digits | ASCII_ZEROS) >> 8 * zeros);
    return at + 8 - zeros;
}

static inline uint8_t *write_unsigned(uint8_t *at, uint64_t number)
{
    if (number < EIGHT_DIGITS)
        return write_below(at, (uint32_t)number);
    uint64_t high = number / EIGHT_DIGITS;
    uint32_t low = (uint32_t)(number % EIGHT_DIGITS);
    if (high < EIGHT_DIGITS)
        return write_eight(write_below(at, (uint32_t)high), low);
    at = write_below(at, (uint32_t)(high / EIGHT_DIGITS));
    return write_eight(write_eight(at, (uint32_t)(high % EIGHT_DIGITS)), low);
}

static inline uint8_t *write_unsigned32(uint8_t *at, uint32_t number)
{
    if (number < EIGHT_DIGITS)
        return write_below(at, number);
    uint32_t high = number / EIGHT_DIGITS, tens = high * 103 >> 10, one = high < 10;
    store_le16(at, (uint16_t)(((high << 8) - tens * ((10 << 8) - 1) + 0x3030) >> 8 * one));
    return write_eight(at + 2 - one, number % EIGHT_DIGITS);
}

static inline uint8_t *write_signed32(uint8_t *at, int32_t number)
{
    *at = '-';
    return write_unsigned32(at + (number < 0),
                            number < 0 ? 0 - (uint32_t)number : (uint32_t)number);
}

static inline uint8_t *write_signed(uint8_t *at, int64_t number)
{
    *at = '-';
    return write_unsigned(at + (number < 0), number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

size_t integer_text(int64_t number, char *out)
{
    return (size_t)(write_signed((uint8_t *)out, number) - (uint8_t *)out);
}

/* Each writes its value's JSON, too, unless there is another function for that. */

uint8_t *bool_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    if (size != 1 || wire[0] > 1)
        return NULL;
    *at = wire[0] ? 't' : 'f';
    return at + 1;
}

uint8_t *bool_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    if (size != 1 || wire[0] > 1)
        return NULL;
    memcpy(at, wire[0] ? "true " : "false", 5);
    return at + 5 - wire[0];
}

uint8_t *int2_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 2 ? write_signed32(at, (int16_t)load_be16(wire)) : NULL;
}

uint8_t *int4_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 4 ? write_signed32(at, (int32_t)load_be32(wire)) : NULL;
}

uint8_t *int8_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 8 ? write_signed(at, (int64_t)load_be64(wire)) : NULL;
}

uint8_t *oid_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 4 ? write_unsigned32(at, load_be32(wire)) : NULL;
}

static uint8_t *write_as_string(write_value *write, uint8_t *at, const uint8_t *wire, size_t size)
{
    *at = '"';
    at = write(NULL, at + 1, wire, size);
    if (at != NULL)
        *at++ = '"';
    return at;
}

uint8_t *oid_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return write_as_string(oid_write, at, wire, size);
}

uint8_t *float4_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 4 ? at + float4_text(load_be32(wire), (char *)at) : NULL;
}

uint8_t *float4_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    bool finite = size == 4 && (load_be32(wire) & 0x7f800000) != 0x7f800000;
    return finite ? float4_write(pen, at, wire, size)
                  : write_as_string(float4_write, at, wire, size);
}

uint8_t *float8_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    return size == 8 ? at + float8_text(load_be64(wire), (char *)at) : NULL;
}

uint8_t *float8_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    bool finite = size == 8 && (load_be64(wire) >> 52 & 0x7ff) != 0x7ff;
    return finite ? float8_write(pen, at, wire, size)
                  : write_as_string(float8_write, at, wire, size);
}

RENDER_BY_WRITE(bool_render, bool_write)
RENDER_BY_WRITE(int2_render, int2_write)
RENDER_BY_WRITE(int4_render, int4_write)
RENDER_BY_WRITE(int8_render, int8_write)
RENDER_BY_WRITE(oid_render, oid_write)
RENDER_BY_WRITE(float4_render, float4_write)
RENDER_BY_WRITE(float8_render, float8_write)
