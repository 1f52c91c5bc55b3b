/* A crew: a read point with the sessions that work under it, the leader's and those that have
 * joined. Sessions join when there is work for several and the pool has some to spare; they leave
 * when another thread waits for a session, or the work is done. The leader's alone stays.
 *
 * Lifetime: crew_new, crew_lead (takes the leader's session), crew_open (the read point), any work,
 * crew_dismiss; then it may lead and open again. Threads: one calls crew_lead and crew_open; one at
 * a time calls crew_run; any may call crew_take, crew_give and crew_dismiss in between, and
 * crew_stop at any time. Errors: those of pgclient/session.h and readpoint.h; -EINTR after
 * crew_stop.
 */
#ifndef FS_ROWS_CREW_H
#define FS_ROWS_CREW_H

#include "fs/base/waiters.h"
#include "pgclient/readpoint.h"

struct crew;

/* At most `sessions` work at once, the leader's included. When the last reference goes, a thread of
 * `enders` (borrowed) dismisses the crew; NULL: the caller does, at once. */
MUST_CHECK int crew_new(struct session_pool *pool, int sessions, struct waiters *enders,
                        struct crew **out);
struct crew *crew_ref(struct crew *crew);
/* The last one dismisses the crew, without making the caller wait. NULL is fine. */
void crew_unref(struct crew *crew);

/* Takes a session from the pool. Waits for one as long as the thread's patience lasts. */
MUST_CHECK int crew_lead(struct crew *crew, const struct relation *relation, struct error *error);
/* Whether its session counts among those for what users wrote; known once the read point is
 * open. */
bool crew_is_of_users(const struct crew *crew);
/* Whether it has a session or an open read point: until it has been dismissed. */
bool crew_has_something(struct crew *crew);
/* Whether it has some of the locks that large reads share (pgclient/lock_room.h). */
bool crew_has_locks(struct crew *crew);
struct session *crew_leader(struct crew *crew);
/* Sets how long crew_open waits for locks (session_lock_patience), on whichever session; holds
 * until the next crew_lead. */
void crew_lock_patience(struct crew *crew, int milliseconds);

/* Opens the read point on the leader's session; or, if it turns out to read what users wrote, on
 * another session, which it waits for. After an error there may be no leader. */
MUST_CHECK int crew_open(struct crew *crew, const struct relation *relation, struct error *error);
struct readpoint *crew_readpoint(struct crew *crew);
bool crew_is_open(struct crew *crew); /* the read point has not ended */

/* Ends the read point and gives all sessions back, once the sessions that were taken are given. It
 * may wait for the server. */
void crew_dismiss(struct crew *crew);

/* Whether another session waits for a lock that one of the crew's sessions has; `why` (nullable)
 * gets which. */
bool crew_is_wanted(struct crew *crew, char *why, size_t size);

/* Asks on an idle session whether others wait for locks of the pool's sessions; does nothing if
 * none is idle. It waits for the server. */
void crew_look(struct crew *crew);

/* Dismisses it on a thread that may wait. */
void crew_leave(struct crew *crew);

/* Ends soon whatever the sessions do; nothing new begins. */
void crew_stop(struct crew *crew);

/* Calls work(context, number, session) once for each number below `count`, in about that order, on
 * as many sessions at once as there are. Returns the first error that is not -ECANCELED, else that;
 * numbers that had not begun by then never do. */
typedef int crew_work(void *context, size_t number, struct session *session, struct error *error);
MUST_CHECK int crew_run(struct crew *crew, size_t count, crew_work *work, void *context,
                        struct error *error);

/* Lends one session for a moment: an idle one, else one more that joins (beside those of crew_run),
 * else the first that is given back. Callers are served in the order in which they came, as long as
 * the thread's patience lasts (-EINTR). -ENOTCONN: the crew has been dismissed, or none of its
 * sessions is good any more. */
MUST_CHECK int crew_take(struct crew *crew, struct session **out, struct error *error);
void crew_give(struct crew *crew, struct session *session);

#endif
