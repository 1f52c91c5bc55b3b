#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/tables/promise.h"
#include "fs/tables/table.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct version versions[2] = {{.refs = 1}, {.refs = 1}};

static void test_each_caller_has_its_own(void **state)
{
    (void)state;
    enum { CALLERS = 300 };
    struct promises promises = {0};
    assert_null(promise_find(&promises, 1));
    for (caller_id caller = 1; caller <= CALLERS; caller++)
        promise_tell(&promises, caller, &versions[caller % 2]);
    for (caller_id caller = 1; caller <= CALLERS; caller++) {
        const struct promise *promise = promise_find(&promises, caller);
        assert_true(promise != NULL && promise->version == &versions[caller % 2] && promise->told);
    }
    for (caller_id caller = 1; caller <= CALLERS; caller += 2)
        promise_keep(&promises, caller);
    for (caller_id caller = 1; caller <= CALLERS; caller++)
        assert_int_equal(promise_find(&promises, caller) != NULL, caller % 2 == 0);
    promises_expire(&promises);
    assert_int_equal(promises.count, CALLERS / 2);
    promises_clear(&promises);
    assert_int_equal(versions[0].refs, 1);
    assert_int_equal(versions[1].refs, 1);
}

static void test_there_is_a_limit(void **state)
{
    (void)state;
    struct promises promises = {0};
    for (caller_id caller = 1; caller <= PROMISES_AT_MOST + 10; caller++)
        promise_tell(&promises, caller, NULL);
    assert_int_equal(promises.count, PROMISES_AT_MOST);
    assert_null(promise_find(&promises, 10));
    assert_non_null(promise_find(&promises, 11));
    promises_clear(&promises);
}

static void test_a_process_is_told_once(void **state)
{
    (void)state;
    struct promises promises = {0};
    promise_show(&promises, 7, NULL, &(struct glance){.nodeid = 42});
    assert_int_equal(promise_find(&promises, 7)->glance.nodeid, 42);
    assert_false(promise_find(&promises, 7)->told);
    promise_tell(&promises, 7, &versions[0]);
    promise_show(&promises, 7, &versions[1],
                 &(struct glance){.nodeid = 43}); /* does not replace what was told */
    assert_ptr_equal(promise_find(&promises, 7)->version, &versions[0]);
    promise_tell(&promises, 7, &versions[0]);
    promise_keep(&promises, 7);
    assert_null(promise_find(&promises, 7));
    promises_clear(&promises);
}

/* Row groups of a version stay as long as somebody may open it. */
static void test_versions_that_are_held(void **state)
{
    (void)state;
    struct promises promises = {0};
    assert_false(promises_hold(&promises, NULL));
    promise_tell(&promises, 7, NULL);
    assert_false(promises_hold(&promises, NULL));
    promise_tell(&promises, 8, &versions[0]);
    assert_true(promises_hold(&promises, NULL));
    assert_true(promises_hold(&promises, &versions[1]));
    assert_false(promises_hold(&promises, &versions[0]));
    promises.list[1].until -= 5000;
    assert_false(promises_hold(&promises, NULL));
    promises_clear(&promises);
}

static void test_a_user_is_counted(void **state)
{
    (void)state;
    struct promises promises = {0};
    caller_id user = caller_find(0, 1000), root = caller_find(0, 0);
    assert_false(caller_is_process(user) || caller_is_process(root));
    assert_true(user != root && user != 0 && root != 0);
    promise_tell(&promises, user, &versions[0]);
    promise_tell(&promises, user, &versions[0]);
    assert_null(promise_find(&promises, root));
    promise_keep(&promises, user);
    assert_ptr_equal(promise_find(&promises, user)->version, &versions[0]);
    promise_keep(&promises, user);
    assert_null(promise_find(&promises, user));
    promise_tell(&promises, user, &versions[0]);
    promise_tell(&promises, user, &versions[1]); /* another version is counted anew */
    assert_ptr_equal(promise_find(&promises, user)->version, &versions[1]);
    promise_keep(&promises, user);
    assert_null(promise_find(&promises, user));
    promises_clear(&promises);
}

static void test_what_is_repeated_lasts_no_longer(void **state)
{
    (void)state;
    struct promises promises = {0};
    const caller_id callers[] = {7, caller_find(0, 1000)};
    for (int i = 0; i < 2; i++) {
        promise_repeat(&promises, callers[i], &versions[0]); /* the first time: told */
        promises.list[i].until -= 500;
        int64_t until = promises.list[i].until;
        promise_repeat(&promises, callers[i], &versions[0]);
        assert_int_equal(promise_find(&promises, callers[i])->until, until);
        promise_keep(&promises, callers[i]);
        /* Told twice: of a user's processes, a second one may open it. */
        assert_int_equal(promise_find(&promises, callers[i]) != NULL, i == 1);
        promise_tell(&promises, callers[i], &versions[0]);
        assert_true(promise_find(&promises, callers[i])->until > until);
        promise_repeat(&promises, callers[i], &versions[1]);
        assert_ptr_equal(promise_find(&promises, callers[i])->version, &versions[1]);
    }
    promises_clear(&promises);
    assert_int_equal(versions[0].refs, 1);
    assert_int_equal(versions[1].refs, 1);
}

static void *find_in_thread(void *out)
{
    *(caller_id *)out = caller_find((pid_t)syscall(SYS_gettid), 0);
    return NULL;
}

static void test_threads_are_of_their_process(void **state)
{
    (void)state;
    pthread_t thread;
    caller_id other = 0;
    assert_int_equal(pthread_create(&thread, NULL, find_in_thread, &other), 0);
    pthread_join(thread, NULL);
    assert_int_equal(other, getpid());
    for (int again = 0; again < 2; again++)
        assert_int_equal(caller_find(getpid(), 0), getpid());
}

static void test_signals_tell_the_fate(void **state)
{
    (void)state;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    assert_int_equal(caller_fate(getpid()), CALLER_LIVES);
    raise(SIGWINCH);
    assert_int_equal(caller_fate(getpid()), CALLER_LIVES);
    kill(getpid(), SIGTERM);
    assert_int_equal(caller_fate(getpid()), CALLER_DIES);
    struct timespec none = {0};
    while (sigtimedwait(&all, NULL, &none) > 0)
        continue;
    assert_int_equal(caller_fate(getpid()), CALLER_LIVES);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(caller_fate(0), CALLER_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_caller_has_its_own),
        cmocka_unit_test(test_there_is_a_limit),
        cmocka_unit_test(test_a_process_is_told_once),
        cmocka_unit_test(test_versions_that_are_held),
        cmocka_unit_test(test_a_user_is_counted),
        cmocka_unit_test(test_what_is_repeated_lasts_no_longer),
        cmocka_unit_test(test_threads_are_of_their_process),
        cmocka_unit_test(test_signals_tell_the_fate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
