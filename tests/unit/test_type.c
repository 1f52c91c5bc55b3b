/* Every type that is rendered here: values with the answers of PostgreSQL 15 and pgvector 0.8 (send
 * function, format('%s'), to_json), every truncation, every changed byte, and the wrong values of
 * each kind. */
#include "tests/unit/type_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct answer {
    const char *extension, *name;
    const char *wire; /* in hex */
    const char *text, *json;
};

/* json loses its line breaks, vectors are arrays and sparse vectors objects; the rest is as the
 * server printed it. */
static const struct answer answers[] = {
    {NULL, "bool", "01", "t", "true"},
    {NULL, "bool", "00", "f", "false"},
    {NULL, "int2", "0000", "0", "0"},
    {NULL, "int2", "ffff", "-1", "-1"},
    {NULL, "int2", "7fff", "32767", "32767"},
    {NULL, "int2", "8000", "-32768", "-32768"},
    {NULL, "int4", "00000000", "0", "0"},
    {NULL, "int4", "00000007", "7", "7"},
    {NULL, "int4", "80000000", "-2147483648", "-2147483648"},
    {NULL, "int4", "7fffffff", "2147483647", "2147483647"},
    {NULL, "int4", "000f4240", "1000000", "1000000"},
    {NULL, "int8", "0000000000000000", "0", "0"},
    {NULL, "int8", "8000000000000000", "-9223372036854775808", "-9223372036854775808"},
    {NULL, "int8", "7fffffffffffffff", "9223372036854775807", "9223372036854775807"},
    {NULL, "int8", "fffffffffffffff6", "-10", "-10"},
    {NULL, "oid", "00000000", "0", "\"0\""},
    {NULL, "oid", "ffffffff", "4294967295", "\"4294967295\""},
    {NULL, "float4", "00000000", "0", "0"},
    {NULL, "float4", "80000000", "-0", "-0"},
    {NULL, "float4", "3f800000", "1", "1"},
    {NULL, "float4", "bf800000", "-1", "-1"},
    {NULL, "float4", "3dcccccd", "0.1", "0.1"},
    {NULL, "float4", "7f7fffff", "3.4028235e+38", "3.4028235e+38"},
    {NULL, "float4", "00800000", "1.1754944e-38", "1.1754944e-38"},
    {NULL, "float4", "00000001", "1e-45", "1e-45"},
    {NULL, "float4", "7fc00000", "NaN", "\"NaN\""},
    {NULL, "float4", "7f800000", "Infinity", "\"Infinity\""},
    {NULL, "float4", "ff800000", "-Infinity", "\"-Infinity\""},
    {NULL, "float4", "497423f0", "999999", "999999"},
    {NULL, "float4", "49742400", "1e+06", "1e+06"},
    {NULL, "float4", "38d1b717", "0.0001", "0.0001"},
    {NULL, "float4", "3727c5ac", "1e-05", "1e-05"},
    {NULL, "float4", "4b800000", "1.6777216e+07", "1.6777216e+07"},
    {NULL, "float8", "0000000000000000", "0", "0"},
    {NULL, "float8", "8000000000000000", "-0", "-0"},
    {NULL, "float8", "3fb999999999999a", "0.1", "0.1"},
    {NULL, "float8", "430c6bf526340000", "1e+15", "1e+15"},
    {NULL, "float8", "42dc12218377de40", "123456789012345", "123456789012345"},
    {NULL, "float8", "42d6bcc41e900000", "100000000000000", "100000000000000"},
    {NULL, "float8", "0000000000000001", "5e-324", "5e-324"},
    {NULL, "float8", "7fefffffffffffff", "1.7976931348623157e+308", "1.7976931348623157e+308"},
    {NULL, "float8", "0010000000000000", "2.2250738585072014e-308", "2.2250738585072014e-308"},
    {NULL, "float8", "3f1a36e2eb1c432d", "0.0001", "0.0001"},
    {NULL, "float8", "3f1797cc39ffd60f", "9e-05", "9e-05"},
    {NULL, "float8", "7ff8000000000000", "NaN", "\"NaN\""},
    {NULL, "float8", "7ff0000000000000", "Infinity", "\"Infinity\""},
    {NULL, "float8", "fff0000000000000", "-Infinity", "\"-Infinity\""},
    {NULL, "float8", "bf202e85be180b74", "-0.00012345678901234567", "-0.00012345678901234567"},
    {NULL, "float8", "4340000000000000", "9.007199254740992e+15", "9.007199254740992e+15"},
    {NULL, "date", "00000000", "2000-01-01", "\"2000-01-01\""},
    {NULL, "date", "ffffffff", "1999-12-31", "\"1999-12-31\""},
    {NULL, "date", "0000003b", "2000-02-29", "\"2000-02-29\""},
    {NULL, "date", "ffff718e", "1900-02-28", "\"1900-02-28\""},
    {NULL, "date", "ffff718f", "1900-03-01", "\"1900-03-01\""},
    {NULL, "date", "00008ee8", "2100-03-01", "\"2100-03-01\""},
    {NULL, "date", "fffdc58a", "1600-02-29", "\"1600-02-29\""},
    {NULL, "date", "ffffd533", "1970-01-01", "\"1970-01-01\""},
    {NULL, "date", "fff4dbf9", "0001-01-01", "\"0001-01-01\""},
    {NULL, "date", "fff4dbf8", "0001-12-31 BC", "\"0001-12-31 BC\""},
    {NULL, "date", "fff4da8b", "0001-01-01 BC", "\"0001-01-01 BC\""},
    {NULL, "date", "fff49d7b", "0044-03-15 BC", "\"0044-03-15 BC\""},
    {NULL, "date", "ffda97a7", "4714-11-24 BC", "\"4714-11-24 BC\""},
    {NULL, "date", "ffda97cd", "4713-01-01 BC", "\"4713-01-01 BC\""},
    {NULL, "date", "fff4d511", "0005-02-29 BC", "\"0005-02-29 BC\""},
    {NULL, "date", "002c95d3", "9999-12-31", "\"9999-12-31\""},
    {NULL, "date", "002c95d4", "10000-01-01", "\"10000-01-01\""},
    {NULL, "date", "7fda970c", "5874897-12-31", "\"5874897-12-31\""},
    {NULL, "date", "7fffffff", "infinity", "\"infinity\""},
    {NULL, "date", "80000000", "-infinity", "\"-infinity\""},
    {NULL, "timestamp", "0000000000000000", "2000-01-01 00:00:00", "\"2000-01-01T00:00:00\""},
    {NULL, "timestamp", "ffffffffffffffff", "1999-12-31 23:59:59.999999",
     "\"1999-12-31T23:59:59.999999\""},
    {NULL, "timestamp", "0002b58341712a60", "2024-02-29 12:34:56.7", "\"2024-02-29T12:34:56.7\""},
    {NULL, "timestamp", "0002b58341667c01", "2024-02-29 12:34:56.000001",
     "\"2024-02-29T12:34:56.000001\""},
    {NULL, "timestamp", "0002b583416802a0", "2024-02-29 12:34:56.1", "\"2024-02-29T12:34:56.1\""},
    {NULL, "timestamp", "0002b58341685282", "2024-02-29 12:34:56.12045",
     "\"2024-02-29T12:34:56.12045\""},
    {NULL, "timestamp", "ff1fe2ffc59c6000", "0001-01-01 00:00:00", "\"0001-01-01T00:00:00\""},
    {NULL, "timestamp", "ff1fe2ffc59c5fff", "0001-12-31 23:59:59.999999 BC",
     "\"0001-12-31T23:59:59.999999 BC\""},
    {NULL, "timestamp", "ff1af9dfca4b39e0", "0044-03-15 01:02:03.5 BC",
     "\"0044-03-15T01:02:03.5 BC\""},
    {NULL, "timestamp", "fd0f7cc1411fa000", "4714-11-24 00:00:00 BC", "\"4714-11-24T00:00:00 BC\""},
    {NULL, "timestamp", "7fffff5bb3b29fff", "294276-12-31 23:59:59.999999",
     "\"294276-12-31T23:59:59.999999\""},
    {NULL, "timestamp", "0380e70b913b8000", "10000-01-01 00:00:00", "\"10000-01-01T00:00:00\""},
    {NULL, "timestamp", "7fffffffffffffff", "infinity", "\"infinity\""},
    {NULL, "timestamp", "8000000000000000", "-infinity", "\"-infinity\""},
    {NULL, "timestamptz", "0000000000000000", "2000-01-01 00:00:00+00",
     "\"2000-01-01T00:00:00+00:00\""},
    {NULL, "timestamptz", "ffffffffffffffff", "1999-12-31 23:59:59.999999+00",
     "\"1999-12-31T23:59:59.999999+00:00\""},
    {NULL, "timestamptz", "0002b58341712a60", "2024-02-29 12:34:56.7+00",
     "\"2024-02-29T12:34:56.7+00:00\""},
    {NULL, "timestamptz", "0002b58341667c01", "2024-02-29 12:34:56.000001+00",
     "\"2024-02-29T12:34:56.000001+00:00\""},
    {NULL, "timestamptz", "0002b583416802a0", "2024-02-29 12:34:56.1+00",
     "\"2024-02-29T12:34:56.1+00:00\""},
    {NULL, "timestamptz", "0002b58341685282", "2024-02-29 12:34:56.12045+00",
     "\"2024-02-29T12:34:56.12045+00:00\""},
    {NULL, "timestamptz", "ff1fe2ffc59c6000", "0001-01-01 00:00:00+00",
     "\"0001-01-01T00:00:00+00:00\""},
    {NULL, "timestamptz", "ff1fe2ffc59c5fff", "0001-12-31 23:59:59.999999+00 BC",
     "\"0001-12-31T23:59:59.999999+00:00 BC\""},
    {NULL, "timestamptz", "ff1af9dfca4b39e0", "0044-03-15 01:02:03.5+00 BC",
     "\"0044-03-15T01:02:03.5+00:00 BC\""},
    {NULL, "timestamptz", "fd0f7cc1411fa000", "4714-11-24 00:00:00+00 BC",
     "\"4714-11-24T00:00:00+00:00 BC\""},
    {NULL, "timestamptz", "7fffff5bb3b29fff", "294276-12-31 23:59:59.999999+00",
     "\"294276-12-31T23:59:59.999999+00:00\""},
    {NULL, "timestamptz", "0380e70b913b8000", "10000-01-01 00:00:00+00",
     "\"10000-01-01T00:00:00+00:00\""},
    {NULL, "timestamptz", "7fffffffffffffff", "infinity", "\"infinity\""},
    {NULL, "timestamptz", "8000000000000000", "-infinity", "\"-infinity\""},
    {NULL, "text", "", "", "\"\""},
    {NULL, "text", "68656c6c6f", "hello", "\"hello\""},
    {NULL, "text", "612c62", "a,b", "\"a,b\""},
    {NULL, "text", "2271756f74656422", "\"quoted\"", "\"\\\"quoted\\\"\""},
    {NULL, "text", "6261636b5c736c617368", "back\\slash", "\"back\\\\slash\""},
    {NULL, "text", "6c696e650a627265616b0d09746162", "line\nbreak\r\ttab",
     "\"line\\nbreak\\r\\ttab\""},
    {NULL, "text", "c5bcc3b3c582c48720f09f9098",
     "\305\274\303\263\305\202\304\207 \360\237\220\230",
     "\"\305\274\303\263\305\202\304\207 \360\237\220\230\""},
    {NULL, "text", "011f7f", "\001\037\177", "\"\\u0001\\u001f\177\""},
    {NULL, "varchar", "", "", "\"\""},
    {NULL, "varchar", "4e554c4c", "NULL", "\"NULL\""},
    {NULL, "varchar", "5c2e", "\\.", "\"\\\\.\""},
    {NULL, "bpchar", "61622020", "ab  ", "\"ab  \""},
    {NULL, "bpchar", "", "", "\"\""},
    {NULL, "name", "70675f636c617373", "pg_class", "\"pg_class\""},
    {NULL, "json", "7b2261223a0a20312c0d0a202262223a205b312c2020325d7d",
     "{\"a\":\n 1,\r\n \"b\": [1,  2]}", "{\"a\": 1, \"b\": [1,  2]}"},
    {NULL, "json", "6e756c6c", "null", "null"},
    {NULL, "json", "22785c6e7922", "\"x\\ny\"", "\"x\\ny\""},
    {NULL, "json", "203120", " 1 ", " 1 "},
    {NULL, "jsonb", "017b2261223a205b747275652c206e756c6c5d2c202262223a20317d",
     "{\"a\": [true, null], \"b\": 1}", "{\"a\": [true, null], \"b\": 1}"},
    {NULL, "jsonb", "0122c3a922", "\"\303\251\"", "\"\303\251\""},
    {NULL, "jsonb", "012d302e3130", "-0.10", "-0.10"},
    {NULL, "bytea", "", "\\x", "\"\\\\x\""},
    {NULL, "bytea", "00", "\\x00", "\"\\\\x00\""},
    {NULL, "bytea", "deadbeef", "\\xdeadbeef", "\"\\\\xdeadbeef\""},
    {NULL, "bytea", "5c78", "\\x5c78", "\"\\\\x5c78\""},
    {NULL, "uuid", "00000000000000000000000000000000", "00000000-0000-0000-0000-000000000000",
     "\"00000000-0000-0000-0000-000000000000\""},
    {NULL, "uuid", "5b0e4f8e12344abc9def0123456789ab", "5b0e4f8e-1234-4abc-9def-0123456789ab",
     "\"5b0e4f8e-1234-4abc-9def-0123456789ab\""},
    {NULL, "bit", "00000000", "", "\"\""},
    {NULL, "bit", "0000000180", "1", "\"1\""},
    {NULL, "bit", "00000008a5", "10100101", "\"10100101\""},
    {NULL, "bit", "00000009a580", "101001011", "\"101001011\""},
    {NULL, "varbit", "00000000", "", "\"\""},
    {NULL, "varbit", "0000000100", "0", "\"0\""},
    {NULL, "varbit", "00000007fe", "1111111", "\"1111111\""},
    {NULL, "varbit", "000000105555", "0101010101010101", "\"0101010101010101\""},
    {NULL, "varbit", "00000011ff0080", "11111111000000001", "\"11111111000000001\""},
    {"vector", "vector", "000100003f800000", "[1]", "[1]"},
    {"vector", "vector", "000300003f80000040200000bdcccccd", "[1,2.5,-0.1]", "[1,2.5,-0.1]"},
    {"vector", "vector", "000500000000000080000000000000017f7fffffe0ad78ec",
     "[0,-0,1e-45,3.4028235e+38,-1e+20]", "[0,-0,1e-45,3.4028235e+38,-1e+20]"},
    {"vector", "vector", "000400003c0000004b80000049742400497423f0",
     "[0.0078125,1.6777216e+07,1e+06,999999]", "[0.0078125,1.6777216e+07,1e+06,999999]"},
    {"vector", "halfvec", "000100003c00", "[1]", "[1]"},
    {"vector", "halfvec", "000500002e6680007bff00013554",
     "[0.099975586,-0,65504,5.9604645e-08,0.3330078]",
     "[0.099975586,-0,65504,5.9604645e-08,0.3330078]"},
    {"vector", "sparsevec", "000000030000000000000000", "{}/3",
     "{\"dim\":3,\"indices\":[],\"values\":[]}"},
    {"vector", "sparsevec", "00000005000000020000000000000000000000023fc00000c0000000",
     "{1:1.5,3:-2}/5", "{\"dim\":5,\"indices\":[1,3],\"values\":[1.5,-2]}"},
    {"vector", "sparsevec", "3b9aca0000000001000000003b9ac9ff3dcccccd",
     "{1000000000:0.1}/1000000000",
     "{\"dim\":1000000000,\"indices\":[1000000000],\"values\":[0.1]}"},
    {"vector", "sparsevec", "00000002000000020000000000000000000000013f8000000da24260",
     "{1:1,2:1e-30}/2", "{\"dim\":2,\"indices\":[1,2],\"values\":[1,1e-30]}"},
};

