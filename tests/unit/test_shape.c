#include "pgclient/shape.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { COLUMNS_MOST = 3 };

/* Rows of a table, NULL for NULL, row by row. */
static PGresult *rows_of(const char *const *values, int rows, int columns)
{
    static char name[] = "a";
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[COLUMNS_MOST];
    for (int i = 0; i < columns; i++)
        attributes[i] = (PGresAttDesc){.name = name};
    assert_non_null(result);
    assert_true(PQsetResultAttrs(result, columns, attributes));
    for (int i = 0; i < rows * columns; i++) {
        char *value = (char *)(uintptr_t)values[i];
        int size = value == NULL ? -1 : (int)strlen(value);
        assert_true(PQsetvalue(result, i / columns, i % columns, value, size));
    }
    return result;
}

static int check(const char *const *values, int rows, int columns, struct shape shape)
{
    struct error error = {""};
    PGresult *result = rows_of(values, rows, columns);
    int rc = shape_check(result, shape, &error);
    assert_int_equal(error.text[0] != '\0', rc < 0);
    PQclear(result);
    return rc;
}

/* Which value is of the kind of which letters. */
static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        const char *value, *letters;
    } cases[] = {{NULL, "NBT"},
                 {"", "tT"},
                 {"words", "tT"},
                 {"0", "nNtT"},
                 {"-7", "nNtT"},
                 {"18446744073709551615", "nNtT"},
                 {"184467440737095516150", "tT"},
                 {"-", "tT"},
                 {"+1", "tT"},
                 {" 1", "tT"},
                 {"1 ", "tT"},
                 {"1.5", "tT"},
                 {"0x1", "tT"},
                 {"t", "bBtT"},
                 {"f", "bBtT"},
                 {"true", "tT"},
                 {"T", "tT"},
                 {"tf", "tT"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (const char *letter = "nNbBtT"; *letter != '\0'; letter++) {
            const char columns[] = {'t', *letter, '\0'};
            const char *values[] = {"a", cases[i].value, "a", cases[i].value};
            int rc = strchr(cases[i].letters, *letter) != NULL ? 0 : -EIO;
            if (check(values, 2, 2, ROWS_OF(columns)) != rc)
                fail_msg("%s as %c", values[1] != NULL ? values[1] : "NULL", *letter);
        }
}

/* Each value of each row is looked at. */
static void test_each_value(void **state)
{
    (void)state;
    for (int odd = 0; odd < 6; odd++) {
        const char *values[] = {"1", "2", "3", "4", "5", "6"};
        assert_int_equal(check(values, 2, 3, ROWS_OF("nnn")), 0);
        values[odd] = "words";
        assert_int_equal(check(values, 2, 3, ROWS_OF("nnn")), -EIO);
        assert_int_equal(check(values, 2, 3, ANYTHING), 0);
    }
}

static void test_counts(void **state)
{
    (void)state;
    const char *values[] = {"1", "2", "3", "4", "5", "6"};
    assert_int_equal(check(values, 0, 2, ROWS_OF("nn")), 0);
    assert_int_equal(check(values, 0, 2, ONE_ROW_OF("nn")), -EIO);
    assert_int_equal(check(values, 1, 2, ONE_ROW_OF("nn")), 0);
    assert_int_equal(check(values, 2, 2, ONE_ROW_OF("nn")), -EIO);
    assert_int_equal(check(values, 1, 2, ROWS_OF("n")), -EIO);
    assert_int_equal(check(values, 1, 2, ROWS_OF("nnn")), -EIO);
    assert_int_equal(check(values, 1, 2, (struct shape){2, NULL}), -EIO);
}

static void test_other_results(void **state)
{
    (void)state;
    static const ExecStatusType others[] = {PGRES_COMMAND_OK, PGRES_EMPTY_QUERY, PGRES_COPY_OUT,
                                            PGRES_FATAL_ERROR};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        PGresult *result = PQmakeEmptyPGresult(NULL, others[i]);
        assert_int_equal(shape_check(result, ANYTHING, NULL), -EIO);
        PQclear(result);
    }
    assert_int_equal(shape_check(NULL, ANYTHING, NULL), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_each_value),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_other_results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
