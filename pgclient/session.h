/* One connection with the settings pinned that decide how values print (platform facts: those that
 * pg_dump sets), and the pool that keeps a few of them.
 *
 * Lifetime: sessions belong to the pool: session_take lends one, session_give takes it back in
 * whatever state it is (a transaction left open is rolled back, a broken one is closed). Idle ones
 * are closed after 30 s by session_pool_tend. Threads: the pool is shared; a session belongs to one
 * thread at a time, except for session_stop. Errors: -ENOTCONN the connection failed or was lost
 * (the message says how), -EINTR stopped by session_stop, -EAGAIN too many sessions (only with
 * `wait` false), or a conflict with others that may be gone the next time (a lock that was not to
 * be waited for, a deadlock, a standby's recovery), -EBUSY somebody else had a lock for as long as
 * it was waited for, which is not long, -EACCES the role may not, -ENOENT the relation has gone,
 * -EIO any other answer of the server; messages are the server's own, with its SQLSTATE.
 */
#ifndef PGCLIENT_SESSION_H
#define PGCLIENT_SESSION_H

#include "pgclient/server.h"

#include <stdatomic.h>

struct session;
struct session_pool;

/* At most `limit` sessions at once. The pool borrows `server`. */
MUST_CHECK int session_pool_new(const struct server *server, int limit, struct session_pool **out);
void session_pool_free(struct session_pool *pool);

/* Lends a session, idle or new, verified to be alive. `wait`: block until one is free, else
 * -EAGAIN. */
MUST_CHECK int session_take(struct session_pool *pool, bool wait, struct session **out,
                            struct error *error);
void session_give(struct session *session);

/* Whether it can run a statement now; once lost or stopped it never can. */
bool session_usable(const struct session *session);

/* What it does ends when this flag is set, too; NULL: no longer. Borrowed. */
void session_also_stop(struct session *session, const atomic_bool *stop);

/* Ends whatever the session is doing: its calls return -EINTR within 200 ms, and the server is
 * asked to cancel. Any thread. */
void session_stop(struct session *session);

/* Wakes everybody who waits in session_take (-EINTR) and stops all sessions: the daemon is ending.
 */
void session_pool_stop(struct session_pool *pool);

/* Whether nobody connects or cancels in the background any more, within this time. What such a
 * thread uses is its own; only exit() would take libraries away from under it. */
bool session_helpers_ended(int milliseconds);

/* Closes sessions that have been idle for 30 s. Called now and then. */
void session_pool_tend(struct session_pool *pool);

/* Backends' process ids of the sessions lent out, for tests and the status page; returns how many
 * were written. */
int session_pool_backends(struct session_pool *pool, int *pids, int most);

/* For pgclient/ alone: the session's connection, connection.h. */
struct connection *session_connection(struct session *session);

#endif