static const size_t answer_count = sizeof answers / sizeof *answers;

/* The bytes in a heap block of exactly their size, so that a sanitizer sees any read behind them.
 */
static uint8_t *from_hex(const char *hex, size_t *size)
{
    *size = strlen(hex) / 2;
    uint8_t *wire = malloc(*size > 0 ? *size : 1);
    assert_non_null(wire);
    for (size_t i = 0; i < *size; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        wire[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return wire;
}

/* `json`: its JSON, else its text. */
static void assert_renders(const struct type *type, bool json, const uint8_t *wire, size_t size,
                           const char *expected)
{
    struct buffer out = {0};
    assert_int_equal(buffer_append_text(&out, ">"), 0);
    assert_int_equal(json ? type_json(type, wire, size, &out) : type->text(wire, size, &out), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal((char *)out.data + 1, expected);
    assert_int_equal(out.size, strlen(expected) + 2);
    buffer_clear(&out);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < answer_count; i++) {
        const struct type *type = type_find(answers[i].extension, answers[i].name);
        assert_non_null(type);
        size_t size;
        uint8_t *wire = from_hex(answers[i].wire, &size);
        assert_renders(type, false, wire, size, answers[i].text);
        assert_renders(type, true, wire, size, answers[i].json);
        free(wire);
    }
}

/* What the CSV writer relies on without looking. */
static void assert_care(const struct type *type, const struct buffer *text)
{
    if (type->csv == CSV_ANY || type->csv == CSV_TEXT)
        return;
    assert_true(text->size > 0);
    for (size_t i = 0; i < text->size; i++) {
        assert_true(text->data[i] != '\t');
        assert_true(text->data[i] != '"' && text->data[i] != '\n' && text->data[i] != '\r');
        assert_true(type->csv == CSV_LIST || text->data[i] != ',');
    }
    assert_false(text->size == 2 && memcmp(text->data, "\\.", 2) == 0);
}

static void assert_safe(const struct type *type, const uint8_t *wire, size_t size)
{
    struct buffer text = {0}, json = {0};
    int rc = type->text(wire, size, &text);
    assert_true(rc == 0 || rc == -EBADMSG);
    assert_int_equal(type_json(type, wire, size, &json), rc);
    if (rc == 0)
        assert_care(type, &text);
    buffer_clear(&text);
    buffer_clear(&json);
}

static void test_truncations(void **state)
{
    (void)state;
    for (size_t i = 0; i < answer_count; i++) {
        const struct type *type = type_find(answers[i].extension, answers[i].name);
        size_t size;
        uint8_t *wire = from_hex(answers[i].wire, &size);
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *part = malloc(cut > 0 ? cut : 1);
            assert_non_null(part);
            memcpy(part, wire, cut);
            assert_safe(type, part, cut);
            free(part);
        }
        free(wire);
    }
}

static void test_changed_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < answer_count; i++) {
        const struct type *type = type_find(answers[i].extension, answers[i].name);
        size_t size;
        uint8_t *wire = from_hex(answers[i].wire, &size);
        for (size_t at = 0; at < size; at++) {
            uint8_t was = wire[at];
            for (unsigned byte = 0; byte < 256; byte++) {
                wire[at] = (uint8_t)byte;
                assert_safe(type, wire, size);
            }
            wire[at] = was;
        }
        free(wire);
    }
}

