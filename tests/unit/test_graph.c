/* Candidates order as their scores do. */
#include "index/graph.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_order(void **state)
{
    (void)state;
    static const float ascending[] = {-INFINITY, -3e38F, -1, -1e-40F, 0, 1e-45F, 0.5F, 1, INFINITY};
    enum { COUNT = sizeof ascending / sizeof *ascending };
    for (int i = 0; i < COUNT; i++) {
        candidate one = candidate_make(ascending[i], 7);
        assert_true(candidate_score(one) == ascending[i]);
        assert_int_equal(candidate_slot(one), 7);
        assert_true(candidate_make(ascending[i], 6) < one);
        assert_true(i == 0 || candidate_make(ascending[i - 1], 9) < one);
    }
}

/* Neither sign of it is near to anything; that which x86 makes of 0 / 0 is negative. */
static void test_nan_is_last(void **state)
{
    (void)state;
    const float nans[] = {NAN, -NAN, copysignf(NAN, -1)};
    for (size_t i = 0; i < 3; i++) {
        assert_true(candidate_make(nans[i], 1) > candidate_make(INFINITY, INT32_MAX));
        assert_true(isnan(candidate_score(candidate_make(nans[i], 1))));
        assert_int_equal(candidate_slot(candidate_make(nans[i], 5)), 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_nan_is_last)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
