#include "fs/base/row_name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct row_name read_name(const char *text)
{
    struct row_name name;
    assert_int_equal(row_name_read(text, strlen(text), &name), 0);
    return name;
}

static void assert_no_name(const char *text)
{
    struct row_name name;
    assert_int_equal(row_name_read(text, strlen(text), &name), -ENOENT);
}

/* What is written leads back to the values, and no two lists of values have one name. */
static void assert_round_trip(const char *const *values, int count, const char *expected)
{
    struct buffer text = {0};
    assert_int_equal(row_name_write(values, count, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    assert_string_equal(text.data, expected);
    struct row_name name = read_name((const char *)text.data);
    assert_null(name.column);
    if (count == 1) {
        assert_string_equal(name.whole, values[0]);
    } else {
        assert_int_equal(name.count, count);
        for (int i = 0; i < count; i++)
            assert_string_equal(name.values[i], values[i]);
    }
    row_name_clear(&name);
    buffer_clear(&text);
}

static void test_keys_of_one_column(void **state)
{
    (void)state;
    assert_round_trip((const char *[]){"655"}, 1, "655");
    assert_round_trip((const char *[]){""}, 1, "");
    assert_round_trip((const char *[]){"a,b"}, 1, "a,b");
    assert_round_trip((const char *[]){"a=b"}, 1, "a%3Db");
    assert_round_trip((const char *[]){".x/%\n"}, 1, "%2Ex%2F%25%0A");
    assert_round_trip((const char *[]){"é 'q'; \"--"}, 1, "é 'q'; \"--");
    for (int c = 1; c < 256; c++) {
        const char one[2] = {(char)c, '\0'};
        const char *values[] = {one};
        struct buffer text = {0};
        assert_int_equal(row_name_write(values, 1, &text), 0);
        struct row_name name;
        assert_int_equal(row_name_read((char *)text.data, text.size, &name), 0);
        assert_string_equal(name.whole, one);
        row_name_clear(&name);
        buffer_clear(&text);
    }
}

static void test_keys_of_several_columns(void **state)
{
    (void)state;
    assert_round_trip((const char *[]){"a", "b"}, 2, "a,b");
    assert_round_trip((const char *[]){"a,b", "c"}, 2, "a%2Cb,c");
    assert_round_trip((const char *[]){"a", "b,c"}, 2, "a,b%2Cc");
    assert_round_trip((const char *[]){"", ""}, 2, ",");
    assert_round_trip((const char *[]){".a", ".b", "="}, 3, "%2Ea,.b,%3D");
    const char *most[ROW_NAME_VALUES];
    char expected[2 * ROW_NAME_VALUES];
    for (int i = 0; i < ROW_NAME_VALUES; i++) {
        most[i] = "x";
        memcpy(expected + 2 * i, "x,", 2);
    }
    expected[sizeof expected - 1] = '\0';
    assert_round_trip(most, ROW_NAME_VALUES, expected);
}

/* A comma may be part of the value of a key of one column. */
static void test_both_readings(void **state)
{
    (void)state;
    struct row_name name = read_name("a,b");
    assert_string_equal(name.whole, "a,b");
    assert_int_equal(name.count, 2);
    row_name_clear(&name);
    name = read_name("a%2Cb,c");
    assert_null(name.whole);
    assert_int_equal(name.count, 2);
    assert_string_equal(name.values[0], "a,b");
    row_name_clear(&name);
    char many[2 * ROW_NAME_VALUES + 2]; /* more values than any key has */
    memset(many, ',', sizeof many - 1);
    many[sizeof many - 1] = '\0';
    name = read_name(many);
    assert_string_equal(name.whole, many);
    assert_int_equal(name.count, 0);
    row_name_clear(&name);
}

static void test_columns(void **state)
{
    (void)state;
    struct row_name name = read_name("mail=a,b");
    assert_string_equal(name.column, "mail");
    assert_string_equal(name.whole, "a,b");
    assert_int_equal(name.count, 0);
    row_name_clear(&name);
    name = read_name("a%3Db.c=");
    assert_string_equal(name.column, "a=b.c");
    assert_string_equal(name.whole, "");
    row_name_clear(&name);
    name = read_name("%2Edot=.x%3D");
    assert_string_equal(name.column, ".dot");
    assert_string_equal(name.whole, ".x=");
    row_name_clear(&name);
}

/* Written in another way than ours. */
static void test_no_names(void **state)
{
    (void)state;
    assert_no_name("=a");
    assert_no_name("a=b=c");
    assert_no_name("a%3Db=c=d");
    assert_no_name("%61");
    assert_no_name("%3d");
    assert_no_name("a%");
    assert_no_name("a%0");
    assert_no_name("%00");
    assert_no_name(".x");
    assert_no_name("mail=%2Ex");
    assert_no_name(".mail=x");
    assert_no_name("mail=a%2Cb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_one_column), cmocka_unit_test(test_keys_of_several_columns),
        cmocka_unit_test(test_both_readings),      cmocka_unit_test(test_columns),
        cmocka_unit_test(test_no_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
