#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/search_path.h"

#include <errno.h>

static void temporary_tables_come_last(void **state)
{
    (void)state;
    static const struct {
        const char *path, *put;
    } paths[] = {
        {"", "pg_temp"},
        {"  ", "pg_temp"},
        {"\"$user\", public", "\"$user\", \"public\", pg_temp"},
        {"$user,Public\t, \"Public\" ", "\"$user\", \"public\", \"Public\", pg_temp"},
        {"\"a, \"\"b\", \"\", c-d", "\"a, \"\"b\", \"c-d\", pg_temp"},
        {"\"\"", "pg_temp"},
        {"\"\", pg_temp", "pg_temp"},
        {"a, \"\", b", "\"a\", \"b\", pg_temp"},
        {"pg_temp", "pg_temp"},
        {"PG_TEMP, a, \"pg_temp\", b", "\"a\", \"b\", pg_temp"},
    };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct text sql = {0};
        search_path_put(&sql, paths[i].path);
        assert_string_equal(text_string(&sql), paths[i].put);
        text_clear(&sql);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"a,", ",a", "a b", "\"a", "\"a\"b", "x; DROP", "a,,b"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct text sql = {0};
        search_path_put(&sql, paths[i]);
        assert_int_equal(sql.failed, -EINVAL);
        text_clear(&sql);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(temporary_tables_come_last),
        cmocka_unit_test(what_is_no_list_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
