/* Patterns of pg_dump for some names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/name_pattern.h"

static void expect(const char *expected, const char *const *names, size_t count)
{
    struct buffer out = {0};
    assert_int_equal(name_pattern_put(&out, "s", names, count), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_clear(&out);
}

#define EXPECT(expected, ...)                                                                      \
    expect(expected, (const char *const[]){__VA_ARGS__},                                           \
           sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void what_names_begin_with_is_there_once(void **state)
{
    (void)state;
    EXPECT("\"s\".\"one\"", "one");
    EXPECT("\"s\".(\"one\"|\"two\")", "one", "two");
    EXPECT("\"s\".\"t\"(\"hree\"|\"wo\")", "three", "two");
    EXPECT("\"s\".\"t_\"(\"1\"(|\"0\"(|\"0\"))|\"2\")", "t_1", "t_10", "t_100", "t_2");
    EXPECT("\"s\".(\"a\"|\"t\"(|\"o\"))", "a", "t", "to");
}

/* A server's pattern is made of characters, and so are those that a quote makes literal. */
static void characters_stay_whole(void **state)
{
    (void)state;
    EXPECT("\"s\".(\"\u00e4\"|\"\u00f6\")", "\u00e4", "\u00f6");
    EXPECT("\"s\".\"\u00e4\"(\"\u00e4\"|\"\u4e2d\")", "\u00e4\u00e4", "\u00e4\u4e2d");
    EXPECT("\"s\".\"a\"(\"\"\"\"\"\"|\"*\"|\".\")", "a\"\"", "a*", "a.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_names_begin_with_is_there_once),
        cmocka_unit_test(characters_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
