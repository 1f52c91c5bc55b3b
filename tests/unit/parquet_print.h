/* Values of a Parquet file as text, for tests, so that SQL and other readers can say the same:
 *
 *   a bool               t or f
 *   an integer, a date,  its number, decimal; of a DECIMAL without the point
 *   a time, a DECIMAL
 *   a float              the hex digits of its bits
 *   bytes, text          the hex digits of the bytes
 *   NULL, a list         \N, [element,element]: which the caller prints
 */
#ifndef TESTS_PARQUET_PRINT_H
#define TESTS_PARQUET_PRINT_H

#include "tests/unit/parquet_file.h"

#include <inttypes.h>

static inline void parquet_print_hex(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", bytes[i]);
}

/* Little-endian bits, the highest first. */
static inline void parquet_print_bits(FILE *out, const uint8_t *bytes, size_t size)
{
    for (size_t i = size; i-- > 0;)
        fprintf(out, "%02x", bytes[i]);
}

static inline void parquet_print_decimal(FILE *out, const uint8_t *bytes, size_t size)
{
    bool negative = (bytes[0] & 0x80) != 0;
    unsigned __int128 value = negative ? ~(unsigned __int128)0 : 0;
    char digits[48], *at = digits + sizeof digits;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    if (negative)
        value = -value;
    *--at = '\0';
    do {
        *--at = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value != 0);
    fprintf(out, "%s%s", negative ? "-" : "", at);
}

static inline void parquet_print_number(FILE *out, const struct parquet_leaf *leaf,
                                        const uint8_t *bytes)
{
    bool wide = leaf->physical == P_INT64;
    uint64_t number = 0;
    memcpy(&number, bytes, wide ? 8 : 4);
    number = le64toh(number);
    if (leaf->logical == L_INTEGER && !leaf->is_signed)
        fprintf(out, "%" PRIu64, number);
    else
        fprintf(out, "%" PRId64, wide ? (int64_t)number : (int64_t)(int32_t)(uint32_t)number);
}

static inline void parquet_print_value(FILE *out, const struct parquet_leaf *leaf,
                                       const struct parquet_value *value)
{
    switch (leaf->physical) {
    case P_BOOLEAN:
        fputc(value->bytes[0] != 0 ? 't' : 'f', out);
        return;
    case P_INT32:
    case P_INT64:
        parquet_print_number(out, leaf, value->bytes);
        return;
    case P_FLOAT:
    case P_DOUBLE:
        parquet_print_bits(out, value->bytes, value->size);
        return;
    default:
        if (leaf->logical == L_DECIMAL)
            parquet_print_decimal(out, value->bytes, value->size);
        else if (leaf->logical == L_FLOAT16)
            parquet_print_bits(out, value->bytes, value->size);
        else
            parquet_print_hex(out, value->bytes, value->size);
    }
}

#endif
