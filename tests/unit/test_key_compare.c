/* The order of keys. */
#include "codec/key_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES_MOST = 16, BYTES_MOST = 32 };

/* What the types' send functions give for values in the server's ascending order, as hex. */
static const struct {
    const char *type;
    const char *values;
} ascending[] = {
    {"bool", "00 01"},
    {"char", "00 41 61 ff"},
    {"bytea", " 00 61 6100 ff"},
    {"uuid", "00000000000000000000000000000001 7fffffff000000000000000000000000 "
             "80000000000000000000000000000000"},
    {"oid", "00000000 00000009 0000000a ffffffff"},
    {"xid8", "0000000000000009 000000000000000a ffffffffffffffff"},
    {"pg_lsn", "0000000000000009 0000000000000010 0000000a00000000"},
    {"tid", "000000090002 00000009000a 0000000a0001 fffffffe0001"},
    {"macaddr", "000000000001 7f0000000000 800000000000"},
    {"macaddr8", "0000000000000001 8000000000000000"},
    {"int2", "8000 ffff 0009 000a"},
    {"int4", "80000000 ffffffff 00000009 0000000a"},
    {"int8", "8000000000000000 ffffffffffffffff 0000000000000009 000000000000000a"},
    {"money", "8000000000000000 ffffffffffffff9c 0000000000000384 00000000000003e8 "
              "0000000000002710"},
    {"date", "80000000 fff4da8b ffffffff 00000000 002c95d4 7fffffff"},
    {"time", "0000000000000000 000000078b30c400 000000141dd76000"},
    {"timestamp", "8000000000000000 ff1fc63d1bb12000 0000000000000000 0380e70b913b8000 "
                  "7fffffffffffffff"},
    {"timestamptz", "8000000000000000 ffffe35173ec2000 0000000000000000 7fffffffffffffff"},
    {"float4", "ff800000 bf800000 00000000 000116c2 41100000 41200000 7f800000 7fc00000"},
    {"float8", "fff0000000000000 bff0000000000000 8000000000000000 000012688b70e62b "
               "4022000000000000 4024000000000000 7ff0000000000000 7ff8000000000000"},
    {"numeric", "00000000f0000000 00010001400000000001 000200004000000100021388 "
                "00010000400000000002 0000000000000002 0001ffff000000040007 "
                "00010000000000000001 00030000000000050001000003e8 00010000000000000009 "
                "0001000000000000000a 00010002000000000001 00000000d0000000 00000000c0000000"},
    {"interval", "80000000000000008000000080000000 000000000000000000000000ffffffff "
                 "0000000000000000ffffffe300000000 ffffffffffffffff0000000000000000 "
                 "00000000000000010000000000000000 000000078b30c4000000000000000000 "
                 "ffffffe0fca94c000000000200000000 000000141dd75fff0000000000000000 "
                 "00000000000000000000000100000000 ffffffffffffffff0000000000000001 "
                 "00000000000000000000001e00000000 00000000000000010000000000000001 "
                 "0000000000000000000000007f50c600 7fffffffffffffff7fffffff7fffffff"},
    {"timetz", "000000000000000000000000 00000001ad274800fffff1f0 00000000d693a40000000000 "
               "000000000000000000000e10 00000001ad27480000000000 000000134743bc00ffff2d10 "
               "00000010c388d0000000a8c0"},
    {"inet", "0208000409000000 0208000409000001 0209000409000000 0218000409000001 "
             "0218000409000005 0220000409000002 0209000409800000 022000040a000000 "
             "0201000480000000 0300001000000000000000000000000000000000 "
             "0380001000000000000000000000000000000001 "
             "03070010ffff0000000000000000000000000000"},
    {"cidr", "0208010409000000 0218010409000000 020801040a000000 "
             "0300011000000000000000000000000000000000 "
             "03080110ff000000000000000000000000000000"},
    {"varbit", "00000000 0000000100 0000000200 0000000a0000 0000000410 0000000240 0000000180 "
               "0000000280 00000008ff 00000009ff00"},
    {"bit", "0000000300 0000000320 0000000380"},
};

