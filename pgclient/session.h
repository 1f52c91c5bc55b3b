/* The pool of connections to the server, which are few: a mount takes no more connections than it
 * was given, and threads that wait for one are served in order.
 *
 * A session is a connection that is lent. A thread that has one must not wait for another, or for a
 * thread that waits for one: with a limit of 1 that would be for ever. The purpose of a session
 * decides how many there may be:
 *
 *   SESSION_SHORT  a short question (catalog, marks, signatures)
 *   SESSION_FETCH  the reading of a table
 *   SESSION_USER   what users wrote, which may take any time: views, foreign tables, policies,
 *                  filters, the server's own search; at most limit - 2 (but one), so that tables
 *                  get on
 *   SESSION_JOIN   one more for a fetch that has one: never waits, and is granted only while no
 *                  thread waits. It is to be given back soon after session_pool_wanted says so
 *   SESSION_PLACE  a connection that another program makes: session_place_take
 *
 * With a limit of 3 or more one place is kept for SESSION_SHORT. A connection that is closed, or
 * given up before it was open, keeps its place until the server has let go of it. A server that
 * refuses a further connection (max_connections, CONNECTION LIMIT) makes the pool smaller for a
 * while. That is an error only if the pool has no connection, and has had none for a moment.
 *
 * Lifetime: sessions belong to the pool: session_take lends one, session_give takes it back in any
 * state (an open transaction is rolled back; a connection that is broken, or a minute old, is
 * closed). Idle ones are closed by session_pool_tend. Threads: the pool is shared; a session
 * belongs to one thread at a time, except for session_stop. Errors: -ENOTCONN the connection failed
 * or was lost (the message says how), -EUSERS the server takes no connection, and the pool has none
 * to wait for, -EINTR stopped, -EAGAIN none is free (only from calls that do not wait), or a
 * conflict with others that may be gone the next time (a lock with NOWAIT, a deadlock, a standby's
 * recovery), -EBUSY another client had a lock for the whole time that was waited, which is not
 * long, -EACCES the role may not, -ENOENT the relation has gone, -EIO any other answer of the
 * server; messages are the server's own, with its SQLSTATE.
 */
#ifndef PGCLIENT_SESSION_H
#define PGCLIENT_SESSION_H

#include "pgclient/server.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct session_pool;
struct mounted;

enum session_purpose {
    SESSION_SHORT,
    SESSION_FETCH,
    SESSION_USER,
    SESSION_JOIN,
    SESSION_PLACE,
    SESSION_PURPOSES
};

/* At most `limit` connections at once. The pool borrows `server`. */
MUST_CHECK int session_pool_new(const struct server *server, int limit, struct session_pool **out);
void session_pool_free(struct session_pool *pool);
int session_pool_limit(const struct session_pool *pool);

/* What a waiting thread needs from others: any session, one of SESSION_USER, or one that has locks
 * reserved. */
enum session_lack { LACK_OF_ANY, LACK_OF_USERS, LACK_OF_LOCKS };

/* Sets a function that threads call, without any lock, when they have waited for a second, and each
 * second again: it may make others give something back. Set it before the first session is taken.
 */
void session_pool_when_short(struct session_pool *pool,
                             void (*make_room)(void *context, enum session_lack lack),
                             void *context);

/* Lends a session, idle or new, verified to be alive. Waits for one, except for SESSION_JOIN;
 * returns -EINTR soon after `stop` (nullable, borrowed for the call) is set. */
MUST_CHECK int session_take(struct session_pool *pool, enum session_purpose purpose,
                            const atomic_bool *stop, struct session **out, struct error *error);

/* The same without waiting for a place (-EAGAIN), or longer than a second for a connection
 * (-ETIMEDOUT). */
MUST_CHECK int session_take_now(struct session_pool *pool, enum session_purpose purpose,
                                const atomic_bool *stop, struct session **out, struct error *error);
void session_give(struct session *session);

/* Turns a SESSION_FETCH into a SESSION_USER; false: there are as many of these as there may be. */
bool session_becomes_users(struct session *session);

/* Whether it can run a statement now; once lost or stopped it never can. */
bool session_usable(const struct session *session);

/* After -ENOTCONN: whether the connection, which had been idle, had ended before it was lent: a
 * server that ends a connection may say so late. What was asked can be asked of another one. */
bool session_had_gone(const struct session *session);

