/* A helper: a thread for a blocking call of libpq, so that the caller can look at a stop flag while
 * it waits. One other thread waits for the helper, or gives it up; the last of the two frees it.
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
    bool done, given_up; /* guarded by lock */
    /* nullable: counts the helper from when it is given up until it ends */
    struct departing *departing;
};

void helper_init(struct helper *helper, void (*run)(struct helper *),
                 void (*drop)(struct helper *));
void helper_free(struct helper *helper);

/* The helper blocks signals: the daemon's other threads handle them. */
MUST_CHECK int helper_start(struct helper *helper);

/* Waits until it is done; false: it was given up, because a stop flag (both nullable) was set or
 * the time (negative: any) is over. Then the helper does not belong to the caller any more. */
bool helper_wait(struct helper *helper, const atomic_bool *stop, const atomic_bool *also,
                 int milliseconds);

/* Whether all helpers, also those given up, have ended within this time. */
bool helpers_ended(int milliseconds);

#endif
