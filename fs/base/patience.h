/* How long the thread at work may wait: for the server, or for somebody who waits for it.
 *
 * Whoever gives a thread work says so (patience_begin, patience_end); whoever would have to wait
 * asks, however deep below. A thread that was told nothing may wait, and for any time. Work that
 * may not wait, and would have to, ends with -EAGAIN, whatever becomes of that on the way back:
 * `refused` says so, and the work is done again by a thread that may (fs/base/waiters.h).
 *
 * Threads: each has its own; the stop flag is set by any.
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
    bool waits;                 /* it may */
    const atomic_bool *stop;    /* nobody needs it any more; NULL: there is no such flag */
    struct lock_turn *turn;     /* in which a lock of somebody else's is waited for without this
                                thread (lock_line.h); NULL: with it */
    struct answer_place *place; /* from which room for a large answer is waited for without this
                                thread (answer_room.h); NULL: with it */
    bool refused;               /* it did not, and something was left undone for that */
    bool locked;                /* for a lock: it is to be done again in the turn's time */
    bool parked;                /* for room: it is to be done again when the place is called */
    struct patience *before;    /* the thread's own, meanwhile */
};

/* Borrowed until patience_end, which is called by the same thread. */
void patience_begin(struct patience *patience);
void patience_end(struct patience *patience);

/* Before waiting: 0 it may, -EAGAIN it may not, which is noted, -EINTR it is stopped. */
MUST_CHECK int patience_ask(struct error *error);

/* The stop flag; NULL: there is none. */
const atomic_bool *patience_stop(void);
bool patience_stopped(void);
/* Whether it may wait at all, for who hands work on to further threads. */
bool patience_waits(void);
/* The turn; NULL: the thread waits itself. */
struct lock_turn *patience_turn(void);
/* Somebody else has a lock, and the turn is noted (lock_wait_note): -EAGAIN, and it is refused. */
MUST_CHECK int patience_leave(struct error *error);
/* The place; NULL: the thread waits itself. */
struct answer_place *patience_place(void);
/* There is no room, and the place is to be parked: -EAGAIN, and it is refused. */
MUST_CHECK int patience_park(struct error *error);
/* Whether something was left undone; what was found without it is worth nothing. */
bool patience_refused(void);

/* Locks what may be held by somebody who waits. Errors as of patience_ask: then it is not locked.
 */
MUST_CHECK int patience_lock(pthread_mutex_t *lock, struct error *error);

/* Waits on a condition of this clock (codec/clock.h) for a tick at most. -EINTR: it is stopped. */
MUST_CHECK int patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock);

#endif
