/* How long the calling thread may wait: for the server, or for a thread that waits for the server.
 *
 * The function that gives a thread work says so (patience_begin, patience_end); the function that
 * would have to wait asks, however deep below. A thread that was told nothing may wait, for any
 * time. Work that may not wait, but would have to, ends with -EAGAIN, which callers on the way back
 * may change: `refused` tells it reliably, and a thread that may wait does the work again
 * (fs/base/waiters.h).
 *
 * Threads: each has its own; any may set the stop flag.
 */
#ifndef FS_BASE_PATIENCE_H
#define FS_BASE_PATIENCE_H

#include "codec/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct answer_place;
struct lock_turn;

struct patience {
    bool waits; /* the thread may wait */
    /* set once nobody needs the work any more; NULL: there is no such flag */
    const atomic_bool *stop;
    /* the turn that waits for another session's lock without this thread (lock_line.h); NULL: the
     * thread waits itself */
    struct lock_turn *turn;
    /* the place that waits for room for a large answer without this thread (answer_room.h); NULL:
     * the thread waits itself */
    struct answer_place *place;
    bool refused; /* the thread did not wait, and left something undone for that reason */
    bool locked;  /* refused for a lock: do the work again when the turn says so */
    bool parked;  /* refused for room: do the work again when the place is called */
    struct patience *before; /* the one that the thread had before, restored at the end */
};

/* Borrowed until patience_end, which is called by the same thread. */
void patience_begin(struct patience *patience);
void patience_end(struct patience *patience);

/* To be asked before waiting. 0: the thread may wait; -EAGAIN: it may not, which is noted as
 * refused; -EINTR: the work is stopped. */
MUST_CHECK int patience_ask(struct error *error);

/* The stop flag; NULL: there is none. */
const atomic_bool *patience_stop(void);
bool patience_stopped(void);
/* Whether the thread may wait at all; for work that is handed on to further threads. */
bool patience_waits(void);
/* The turn; NULL: the thread waits for locks itself. */
struct lock_turn *patience_turn(void);
/* Another session has a lock, and the turn has noted it (lock_wait_note): -EAGAIN, and the work is
 * refused. */
MUST_CHECK int patience_leave(struct error *error);
/* The place; NULL: the thread waits for room itself. */
struct answer_place *patience_place(void);
/* There is no room, and the place is to be parked: -EAGAIN, and the work is refused. */
MUST_CHECK int patience_park(struct error *error);
/* Whether something was left undone; a result found without it must not be used. */
bool patience_refused(void);

/* Locks a mutex that a waiting thread may hold. On errors, which are those of patience_ask, it is
 * not locked. */
MUST_CHECK int patience_lock(pthread_mutex_t *lock, struct error *error);

/* Waits on a condition of this clock (codec/clock.h) for a tick at most. -EINTR: the work is
 * stopped. */
MUST_CHECK int patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock);

#endif
