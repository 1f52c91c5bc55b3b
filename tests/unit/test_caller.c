#include "fs/tables/caller.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int to_thread[2], from_thread[2];

/* Says its number, and lives until it is told otherwise. */
static void *live(void *argument)
{
    pid_t self = (pid_t)syscall(SYS_gettid);
    char end;
    (void)argument;
    assert_int_equal(write(from_thread[1], &self, sizeof self), sizeof self);
    assert_int_equal(read(to_thread[0], &end, 1), 0);
    return NULL;
}

/* In a namespace of its own, whose /proc is still the one around it. */
static int look_from_inside(pid_t process, pid_t thread)
{
    bool known = caller_find(thread, 1) == process || caller_fate(thread) != CALLER_UNKNOWN;
    return known || caller_find(thread, 1) != thread ? 1 : 0;
}

static void a_thread_is_of_its_process(void **state)
{
    pid_t thread, process = getpid();
    pthread_t live_thread;
    (void)state;
    assert_int_equal(pipe(to_thread), 0);
    assert_int_equal(pipe(from_thread), 0);
    assert_int_equal(pthread_create(&live_thread, NULL, live, NULL), 0);
    assert_int_equal(read(from_thread[0], &thread, sizeof thread), sizeof thread);
    int status = 0;
    pid_t between = fork(); /* whose children are in the namespace, not itself */
    assert_true(between >= 0);
    if (between == 0) {
        if (unshare(CLONE_NEWPID) < 0)
            _exit(77);
        pid_t inside = fork();
        if (inside == 0)
            _exit(look_from_inside(process, thread));
        _exit(waitpid(inside, &status, 0) == inside && WIFEXITED(status) ? WEXITSTATUS(status) : 2);
    }
    assert_int_equal(waitpid(between, &status, 0), between);
    assert_int_equal(caller_find(thread, 1), process);
    assert_int_equal(caller_find(process, 1), process);
    assert_int_equal(caller_fate(thread), CALLER_LIVES);
    assert_int_equal(caller_find(0, 1), -2);
    assert_int_equal(caller_fate(0), CALLER_UNKNOWN);
    close(to_thread[1]);
    pthread_join(live_thread, NULL);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* nobody but root may make one */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_thread_is_of_its_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
