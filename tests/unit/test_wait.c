#include "fs/base/wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* What each does when it is tried. */
struct one {
    struct waiting waiting;
    struct wait *goes_on; /* NULL: it is done */
    struct waits *waits;  /* it calls this, too: */
    struct wait *calls;
    struct one *takes_off;
    int tries;
};

static struct wait *try_one(struct waiting *waiting)
{
    struct one *one = (struct one *)waiting;
    one->tries++;
    assert_null(waiting->at);
    if (one->takes_off != NULL)
        wait_take_off(&one->takes_off->waiting);
    if (one->calls != NULL)
        wait_call(one->waits, one->calls);
    return one->goes_on;
}

static int count(const struct wait *wait)
{
    int n = 0;
    for (const struct waiting *at = wait->first; at != NULL; at = at->next)
        n++;
    return n;
}

static void hang(struct wait *on, struct one *one, struct wait *goes_on)
{
    one->waiting.try = try_one;
    one->goes_on = goes_on;
    wait_hang(on, &one->waiting);
}

/* Each is tried once, also one that goes on waiting for the same; others are not. */
static void test_call(void **state)
{
    (void)state;
    struct waits waits = {{NULL}};
    struct wait here = {NULL}, there = {NULL};
    struct one done = {.tries = 0}, same = done, moves = done, other = done;
    hang(&here, &done, NULL);
    hang(&here, &same, &here);
    hang(&here, &moves, &there);
    hang(&there, &other, NULL);
    wait_call(&waits, &here);
    assert_int_equal(done.tries, 1);
    assert_int_equal(same.tries, 1);
    assert_int_equal(moves.tries, 1);
    assert_int_equal(other.tries, 0);
    assert_null(done.waiting.at);
    assert_int_equal(count(&here), 1);
    assert_int_equal(count(&there), 2);
    assert_null(waits.due.first);
    wait_call(&waits, &there);
    assert_int_equal(moves.tries, 2);
    assert_int_equal(other.tries, 1);
    assert_int_equal(count(&there), 1);
}

/* A try may call lists itself, its own too, and take off what is about to be tried. */
static void test_within(void **state)
{
    (void)state;
    struct waits waits = {{NULL}};
    struct wait here = {NULL};
    struct one ended = {.tries = 0}, after = ended,
               first = {.waits = &waits, .calls = &here, .takes_off = &ended};
    hang(&here, &ended, NULL);
    hang(&here, &after, &here);
    hang(&here, &first, NULL);
    /* Due in the other order: the first one is what has come first. */
    wait_make_due(&waits, &ended.waiting);
    wait_make_due(&waits, &after.waiting);
    wait_make_due(&waits, &first.waiting);
    assert_null(here.first);
    wait_try_due(&waits);
    assert_int_equal(first.tries, 1);
    assert_int_equal(after.tries, 1);
    assert_int_equal(ended.tries, 0);
    assert_null(ended.waiting.at);
    assert_ptr_equal(here.first, &after.waiting);
    wait_take_off(&after.waiting);
    wait_take_off(&after.waiting);
    assert_null(here.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_within),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
