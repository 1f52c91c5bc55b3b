#include "pgclient/lock_room.h"

#include "pgclient/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The number of locks of each transaction, and the number of transactions. */
#define ROOM                                                                                       \
    "pg_catalog.current_setting('max_locks_per_transaction'),"                                     \
    " pg_catalog.current_setting('max_connections')::pg_catalog.int8 OPERATOR(pg_catalog.+)"       \
    "  pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8"

/* Counts what a view reads, by its definition; partitions, and what inherits. What functions in a
 * view lock is unknown. */
#define LOCKS                                                                                      \
    "WITH RECURSIVE reach(oid, kind) AS ("                                                         \
    " SELECT c.oid, c.relkind FROM pg_catalog.pg_class c"                                          \
    "  WHERE c.oid OPERATOR(pg_catalog.=) %u::pg_catalog.oid"                                      \
    " UNION SELECT c.oid, c.relkind FROM reach r, LATERAL ("                                       \
    "  SELECT d.refobjid AS oid FROM pg_catalog.pg_rewrite w JOIN pg_catalog.pg_depend d"          \
    "    ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"         \
    "    AND d.objid OPERATOR(pg_catalog.=) w.oid"                                                 \
    "    AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"       \
    "   WHERE r.kind OPERATOR(pg_catalog.=) 'v' AND w.ev_class OPERATOR(pg_catalog.=) r.oid"       \
    "  UNION ALL SELECT h.inhrelid FROM pg_catalog.pg_inherits h"                                  \
    "   WHERE r.kind OPERATOR(pg_catalog.<>) 'v' AND h.inhparent OPERATOR(pg_catalog.=) r.oid)"    \
    "  AS e JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) e.oid)"                     \
    " SELECT pg_catalog.count(*) OPERATOR(pg_catalog.+) (SELECT pg_catalog.count(*)"               \
    "  FROM reach r JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) r.oid),"       \
    " " ROOM " FROM reach"

/* The answer to ROOM, from this column on. */
static struct lock_room room_of(const PGresult *row, int column)
{
    int64_t each = strtoll(PQgetvalue(row, 0, column), NULL, 10);
    int64_t sessions = strtoll(PQgetvalue(row, 0, column + 1), NULL, 10);
    return (struct lock_room){.few = each, .most = each * sessions / 2};
}

int64_t lock_room_counts(const struct lock_room *room, int64_t locks)
{
    return locks > room->few ? locks : 0;
}

int lock_room_of(struct connection *connection, struct lock_room *out, struct error *error)
{
    PGresult *row = NULL;
    int rc = connection_question(connection, "SELECT " ROOM, ONE_ROW_OF("nn"), &row, error);
    if (rc == 0)
        *out = room_of(row, 0);
    PQclear(row);
    return rc;
}

int lock_room_ask(struct connection *connection, const struct relation *relation,
                  struct lock_room *out, struct error *error)
{
    char sql[sizeof LOCKS + 16];
    snprintf(sql, sizeof sql, LOCKS, relation->oid);
    PGresult *row = NULL;
    int rc = connection_question(connection, sql, ONE_ROW_OF("nnn"), &row, error);
    if (rc < 0)
        return rc;
    *out = room_of(row, 1);
    out->locks = lock_room_counts(out, strtoll(PQgetvalue(row, 0, 0), NULL, 10));
    PQclear(row);
    return 0;
}

int lock_room_reserve(struct session *session, const struct lock_room *room, struct error *error)
{
    if (room->locks > 0 && !session_reserve_locks(session, room->locks, room->most))
        return error_set(error, -EBUSY,
                         "other reads of this mount have as many of the server's locks as it may "
                         "take at once");
    return 0;
}

int lock_room_take(struct session *session, const struct relation *relation, struct error *error)
{
    struct lock_room room;
    if (relation->kind == RELATION_TABLE || relation->kind == RELATION_MATVIEW)
        return 0;
    int rc = lock_room_ask(session_connection(session), relation, &room, error);
    return rc < 0 ? rc : lock_room_reserve(session, &room, error);
}
