/* Waiting for a lock that somebody else has, without keeping a session meanwhile: whoever wants it
 * asks for it for a moment (-EBUSY), gives the session back, and comes again after a pause. Those
 * who wait are listed, for the status page.
 *
 * Lifetime: a struct lock_wait is {0} at first, and is its owner's, on whose stack it may be; what
 * it borrows must live until lock_wait_over. Threads: any.
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
    const struct relation *relation; /* that is to be read; borrowed */
    const char *what;                /* as status.json has it; borrowed */
    struct lock_party holder;
    bool for_room;      /* nobody has the lock: our own transactions have as many as they may */
    int64_t since;      /* clock_ms(); 0: it does not wait */
    int64_t noted;      /* when the last attempt failed */
    int64_t limit_from; /* limits count from then: later than `since` by what it waited for room */
    int64_t until;      /* when it is not to be waited for any more; 0: there is no such time */
    int64_t rests; /* `since` of what goes on if there is another lock to wait for; 0: nothing */
};

struct lock_waits {
    pthread_mutex_t lock;    /* guards what follows, and each wait's holder */
    struct lock_wait *first; /* the one that has waited longest */
    int64_t limit_ms;        /* negative: none. Constant */
};

void lock_waits_init(struct lock_waits *waits, int64_t limit_ms);

/* The lock was not to be had: looks on `session` (usable; nullable) who has it, and notes that. 0:
 * try again after a pause. -EBUSY: the limit has passed; the reason names the holder. -EIO: the
 * role's own has, which holds for what users wrote, however often it is tried. Neither limit is for
 * room among our own (pgclient/lock_room.h), which comes. */
MUST_CHECK int lock_wait_note(struct lock_waits *waits, struct lock_wait *wait,
                              struct session *session, struct error *error);

/* The same, known to be for want of room among our own. */
void lock_wait_note_room(struct lock_waits *waits, struct lock_wait *wait);

/* Somebody else has looked who has it now. */
void lock_wait_seen(struct lock_waits *waits, struct lock_wait *wait,
                    const struct lock_party *holder);

/* The lock was had, and maybe there are more, which only the attempt's end will tell. Not listed
 * any more; the next lock_wait_note goes on with the same wait. */
void lock_wait_rest(struct lock_waits *waits, struct lock_wait *wait);

/* All that is locked was had, or is not wanted any more. */
void lock_wait_over(struct lock_waits *waits, struct lock_wait *wait);

/* The pause. -EINTR: `stop` (nullable) was set meanwhile. */
MUST_CHECK int lock_wait_pause(const atomic_bool *stop);

/* Has `ask` ask its short question of the catalogs on a session of the pool's, again and again as
 * long as that is -EBUSY; an attempt that is has left nothing behind. What it answers in the end,
 * -EBUSY after the limit, or -EINTR (`stop`, nullable). `waits` may be NULL: then it is asked once.
 * `relation` and `what` as in struct lock_wait; all is borrowed. */
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
