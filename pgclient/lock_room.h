/* How many of the server's locks a mount's transactions take at once.
 *
 * Whoever reads a relation locks all that it is made of, each partition with each index, and all
 * clients of the server share one table of locks: where that runs full, others' statements fail. A
 * transaction of no more locks than the server counts on for each (max_locks_per_transaction) goes
 * ahead. Larger ones have half of the table, together: one that needs more goes alone, the others
 * wait.
 *
 * Threads: as sessions. Errors: as session.h.
 */
#ifndef PGCLIENT_LOCK_ROOM_H
#define PGCLIENT_LOCK_ROOM_H

#include "pgclient/catalog.h"
#include "pgclient/session.h"

/* Before a transaction that reads the relation begins. What it takes is free again when the session
 * is given back. -EBUSY: there is no room now. */
MUST_CHECK int lock_room_take(struct session *session, const struct relation *relation,
                              struct error *error);

#endif
