#include "codec/pen.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PIECES = 3000, SPARE = 100 };

static uint32_t scattered(uint32_t i) { return i * 2654435761U >> 16; }

/* Every way to write, in turns; the n-th piece is of one byte value. */
static void write_pieces(struct buffer *out, struct buffer *expected)
{
    struct pen pen = {.out = out, .spare = SPARE};
    uint8_t *at = pen_open(&pen), value[1000];
    for (uint32_t i = 0; i < PIECES; i++) {
        size_t size = scattered(i) % (i % 100 == 0 ? 1000 : 40);
        memset(value, (int)(i % 251), sizeof value);
        assert_int_equal(buffer_append(expected, value, size), 0);
        if (i % 3 == 0) {
            at = pen_room(&pen, at, size);
            assert_non_null(at);
            memset(at + size, 0xee, SPARE); /* may be written, too */
            memcpy(at, value, size);
            at += size;
        } else if (i % 3 == 1) {
            at = pen_bytes(&pen, at, value, size);
        } else {
            struct buffer *lent = pen_lend(&pen, at, 20);
            assert_non_null(lent);
            assert_int_equal(buffer_append(lent, value, size), 0);
            at = pen_resume(&pen, lent);
        }
        assert_non_null(at);
        assert_true((size_t)(pen.limit - at) >= SPARE);
    }
    assert_int_equal(pen_flush(&pen, at), 0);
    pen_clear(&pen);
}

static void test_growing(void **state)
{
    (void)state;
    struct buffer out = {0}, expected = {0};
    write_pieces(&out, &expected);
    assert_int_equal(out.size, expected.size);
    assert_memory_equal(out.data, expected.data, out.size);
    buffer_clear(&out);
    buffer_clear(&expected);
}

/* A buffer in which there is room for what is written, and not for a byte more, stays. */
static void test_exact(void **state)
{
    (void)state;
    struct buffer first = {0}, expected = {0}, out = {0};
    write_pieces(&first, &expected);
    assert_int_equal(buffer_reserve(&out, first.size), 0);
    assert_int_equal(out.capacity, first.size);
    const uint8_t *data = out.data;
    buffer_clear(&expected);
    write_pieces(&out, &expected);
    assert_ptr_equal(out.data, data);
    assert_int_equal(out.capacity, first.size);
    assert_memory_equal(out.data, expected.data, out.size);
    buffer_clear(&first);
    buffer_clear(&out);
    buffer_clear(&expected);
}

static void test_too_much(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct pen pen = {.out = &out, .spare = SPARE};
    uint8_t *at = pen_open(&pen);
    assert_non_null(at);
    assert_null(pen_move(&pen, at, SIZE_MAX - SPARE / 2));
    assert_int_equal(pen.rc, -ENOMEM);
    pen_clear(&pen);
    buffer_clear(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growing),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
