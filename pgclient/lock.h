/* Questions about the locks of relations: which clients are in our way, and in whose way we are.
 *
 * Reading takes ACCESS SHARE. Only ACCESS EXCLUSIVE conflicts with it: ALTER, DROP, TRUNCATE,
 * VACUUM FULL, LOCK TABLE. A client that waits for that lock is in the way of all others, too.
 *
 * Threads: a session's. Errors: as session.h.
 */
#ifndef PGCLIENT_LOCK_H
#define PGCLIENT_LOCK_H

#include "pgclient/lock_party.h"

#include <stddef.h>
#include <stdint.h>

struct connection;
struct session;
struct session_pool;

/* Finds the client that has locked, or waits to lock, the relation or what is needed to read it
 * (partitions, indexes, what a view is made of, any catalog), so that it cannot be read. *out has
 * pid 0 if there is none any more. -EBUSY: unknown, since a catalog is locked. */
MUST_CHECK int lock_find_holder(struct session *session, uint32_t relation, struct lock_party *out,
                                struct error *error);

struct lock_held {
    uint32_t relation;
    struct lock_party holder; /* pid 0 and no application: there is none */
    char transaction[32];     /* the transaction in which it is locked */
};

/* The same for many, in ascending order of `relation`, each once: one statement. -ETIMEDOUT: no
 * answer came within that time (negative: any), and the session is lost. */
MUST_CHECK int lock_find_holders(struct session *session, struct lock_held *relations, size_t count,
                                 int patience_ms, struct error *error);

/* Finds for each of the backends `pids` a client that waits for a lock that it holds (pid 0: none).
 * If one of these backends waits for another, that does not count. An error leaves the transaction,
 * if there is one, as it was. */
MUST_CHECK int lock_find_waiters(struct session *session, const int *pids, size_t count,
                                 struct lock_party *out, struct error *error);

/* The same on any connection, for pgclient/ alone. */
MUST_CHECK int lock_find_waiters_on(struct connection *connection, const int *pids, size_t count,
                                    struct lock_party *out, struct error *error);
/* SQL to put before such a statement in a transaction: without it the transaction would always see
 * the activity that there was when it first asked. Call lock_forget_look afterwards, so that
 * nothing stays locked, and an error leaves the transaction as it was. */
#define LOCK_LOOK_WITHIN "SAVEPOINT pgvecfs_look; SELECT pg_catalog.pg_stat_clear_snapshot();"
MUST_CHECK int lock_forget_look(struct connection *connection, struct error *error);

/* Looks through `session` whether other clients wait for a lock of any session of the pool, and
 * tells those sessions (session_is_wanted). -ETIMEDOUT: no answer came within that time (negative:
 * any), and the session is lost. Behind a pooler the time is half a second at most, since the
 * pooler may keep the question until one of those very sessions ends. */
MUST_CHECK int lock_look(struct session_pool *pool, struct session *session, int patience_ms,
                         struct error *error);

#endif
