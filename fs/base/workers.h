/* A few threads that compute: they work off a queue of small tasks, none of which waits for the
 * server, a lock or another task.
 *
 * Work that may wait goes to waiters (fs/base/waiters.h). They are another type, since one pool
 * cannot be both: these threads are as few as there are processors, however long the queue is, and
 * what is urgent overtakes; there a task must never stand behind one that waits, so each gets a
 * thread.
 *
 * Lifetime: workers_stop; workers_join waits for the tasks under way, and runs those still queued
 * too; workers_free joins if that has not been done. Threads: any may add, until workers_free; the
 * rest is the owner's.
 */
#ifndef FS_BASE_WORKERS_H
#define FS_BASE_WORKERS_H

#include "codec/error.h"

struct workers;

MUST_CHECK int workers_new(int threads, struct workers **out);
void workers_stop(struct workers *workers); /* from now on workers_add refuses; NULL is fine */
void workers_join(struct workers *workers); /* no thread is at work afterwards; NULL is fine */
void workers_free(struct workers *workers); /* NULL is fine */

/* Runs `work(argument)` soon, `urgent` tasks before the others. -ENOMEM, or -ESHUTDOWN after
 * workers_stop: it never will. */
MUST_CHECK int workers_add(struct workers *workers, void (*work)(void *), void *argument,
                           int urgent);

#endif
