/* How many of the server's locks a mount's transactions take at once.
 *
 * A transaction that reads a relation locks all that the relation is made of, each partition with
 * each index. All clients of the server share one table of locks: if that runs full, others'
 * statements fail. A transaction that takes no more locks than the server reckons for each
 * (max_locks_per_transaction) goes ahead. Larger ones have half of the table together: one that
 * needs more runs alone, the others wait.
 *
 * Threads: as sessions. Errors: as session.h.
 */
#ifndef PGCLIENT_LOCK_ROOM_H
#define PGCLIENT_LOCK_ROOM_H

#include "pgclient/catalog.h"
#include "pgclient/session.h"

/* Call it before a transaction that reads the relation; a RELATION_TABLE is read without its
 * children. The room is free again when the session is given back. -EBUSY: there is no room now. */
MUST_CHECK int lock_room_take(struct session *session, const struct relation *relation,
                              struct error *error);

/* The same in two steps, also for a table with its children: the connection that asks need not be
 * that of the session. */
struct lock_room {
    int64_t locks; /* 0: so few that they are not counted */
    int64_t few;   /* no more than that */
    int64_t most;  /* most locks of all large transactions together */
};
MUST_CHECK int lock_room_ask(struct connection *connection, const struct relation *relation,
                             struct lock_room *out, struct error *error);
MUST_CHECK int lock_room_reserve(struct session *session, const struct lock_room *room,
                                 struct error *error);

/* The same for a caller that knows the number of locks: the room for no locks yet, and what number
 * `locks` of them count as. */
MUST_CHECK int lock_room_of(struct connection *connection, struct lock_room *out,
                            struct error *error);
int64_t lock_room_counts(const struct lock_room *room, int64_t locks);

#endif
