#include "pgclient/version_key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_marks(void **state)
{
    (void)state;
    const char *mark = "7/5/1/1700000000.5-1/750:760:751@5000";
    assert_true(mark_holds(mark, mark));
    assert_true(mark_holds(mark, "7/5/1/1700000000.5-1/750:760:751@5001"));
    assert_true(mark_holds(mark, "7/5/1/1700000000.5-1/750:760:751@10000"));
    assert_false(mark_holds(mark, "7/5/1/1700000000.5-1/750:760:751@4999")); /* set back */
    assert_false(mark_holds(mark, "7/5/1/1700000000.5-1/750:760:751@999"));
    assert_false(mark_holds(mark, "7/5/1/1700000000.5-1/750:760:752@5000"));
    assert_false(mark_holds(mark, "7/5/1/1700000000.6-1/750:760:751@5000"));
    assert_false(mark_holds(mark, "7/5/2/1700000000.5-1/750:760:751@5000"));
    assert_false(mark_holds("7/1/1700000000.5-1/750:760:751", "7/1/1700000000.5-1/750:760:751"));
    assert_false(mark_holds("", mark));
    assert_false(mark_holds(mark, ""));
    uint32_t horizon = 0;
    assert_true(mark_horizon(mark, &horizon) && horizon == 760);
    assert_true(mark_horizon("7/5/1/a-b/4294967290:4294967300:@1", &horizon) && horizon == 4);
    assert_false(mark_horizon("7/5/1/a-b/3000060@1", &horizon)); /* of a standby */
    assert_false(mark_horizon("", &horizon));
    assert_int_equal(mark_check(mark, 7, 5, NULL), 0);
    struct error error = {""};
    assert_int_equal(mark_check(mark, 8, 5, &error), -EIO);
    assert_non_null(strstr(error.text, "another one than was mounted"));
    assert_int_equal(mark_check(mark, 7, 6, NULL), -EIO);
    assert_int_equal(mark_check("", 7, 5, NULL), -EIO);
    assert_int_equal(
        mark_check("18446744073709551615/4294967295/1/a/b@1", UINT64_MAX, UINT32_MAX, NULL), 0);
}

static struct version_key with_run(const char *run, uint32_t timeline, uint64_t position)
{
    struct version_key key = {.mark = strdup("m"), .signature = strdup("s"), .run_count = 1};
    snprintf(key.runs[0].text, sizeof key.runs[0].text, "%s", run);
    key.runs[0].timeline = timeline;
    key.runs[0].position = position;
    return key;
}

static void test_inheriting(void **state)
{
    (void)state;
    struct version_key key = with_run("a", 1, 10), old = with_run("a", 1, 20), more;
    for (int i = 0; i < RUNS_KEPT; i++) {
        char run[8];
        snprintf(run, sizeof run, "r%d", i);
        more = with_run(run, 2, (uint64_t)i);
        assert_int_equal(version_key_prove(&old, &more), 0);
        version_key_clear(&more);
    }
    assert_int_equal(old.run_count, RUNS_KEPT);
    version_key_inherit(&key, &old);
    assert_int_equal(key.run_count, RUNS_KEPT);
    assert_true(key.runs[0].position == 10); /* its own stays, as it is */
    assert_string_equal(key.runs[1].text, "r7");
    assert_string_equal(key.runs[7].text, "r1");
    version_key_inherit(&key, &old);
    assert_int_equal(key.run_count, RUNS_KEPT);
    more = with_run("r7", 2, 7);
    assert_true(version_key_believes(&key, &more));
    more.runs[0].timeline = 1;
    assert_false(version_key_believes(&key, &more));
    more.run_count = 0;
    assert_false(version_key_believes(&key, &more));
    struct version_key copy = {0};
    assert_int_equal(version_key_copy(&key, &copy), 0);
    assert_string_equal(copy.mark, key.mark);
    assert_true(copy.mark != key.mark && copy.runs[7].position == key.runs[7].position);
    version_key_clear(&copy);
    version_key_clear(&more);
    version_key_clear(&key);
    version_key_clear(&old);
    version_key_clear(&old);
}

static void test_numbers_of_runs(void **state)
{
    (void)state;
    struct server_run a = {.text = "1-1", .timeline = 1}, b = a;
    b.position = 77;
    assert_true(server_run_id(&a) == server_run_id(&b));
    b.timeline = 2;
    assert_true(server_run_id(&a) != server_run_id(&b));
    b = (struct server_run){.text = "1-2", .timeline = 1};
    assert_true(server_run_id(&a) != server_run_id(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_inheriting),
        cmocka_unit_test(test_numbers_of_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
