/* Integers against printf. */
#include "codec/number_text.h"

#include "codec/bytes.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_integer(int64_t number)
{
    char expected[32], text[INTEGER_TEXT_MAX];
    size_t n = (size_t)snprintf(expected, sizeof expected, "%" PRId64, number);
    if (integer_text(number, text) != n || memcmp(text, expected, n) != 0)
        fail_msg("%s", expected);
}

static void assert_both_signs(int64_t number)
{
    assert_integer(number);
    assert_integer(-number);
}

static void test_powers(void **state)
{
    (void)state;
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10)
        for (int64_t digit = 1; digit < 10; digit++)
            for (int64_t add = -2; add <= 2; add++)
                assert_both_signs(power * digit + add);
    for (int bit = 0; bit < 63; bit++)
        for (int64_t add = -1; add <= 1; add++)
            assert_both_signs((INT64_C(1) << bit) + add);
    assert_integer(INT64_MIN);
    assert_integer(INT64_MIN + 1);
    assert_integer(INT64_MAX);
    assert_integer(INT64_MAX - 1);
}

/* Every half of eight digits, as the upper and as the lower one. */
static void test_halves(void **state)
{
    (void)state;
    for (int64_t half = 0; half < 10000; half++) {
        assert_both_signs(half);
        assert_both_signs(half * 10000);
        assert_both_signs(half * 10000 + half);
        assert_both_signs(half * 10000 + 9999);
        assert_both_signs(99990000 + half);
        assert_both_signs(half % 922 * INT64_C(10000000000000000) + half * INT64_C(1000000000001));
        assert_both_signs(half * INT64_C(100000000000000));
    }
}

static void test_scattered(void **state)
{
    (void)state;
    uint64_t number = 1;
    for (int i = 0; i < 300000; i++) {
        number = number * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        assert_integer((int64_t)(number ^ number >> 31) >> i % 64);
    }
}

/* The write functions: every int2, bounds of the others, wrong sizes. */
static void test_wire(void **state)
{
    (void)state;
    static const struct {
        write_value *write;
        size_t size;
        int64_t first, last;
    } types[] = {{int2_write, 2, INT16_MIN, INT16_MAX},
                 {int4_write, 4, INT32_MIN, INT32_MAX},
                 {int8_write, 8, INT64_MIN, INT64_MAX},
                 {oid_write, 4, 0, UINT32_MAX}};
    for (size_t t = 0; t < 4; t++)
        for (uint64_t step = 0; step < 65536; step++) {
            uint64_t number = (step < 32768 ? (uint64_t)types[t].first : (uint64_t)types[t].last) +
                              (step < 32768 ? step : step - 65535);
            uint8_t wire[8], out[VALUE_ROOM];
            char expected[32];
            store_be64(wire, number);
            int n = snprintf(expected, sizeof expected, "%" PRId64, (int64_t)number);
            const uint8_t *end = types[t].write(NULL, out, wire + 8 - types[t].size, types[t].size);
            assert_int_equal(end - out, n);
            assert_memory_equal(out, expected, (size_t)n);
        }
    for (size_t t = 0; t < 4; t++)
        for (size_t size = 0; size < 10; size++) {
            uint8_t wire[10] = {0}, out[VALUE_ROOM];
            uint8_t *end = types[t].write(NULL, out, wire, size);
            assert_int_equal(end != NULL, size == types[t].size);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_powers),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
