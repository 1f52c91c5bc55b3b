#include "pgclient/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, POLITE_MS = 1000, POLITE_TICK_MS = 10, PIECE = 65536 };

struct child {
    pid_t pid;
    int out, err; /* our ends of its pipes, non-blocking; -1: at its end */
};

static void close_both(int ends[2])
{
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
}

/* Each step is checked: a child whose output went elsewhere would succeed and seem to have said
 * nothing. */
static int spawn_into(int out, int err, const char *program, char *const *arguments,
                      char *const *environment, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0)
        return -rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -rc;
    }
    rc = posix_spawnattr_setsigmask(&attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(&attributes, &usual);
    if (rc == 0)
        rc = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(&actions, err, 2);
    if (rc == 0)
        rc = posix_spawnp(pid, program, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -rc;
}

static int spawn(const char *program, char *const *arguments, char *const *environment,
                 struct child *child)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1}, rc = 0;
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 ||
        fcntl(out[0], F_SETFL, O_NONBLOCK) != 0 || fcntl(err[0], F_SETFL, O_NONBLOCK) != 0)
        rc = -errno;
    if (rc == 0)
        rc = spawn_into(out[1], err[1], program, arguments, environment, &child->pid);
    if (rc != 0) {
        close_both(out);
        close_both(err);
        return rc;
    }
    close(out[1]);
    close(err[1]);
    child->out = out[0];
    child->err = err[0];
    return 0;
}

/* Reads what there is; *fd becomes -1 at the end. */
static int drain(int *fd, struct buffer *into)
{
    for (;;) {
        if (buffer_reserve(into, PIECE) != 0)
            return -ENOMEM;
        ssize_t n = read(*fd, into->data + into->size, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return -errno;
        if (n == 0) {
            close(*fd);
            *fd = -1;
            return 0;
        }
        into->size += (size_t)n;
    }
}

static int listen_to(struct child *child, child_look *look, void *context, struct buffer *out,
                     struct buffer *words)
{
    int rc = 0;
    while (rc == 0 && (child->out >= 0 || child->err >= 0)) {
        struct pollfd fds[] = {{.fd = child->out, .events = POLLIN},
                               {.fd = child->err, .events = POLLIN}};
        (void)poll(fds, 2, TICK_MS);
        rc = look(context);
        if (rc == 0 && child->out >= 0)
            rc = drain(&child->out, out);
        if (rc == 0 && child->err >= 0)
            rc = drain(&child->err, words);
    }
    return rc;
}

/* Waits for the child's end. To kill it, asks it once to end, and forces it later: it may have
 * something to undo first, as pg_dump cancels its statement. */
static int reap(struct child *child, bool kill_it)
{
    int status = 0;
    if (child->out >= 0)
        close(child->out);
    if (child->err >= 0)
        close(child->err);
    if (kill_it) {
        kill(child->pid, SIGTERM);
        for (int ms = 0; ms < POLITE_MS; ms += POLITE_TICK_MS) {
            if (waitpid(child->pid, &status, WNOHANG) == child->pid)
                return status;
            nanosleep(&(struct timespec){.tv_nsec = POLITE_TICK_MS * 1000000L}, NULL);
        }
        kill(child->pid, SIGKILL);
    }
    while (waitpid(child->pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

int child_run(const char *program, char *const *arguments, char *const *environment,
              child_look *look, void *context, struct buffer *out, struct buffer *words,
              int *status)
{
    struct child child;
    int rc = spawn(program, arguments, environment, &child);
    if (rc != 0)
        return rc;
    rc = listen_to(&child, look, context, out, words);
    *status = reap(&child, rc != 0);
    return rc;
}
