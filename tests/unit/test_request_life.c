/* Every state that a request can be in, and what comes next. */
#include "fs/request_life.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const int answers[] = {0, -EAGAIN, -EIO, -EINTR, -ESTALE, -ENOMEM};
static const int64_t ages[] = {-1, 0, 1, 899, 900, INT64_C(1) << 40};
enum { ANSWERS = sizeof answers / sizeof *answers, AGES = sizeof ages / sizeof *ages };

static enum request_step expected(const struct request_state *state)
{
    bool was_interrupted = state->interrupted_for >= 0;
    if (state->event == REQUEST_COMES)
        return state->ending ? REQUEST_FAIL : REQUEST_TRY;
    if (state->event == REQUEST_WAS_TRIED)
        return state->rc != -EAGAIN ? REQUEST_ANSWER : REQUEST_WAIT;
    if (was_interrupted && state->fate == CALLER_DIES)
        return REQUEST_KILL;
    if (was_interrupted && state->fate == CALLER_UNKNOWN && state->interrupted_for > 899)
        return REQUEST_KILL;
    return state->overdue ? REQUEST_TRY : REQUEST_WAIT;
}

static void test_all_states(void **state)
{
    static const enum caller_fate fates[] = {CALLER_LIVES, CALLER_DIES, CALLER_UNKNOWN};
    int seen[REQUEST_FAIL + 1] = {0};
    (void)state;
    for (int event = REQUEST_COMES; event <= REQUEST_IS_TENDED; event++)
        for (int flags = 0; flags < 4; flags++)
            for (int answer = 0; answer < ANSWERS; answer++)
                for (int age = 0; age < AGES; age++)
                    for (int fate = 0; fate < 3; fate++) {
                        const struct request_state now = {.event = event,
                                                          .ending = flags & 1,
                                                          .rc = answers[answer],
                                                          .interrupted_for = ages[age],
                                                          .fate = fates[fate],
                                                          .overdue = flags & 2};
                        enum request_step next = request_next(&now);
                        assert_int_equal(next, expected(&now));
                        seen[next]++;
                    }
    for (int step = 0; step <= REQUEST_FAIL; step++)
        assert_true(seen[step] > 0);
}

/* One that nobody interrupted ends only by an answer, and one whose caller lives, too. */
static void test_callers_that_live(void **state)
{
    (void)state;
    for (int age = 0; age < AGES; age++) {
        assert_false(request_must_end(CALLER_LIVES, ages[age]));
        assert_int_equal(request_must_end(CALLER_DIES, ages[age]), ages[age] >= 0);
        assert_int_equal(request_must_end(CALLER_UNKNOWN, ages[age]), ages[age] >= 900);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_states),
        cmocka_unit_test(test_callers_that_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
