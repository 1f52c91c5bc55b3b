#include "pgclient/readpoint_parts.h"

#include <errno.h>
#include <string.h>

/* What a worker reads must not change before it begins to read. Behind a queued ACCESS EXCLUSIVE
 * the worker would wait for a client that waits for the leader, which waits for the worker: so it
 * does not wait. In a partitioned table each COPY locks the leaf that it reads, while it reads, and
 * the leader has locked all leaves: if each worker did that, too, the server's lock table might run
 * full. */
static void put_lock(const struct kept_readpoint *r, struct text *sql)
{
    if (r->public.relation.kind == RELATION_PARTITIONED && r->public.source_count > 0 &&
        r->public.sources[0].by_ctid)
        return;
    if (r->lock[0] != '\0')
        text_printf(sql, "%s NOWAIT", r->lock);
    else
        text_printf(sql,
                    "SET LOCAL lock_timeout = '100ms';%s;SET LOCAL lock_timeout = " LOCK_PATIENCE,
                    r->probe);
}

/* Behind a balancer the worker may be on another server, on which the same name stands for another
 * snapshot. */
static int compare_snapshots(const struct kept_readpoint *r, struct connection *connection,
                             struct error *error)
{
    PGresult *row = NULL;
    struct text sql = {0};
    text_put(&sql, "SELECT pg_catalog.pg_current_snapshot(), ");
    text_put(&sql, cluster_run_sql(&r->cluster));
    const char *question = text_string(&sql);
    int rc = question == NULL
                 ? error_no_memory(error)
                 : connection_question(connection, question, ONE_ROW_OF("tT"), &row, error);
    text_clear(&sql);
    if (rc == 0 && (strcmp(PQgetvalue(row, 0, 0), r->seen) != 0 ||
                    strcmp(PQgetvalue(row, 0, 1), r->cluster.run) != 0))
        rc = error_set(error, -EAGAIN, "another server answers than that of the read point");
    PQclear(row);
    if (rc < 0)
        connection_end(connection);
    return rc;
}

int readpoint_join(struct readpoint *readpoint, struct session *worker, const atomic_bool *stop,
                   struct error *error)
{
    enum { PATIENCE_MS = 1000 };
    struct connection *connection = session_connection(worker);
    struct kept_readpoint *r = readpoint_kept(readpoint);
    struct text sql = {0};
    if (readpoint->snapshot == NULL)
        return error_set(error, -EACCES, "the role may not export snapshots");
    text_put(&sql, "SET TRANSACTION SNAPSHOT ");
    sql_literal(&sql, readpoint->snapshot);
    text_put_byte(&sql, ';');
    text_put(&sql, r->judged ? READPOINT_NO_EXCLUSION : "");
    readpoint_put_own_settings(r, connection, &sql);
    readpoint_put_money(r, &sql);
    put_lock(r, &sql);
    const char *statements = text_string(&sql);
    if (connection_is_pooled(connection)) {
        connection_also_stop(connection, stop);
        connection_patience(connection, PATIENCE_MS);
    }
    int rc = statements == NULL
                 ? error_no_memory(error)
                 : connection_begin(connection, readpoint_kind(r), statements, error);
    if (rc == 0)
        rc = compare_snapshots(r, connection, error);
    connection_also_stop(connection, NULL);
    connection_patience(connection, -1);
    text_clear(&sql);
    return rc;
}

void readpoint_leave(struct session *worker) { connection_end(session_connection(worker)); }
