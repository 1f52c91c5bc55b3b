#include "fs/base/deadline.h"

#include "fs/base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

/* A process that ends by the deadline, in 10 ms; where its stderr is read. */
static pid_t begin(bool full, int *end)
{
    int ends[2];
    char page[4096] = {0};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    if (full) {
        assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
        while (write(ends[1], page, sizeof page) > 0)
            ;
        assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        log_open(1, 0);
        deadline_unmounted();
        deadline_start(10, "/nowhere");
        alarm(60); /* it does not hang for ever, but it has failed */
        for (;;)
            pause();
    }
    close(ends[1]);
    *end = ends[0];
    return child;
}

static void assert_ended(pid_t child)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_it_is_said(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        int end;
        char said[4096] = "";
        size_t size = 0;
        ssize_t n;
        pid_t child = begin(false, &end);
        while ((n = read(end, said + size, sizeof said - 1 - size)) > 0)
            size += (size_t)n;
        said[size] = '\0';
        assert_ended(child);
        assert_non_null(strstr(said, "it takes too long to end in order: it just ends\n"));
        close(end);
    }
}

/* Nobody reads what it says. */
static void test_it_ends_all_the_same(void **state)
{
    (void)state;
    int end;
    assert_ended(begin(true, &end));
    close(end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_is_said),
                                       cmocka_unit_test(test_it_ends_all_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
