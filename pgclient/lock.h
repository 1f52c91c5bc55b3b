/* Questions about the locks of relations: who stands in our way, and in whose way we stand.
 *
 * Reading takes ACCESS SHARE, which nothing but ACCESS EXCLUSIVE is in the way of: ALTER, DROP,
 * TRUNCATE, VACUUM FULL, LOCK TABLE; and who waits for that stands in everybody's way.
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

/* Who has locked the relation, or what is needed to read it (partitions, indexes, what a view is
 * made of, any catalog), so that it cannot be read, or waits to. *out: pid 0 if it is nobody any
 * more. -EBUSY: it cannot be told, since a catalog is locked. */
MUST_CHECK int lock_find_holder(struct session *session, uint32_t relation, struct lock_party *out,
                                struct error *error);

struct lock_held {
    uint32_t relation;
    struct lock_party holder; /* pid 0 and no application: it is nobody */
    char transaction[32];     /* in which it is locked */
};

/* The same for many, in ascending order of `relation`, each once: one statement. -ETIMEDOUT: no
 * answer came within that time (negative: any), and the session is lost. */
MUST_CHECK int lock_find_holders(struct session *session, struct lock_held *relations, size_t count,
                                 int patience_ms, struct error *error);

/* For each of the backends `pids`, who waits for a lock that it holds (pid 0: nobody). That one of
 * them waits for another does not count. In a transaction, an error leaves it as it was. */
MUST_CHECK int lock_find_waiters(struct session *session, const int *pids, size_t count,
                                 struct lock_party *out, struct error *error);

/* The same on a connection of whoever's, for pgclient/ alone. */
MUST_CHECK int lock_find_waiters_on(struct connection *connection, const int *pids, size_t count,
                                    struct lock_party *out, struct error *error);
/* SQL, before a statement within a transaction, which would be shown for ever what activity there
 * was when it first asked; lock_forget_look afterwards, so that nothing stays locked, and an error
 * leaves the transaction as it was. */
#define LOCK_LOOK_WITHIN "SAVEPOINT pgvecfs_look; SELECT pg_catalog.pg_stat_clear_snapshot();"
MUST_CHECK int lock_forget_look(struct connection *connection, struct error *error);

/* Looks on `session` whether others wait for a lock of any session of the pool's, and tells those
 * sessions (session_is_wanted). -ETIMEDOUT: no answer came within that time (negative: any), and
 * the session is lost. At a pooler, which may keep the question until one of those very sessions
 * ends, it is half a second at most. */
MUST_CHECK int lock_look(struct session_pool *pool, struct session *session, int patience_ms,
                         struct error *error);

#endif
