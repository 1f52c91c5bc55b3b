#include "pgclient/primary_key.h"

#include "pgclient/catalog.h"
#include "pgclient/connection.h"

/* For a domain, also one over another domain, the type is that of its values. */
#define PRIMARY_KEY                                                                                \
    "SELECT a.attname, (WITH RECURSIVE base AS ("                                                  \
    "  SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid = a.atttypid"                              \
    "  UNION ALL SELECT t.* FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.typbasetype"        \
    "  WHERE b.typtype = 'd') SELECT typname FROM base WHERE typtype <> 'd'"                       \
    "  AND typnamespace = 'pg_catalog'::pg_catalog.regnamespace)"                                  \
    " FROM pg_catalog.pg_index i,"                                                                 \
    " unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k(number, place)"                     \
    " JOIN pg_catalog.pg_attribute a ON a.attnum = k.number"                                       \
    " WHERE i.indisprimary AND i.indrelid = %u::pg_catalog.oid"                                    \
    "  AND a.attrelid = i.indrelid AND k.place <= i.indnkeyatts"                                   \
    " ORDER BY k.place"

int primary_key_read(struct session *session, uint32_t relation, struct version_key *now,
                     primary_key_sink *sink, void *context, struct error *error)
{
    struct connection *connection = session_connection(session);
    char sql[sizeof PRIMARY_KEY + 16];
    snprintf(sql, sizeof sql, PRIMARY_KEY, relation);
    PGresult *rows = NULL;
    int rc = connection_begin(connection, TRANSACTION_TABLES, NULL, error);
    if (rc == 0)
        rc = catalog_now(session, now, error);
    if (rc == 0)
        rc = connection_rows(connection, sql, ROWS_OF("tT"), &rows, error);
    connection_end(connection);
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++)
        rc = sink(context, PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
    PQclear(rows);
    return rc;
}
