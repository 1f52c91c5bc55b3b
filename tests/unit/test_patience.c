#include "fs/base/patience.h"

#include "codec/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* The calendar's clock is set back by an hour after each look at it: what waits by it would wait so
 * much longer. */
int clock_gettime(clockid_t clock, struct timespec *at)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, at);
    if (clock == CLOCK_REALTIME)
        at->tv_sec += 3600;
    return rc;
}

static void test_ask(void **state)
{
    (void)state;
    struct error error = {""};
    atomic_bool stop = false;
    assert_int_equal(patience_ask(NULL), 0); /* nobody has said anything */
    assert_true(patience_waits());
    struct patience none = {.waits = false}, some = {.waits = true, .stop = &stop};
    patience_begin(&none);
    assert_int_equal(patience_ask(&error), -EAGAIN);
    assert_true(none.refused && patience_refused());
    assert_false(patience_waits());
    patience_begin(&some);
    assert_int_equal(patience_ask(&error), 0);
    assert_false(patience_refused());
    assert_ptr_equal(patience_stop(), &stop);
    stop = true;
    assert_int_equal(patience_ask(&error), -EINTR);
    assert_true(patience_stopped());
    patience_end(&some);
    assert_false(some.refused);
    assert_true(patience_refused());
    patience_end(&none);
    assert_int_equal(patience_ask(NULL), 0);
    assert_false(patience_stopped());
    assert_null(patience_stop());
}

static void *set(void *argument)
{
    usleep(50000);
    *(atomic_bool *)argument = true;
    return NULL;
}

/* A lock that nobody gives back. */
static void test_lock(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t thread;
    atomic_bool stop = false;
    struct patience none = {.waits = false}, some = {.waits = true, .stop = &stop};
    patience_begin(&none);
    assert_int_equal(patience_lock(&lock, NULL), 0);
    assert_false(none.refused);
    assert_int_equal(patience_lock(&lock, NULL), -EAGAIN);
    assert_true(none.refused);
    patience_end(&none);
    patience_begin(&some);
    pthread_create(&thread, NULL, set, &stop);
    alarm(60); /* it does not hang for ever, but it has failed */
    assert_int_equal(patience_lock(&lock, NULL), -EINTR);
    alarm(0);
    pthread_join(thread, NULL);
    patience_end(&some);
    pthread_mutex_unlock(&lock);
}

static void test_wait(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed;
    pthread_t thread;
    atomic_bool stop = false;
    struct patience some = {.waits = true, .stop = &stop};
    clock_cond_init(&changed);
    patience_begin(&some);
    pthread_mutex_lock(&lock);
    pthread_create(&thread, NULL, set, &stop);
    int rc = 0;
    while (rc == 0) /* nobody signals */
        rc = patience_wait(&changed, &lock);
    assert_int_equal(rc, -EINTR);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    patience_end(&some);
    pthread_cond_destroy(&changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
