/* Threads for work that may wait: for the server, for a lock, for the disk. However long some wait,
 * the others go on: each task has a thread to itself, made when none is idle, as long as there are
 * fewer than a bound, those not counted that wait for somebody who needs none of them. Idle threads
 * end after a while, but for one, so that what was put is always run.
 *
 * Lifetime: waiters_stop; waiters_join waits for the tasks under way, and runs those still queued
 * too; waiters_free, which joins where that has not been done. Threads: any may add, until
 * waiters_free; the rest is the owner's.
 */
#ifndef FS_BASE_WAITERS_H
#define FS_BASE_WAITERS_H

#include "codec/error.h"

#include <stdbool.h>

struct waiters;

/* A task's place in the queue, where it is a part of something else: for work that must not be
 * refused. Free again once its work begins. */
struct waiters_task {
    struct waiters_task *next;
    void (*work)(void *);
    void *argument;
    bool owned;
};

/* At most `most` threads. -ENOMEM, -EAGAIN: not even one. */
MUST_CHECK int waiters_new(int most, struct waiters **out);
void waiters_stop(struct waiters *waiters); /* from now on waiters_add refuses; NULL is fine */
void waiters_join(struct waiters *waiters); /* nobody is at work any more; NULL is fine */
void waiters_free(struct waiters *waiters); /* NULL is fine */

/* Runs `work(argument)` soon. -ENOMEM, or -ESHUTDOWN after waiters_stop: it never will. */
MUST_CHECK int waiters_add(struct waiters *waiters, void (*work)(void *), void *argument);

/* The same in memory of the caller's, after waiters_stop too: it cannot fail. After waiters_join
 * only a task may. */
void waiters_put(struct waiters *waiters, struct waiters_task *task, void (*work)(void *),
                 void *argument);

/* The task that calls this waits, perhaps for long, for something that takes no thread, until
 * waiters_back: its thread does not count meanwhile. On other threads they do nothing. */
void waiters_away(void);
void waiters_back(void);

#endif
