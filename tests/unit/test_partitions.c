#include "fs/tables/partitions.h"

#include "fs/base/name.h"
#include "pgclient/catalog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PARENT = 7, OTHER = 9, MANY = 10000 };

static struct relation leaf(uint32_t oid, uint32_t parent, const char *schema, const char *name)
{
    return (struct relation){
        .oid = oid, .parent = parent, .kind = RELATION_TABLE, .schema = schema, .name = name};
}

static void test_names(void **state)
{
    (void)state;
    struct relation relations[] = {
        {.oid = OTHER, .kind = RELATION_PARTITIONED, .schema = "a", .name = "other"},
        {.oid = PARENT, .kind = RELATION_PARTITIONED, .schema = "s", .name = "parent"},
        leaf(20, PARENT, "s", "plain"),
        leaf(21, PARENT, "a.b", "plain"),
        leaf(22, OTHER, "s", "plain"),
        leaf(23, 0, "s", "alone"),
        leaf(24, PARENT, "s", ".odd/%"),
        leaf(25, 1000, "s", "orphan")};
    const struct catalog catalog = {.relations = relations,
                                    .relation_count = sizeof relations / sizeof *relations};
    struct partitions made;
    assert_int_equal(partitions_make(&catalog, &made), 0);
    size_t count;
    const struct partition *list = partitions_of(&made, PARENT, &count);
    static const char *const names[] = {"%2Eodd%2F%25", "a.b%2Eplain", "plain"};
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(list[i].name, names[i]);
        assert_ptr_equal(partitions_find(&made, PARENT, names[i]), list[i].relation);
    }
    assert_int_equal(partitions_find(&made, PARENT, "plain")->oid, 20);
    assert_int_equal(partitions_find(&made, OTHER, "s%2Eplain")->oid, 22);
    assert_null(partitions_find(&made, OTHER, "plain"));
    assert_null(partitions_find(&made, PARENT, "zzz"));
    assert_null(partitions_find(&made, PARENT, ""));
    assert_null(partitions_find(&made, 0, "alone"));
    assert_null(partitions_find(&made, 1000, "orphan"));
    partitions_of(&made, 8, &count);
    assert_int_equal(count, 0);
    partitions_of(&made, UINT32_MAX, &count);
    assert_int_equal(count, 0);
    partitions_clear(&made);
    assert_int_equal(partitions_make(&(struct catalog){0}, &made), 0);
    assert_null(partitions_find(&made, PARENT, "plain"));
    partitions_clear(&made);
}

/* The Makefile links this test with --wrap for what it counts. */
int __real_name_encode(const char *sql, struct buffer *out);
int __wrap_name_encode(const char *sql, struct buffer *out);
int __real_strcmp(const char *a, const char *b);
int __wrap_strcmp(const char *a, const char *b);

static size_t encoded, compared;

int __wrap_name_encode(const char *sql, struct buffer *out)
{
    encoded++;
    return __real_name_encode(sql, out);
}

int __wrap_strcmp(const char *a, const char *b)
{
    compared++;
    return __real_strcmp(a, b);
}

/* Each has its name made once, and is found among all in as many steps as it takes to halve them. */
static void test_many(void **state)
{
    (void)state;
    enum { STEPS = 14 }; /* 2^14 are more than there are */
    struct relation *relations = calloc(MANY + 1, sizeof *relations);
    char(*names)[16] = calloc(MANY, sizeof *names);
    relations[0] = (struct relation){
        .oid = PARENT, .kind = RELATION_PARTITIONED, .schema = "s", .name = "parent"};
    for (uint32_t i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "part_%u", i);
        relations[i + 1] = leaf(100 + i, PARENT, "s", names[i]);
    }
    const struct catalog catalog = {.relations = relations, .relation_count = MANY + 1};
    struct partitions made;
    encoded = compared = 0;
    assert_int_equal(partitions_make(&catalog, &made), 0);
    assert_int_equal(encoded, MANY);
    assert_true(compared >= MANY && compared <= 2 * MANY * STEPS);
    size_t count;
    compared = 0;
    partitions_of(&made, PARENT, &count);
    assert_int_equal(count, MANY);
    assert_true(compared <= 2 * STEPS);
    compared = 0;
    for (uint32_t i = 0; i < MANY; i++)
        assert_int_equal(partitions_find(&made, PARENT, names[i])->oid, 100 + i);
    assert_true(compared >= MANY && compared <= MANY * (STEPS + 1));
    assert_int_equal(encoded, MANY);
    partitions_clear(&made);
    free(names);
    free(relations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
