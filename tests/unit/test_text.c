#include "codec/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_pieces(void **state)
{
    (void)state;
    struct text text = {0};
    text_put(&text, "one");
    text_put_byte(&text, ',');
    text_put_bytes(&text, "twofold", 3);
    text_printf(&text, ", %d %s", 3, "three");
    assert_string_equal(text_string(&text), "one,two, 3 three");
    text_put(&text, "."); /* it goes on behind what was a string */
    assert_string_equal(text_string(&text), "one,two, 3 three.");
    assert_int_equal(text.bytes.size, strlen("one,two, 3 three."));
    text_clear(&text);
    text_clear(&text);
    assert_string_equal(text_string(&text), "");
    text_clear(&text);
}

static void test_take(void **state)
{
    (void)state;
    struct text text = {0};
    char *empty = text_take(&text);
    assert_string_equal(empty, "");
    free(empty);
    text_put(&text, "mine");
    char *taken = text_take(&text);
    assert_string_equal(taken, "mine");
    free(taken);
    assert_null(text.bytes.data);
    text_put(&text, "again");
    assert_string_equal(text_string(&text), "again");
    text_clear(&text);
}

static void test_first_error_stays(void **state)
{
    (void)state;
    struct text text = {0};
    text_put(&text, "begun");
    text_fail(&text, 0);
    assert_int_equal(text.failed, 0);
    text_fail(&text, -EOVERFLOW);
    text_fail(&text, -EINVAL);
    text_put(&text, "lost");
    text_printf(&text, "%d", 1);
    assert_int_equal(text.failed, -EOVERFLOW);
    assert_int_equal(text.bytes.size, strlen("begun"));
    assert_null(text_string(&text));
    assert_null(text_take(&text));
    assert_int_equal(text.failed, 0);
    assert_null(text.bytes.data);
}

/* As if memory had run out, of any kind of piece. */
static void test_no_memory(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct text text = {0};
        text_put(&text, "begun");
        size_t size = text.bytes.size, capacity = text.bytes.capacity;
        text.bytes.size = text.bytes.capacity = SIZE_MAX / 2; /* buffer_grow refuses to go on */
        if (kind == 0)
            text_put(&text, "x");
        else if (kind == 1)
            text_put_byte(&text, 'x');
        else if (kind == 2)
            text_printf(&text, "%s", "x");
        else
            assert_null(text_string(&text));
        assert_int_equal(text.failed, -ENOMEM);
        text.bytes.size = size;
        text.bytes.capacity = capacity;
        text_put(&text, "lost");
        assert_int_equal(text.bytes.size, size);
        assert_null(text_string(&text));
        text_clear(&text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_first_error_stays),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
