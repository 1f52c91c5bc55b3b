#include "codec/rendition.h"

#include "tests/unit/rows.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct columns *columns_of(const int *numbers, int count)
{
    struct columns *columns;
    assert_int_equal(columns_new(numbers, count, &columns), 0);
    return columns;
}

static void test_same(void **state)
{
    (void)state;
    static const int numbers[] = {1, 0, 2, 1, 0, 3};
    struct columns *some = columns_of(numbers, 3), *again = columns_of(numbers, 3);
    struct columns *fewer = columns_of(numbers, 2), *others = columns_of(numbers + 3, 3);
    struct columns *none = columns_of(NULL, 0);
    const struct rendition all[] = {
        {&format_csv, NULL}, {&format_csv, some},   {&format_csv, fewer}, {&format_csv, others},
        {&format_csv, none}, {&format_jsonl, NULL}, {&format_jsonl, some}};
    enum { ALL = sizeof all / sizeof *all };
    for (int i = 0; i < ALL; i++)
        for (int k = 0; k < ALL; k++) {
            assert_int_equal(rendition_same(&all[i], &all[k]), i == k);
            assert_int_equal(rendition_hash(&all[i]) == rendition_hash(&all[k]), i == k);
        }
    const struct rendition other = {&format_csv, again};
    assert_true(rendition_same(&all[1], &other));
    assert_true(rendition_hash(&all[1]) == rendition_hash(&other));
    assert_true(rendition_hash(&all[5]) == format_jsonl.number);
    struct columns *kept = columns_ref(some);
    assert_ptr_equal(kept, some);
    assert_null(columns_ref(NULL));
    columns_unref(kept);
    columns_unref(some);
    columns_unref(again);
    columns_unref(fewer);
    columns_unref(others);
    columns_unref(none);
    columns_unref(NULL);
}

/* A table that has these columns alone, called as they are in the other one. */
static struct schema *alone(const struct rows_table *table, const int *numbers, int count,
                            struct rows_table *out)
{
    *out = (struct rows_table){table->name, table->with_row_ids, count, {0}};
    for (int i = 0; i < count; i++)
        out->columns[i] = table->columns[numbers[i]];
    struct schema *schema = rows_schema(out);
    for (int i = 0; i < count; i++)
        schema->columns[i].name[2] = (char)('0' + numbers[i]);
    return schema;
}

static void assert_same_file(const struct format *format, const struct schema *a,
                             const struct rowgroup *rows_of_a, const struct schema *b,
                             const struct rowgroup *rows_of_b)
{
    const struct schema *schemas[] = {a, b};
    const struct rowgroup *rows[] = {rows_of_a, rows_of_b};
    struct buffer out[2] = {{0}};
    assert_int_equal(format->possible(a), format->possible(b));
    for (int i = 0; i < 2 && format->possible(a); i++) {
        struct buffer made = {0};
        const struct format_view told = {.schema = schemas[i], .rows = rows[i]->rows, .groups = 1};
        assert_int_equal(format_head(format, &told, &out[i]), 0);
        uint64_t size;
        uint64_t offsets[2] = {out[i].size};
        assert_int_equal(format->body(schemas[i], rows[i], &made, &out[i]), 0);
        if (format->body_size != NULL) {
            assert_int_equal(format->body_size(schemas[i], rows[i], &size), 0);
            assert_int_equal(size, out[i].size - offsets[0]);
        }
        const struct note note = {made.data, made.size};
        offsets[1] = out[i].size;
        assert_int_equal(format_tail(format, &told, format->notes ? &note : NULL, offsets, &out[i]),
                         0);
        buffer_clear(&made);
    }
    assert_int_equal(out[0].size, out[1].size);
    if (out[0].size > 0)
        assert_memory_equal(out[0].data, out[1].data, out[0].size);
    buffer_clear(&out[0]);
    buffer_clear(&out[1]);
}

static void check_choice(const struct rows_table *table, const int *numbers, int count)
{
    struct rows_table lone;
    struct schema *whole = rows_schema(table), *chosen, *own = alone(table, numbers, count, &lone);
    struct rowgroup *rows = rows_group(table, whole, 0, 40),
                    *own_rows = rows_group(&lone, own, 0, 40);
    assert_int_equal(schema_choose(whole, numbers, count, &chosen), 0);
    assert_int_equal(schema_parts(chosen), rows->run_count);
    for (int f = 0; f < FORMAT_COUNT; f++)
        assert_same_file(formats[f], chosen, rows, own, own_rows);
    rowgroup_free(rows);
    rowgroup_free(own_rows);
    schema_free(whole);
    schema_free(chosen);
    schema_free(own);
}

/* Some columns of a row group are what a table that has no others would be: one, two in each order,
 * one twice, all backwards, none. */
static void test_some_columns(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS_TABLES; t++) {
        const struct rows_table *table = &rows_tables[t];
        int backwards[ROWS_COLUMNS_MOST];
        for (int a = 0; a < table->count; a++) {
            backwards[table->count - 1 - a] = a;
            for (int b = 0; b < table->count; b++)
                check_choice(table, (const int[]){a, b}, 2);
            check_choice(table, &a, 1);
        }
        check_choice(table, backwards, table->count);
        check_choice(table, NULL, 0);
    }
}

static void test_no_such_column(void **state)
{
    (void)state;
    static const int wrong[] = {0, -1, 0, 5};
    struct schema *schema = rows_schema(&rows_tables[0]), *chosen = NULL;
    assert_int_equal(schema_choose(schema, wrong, 2, &chosen), -EINVAL);
    assert_int_equal(schema_choose(schema, wrong + 2, 2, &chosen), -EINVAL);
    assert_null(chosen);
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same),
                                       cmocka_unit_test(test_some_columns),
                                       cmocka_unit_test(test_no_such_column)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
