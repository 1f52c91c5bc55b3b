#include "fs/base/first_seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct first_seen *seen_new(uint32_t most)
{
    struct first_seen *seen;
    assert_int_equal(first_seen_new(most, &seen), 0);
    return seen;
}

static void test_the_same_contents_keep_their_time(void **state)
{
    (void)state;
    struct first_seen *seen = seen_new(8);
    assert_int_equal(first_seen_note(seen, 1, 10, 100), 100);
    assert_int_equal(first_seen_note(seen, 1, 10, 200), 100);
    assert_int_equal(first_seen_note(seen, 2, 10, 200), 200);
    first_seen_free(seen);
}

static void test_a_change_is_later_by_a_second(void **state)
{
    (void)state;
    struct first_seen *seen = seen_new(8);
    assert_int_equal(first_seen_note(seen, 1, 10, 100), 100);
    assert_int_equal(first_seen_note(seen, 1, 11, 100), 101);
    assert_int_equal(first_seen_note(seen, 1, 10, 100), 102);
    assert_int_equal(first_seen_note(seen, 1, 11, 50), 103); /* the clock was set back */
    assert_int_equal(first_seen_note(seen, 1, 12, 500), 500);
    first_seen_free(seen);
}

static void test_the_one_seen_longest_ago_is_forgotten(void **state)
{
    (void)state;
    struct first_seen *seen = seen_new(3);
    for (uint64_t path = 1; path <= 3; path++)
        assert_int_equal(first_seen_note(seen, path, 7, 100), 100);
    assert_int_equal(first_seen_note(seen, 1, 7, 200), 100); /* now 2 is the earliest */
    assert_int_equal(first_seen_note(seen, 4, 7, 200), 200);
    assert_int_equal(first_seen_note(seen, 3, 7, 300), 100);
    assert_int_equal(first_seen_note(seen, 1, 7, 300), 100);
    assert_int_equal(first_seen_note(seen, 2, 7, 300), 300);
    assert_int_equal(first_seen_note(seen, 4, 7, 400), 400);
    first_seen_free(seen);
    first_seen_free(NULL);
}

/* Against a plain list of what was seen. */
static void test_many_paths(void **state)
{
    enum { MOST = 100, PATHS = 150, STEPS = 200000 };
    struct {
        uint64_t contents;
        int64_t since, at;
    } plain[PATHS] = {{0}};
    (void)state;
    struct first_seen *seen = seen_new(MOST);
    srand(1);
    for (int step = 1; step <= STEPS; step++) {
        int path = rand() % PATHS, later = 0;
        uint64_t contents = (uint64_t)(rand() % 3);
        int64_t now = 1000 + step / 10;
        for (int i = 0; i < PATHS; i++)
            later += plain[i].at > plain[path].at;
        bool remembered = plain[path].at > 0 && later < MOST;
        if (!remembered)
            plain[path].since = now;
        else if (plain[path].contents != contents)
            plain[path].since = plain[path].since >= now ? plain[path].since + 1 : now;
        plain[path].contents = contents;
        plain[path].at = step;
        assert_int_equal(first_seen_note(seen, (uint64_t)path * 7919, contents, now),
                         plain[path].since);
    }
    first_seen_free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_contents_keep_their_time),
        cmocka_unit_test(test_a_change_is_later_by_a_second),
        cmocka_unit_test(test_the_one_seen_longest_ago_is_forgotten),
        cmocka_unit_test(test_many_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
