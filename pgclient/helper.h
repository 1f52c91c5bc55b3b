/* A helper: a thread for a call of libpq's that blocks and must not be waited for without looking
 * at a stop flag. One other thread waits for it, or gives it up; who is last frees it.
 *
 * Lifetime: helper_init, helper_start; helper_wait, and after true helper_free. After a failed
 * start: helper_free.
 */
#ifndef PGCLIENT_HELPER_H
#define PGCLIENT_HELPER_H

#include "codec/error.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { HELPER_TICK_MS = 100 };

struct departing;

struct helper {
    void (*run)(struct helper *helper);
    void (*drop)(struct helper *helper); /* frees all of it */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done, given_up;         /* guarded by lock */
    struct departing *departing; /* nullable: counts it from when it is given up until it ends */
};

void helper_init(struct helper *helper, void (*run)(struct helper *),
                 void (*drop)(struct helper *));
void helper_free(struct helper *helper);

/* Signals are the daemon's business, not the helper's. */
MUST_CHECK int helper_start(struct helper *helper);

/* Waits until it is done; false: given up, because of a stop flag (both nullable) or the time
 * (negative: any). Then it is not the caller's any more. */
bool helper_wait(struct helper *helper, const atomic_bool *stop, const atomic_bool *also,
                 int milliseconds);

/* Whether all helpers have ended, those that were given up too, within this time. */
bool helpers_ended(int milliseconds);

#endif