/* After a lock was not granted: for how long the role's own limits allow what users wrote to be
 * tried again, in milliseconds; 0: there are no limits, or it was not what users wrote. `of_locks`:
 * the limit is lock_timeout. */
int session_own_limit(const struct session *session, bool *of_locks);

/* Transactions that begin in it from now on wait for a lock no longer than this, in milliseconds
 * (at least one), until it is given back; a read point that has its locks waits as usual. */
void session_lock_patience(struct session *session, int milliseconds);

/* Setting this flag also ends what the session does; NULL: no longer. Borrowed. */
void session_also_stop(struct session *session, const atomic_bool *stop);
/* Takes a place without a connection, for a program that makes its own: if need be, an idle
 * connection of the pool is closed for it. `*out` is good for session_place_give only. */
MUST_CHECK int session_place_take(struct session_pool *pool, const atomic_bool *stop,
                                  struct session **out, struct error *error);
/* The same without waiting: -EAGAIN. */
MUST_CHECK int session_place_take_now(struct session_pool *pool, const atomic_bool *stop,
                                      struct session **out, struct error *error);
void session_place_give(struct session *place);

/* The program was refused its connection: idle connections of the pool are closed, and the pool is
 * smaller for a while. */
void session_place_refused(struct session *place);

/* Whether a thread waits that one more session, given back, would serve. Any thread; cheap. */
bool session_pool_wanted(struct session_pool *pool);

/* Ends what the session is doing: its calls return -EINTR within 200 ms, and the server is asked to
 * cancel. Any thread. */
void session_stop(struct session *session);

/* Wakes all threads that wait in session_take (-EINTR), and stops all sessions: the daemon is
 * ending. */
void session_pool_stop(struct session_pool *pool);

/* Whether, within this time, no thread connects or cancels in the background any more. What such a
 * thread uses is its own; only exit() would take libraries away from under it. */
bool session_helpers_ended(int milliseconds);

/* Closes idle sessions: the first one after 30 s, the others after three, and those that are a
 * minute old or begun with other settings of the role than the newest. Called now and then. */
void session_pool_tend(struct session_pool *pool);

/* Reads what backends of closed connections still send, which would keep them from ending. Called
 * ten times a second; it waits for nothing. */
void session_pool_see_off(struct session_pool *pool);

/* For pgclient/ alone: counts connections of the pool that have been given up, each until it has
 * gone. Until then they keep their places. */
struct departing *session_pool_departing(const struct session_pool *pool);

/* For pgclient/ alone: the cluster that is mounted (cluster.h), of which all sessions know. */
struct mounted *session_pool_mounted(struct session_pool *pool);

/* ---- locks that others wait for (pgclient/lock.h) ---- */

/* Whether some session has been in a transaction for a second, and no thread has looked for
 * `milliseconds` whether other clients wait for its locks. Any thread; cheap. */
bool session_pool_unwatched(struct session_pool *pool, int milliseconds);

/* Gets the backends of all sessions that are in a transaction, and returns how many. This counts as
 * a look. */
int session_pool_holders(struct session_pool *pool, int *pids, int most);
/* Takes that back: the look has failed. */
void session_pool_not_looked(struct session_pool *pool);

/* Notes that a client waits for a lock of this backend; `why` says which client, and for what. */
void session_pool_want_back(struct session_pool *pool, int backend, const char *why);

/* Whether a client waits for a lock of this session; `why` (nullable) gets which. */
bool session_is_wanted(struct session *session, char *why, size_t size);

/* For pgclient/ alone (lock_room.h): the session reserves so many of the server's locks, in place
 * of those that it had, until it is given back. All sessions together have no more than `most`,
 * unless one has more and is alone (lock_share.h). false: not now. If held read points have them,
 * one of these ends after a second. */
bool session_reserve_locks(struct session *session, int64_t locks, int64_t most);

/* Whether it has reserved locks; whether it was refused some, and has not been given back since. */
bool session_has_locks(const struct session *session);
bool session_lacks_room(const struct session *session);

/* Whether its transaction has failed, -EAGAIN, because the server had no room for more locks. Then,
 * for half a minute, sessions that need many locks are served one by one. */
bool session_lacks_locks(const struct session *session);

/* For pgclient/ alone: the session's connection, connection.h. */
struct connection *session_connection(struct session *session);

/* What is known of all relations (verdicts.h). */
struct verdicts *session_verdicts(struct session *session);

#endif
