#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/selection.h"
#include "pgclient/sql_text.h"

#include <errno.h>

static void assert_put(struct text *sql, const char *expected)
{
    assert_string_equal(text_string(sql), expected);
    text_clear(sql);
}

static void names_and_literals_are_quoted(void **state)
{
    (void)state;
    struct text sql = {0};
    sql_name(&sql, "a \"b\" 'c'");
    assert_put(&sql, "\"a \"\"b\"\" 'c'\"");
    sql_relation(&sql, "S.x", "");
    assert_put(&sql, "\"S.x\".\"\"");
    sql_literal(&sql, "it's '' \"\\");
    assert_put(&sql, "'it''s '''' \"\\'");
    sql_literal(&sql, "");
    assert_put(&sql, "''");
}

static void numbers_are_listed(void **state)
{
    (void)state;
    struct text sql = {0};
    sql_listed(&sql, 0, UINT32_MAX);
    sql_listed(&sql, 1, -1);
    sql_listed(&sql, 2, 0);
    assert_put(&sql, "4294967295,-1,0");
}

static void nothing_follows_a_failure(void **state)
{
    (void)state;
    struct text sql = {0};
    text_fail(&sql, -EINVAL);
    sql_name(&sql, "a");
    sql_relation(&sql, "a", "b");
    sql_literal(&sql, "a");
    sql_listed(&sql, 0, 1);
    assert_int_equal(sql.bytes.size, 0);
    assert_int_equal(sql.failed, -EINVAL);
    text_clear(&sql);
}

/* A relation of so many columns, all in the server's own binary. */
static void select_columns(int count, struct text *sql)
{
    const struct source source = {.from = (char *)"ONLY \"t\""};
    const struct ctid_range range = {{1, 2}, {3, 4}};
    struct schema *schema;
    assert_int_equal(schema_new(true, &schema), 0);
    for (int i = 0; i < count; i++) {
        assert_int_equal(schema_add(schema, "c", "int4", type_find(NULL, "int4"), true), 0);
        schema->columns[i].part[PART_BINARY] = i;
        schema->columns[i].part[PART_TEXT] = schema->columns[i].part[PART_JSON] = PART_NONE;
    }
    selection_put(sql, schema, &source, &range, "UTF8");
    schema_free(schema);
}

static void a_select_has_so_many_columns_at_most(void **state)
{
    (void)state;
    struct text sql = {0};
    select_columns(2, &sql);
    assert_put(&sql, "SELECT ctid, xmin, \"c\", \"c\" FROM ONLY \"t\""
                     " WHERE ctid >= '(1,2)'::pg_catalog.tid AND ctid < '(3,4)'::pg_catalog.tid");
    select_columns(1662, &sql);
    assert_int_equal(sql.failed, 0);
    text_clear(&sql);
    select_columns(1663, &sql);
    assert_int_equal(sql.failed, -EOVERFLOW);
    assert_null(text_take(&sql));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_literals_are_quoted),
        cmocka_unit_test(numbers_are_listed),
        cmocka_unit_test(nothing_follows_a_failure),
        cmocka_unit_test(a_select_has_so_many_columns_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
