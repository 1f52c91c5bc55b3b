/* The thread that looks, once a second while some session of ours has been in a transaction for so
 * long, whether others wait for our locks (pgclient/lock.h). Fetches and questions see the result
 * for themselves and let go; the thread lets go of read points held for open files.
 *
 * It looks on a session that it need not wait for. If there is none, fetches look between their
 * ranges, and held read points on their own sessions; one long statement then goes on unwatched.
 *
 * Once a second it also looks which of the locks are free that many of our turns wait for
 * (lock_line.h).
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
