/* Running a program and listening to it. Linked so that each step of spawning can be made to fail.
 */
#include "pgclient/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int failing; /* which step fails, from 1; 0: none */
static int steps;   /* taken so far */

static bool fails(void) { return ++steps == failing; }

int __real_posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd,
                                            const char *path, int flags, mode_t mode);
int __wrap_posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd,
                                            const char *path, int flags, mode_t mode);
int __wrap_posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd,
                                            const char *path, int flags, mode_t mode)
{
    return fails() ? ENOMEM
                   : __real_posix_spawn_file_actions_addopen(actions, fd, path, flags, mode);
}

int __real_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int to);
int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int to);
int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int fd, int to)
{
    return fails() ? ENOMEM : __real_posix_spawn_file_actions_adddup2(actions, fd, to);
}

int __real_posix_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *mask);
int __wrap_posix_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *mask);
int __wrap_posix_spawnattr_setsigmask(posix_spawnattr_t *attributes, const sigset_t *mask)
{
    return fails() ? ENOMEM : __real_posix_spawnattr_setsigmask(attributes, mask);
}

/* What a shell makes of a script. */
struct result {
    int rc, status;
    struct buffer out, words;
};

static struct result run(const char *script, child_look *look, void *context)
{
    char *arguments[] = {"sh", "-c", (char *)script, NULL};
    struct result result = {.status = -1};
    result.rc = child_run("sh", arguments, environ, look, context, &result.out, &result.words,
                          &result.status);
    assert_int_equal(buffer_append_byte(&result.out, '\0'), 0);
    assert_int_equal(buffer_append_byte(&result.words, '\0'), 0);
    return result;
}

static void result_clear(struct result *result)
{
    buffer_clear(&result->out);
    buffer_clear(&result->words);
}

static int go_on(void *context)
{
    (void)context;
    return 0;
}

static int end_at_third_look(void *context)
{
    int *looks = context;
    return ++*looks < 3 ? 0 : -EBUSY;
}

static void what_it_says_is_kept(void **state)
{
    (void)state;
    struct result result = run("echo out; echo words >&2; cat; exit 3", go_on, NULL);
    assert_int_equal(result.rc, 0);
    assert_true(WIFEXITED(result.status) && WEXITSTATUS(result.status) == 3);
    assert_string_equal((char *)result.out.data, "out\n");
    assert_string_equal((char *)result.words.data, "words\n");
    result_clear(&result);
}

static void it_is_ended_when_it_is_to_go(void **state)
{
    (void)state;
    int looks = 0;
    struct result result = run("exec sleep 600", end_at_third_look, &looks);
    assert_int_equal(result.rc, -EBUSY);
    assert_true(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGTERM);
    result_clear(&result);
    looks = 0;
    result = run("trap '' TERM; while :; do sleep 0.1; done", end_at_third_look, &looks);
    assert_int_equal(result.rc, -EBUSY);
    assert_true(WIFSIGNALED(result.status) && WTERMSIG(result.status) == SIGKILL);
    result_clear(&result);
}

static void no_program_is_an_error(void **state)
{
    (void)state;
    char *arguments[] = {"none", NULL};
    struct buffer out = {0}, words = {0};
    int status;
    assert_int_equal(
        child_run("/nonexistent/program", arguments, environ, go_on, NULL, &out, &words, &status),
        -ENOENT);
}

/* Else its output went elsewhere, and a file would be short. */
static void no_step_of_spawning_fails_unseen(void **state)
{
    (void)state;
    steps = failing = 0;
    struct result result = run("echo out", go_on, NULL);
    int all = steps;
    assert_int_equal(all, 4);
    assert_string_equal((char *)result.out.data, "out\n");
    result_clear(&result);
    for (int i = 1; i <= all; i++) {
        steps = 0;
        failing = i;
        result = run("echo out", go_on, NULL);
        assert_int_equal(result.rc, -ENOMEM);
        result_clear(&result);
    }
    failing = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_says_is_kept),
        cmocka_unit_test(it_is_ended_when_it_is_to_go),
        cmocka_unit_test(no_program_is_an_error),
        cmocka_unit_test(no_step_of_spawning_fails_unseen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
