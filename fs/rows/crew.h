/* A crew: a read point with the sessions that work under it, the leader's and those that have
 * joined. They join when there is work for several and the pool has sessions to spare, and leave
 * when somebody else waits for one, or the work is done: the leader's alone stays.
 *
 * Lifetime: crew_new, crew_lead (takes the leader's session), crew_open (the read point), any work,
 * crew_dismiss; then it may lead and open again. Threads: crew_lead and crew_open by one; crew_run
 * by one at a time, crew_take, crew_give and crew_dismiss by any in between; crew_stop by any at
 * any time. Errors: those of pgclient/session.h and readpoint.h; -EINTR after crew_stop.
 */
#ifndef FS_ROWS_CREW_H
#define FS_ROWS_CREW_H

#include "fs/base/waiters.h"
#include "pgclient/readpoint.h"

struct crew;

/* At most `sessions` at work at once, the leader's included. `enders` (borrowed) are the threads on
 * which it is dismissed when the last reference goes; NULL: that is done at once. */
MUST_CHECK int crew_new(struct session_pool *pool, int sessions, struct waiters *enders,
                        struct crew **out);
struct crew *crew_ref(struct crew *crew);
/* The last one dismisses it, without making the caller wait. NULL is fine. */
void crew_unref(struct crew *crew);

/* Takes a session from the pool, waiting for one as long as the thread's patience lasts. */
MUST_CHECK int crew_lead(struct crew *crew, const struct relation *relation, struct error *error);
/* Whether its session counts among those of what users wrote; once the read point is open. */
bool crew_is_of_users(const struct crew *crew);
/* Whether a session is its own, or its read point is open: until it has been dismissed. */
bool crew_has_something(struct crew *crew);
/* Whether it has some of the locks that large reads share (pgclient/lock_room.h). */
bool crew_has_locks(struct crew *crew);
struct session *crew_leader(struct crew *crew);
/* How long crew_open waits for locks (session_lock_patience), on whichever session; until
 * crew_lead.
 */
void crew_lock_patience(struct crew *crew, int milliseconds);

/* Opens the read point on the leader's session, or on another one, which is waited for, where it
 * turns out that what users wrote is read. After an error there may be no leader. */
MUST_CHECK int crew_open(struct crew *crew, const struct relation *relation, struct error *error);
struct readpoint *crew_readpoint(struct crew *crew);
bool crew_is_open(struct crew *crew); /* the read point has not ended */

/* Ends the read point and gives all sessions back, once those that were taken are given. It may
 * wait for the server. */
void crew_dismiss(struct crew *crew);

/* Whether somebody else waits for a lock that one of the sessions has; `why` (nullable) gets who.
 */
bool crew_is_wanted(struct crew *crew, char *why, size_t size);

/* Looks on an idle session whether others wait for locks of the pool's sessions; nothing, if none
 * is idle. It waits for the server. */
void crew_look(struct crew *crew);

/* Dismisses it on a thread that may wait. */
void crew_leave(struct crew *crew);

/* Whatever the sessions do ends soon, and nothing new begins. */
void crew_stop(struct crew *crew);

/* Calls work(context, number, session) once for each number below `count`, in about that order, on
 * as many sessions at once as there are. Returns the first error, -ECANCELED last; what had not
 * begun then never does. */
typedef int crew_work(void *context, size_t number, struct session *session, struct error *error);
MUST_CHECK int crew_run(struct crew *crew, size_t count, crew_work *work, void *context,
                        struct error *error);

/* One session for a moment: an idle one, else one more that joins (beside those of crew_run), else
 * the first that is given back; who came first is served first, as long as the thread's patience
 * lasts (-EINTR). -ENOTCONN: the crew has been dismissed, or none of its sessions is good any more.
 */
MUST_CHECK int crew_take(struct crew *crew, struct session **out, struct error *error);
void crew_give(struct crew *crew, struct session *session);

#endif
