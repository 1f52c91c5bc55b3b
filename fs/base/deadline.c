#include "fs/base/deadline.h"

#include "codec/clock.h"
#include "fs/base/log.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORDS_MS = 300 }; /* for lines that are still to be written: perhaps nobody reads them */

static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool started, unmounted, met;
    struct timespec at; /* CLOCK_MONOTONIC: setting the clock does not put it off */
    char mountpoint[PATH_MAX];
} deadline = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* Unmounts as libfuse does, but without closing the descriptor: a thread that is about to reply
 * would write into another file. */
static void unmount(void)
{
    extern char **environ;
    char *const arguments[] = {"fusermount3", "-u", "-q", "-z", "--", deadline.mountpoint, NULL};
    pid_t child;
    if (umount2(deadline.mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 &&
        posix_spawnp(&child, arguments[0], NULL, NULL, arguments, environ) == 0)
        waitpid(child, NULL, 0);
}

static void *watch(void *argument)
{
    pthread_mutex_lock(&deadline.lock);
    int rc = 0;
    while (!deadline.met && rc == 0)
        rc = pthread_cond_clockwait(&deadline.changed, &deadline.lock, CLOCK_MONOTONIC,
                                    &deadline.at);
    if (!deadline.met) {
        log_say(LOG_SAY_ERROR, "it takes too long to end in order: it just ends");
        if (!deadline.unmounted)
            unmount();
        log_flush(WORDS_MS);
        _exit(0);
    }
    pthread_mutex_unlock(&deadline.lock);
    return argument;
}

void deadline_start(int milliseconds, const char *mountpoint)
{
    sigset_t all, before;
    pthread_t thread;
    pthread_mutex_lock(&deadline.lock);
    bool first = !deadline.started;
    deadline.started = true;
    if (first) {
        deadline.at = clock_after_ms(milliseconds);
        snprintf(deadline.mountpoint, sizeof deadline.mountpoint, "%s", mountpoint);
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        if (pthread_create(&thread, NULL, watch, NULL) == 0)
            pthread_detach(thread);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_mutex_unlock(&deadline.lock);
}

void deadline_unmounted(void)
{
    pthread_mutex_lock(&deadline.lock);
    deadline.unmounted = true;
    pthread_mutex_unlock(&deadline.lock);
}

void deadline_met(void)
{
    pthread_mutex_lock(&deadline.lock);
    deadline.met = true;
    pthread_cond_broadcast(&deadline.changed);
    pthread_mutex_unlock(&deadline.lock);
}
