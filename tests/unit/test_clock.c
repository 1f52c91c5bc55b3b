#include "codec/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_it_never_goes_back(void **state)
{
    (void)state;
    int64_t before = clock_ms();
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_ms();
        assert_true(now >= before);
        before = now;
    }
}

static void test_a_time_is_normal(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < 3000; ms += 7) {
        struct timespec at = clock_after_ms(ms);
        assert_in_range(at.tv_nsec, 0, 999999999);
        int64_t then = (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
        assert_true(then >= ms && then - ms <= clock_ms());
    }
}

static void test_a_wait_ends_by_itself(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition;
    clock_cond_init(&condition);
    pthread_mutex_lock(&lock);
    int64_t began = clock_ms();
    int rc = 0;
    while (rc == 0) /* a condition may wake for nothing */
        rc = clock_wait(&condition, &lock, 20);
    assert_int_equal(rc, ETIMEDOUT);
    assert_true(clock_ms() - began >= 19);
    pthread_mutex_unlock(&lock);
    pthread_cond_destroy(&condition);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_never_goes_back),
        cmocka_unit_test(test_a_time_is_normal),
        cmocka_unit_test(test_a_wait_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
