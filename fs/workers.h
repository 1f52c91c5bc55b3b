/* A few threads that work off a queue of small tasks.
 *
 * Lifetime: workers_free waits for the tasks under way; those still queued are run too.
 * Threads: any may add.
 */
#ifndef FS_WORKERS_H
#define FS_WORKERS_H

#include "codec/error.h"

struct workers;

MUST_CHECK int workers_new(int threads, struct workers **out);
void workers_free(struct workers *workers);

/* Runs `work(argument)` soon. -ENOMEM: not queued. `urgent` ones come before the others. */
MUST_CHECK int workers_add(struct workers *workers, void (*work)(void *), void *argument,
                           int urgent);

#endif
