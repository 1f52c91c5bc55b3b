#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/lock_share.h"

enum { MOST = 100, START = 1000000 };

static int64_t short_for;

static bool take(struct lock_share *share, int64_t locks, int64_t at)
{
    short_for = -1;
    return lock_share_take(share, 0, locks, MOST, START + at, &short_for);
}

static void together_they_have_no_more(void **state)
{
    (void)state;
    struct lock_share share = {0};
    assert_true(take(&share, 60, 0));
    assert_true(take(&share, 40, 0));
    assert_false(take(&share, 1, 0));
    assert_int_equal(short_for, 0);
    share.taken = 0;
    assert_true(take(&share, 300, 0)); /* alone */
    assert_false(take(&share, 1, 0));
    assert_true(lock_share_take(&share, 300, 500, MOST, START, &short_for)); /* in their place */
    assert_int_equal(share.taken, 500);
    share = (struct lock_share){.alone_until = START + 100};
    assert_true(take(&share, 10, 0));
    assert_false(take(&share, 10, 99));
    assert_true(take(&share, 10, 100));
}

/* A smaller one that finds room does not begin a larger one's time anew, */
static void each_has_a_time_of_its_own(void **state)
{
    (void)state;
    struct lock_share share = {0};
    assert_true(take(&share, 50, 0));
    assert_false(take(&share, 90, 0));
    assert_true(take(&share, 20, 900));
    assert_false(take(&share, 90, 1000));
    assert_int_equal(short_for, 1000);
    assert_false(take(&share, 80, 1000));
    assert_int_equal(short_for, 0);
    /* and one that has not come again for long begins anew. */
    assert_false(take(&share, 90, 1000 + LOCK_CLAIM_MS));
    assert_int_equal(short_for, 0);
}

static void one_that_has_waited_for_long_is_next(void **state)
{
    (void)state;
    struct lock_share share = {0};
    assert_true(take(&share, 50, 0));
    for (int at = 0; at < LOCK_CLAIM_MS; at += 1000) {
        assert_false(take(&share, 90, at));
        assert_true(take(&share, 50, at)); /* others overlap */
        share.taken -= 50;
    }
    assert_false(take(&share, 50, LOCK_CLAIM_MS));
    assert_int_equal(short_for, 0); /* there is room, for another */
    assert_false(take(&share, 90, LOCK_CLAIM_MS));
    assert_int_equal(short_for, LOCK_CLAIM_MS);
    share.taken = 0;
    assert_false(take(&share, 50, LOCK_CLAIM_MS + 1));
    assert_true(take(&share, 90, LOCK_CLAIM_MS + 2));
    share.taken = 0;
    assert_true(take(&share, 50, LOCK_CLAIM_MS + 3));
}

static void who_has_gone_is_not_waited_for(void **state)
{
    (void)state;
    struct lock_share share = {0};
    int at = 0;
    assert_true(take(&share, 50, 0));
    for (; at <= LOCK_CLAIM_MS; at += 1000)
        assert_false(take(&share, 90, at));
    at -= 1000;
    share.taken = 0;
    assert_false(take(&share, 50, at + LOCK_CLAIM_MS - 1));
    assert_true(take(&share, 50, at + LOCK_CLAIM_MS));
}

static void more_than_can_be_noted_go_on(void **state)
{
    (void)state;
    struct lock_share share = {0};
    assert_true(take(&share, MOST, 0));
    for (int i = 0; i < 2 * LOCK_CLAIMS; i++)
        assert_false(take(&share, 1 + i, 0));
    share.taken = 0;
    for (int i = 0; i < 2 * LOCK_CLAIMS; i++) {
        assert_true(take(&share, 1 + i, 1));
        share.taken = 0;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_they_have_no_more),
        cmocka_unit_test(each_has_a_time_of_its_own),
        cmocka_unit_test(one_that_has_waited_for_long_is_next),
        cmocka_unit_test(who_has_gone_is_not_waited_for),
        cmocka_unit_test(more_than_can_be_noted_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