static void test_fixed_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t size;
    } fixed[] = {{"bool", 1},      {"int2", 2},        {"int4", 4},   {"int8", 8},
                 {"oid", 4},       {"float4", 4},      {"float8", 8}, {"date", 4},
                 {"timestamp", 8}, {"timestamptz", 8}, {"uuid", 16}};
    static const uint8_t zeros[64];
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const struct type *type = type_find(NULL, fixed[i].name);
        for (size_t size = 0; size <= sizeof zeros; size++) {
            struct buffer out = {0};
            int expected = size == fixed[i].size ? 0 : -EBADMSG;
            assert_int_equal(type->text(zeros, size, &out), expected);
            assert_int_equal(type_json(type, zeros, size, &out), expected);
            buffer_clear(&out);
        }
    }
}

static void test_wrong_values(void **state)
{
    (void)state;
    static const struct {
        const char *extension, *name, *wire;
    } wrong[] = {
        {NULL, "bool", "02"},
        {NULL, "date", "ffda97a6"}, /* the day before the first, the day after the last */
        {NULL, "date", "7fda970d"},
        {NULL, "date", "80000001"},
        {NULL, "date", "7ffffffe"},
        {NULL, "timestamp", "fd0f7cc1411f9fff"},
        {NULL, "timestamp", "7fffff5bb3b2a000"},
        {NULL, "timestamp", "8000000000000001"},
        {NULL, "timestamptz", "7ffffffffffffffe"},
        {NULL, "text", "610062"}, /* NUL */
        {NULL, "json", ""},
        {NULL, "json", "3100"},
        {NULL, "jsonb", ""},
        {NULL, "jsonb", "01"},
        {NULL, "jsonb", "0231"}, /* another version */
        {NULL, "bit", "000000"},
        {NULL, "bit", "00000001"},     /* a byte too few */
        {NULL, "bit", "000000018000"}, /* and one too many */
        {NULL, "bit", "ffffffff"},     /* negative */
        {NULL, "varbit", "80000000"},
        {NULL, "varbit", "7fffffff00"},
        {"vector", "vector", "00000000"},           /* no dimensions */
        {"vector", "vector", "000100013f800000"},   /* unused is not 0 */
        {"vector", "vector", "000100003f80000000"}, /* too long */
        {"vector", "vector", "000200003f800000"},   /* too short */
        {"vector", "vector", "ffff00003f800000"},
        {"vector", "vector", "000100007f800000"}, /* Infinity */
        {"vector", "vector", "00010000ff800000"},
        {"vector", "vector", "000200003f8000007fc00000"}, /* NaN */
        {"vector", "halfvec", "00000000"},
        {"vector", "halfvec", "000100013c00"},
        {"vector", "halfvec", "000100003c0000"},
        {"vector", "halfvec", "000100007c00"},
        {"vector", "halfvec", "00010000fc01"},
        {"vector", "sparsevec", "000000000000000000000000"}, /* no dimensions */
        {"vector", "sparsevec", "3b9aca010000000000000000"}, /* too many */
        {"vector", "sparsevec", "800000000000000000000000"},
        {"vector", "sparsevec", "000000030000000000000001"},                   /* unused is not 0 */
        {"vector", "sparsevec", "00000003ffffffff00000000"},                   /* negative count */
        {"vector", "sparsevec", "00000003000000010000000000000000"},           /* short */
        {"vector", "sparsevec", "00000003000000010000000000000000bf80000000"}, /* long */
        {"vector", "sparsevec",
         "000000030000000100000000000000033f800000"}, /* index out of range */
        {"vector", "sparsevec", "000000030000000100000000ffffffff3f800000"},
        {"vector", "sparsevec",
         "00000003000000020000000000000001000000013f8000003f800000"}, /* the same index twice */
        {"vector", "sparsevec",
         "00000003000000020000000000000001000000003f8000003f800000"}, /* out of order */
        {"vector", "sparsevec",
         "00000001000000020000000000000000000000013f8000003f800000"},        /* more than dim */
        {"vector", "sparsevec", "0000000300000001000000000000000000000000"}, /* a stored zero */
        {"vector", "sparsevec", "0000000300000001000000000000000080000000"},
        {"vector", "sparsevec", "000000030000000100000000000000007fc00000"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct type *type = type_find(wrong[i].extension, wrong[i].name);
        struct buffer out = {0};
        size_t size;
        uint8_t *wire = from_hex(wrong[i].wire, &size);
        assert_int_equal(type->text(wire, size, &out), -EBADMSG);
        assert_int_equal(type_json(type, wire, size, &out), -EBADMSG);
        buffer_clear(&out);
        free(wire);
    }
}

/* The largest values, all elements of the widest text: what is reserved has to be enough. */
static void test_limits(void **state)
{
    (void)state;
    for (size_t dim = 15999; dim <= 16001; dim++) {
        const struct type *type = type_find("vector", "vector");
        size_t size = 4 + 4 * dim;
        uint8_t *wire = malloc(size);
        assert_non_null(wire);
        memcpy(wire, (uint8_t[]){(uint8_t)(dim >> 8), (uint8_t)dim, 0, 0}, 4);
        for (size_t i = 0; i < dim; i++)
            memcpy(wire + 4 + 4 * i, "\x80\x80\x00\x00", 4); /* -1.1754944e-38 */
        struct buffer out = {0};
        assert_int_equal(type->text(wire, size, &out), dim <= 16000 ? 0 : -EBADMSG);
        assert_int_equal(out.size, dim <= 16000 ? 1 + 15 * dim : 0);
        buffer_clear(&out);
        free(wire);
    }
    for (uint32_t nnz = 15999; nnz <= 16001; nnz++) {
        const struct type *type = type_find("vector", "sparsevec");
        size_t size = 12 + 8 * (size_t)nnz;
        uint8_t *wire = calloc(size, 1);
        assert_non_null(wire);
        memcpy(wire, "\x3b\x9a\xca\x00", 4);
        memcpy(wire + 6, (uint8_t[]){(uint8_t)(nnz >> 8), (uint8_t)nnz}, 2);
        for (uint32_t i = 0; i < nnz; i++) {
            uint32_t index = 1000000000 - nnz + i;
            memcpy(wire + 12 + 4 * i,
                   (uint8_t[]){(uint8_t)(index >> 24), (uint8_t)(index >> 16),
                               (uint8_t)(index >> 8), (uint8_t)index},
                   4);
            memcpy(wire + 12 + 4 * nnz + 4 * i, "\x80\x80\x00\x00", 4);
        }
        assert_safe(type, wire, size);
        struct buffer out = {0};
        assert_int_equal(type_json(type, wire, size, &out), nnz <= 16000 ? 0 : -EBADMSG);
        buffer_clear(&out);
        free(wire);
    }
}

/* Ones in the unused bits of the last byte are not printed (vector_text.h). */
static void test_bit_padding(void **state)
{
    (void)state;
    assert_renders(type_find(NULL, "bit"), false, (const uint8_t *)"\0\0\0\1\xff", 5, "1");
    assert_renders(type_find(NULL, "varbit"), true, (const uint8_t *)"\0\0\0\x9\x00\x7f", 6,
                   "\"000000000\"");
}

static void test_find(void **state)
{
    (void)state;
    size_t count;
    const struct type *all = type_all(&count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(type_find(all[i].extension, all[i].name), &all[i]);
        size_t tried = 0;
        for (size_t j = 0; j < answer_count; j++)
            tried += type_find(answers[j].extension, answers[j].name) == &all[i];
        assert_true(tried > 0);
    }
    assert_null(type_find(NULL, "vector"));
    assert_null(type_find("vector", "int4"));
    assert_null(type_find("postgis", "vector"));
    assert_null(type_find(NULL, "numeric"));
    assert_null(type_find(NULL, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_fixed_sizes),
        cmocka_unit_test(test_wrong_values),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bit_padding),   cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