struct values {
    size_t count;
    size_t sizes[VALUES_MOST];
    uint8_t bytes[VALUES_MOST][BYTES_MOST];
};

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static void read_values(const char *hex, struct values *out)
{
    *out = (struct values){.count = 1};
    for (; *hex != '\0'; hex++) {
        size_t *size = &out->sizes[out->count - 1];
        if (*hex == ' ') {
            assert_true(out->count++ < VALUES_MOST);
            continue;
        }
        assert_true(*size < BYTES_MOST);
        out->bytes[out->count - 1][(*size)++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
        hex++;
    }
}

static struct column column_of(const char *type)
{
    static char name[] = "k", type_name[] = "whatever it is called, a domain perhaps";
    return (struct column){.name = name,
                           .type_name = type_name,
                           .type = type_find(NULL, type),
                           .part = {0, 1, PART_NONE}};
}

static int sign(int order) { return (order > 0) - (order < 0); }

static void test_ascending(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        struct column column = column_of(ascending[i].type);
        enum key_order order = key_order_of(ascending[i].type);
        struct values values;
        read_values(ascending[i].values, &values);
        assert_int_equal(key_part(&column, order), 0);
        for (size_t a = 0; a < values.count; a++)
            for (size_t b = 0; b < values.count; b++)
                if (sign(key_compare(&column, order, values.bytes[a], values.sizes[a],
                                     values.bytes[b], values.sizes[b])) != (a > b) - (a < b))
                    fail_msg("%s: values %zu and %zu", ascending[i].type, a, b);
    }
}

static int compare_texts(const struct column *column, enum key_order order, const char *a,
                         const char *b)
{
    return sign(
        key_compare(column, order, (const uint8_t *)a, strlen(a), (const uint8_t *)b, strlen(b)));
}

/* Of text, of types without an order here, and of those that come without a binary. */
static void test_by_bytes(void **state)
{
    (void)state;
    struct column text = column_of("text"), other = column_of("jsonpath"),
                  refused = column_of("numeric");
    refused.part[PART_BINARY] = PART_NONE;
    assert_int_equal(key_part(&text, key_order_of("text")), 0);
    assert_int_equal(key_part(&other, key_order_of("")), 1);
    assert_int_equal(key_part(&refused, KEY_NUMERIC), 1);
    assert_int_equal(compare_texts(&text, KEY_TEXT, "ab", "abc"), -1);
    assert_int_equal(compare_texts(&text, KEY_TEXT, "b", "abc"), 1);
    assert_int_equal(compare_texts(&text, KEY_TEXT, "\xc3\xa4", "z"), 1);
    assert_int_equal(compare_texts(&other, KEY_TEXT, "10", "9"), -1);
    assert_int_equal(compare_texts(&refused, KEY_NUMERIC, "1000000000", "9"), -1);
    assert_int_equal(key_compare(&text, KEY_TEXT, NULL, 0, NULL, 0), 0);
}

/* -0 is 0, and all NaN are equal. */
static void test_equal(void **state)
{
    (void)state;
    struct column float8 = column_of("float8");
    const uint8_t zero[8] = {0}, minus[8] = {0x80}, nan[8] = {0x7f, 0xf8}, other[8] = {0xff, 0xff};
    assert_int_equal(key_compare(&float8, KEY_FLOAT, zero, 8, minus, 8), 0);
    assert_int_equal(key_compare(&float8, KEY_FLOAT, nan, 8, other, 8), 0);
}

/* Input is not trusted: nothing beyond either value is read, whatever it says of itself. */
static void test_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof ascending / sizeof *ascending; i++) {
        struct column column = column_of(ascending[i].type);
        enum key_order order = key_order_of(ascending[i].type);
        struct values values;
        read_values(ascending[i].values, &values);
        size_t size = values.sizes[values.count - 1];
        for (size_t a = 0; a <= size; a++)
            for (size_t b = 0; b <= size; b++) {
                uint8_t *x = malloc(a + 1), *y = malloc(b + 1);
                memcpy(x + 1, values.bytes[values.count - 1], a);
                memcpy(y + 1, values.bytes[values.count - 1], b);
                int there = key_compare(&column, order, x + 1, a, y + 1, b);
                int back = key_compare(&column, order, y + 1, b, x + 1, a);
                assert_int_equal(sign(there), -sign(back));
                free(x);
                free(y);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascending),
        cmocka_unit_test(test_by_bytes),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
