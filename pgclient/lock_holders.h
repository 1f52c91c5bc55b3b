/* Which clients have locked catalogs, asked without reading any catalog.
 *
 * To understand a statement the server reads catalogs, too, but it keeps what it has found for the
 * session. So the question is asked once when a connection is new; then the server can answer it
 * later, whichever catalog is locked.
 */
#ifndef PGCLIENT_LOCK_HOLDERS_H
#define PGCLIENT_LOCK_HOLDERS_H

/* Process id (0: a prepared transaction), application, catalog, and whether the client has the lock
 * or waits for it. Objects made by initdb have lower oids than those of users. */
#define LOCK_HOLDERS                                                                               \
    "SELECT coalesce(l.pid, 0), a.application_name, l.relation, l.granted"                         \
    " FROM pg_catalog.pg_lock_status() AS l"                                                       \
    " LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(l.pid) AS a ON l.pid IS NOT NULL"          \
    " WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'::pg_catalog.text"                         \
    " AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'::pg_catalog.text"                    \
    " AND l.relation OPERATOR(pg_catalog.<) 16384::pg_catalog.oid"                                 \
    " AND (l.pid IS NULL OR l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid())"
#define LOCK_HOLDERS_COLUMNS "nTnb"

#endif
