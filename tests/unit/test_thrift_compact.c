#include "codec/thrift_compact.h"

#include "tests/unit/parquet_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_bytes(const struct buffer *got, const char *expected, size_t size)
{
    assert_int_equal(got->size, size);
    assert_memory_equal(got->data, expected, size);
}

/* The example of the specification, and the ends. */
static void test_varint(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *bytes;
        size_t size;
    } cases[] = {{0, "\0", 1},
                 {127, "\x7F", 1},
                 {128, "\x80\x01", 2},
                 {50399, "\xDF\x89\x03", 3},
                 {UINT64_MAX, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out = {0};
        assert_int_equal(varint_put(&out, cases[i].value), 0);
        assert_bytes(&out, cases[i].bytes, cases[i].size);
        buffer_clear(&out);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct thrift thrift;
    thrift_open(&thrift, &out);
    thrift_i32(&thrift, 1, 1);
    thrift_i32(&thrift, 2, -1);
    thrift_i64(&thrift, 4, INT64_MIN);
    thrift_bool(&thrift, 5, true);
    thrift_bool(&thrift, 6, false);
    thrift_i8(&thrift, 7, -2);
    thrift_text(&thrift, 22, "ab");  /* a step of 15 */
    thrift_text(&thrift, 38, "");    /* of 16 */
    thrift_open_struct(&thrift, 39); /* has ids of its own */
    thrift_i32(&thrift, 1, 300);
    thrift_close_struct(&thrift);
    thrift_list(&thrift, 40, THRIFT_I32, 2);
    thrift_element_i32(&thrift, 0);
    thrift_element_i32(&thrift, -2);
    thrift_list(&thrift, 41, THRIFT_BYTES, 15);
    for (int i = 0; i < 15; i++)
        thrift_element_text(&thrift, "x");
    thrift_list(&thrift, 42, THRIFT_STRUCT, 1);
    thrift_open_element(&thrift);
    thrift_i8(&thrift, 1, 5);
    thrift_close_struct(&thrift);
    assert_int_equal(thrift_close(&thrift), 0);
    static const char expected[] = "\x15\x02\x15\x01"
                                   "\x26\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"
                                   "\x11\x12\x13\xFE"
                                   "\xF8\x02"
                                   "ab"
                                   "\x08\x4C\x00"
                                   "\x1C\x15\xD8\x04\x00"
                                   "\x19\x25\x00\x03"
                                   "\x19\xF8\x0F"
                                   "\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x\1x"
                                   "\x19\x1C\x13\x05\x00"
                                   "\x00";
    assert_bytes(&out, expected, sizeof expected - 1);
    buffer_clear(&out);
}

/* What the reader of the tests finds in it. */
static void test_read_back(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, -1, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 7; i++) {
        struct buffer out = {0};
        struct thrift thrift;
        struct thrift_value value = {0};
        struct complaint complaint = {""};
        thrift_open(&thrift, &out);
        thrift_i64(&thrift, 3, numbers[i]);
        thrift_i32(&thrift, 1000, (int32_t)numbers[i]);
        assert_int_equal(thrift_close(&thrift), 0);
        struct thrift_in in = {out.data, out.data + out.size, &complaint};
        assert_true(thrift_read_struct(&in, &value));
        assert_true(in.at == in.end && value.count == 2);
        assert_true(thrift_number(&value, 3, 7) == numbers[i]);
        assert_true(thrift_number(&value, 1000, 7) == (int32_t)numbers[i]);
        thrift_value_clear(&value);
        buffer_clear(&out);
    }
}

static void test_wrong_use(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct thrift thrift;
    thrift_open(&thrift, &out);
    thrift_i32(&thrift, 2, 0);
    thrift_i32(&thrift, 2, 0);
    assert_int_equal(thrift_close(&thrift), -EINVAL);
    thrift_open(&thrift, &out);
    for (int i = 0; i < THRIFT_DEPTH_MOST; i++)
        thrift_open_struct(&thrift, 1);
    assert_int_equal(thrift_close(&thrift), -EINVAL);
    thrift_open(&thrift, &out);
    thrift_open_struct(&thrift, 1);
    assert_int_equal(thrift_close(&thrift), -EINVAL);
    buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varint),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_read_back),
        cmocka_unit_test(test_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
