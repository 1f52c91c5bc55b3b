/* The thread that looks, once a second while some session of ours has had a transaction for so
 * long, whether others wait for our locks (pgclient/lock.h). Fetches and questions see it for
 * themselves and let go; what is held for open files is let go of here.
 *
 * It looks on a session that it need not wait for. Where there is none, fetches look between their
 * ranges, and held read points on their own sessions; one long statement then goes on unwatched.
 *
 * It looks, once a second, whose locks are free of those that many of us wait for (lock_line.h).
 *
 * Lifetime: lock_watch_stop, once the pool of sessions is stopped. Threads: its owner's.
 */
#ifndef FS_ROWS_LOCK_WATCH_H
#define FS_ROWS_LOCK_WATCH_H

#include "fs/rows/held.h"
#include "fs/rows/lock_line.h"

struct lock_watch;

/* Borrows all. */
MUST_CHECK int lock_watch_start(struct session_pool *pool, struct held *held,
                                struct lock_line *line, struct lock_watch **out);
void lock_watch_stop(struct lock_watch *watch); /* NULL is fine */

#endif
