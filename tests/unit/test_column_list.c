#include "codec/column_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct schema *schema_of(const char *const *names, int count)
{
    struct schema *schema;
    assert_int_equal(schema_new(true, &schema), 0);
    for (int i = 0; i < count; i++)
        assert_int_equal(schema_add(schema, names[i], "integer", NULL, true), 0);
    return schema;
}

static const char *const names[] = {"id", "word", "Word", "a,b", "say \"it\"", " ", "ÄÖ"};
enum { NAMES = sizeof names / sizeof *names };

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int count, numbers[NAMES];
    } good[] = {
        {"id", 1, {0}},         {"word,id", 2, {1, 0}},    {" id ,\tword ", 2, {0, 1}},
        {"ID,WORD", 2, {0, 1}}, {"Word,word", 2, {2, 1}}, /* one that is called so comes before */
        {"\"Word\"", 1, {2}},   {"\"a,b\",id", 2, {3, 0}}, {"\"say \"\"it\"\"\" , id", 2, {4, 0}},
        {"say \"it\"", 1, {4}}, {"\" \"", 1, {5}},         {"ÄÖ", 1, {6}},
    };
    struct schema *schema = schema_of(names, NAMES);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int *numbers, count;
        assert_int_equal(column_list_numbers(good[i].list, schema, &numbers, &count, NULL), 0);
        assert_int_equal(count, good[i].count);
        assert_memory_equal(numbers, good[i].numbers, (size_t)count * sizeof *numbers);
        free(numbers);
    }
    schema_free(schema);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *list, *words;
    } bad[] = {
        {"", "columns: there is no column \"\""},
        {"id,", "columns: there is no column \"\""},
        {"ids", "columns: there is no column \"ids\""},
        {"i", "columns: there is no column \"i\""},
        {"\"ID\"", "columns: there is no column \"ID\""},
        {"id,word,ID", "columns: \"ID\" is named twice"},
        {"\"id", "columns: names are separated by commas, odd ones are in quotes"},
        {"\"id\"word", "columns: names are separated by commas, odd ones are in quotes"},
    };
    struct schema *schema = schema_of(names, NAMES);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {""};
        int *numbers = NULL, count = 7;
        assert_int_equal(column_list_numbers(bad[i].list, schema, &numbers, &count, &error),
                         -EINVAL);
        assert_string_equal(error.text, bad[i].words);
        assert_null(numbers);
        assert_int_equal(count, 7);
    }
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
