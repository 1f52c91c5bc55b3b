/* Threads for work that may wait: for the server, for a lock, for the disk. However long some wait,
 * the others go on: each task has a thread to itself, which is made if none is idle and fewer than
 * a bound run. Threads that wait for something that needs no thread (waiters_away) do not count.
 * Idle threads end after a while, except one, so that a task put into the queue always runs.
 *
 * Lifetime: waiters_stop; waiters_join waits for the tasks under way, and runs those still queued
 * too; waiters_free joins if that has not been done. Threads: any may add, until waiters_free; the
 * rest is the owner's.
 */
#ifndef FS_BASE_WAITERS_H
#define FS_BASE_WAITERS_H

#include "codec/error.h"

#include <stdbool.h>

struct waiters;

/* A task's place in the queue, embedded in the caller's own structure: for work that must not be
 * refused. The caller may use it again once the work begins. */
struct waiters_task {
    struct waiters_task *next;
    void (*work)(void *);
    void *argument;
    bool owned;
};

/* At most `most` threads. -ENOMEM, -EAGAIN: not even one could be made. */
MUST_CHECK int waiters_new(int most, struct waiters **out);
void waiters_stop(struct waiters *waiters); /* from now on waiters_add refuses; NULL is fine */
void waiters_join(struct waiters *waiters); /* no thread is at work afterwards; NULL is fine */
void waiters_free(struct waiters *waiters); /* NULL is fine */

/* Runs `work(argument)` soon. -ENOMEM, or -ESHUTDOWN after waiters_stop: it never will. */
MUST_CHECK int waiters_add(struct waiters *waiters, void (*work)(void *), void *argument);

/* The same in memory of the caller's, so that it cannot fail; allowed after waiters_stop too, but
 * after waiters_join only to a task. */
void waiters_put(struct waiters *waiters, struct waiters_task *task, void (*work)(void *),
                 void *argument);

/* The calling task waits until waiters_back, perhaps for long, for something that needs none of
 * these threads: its thread does not count meanwhile. On threads that are not waiters both do
 * nothing. */
void waiters_away(void);
void waiters_back(void);

#endif
