#include "fs/patience.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

enum { TICK_MS = 100 };

static _Thread_local struct patience *mine;

void patience_begin(struct patience *patience)
{
    patience->before = mine;
    mine = patience;
}

void patience_end(struct patience *patience) { mine = patience->before; }

const atomic_bool *patience_stop(void) { return mine != NULL ? mine->stop : NULL; }

bool patience_stopped(void) { return mine != NULL && mine->stop != NULL && *mine->stop; }

bool patience_waits(void) { return mine == NULL || mine->waits; }

bool patience_refused(void) { return mine != NULL && mine->refused; }

struct lock_turn *patience_turn(void) { return mine != NULL ? mine->turn : NULL; }

int patience_leave(struct error *error)
{
    mine->refused = mine->locked = true;
    return error_set(error, -EAGAIN, "it waits for a lock");
}

int patience_ask(struct error *error)
{
    if (patience_stopped())
        return error_set(error, -EINTR, "stopped");
    if (patience_waits())
        return 0;
    mine->refused = true;
    return error_set(error, -EAGAIN, "it would have to wait");
}

static struct timespec tick_from_now(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += TICK_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

int patience_lock(pthread_mutex_t *lock, struct error *error)
{
    while (pthread_mutex_trylock(lock) != 0) {
        int rc = patience_ask(error);
        if (rc < 0)
            return rc;
        struct timespec until = tick_from_now(CLOCK_REALTIME);
        if (pthread_mutex_timedlock(lock, &until) == 0)
            break;
    }
    return 0;
}

int patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock)
{
    struct timespec until = tick_from_now(CLOCK_MONOTONIC);
    if (patience_stopped())
        return -EINTR;
    pthread_cond_timedwait(changed, lock, &until);
    return 0;
}

void patience_cond_init(pthread_cond_t *changed)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}
