#include "fs/base/patience.h"

#include "codec/clock.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

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

struct answer_place *patience_place(void) { return mine != NULL ? mine->place : NULL; }

int patience_park(struct error *error)
{
    mine->refused = mine->parked = true;
    return error_set(error, -EAGAIN, "it waits for room");
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

static bool lock_for_a_tick(pthread_mutex_t *lock)
{
#ifdef __SANITIZE_THREAD__ /* this sanitizer does not know that pthread_mutex_clocklock locks */
    usleep(1000);
    return pthread_mutex_trylock(lock) == 0;
#else
    struct timespec until = clock_after_ms(TICK_MS);
    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &until) == 0;
#endif
}

int patience_lock(pthread_mutex_t *lock, struct error *error)
{
    while (pthread_mutex_trylock(lock) != 0) {
        int rc = patience_ask(error);
        if (rc < 0)
            return rc;
        if (lock_for_a_tick(lock))
            break;
    }
    return 0;
}

int patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock)
{
    if (patience_stopped())
        return -EINTR;
    (void)clock_wait(changed, lock, TICK_MS);
    return 0;
}
