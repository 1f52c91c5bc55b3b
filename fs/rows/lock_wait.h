/* Waiting for a lock that another session has, without keeping a session meanwhile. The waiting
 * thread asks for the lock for a moment (-EBUSY), gives its session back, and asks again after a
 * pause. The waits are listed, for the status page.
 *
 * Lifetime: a struct lock_wait is {0} at first, and belongs to its owner, on whose stack it may be;
 * what it borrows must live until lock_wait_over. Threads: any.
 */
#ifndef FS_ROWS_LOCK_WAIT_H
#define FS_ROWS_LOCK_WAIT_H

#include "pgclient/catalog.h"
#include "pgclient/lock.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOCK_PAUSE_MS = 300 }; /* between two attempts */

struct lock_wait {
    struct lock_wait *next;
    const struct relation *relation; /* the relation to be read; borrowed */
    const char *what;                /* the purpose, as status.json shows it; borrowed */
    struct lock_party holder;
    /* no session has the lock: our own transactions have as many locks as they may */
    bool for_room;
    int64_t since;      /* clock_ms() at its beginning; 0: it does not wait */
    int64_t noted;      /* clock_ms() of the last attempt that failed */
    int64_t limit_from; /* limits count from then: `since`, plus the time it waited for room */
    int64_t until;      /* the wait ends then; 0: there is no such time */
    /* `since` of a wait that goes on if there is another lock to wait for; 0: none */
    int64_t rests;
};

struct lock_waits {
    pthread_mutex_t lock;    /* guards what follows, and the holder of each wait */
    struct lock_wait *first; /* the one that has waited longest comes first */
    int64_t limit_ms;        /* constant; negative: no limit */
};

void lock_waits_init(struct lock_waits *waits, int64_t limit_ms);

/* An attempt did not get the lock: looks on `session` (usable; nullable) which session has it, and
 * notes that. 0: try again after a pause. -EBUSY: lock_wait's limit has passed; the reason names
 * the holder. -EIO: the role's own limit has passed, which holds for what users wrote, however
 * often it is tried. Neither limit counts while it waits for room among our own transactions
 * (pgclient/lock_room.h), which comes in any case. */
MUST_CHECK int lock_wait_note(struct lock_waits *waits, struct lock_wait *wait,
                              struct session *session, struct error *error);

/* The same, if it is known that it waits for room among our own transactions. */
void lock_wait_note_room(struct lock_waits *waits, struct lock_wait *wait);

/* Another session has looked which session has the lock now. */
void lock_wait_seen(struct lock_waits *waits, struct lock_wait *wait,
                    const struct lock_party *holder);

/* The attempt got the lock, and may need others, which only its end will tell. The wait is not
 * listed any more; the next lock_wait_note goes on with it. */
void lock_wait_rest(struct lock_waits *waits, struct lock_wait *wait);

/* The attempt got all its locks, or does not want them any more. */
void lock_wait_over(struct lock_waits *waits, struct lock_wait *wait);

/* Waits for the pause. -EINTR: `stop` (nullable) was set meanwhile. */
MUST_CHECK int lock_wait_pause(const atomic_bool *stop);

/* Calls `ask`, which asks a short question of the catalogs on a session of the pool's, again and
 * again as long as it gives -EBUSY; an attempt that gives -EBUSY must have left nothing behind.
 * Returns its last answer, -EBUSY after the limit, or -EINTR (`stop`, nullable). `waits` NULL: it
 * is asked once. `relation` and `what` are as in struct lock_wait; all is borrowed. */
typedef int lock_ask(void *context, struct session *session, struct error *error);
struct lock_question {
    const struct relation *relation;
    const char *what;
    lock_ask *ask;
    void *context;
};
MUST_CHECK int lock_wait_ask(struct lock_waits *waits, struct session_pool *pool,
                             const struct lock_question *question, const atomic_bool *stop,
                             struct error *error);

#endif
