/* When the text of all schema.sql is made at once. */
#include "fs/tables/schema_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include <errno.h>

/* Signatures of one state, in time, and of another. */
#define EARLY "1/2/3/run/sums@100"
#define LATE "1/2/3/run/sums@200"
#define OTHER "1/2/3/run/others@300"

static void the_third_makes_it(void **state)
{
    (void)state;
    struct schema_text text = {0};
    assert_int_equal(schema_text_ask(&text, EARLY, 0), SCHEMA_TEXT_ALONE);
    assert_int_equal(schema_text_ask(&text, LATE, 0), SCHEMA_TEXT_ALONE);
    assert_int_equal(schema_text_ask(&text, EARLY, 0), SCHEMA_TEXT_MAKE);
    text.making = true;
    assert_int_equal(schema_text_ask(&text, LATE, 0), SCHEMA_TEXT_WAIT);
    assert_int_equal(schema_text_ask(&text, OTHER, 0), SCHEMA_TEXT_WAIT);
    schema_text_clear(&text);
}

static void each_state_is_counted_by_itself(void **state)
{
    (void)state;
    struct schema_text text = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(schema_text_ask(&text, EARLY, 0), SCHEMA_TEXT_ALONE);
        assert_int_equal(schema_text_ask(&text, EARLY, 0), SCHEMA_TEXT_ALONE);
        assert_int_equal(schema_text_ask(&text, OTHER, 0), SCHEMA_TEXT_ALONE);
    }
    schema_text_clear(&text);
}

/* Where the server does not tell its position no two are of one state. */
static void what_proves_nothing_is_never_worth_it(void **state)
{
    (void)state;
    struct schema_text text = {0};
    for (int i = 0; i < 10; i++)
        assert_int_equal(schema_text_ask(&text, "1/2/3//sums", 0), SCHEMA_TEXT_ALONE);
    schema_text_clear(&text);
}

static void in_a_pause_each_is_alone(void **state)
{
    (void)state;
    struct schema_text text = {.pause_until = 1000};
    for (int i = 0; i < 10; i++)
        assert_int_equal(schema_text_ask(&text, EARLY, 999), SCHEMA_TEXT_ALONE);
    assert_int_equal(schema_text_ask(&text, EARLY, 1000), SCHEMA_TEXT_MAKE);
    schema_text_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_third_makes_it),
        cmocka_unit_test(each_state_is_counted_by_itself),
        cmocka_unit_test(what_proves_nothing_is_never_worth_it),
        cmocka_unit_test(in_a_pause_each_is_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
