#include "codec/rowgroup_pick.h"

#include "tests/unit/rows.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Rows of a group in another order. */
struct choice {
    const struct rowgroup *from;
    const uint32_t *rows;
    uint32_t fail_at;
};

static int choose(void *context, int run, uint32_t row, struct buffer *out)
{
    const struct choice *choice = context;
    struct run_cursor cursor = {.run = &choice->from->runs[run]};
    const uint8_t *bytes = NULL;
    size_t size = 0;
    bool given = false;
    if (row == choice->fail_at)
        return -EIO;
    for (uint32_t i = 0; i <= choice->rows[row]; i++)
        given = run_next(&cursor, &bytes, &size);
    return given ? buffer_append(out, bytes, size) : PICK_NULL;
}

/* What is picked is rendered as the lines of the whole in that order. */
static void check_table(const struct rows_table *table, int format)
{
    static const uint32_t rows[] = {17, 3, 3, 0, 41, 2};
    enum { COUNT = sizeof rows / sizeof *rows };
    struct schema *schema = rows_schema(table);
    struct rowgroup *whole = rows_group(table, schema, 0, 50), *picked;
    struct choice choice = {whole, rows, UINT32_MAX};
    struct buffer got = {0}, expected = {0};
    assert_int_equal(rowgroup_pick(schema_parts(schema), COUNT, choose, &choice, &picked), 0);
    assert_int_equal(picked->rows, COUNT);
    assert_int_equal(formats[format]->body(schema, picked, NULL, &got), 0);
    for (int i = 0; i < COUNT; i++) {
        struct rowgroup *one = rows_group(table, schema, rows[i], rows[i] + 1);
        assert_int_equal(formats[format]->body(schema, one, NULL, &expected), 0);
        rowgroup_free(one);
    }
    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, got.size);
    rowgroup_free(picked);
    buffer_clear(&got);
    buffer_clear(&expected);
    choice.fail_at = COUNT - 1;
    if (schema_parts(schema) > 0)
        assert_int_equal(rowgroup_pick(schema_parts(schema), COUNT, choose, &choice, &picked),
                         -EIO);
    rowgroup_free(whole);
    schema_free(schema);
}

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct schema *schema = rows_schema(&rows_tables[i]);
            /* of what is compressed, or is in columns, lines are not one behind another */
            bool possible = !formats[f]->whole && formats[f]->possible(schema);
            schema_free(schema);
            if (possible)
                check_table(&rows_tables[i], f);
        }
}

static void test_nothing(void **state)
{
    struct rowgroup *group;
    struct choice choice = {.fail_at = 0};
    (void)state;
    assert_int_equal(rowgroup_pick(2, 0, choose, &choice, &group), 0);
    assert_int_equal(group->rows, 0);
    assert_int_equal(group->runs[1].size, 0);
    rowgroup_free(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tables),
                                       cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
