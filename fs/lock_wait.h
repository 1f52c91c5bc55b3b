/* Waiting for a lock that somebody else has, without keeping a session meanwhile: whoever wants it
 * asks for it for a moment (-EBUSY), gives the session back, and comes again after a pause. Those
 * who wait are listed, for the status page.
 *
 * Lifetime: a struct lock_wait is {0} at first, and is its owner's, on whose stack it may be; what
 * it borrows must live until lock_wait_over. Threads: any.
 */
#ifndef FS_LOCK_WAIT_H
#define FS_LOCK_WAIT_H

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
    int64_t since; /* clock_ms(); 0: it does not wait */
};

/* A short question to the server, of its catalogs alone, keeps its session while it waits: this is
 * how others (lock_watch.h) see whether it does. */
struct lock_question {
    struct lock_question *next, **at;
    struct lock_wait wait;
    int backend;
    int64_t asked, looked; /* clock_ms() */
};

struct lock_waits {
    pthread_mutex_t lock;    /* guards what follows, and each wait's holder */
    struct lock_wait *first; /* the one that has waited longest */
    struct lock_question *questions;
    int64_t limit_ms; /* negative: none. Constant */
};

void lock_waits_init(struct lock_waits *waits, int64_t limit_ms);

/* The lock was not to be had: looks on `session` (usable; nullable) who has it, and notes that. 0:
 * try again after a pause. -EBUSY: the limit has passed; the reason names the holder. -EIO: the
 * role's own has, which holds for what users wrote, however often it is tried. */
MUST_CHECK int lock_wait_note(struct lock_waits *waits, struct lock_wait *wait,
                              struct session *session, struct error *error);

/* The lock was had, or is not wanted any more. */
void lock_wait_over(struct lock_waits *waits, struct lock_wait *wait);

/* The question is asked from now until its end; what it is about as of struct lock_wait. */
void lock_question_begin(struct lock_waits *waits, struct lock_question *question,
                         const struct relation *relation, const char *what,
                         struct session *session);
void lock_question_end(struct lock_waits *waits, struct lock_question *question);

/* The backend of a question that has been under way for a second, if nobody has looked for so long
 * what it waits for: the caller does; 0: there is none. */
int lock_question_due(struct lock_waits *waits);
/* It waits for a lock, of `holder` (nullable: unknown), or does not. */
void lock_question_seen(struct lock_waits *waits, int backend, bool locked,
                        const struct lock_party *holder);

/* The pause. -EINTR: `stop` (nullable) was set meanwhile. */
MUST_CHECK int lock_wait_pause(const atomic_bool *stop);

#endif
