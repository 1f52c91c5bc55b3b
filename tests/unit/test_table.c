/* The subjects of a table: which there are, and when those of some columns go. */
#include "fs/tables/table.h"

#include "codec/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct mount mount;
static const struct relation relation = {.oid = 4711, .schema = "public", .name = "t"};

static int set_up(void **state)
{
    *state = table_get(&mount, &relation);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    mount.tables[relation.oid % TABLE_BUCKETS] = NULL;
    table_free(*state);
    return 0;
}

static int count(struct table *table)
{
    int subjects = 0;
    for (struct subject *subject = table_next_subject(table, NULL); subject != NULL;
         subject = table_next_subject(table, subject)) {
        assert_ptr_equal(subject->table, table);
        subjects++;
    }
    return subjects;
}

static void test_subjects(void **state)
{
    struct table *table = *state;
    assert_int_equal(count(table), 2);
    struct subject *a = table_selection(table, "a"), *b = table_selection(table, "b,a");
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(table_selection(table, "a"), a);
    assert_ptr_equal(table_selection(table, "b,a"), b);
    assert_string_equal(b->columns, "b,a");
    assert_int_equal(b->kind, SUBJECT_ROWS);
    assert_int_equal(count(table), 4);
    assert_null(table->subjects[SUBJECT_ROWS].columns);
    assert_ptr_equal(table_get(&mount, &relation), table);
}

/* A selection that nobody has wanted for so long, and what keeps it all the same. */
static void test_idle(void **state)
{
    struct table *table = *state;
    const int64_t long_ago = clock_ms() - 3600 * 1000;
    table_selection(table, "a");
    table_free_idle(&mount);
    assert_int_equal(count(table), 3); /* it has just come */
    struct subject *kept = table_selection(table, "kept");
    for (int i = 0; i < 5; i++) {
        table_selection(table, "a")->wanted_at = long_ago;
        kept->wanted_at = i == 0 ? clock_ms() : long_ago;
        kept->nodes = i == 1;
        kept->opens = i == 2;
        kept->running = i == 3;
        kept->lease_until = i == 4 ? clock_ms() + 3600 * 1000 : 0;
        table_free_idle(&mount);
        assert_int_equal(count(table), 3);
        assert_ptr_equal(table->selections, kept);
    }
    kept->lease_until = 0;
    table_free_idle(&mount);
    assert_int_equal(count(table), 2);
    assert_null(table->selections);
}

/* However many are named, there are no more than so many; those in use stay. */
static void test_bound(void **state)
{
    struct table *table = *state;
    char columns[16];
    struct error why = {""};
    struct subject *kept = table_selection(table, "kept");
    kept->nodes = 1;
    for (int i = 0; i < 3 * SELECTIONS_AT_MOST; i++) {
        snprintf(columns, sizeof columns, "c%d", i);
        assert_non_null(table_selection(table, columns));
        assert_true(count(table) <= SELECTIONS_AT_MOST + SUBJECT_COUNT);
        assert_false(table_selections_full(table, &why));
    }
    assert_ptr_equal(table_selection(table, "kept"), kept);
    for (int i = 0; table_selection(table, columns) != NULL && i <= SELECTIONS_AT_MOST; i++) {
        table_selection(table, columns)->nodes = 1;
        snprintf(columns, sizeof columns, "u%d", i);
    }
    assert_int_equal(count(table), SELECTIONS_AT_MOST + SUBJECT_COUNT);
    assert_true(table_selections_full(table, &why));
    assert_true(mount.crowded);
    assert_string_equal(why.text, "1024 lists of columns are in use, no more can be: close files, "
                                  "or select fewer");
    for (struct subject *subject = table->selections; subject != NULL; subject = subject->next)
        subject->nodes = 0;
}

static void test_needed_groups(void **state)
{
    static const struct options options = {.lease_ms = 1000};
    struct table *table = *state;
    mount.options = &options;
    struct subject *a = table_selection(table, "a");
    assert_false(table_needs_groups(&mount, relation.oid));
    assert_false(table_needs_groups(&mount, relation.oid + 1));
    a->running = true;
    assert_true(table_needs_groups(&mount, relation.oid));
    assert_false(table_needs_groups(&mount, relation.oid + TABLE_BUCKETS));
    a->running = false;
    a->opens = 1;
    assert_true(table_needs_groups(&mount, relation.oid));
    a->opens = 0;
    assert_false(table_needs_groups(&mount, relation.oid));
    table->subjects[SUBJECT_DDL].running = true; /* it has none */
    assert_false(table_needs_groups(&mount, relation.oid));
    table->subjects[SUBJECT_DDL].running = false;
}

int main(void)
{
    pthread_mutex_init(&mount.lock, NULL);
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_subjects), TEST(test_idle), TEST(test_bound),
                                       TEST(test_needed_groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
