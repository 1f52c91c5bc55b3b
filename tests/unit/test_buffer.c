#include "codec/buffer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Appended in pieces of every size up to 200, it holds what was appended. */
static void test_appends(void **state)
{
    (void)state;
    for (size_t piece = 1; piece <= 200; piece++) {
        struct buffer buffer = {0};
        uint8_t expected[1000], *at = expected;
        for (size_t i = 0; i < sizeof expected; i++)
            expected[i] = (uint8_t)(i * 31 + piece);
        for (size_t left = sizeof expected; left > 0;) {
            size_t n = left < piece ? left : piece;
            assert_int_equal(buffer_append(&buffer, at, n), 0);
            at += n;
            left -= n;
            assert_true(buffer.capacity >= buffer.size);
        }
        assert_int_equal(buffer.size, sizeof expected);
        assert_memory_equal(buffer.data, expected, sizeof expected);
        buffer_clear(&buffer);
        assert_null(buffer.data);
        assert_int_equal(buffer.size + buffer.capacity, 0);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append(&buffer, NULL, 0), 0);
    assert_int_equal(buffer_append_text(&buffer, ""), 0);
    assert_int_equal(buffer_reserve(&buffer, 0), 0);
    assert_int_equal(buffer.size, 0);
    buffer_clear(&buffer);
    buffer_clear(&buffer);
}

static void test_reserve_changes_no_contents(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_int_equal(buffer_append_text(&buffer, "abc"), 0);
    for (size_t extra = 0; extra < 5000; extra += 7) {
        assert_int_equal(buffer_reserve(&buffer, extra), 0);
        assert_true(buffer.capacity - buffer.size >= extra);
        assert_int_equal(buffer.size, 3);
        assert_memory_equal(buffer.data, "abc", 3);
    }
    buffer_clear(&buffer);
}

/* More than an address space: refused before it is added up, and the contents stay. */
static void test_too_much(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 3, SIZE_MAX / 2 + 1,
                                   SIZE_MAX / 2};
    struct buffer buffer = {0};
    assert_int_equal(buffer_append_text(&buffer, "abc"), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_int_equal(buffer_grow(&buffer, sizes[i]), -ENOMEM);
        assert_int_equal(buffer_reserve(&buffer, sizes[i]), -ENOMEM);
        assert_int_equal(buffer.size, 3);
        assert_memory_equal(buffer.data, "abc", 3);
    }
    buffer_clear(&buffer);
}

static void test_printf(void **state)
{
    (void)state;
    for (int width = 0; width < 300; width++) {
        struct buffer buffer = {0};
        char expected[400];
        int n = snprintf(expected, sizeof expected, "<%*d|%s>", width, 42, "ü");
        assert_int_equal(buffer_append_byte(&buffer, '#'), 0);
        assert_int_equal(buffer_printf(&buffer, "<%*d|%s>", width, 42, "ü"), 0);
        assert_int_equal(buffer.size, n + 1);
        assert_int_equal(buffer.data[0], '#');
        assert_memory_equal(buffer.data + 1, expected, (size_t)n);
        buffer_clear(&buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_reserve_changes_no_contents),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_printf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
