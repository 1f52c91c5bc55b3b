/* The pool of connections to the server, which are few: a mount takes no more of the server's than
 * it has been given, and whoever waits for one is served in order.
 *
 * A session is a connection that is lent. Whoever has one must not wait for another, or for
 * somebody who waits for one: with a limit of 1 that would be for ever. What a session is taken for
 * decides how many there may be:
 *
 *   SESSION_SHORT  a moment's question (catalog, marks, signatures)
 *   SESSION_FETCH  the reading of a table
 *   SESSION_USER   what users wrote, which may take any time: views, foreign tables, policies,
 *                  filters, the server's own search; at most limit - 2 (but one), so that tables
 *                  get on
 *   SESSION_JOIN   one more for a fetch that has one: never waits, and is granted only while nobody
 *                  waits. It is to be given back soon after session_pool_wanted says so
 *   SESSION_PLACE  a connection that another program makes: session_place_take
 *
 * With a limit of 3 or more one place is kept for SESSION_SHORT. A connection that is closed, or
 * given up before it was there, keeps its place until the server has let go of it. A server that
 * refuses a further connection (max_connections, CONNECTION LIMIT) makes the pool smaller for a
 * while; only if the pool has none, and has not had one for a moment, is that an error.
 *
 * Lifetime: sessions belong to the pool: session_take lends one, session_give takes it back in
 * whatever state it is (a transaction left open is rolled back, a broken one is closed). Idle ones
 * are closed by session_pool_tend. Threads: the pool is shared; a session belongs to one thread at
 * a time, except for session_stop. Errors: -ENOTCONN the connection failed or was lost (the message
 * says how), -EUSERS the server takes no connection, and the pool has none to wait for, -EINTR
 * stopped, -EAGAIN none is free (only where nobody waits), or a conflict with others that may be
 * gone the next time (a lock that was not to be waited for, a deadlock, a standby's recovery),
 * -EBUSY somebody else had a lock for as long as it was waited for, which is not long, -EACCES the
 * role may not, -ENOENT the relation has gone, -EIO any other answer of the server; messages are
 * the server's own, with its SQLSTATE.
 */
#ifndef PGCLIENT_SESSION_H
#define PGCLIENT_SESSION_H

#include "pgclient/server.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct session;
struct session_pool;

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

/* What of others' would be of use to one who waits: any session, one of SESSION_USER, or one that
 * has locks reserved. */
enum session_lack { LACK_OF_ANY, LACK_OF_USERS, LACK_OF_LOCKS };

/* Called, without any lock, by those who have waited for a second, and each second again: it may
 * have something given back. Before the first session is taken. */
void session_pool_when_short(struct session_pool *pool,
                             void (*make_room)(void *context, enum session_lack lack),
                             void *context);

/* Lends a session, idle or new, verified to be alive. Waits for one, SESSION_JOIN aside; soon after
 * `stop` (nullable, borrowed for the call) is set it is -EINTR. */
MUST_CHECK int session_take(struct session_pool *pool, enum session_purpose purpose,
                            const atomic_bool *stop, struct session **out, struct error *error);

/* The same without waiting for a place (-EAGAIN), or longer than a second for a connection
 * (-ETIMEDOUT). */
MUST_CHECK int session_take_now(struct session_pool *pool, enum session_purpose purpose,
                                const atomic_bool *stop, struct session **out, struct error *error);
void session_give(struct session *session);

/* One of SESSION_FETCH is one of SESSION_USER from now on; false: there are as many as may be. */
bool session_becomes_users(struct session *session);

/* Whether it can run a statement now; once lost or stopped it never can. */
bool session_usable(const struct session *session);

/* A lock was not to be had: how long the role's own limits let what users wrote be tried again, in
 * milliseconds; 0: they say nothing, or it was not of users. `of_locks`: by lock_timeout. */
int session_own_limit(const struct session *session, bool *of_locks);

/* What begins on it from now on waits for a lock no longer than this, in milliseconds (at least
 * one), until it is given back; a read point that has its locks waits as usual. */
void session_lock_patience(struct session *session, int milliseconds);

/* What it does ends when this flag is set, too; NULL: no longer. Borrowed. */
void session_also_stop(struct session *session, const atomic_bool *stop);
/* A place without a connection, for a program that makes one: an idle one of the pool's is closed
 * for it if need be. `*out` is good for session_place_give only. */
MUST_CHECK int session_place_take(struct session_pool *pool, const atomic_bool *stop,
                                  struct session **out, struct error *error);
/* The same without waiting: -EAGAIN. */
MUST_CHECK int session_place_take_now(struct session_pool *pool, const atomic_bool *stop,
                                      struct session **out, struct error *error);
void session_place_give(struct session *place);

/* The program was refused its connection: others of the pool that are idle are closed, and the pool
 * is smaller for a while. */
void session_place_refused(struct session *place);

/* Whether somebody waits whom another session given back would serve. Any thread; cheap. */
bool session_pool_wanted(struct session_pool *pool);

/* Ends whatever the session is doing: its calls return -EINTR within 200 ms, and the server is
 * asked to cancel. Any thread. */
void session_stop(struct session *session);

/* Wakes everybody who waits in session_take (-EINTR) and stops all sessions: the daemon is ending.
 */
void session_pool_stop(struct session_pool *pool);

/* Whether nobody connects or cancels in the background any more, within this time. What such a
 * thread uses is its own; only exit() would take libraries away from under it. */
bool session_helpers_ended(int milliseconds);

/* Closes sessions that have been idle: one after 30 s, what is more than that after three. Called
 * now and then. */
void session_pool_tend(struct session_pool *pool);

/* Takes what backends of closed connections still send, which would keep them from ending. Called
 * ten times a second; it waits for nothing. */
void session_pool_see_off(struct session_pool *pool);

/* For pgclient/ alone: counts connections of the pool's that have been given up, each until it has
 * gone. They keep their places so long. */
struct departing *session_pool_departing(const struct session_pool *pool);

/* ---- locks that others wait for (pgclient/lock.h) ---- */

/* Whether some session has been in a transaction for a second, and nobody has looked for so long
 * whether others wait for its locks. Any thread; cheap. */
bool session_pool_unwatched(struct session_pool *pool, int milliseconds);

/* Backends of all sessions that are in a transaction; returns how many. From now on somebody has
 * looked, */
int session_pool_holders(struct session_pool *pool, int *pids, int most);
/* unless it came to nothing. */
void session_pool_not_looked(struct session_pool *pool);

/* Somebody waits for a lock of this backend's; `why` says who, and for what. */
void session_pool_want_back(struct session_pool *pool, int backend, const char *why);

/* Whether somebody waits for a lock of this session's; `why` (nullable) gets who. */
bool session_is_wanted(struct session *session, char *why, size_t size);

/* For pgclient/ alone (lock_room.h): the session has so many of the server's locks, in place of
 * those that it had, until it is given back; all sessions together no more than `most`, unless one
 * has more for itself (lock_share.h). false: not now. Where held read points have them, one ends
 * after a second. */
bool session_reserve_locks(struct session *session, int64_t locks, int64_t most);

/* Whether it has any so; whether it was refused some, and has not been given back since. */
bool session_has_locks(const struct session *session);
bool session_lacks_room(const struct session *session);

/* Whether its transaction has failed, -EAGAIN, because the server had no room for more locks. For
 * half a minute those who need many are then served one by one. */
bool session_lacks_locks(const struct session *session);

/* For pgclient/ alone: the session's connection, connection.h. */
struct connection *session_connection(struct session *session);

#endif
