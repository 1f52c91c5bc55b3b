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
        struct buffer sql = {0};
        assert_int_equal(search_path_put(&sql, paths[i].path), 0);
        assert_int_equal(buffer_append_byte(&sql, '\0'), 0);
        assert_string_equal((const char *)sql.data, paths[i].put);
        buffer_clear(&sql);
    }
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"a,", ",a", "a b", "\"a", "\"a\"b", "x; DROP", "a,,b"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct buffer sql = {0};
        assert_int_equal(search_path_put(&sql, paths[i]), -EINVAL);
        buffer_clear(&sql);
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
