#include "codec/rowgroup_agree.h"

#include "tests/unit/rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 40 };

static uint32_t xmin_of(const struct rowgroup *group, uint32_t row)
{
    return rowgroup_row_id(group, row).xmin;
}

/* Of each table: what is gone does not matter; what is new must be new enough. */
static void test_rows_that_come_and_go(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        const struct rows_table *table = &rows_tables[i];
        if (!table->with_row_ids)
            continue;
        struct schema *schema = rows_schema(table);
        struct rowgroup *whole = rows_group(table, schema, 0, ROWS),
                        *part = rows_group(table, schema, 7, ROWS - 5);
        uint32_t newest = 0, oldest = UINT32_MAX;
        for (uint32_t row = 0; row < ROWS; row++) {
            if (row >= 7 && row < ROWS - 5)
                continue;
            newest = xmin_of(whole, row) > newest ? xmin_of(whole, row) : newest;
            oldest = xmin_of(whole, row) < oldest ? xmin_of(whole, row) : oldest;
        }
        assert_true(rowgroup_agrees(whole, whole, newest + 1000));
        assert_true(rowgroup_agrees(whole, part, newest + 1000));
        assert_true(rowgroup_agrees(part, whole, oldest));
        assert_true(rowgroup_agrees(part, whole, oldest - 1000)); /* may be less than 0 */
        assert_false(rowgroup_agrees(part, whole, newest + 1));
        rowgroup_free(whole);
        rowgroup_free(part);
        schema_free(schema);
    }
}

/* Any changed byte of a value under the same id. */
static void test_other_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        const struct rows_table *table = &rows_tables[i];
        if (!table->with_row_ids)
            continue;
        struct schema *schema = rows_schema(table);
        struct rowgroup *earlier = rows_group(table, schema, 0, ROWS),
                        *later = rows_group(table, schema, 3, ROWS);
        for (int run = 0; run < later->run_count; run++)
            for (size_t at = 0; at < later->runs[run].size; at++) {
                uint8_t *byte = (uint8_t *)(uintptr_t)&later->runs[run].bytes[at];
                *byte ^= 1;
                assert_false(rowgroup_agrees(earlier, later, 0));
                *byte ^= 1;
            }
        assert_true(rowgroup_agrees(earlier, later, 0));
        rowgroup_free(earlier);
        rowgroup_free(later);
        schema_free(schema);
    }
}

/* Another transaction id in the same place is another row. */
static void test_a_place_that_was_used_again(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[3]);
    struct rowgroup *earlier = rows_group(&rows_tables[3], schema, 0, ROWS),
                    *later = rows_group(&rows_tables[3], schema, 0, ROWS);
    uint8_t *xmin = (uint8_t *)(uintptr_t)later->row_ids.bytes + 10 * 11 + 4;
    ++*xmin;
    uint32_t now = xmin_of(later, 11);
    assert_true(rowgroup_agrees(earlier, later, now));
    assert_false(rowgroup_agrees(earlier, later, now + 1));
    rowgroup_free(earlier);
    rowgroup_free(later);
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_that_come_and_go),
        cmocka_unit_test(test_other_values),
        cmocka_unit_test(test_a_place_that_was_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
