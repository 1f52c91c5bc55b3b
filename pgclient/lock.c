#include "pgclient/lock.h"

#include "pgclient/connection.h"
#include "pgclient/lock_holders.h"
#include "pgclient/session.h"
#include "pgclient/sql_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What reading needs, for each relation `root`; the oids stand between the two strings. A statement
 * that reads a table opens its indexes and its TOAST table, too. One that reads a materialized view
 * does not open what the view was made of. */
#define NEEDED_OF "WITH RECURSIVE needed(root, oid) AS (SELECT r, r FROM pg_catalog.unnest('{"
#define NEEDED                                                                                     \
    "}'::pg_catalog.oid[]) AS r UNION"                                                             \
    " SELECT n.root, x.oid FROM needed AS n, LATERAL ("                                            \
    "SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i"                                           \
    " WHERE i.inhparent OPERATOR(pg_catalog.=) n.oid"                                              \
    " UNION ALL SELECT i.indexrelid FROM pg_catalog.pg_index AS i"                                 \
    " WHERE i.indrelid OPERATOR(pg_catalog.=) n.oid"                                               \
    " UNION ALL SELECT c.reltoastrelid FROM pg_catalog.pg_class AS c"                              \
    " WHERE c.oid OPERATOR(pg_catalog.=) n.oid AND c.reltoastrelid OPERATOR(pg_catalog.<>) 0"      \
    "::pg_catalog.oid"                                                                             \
    " UNION ALL SELECT d.refobjid FROM pg_catalog.pg_class AS c"                                   \
    " JOIN pg_catalog.pg_rewrite AS r ON r.ev_class OPERATOR(pg_catalog.=) c.oid"                  \
    " JOIN pg_catalog.pg_depend AS d ON d.objid OPERATOR(pg_catalog.=) r.oid"                      \
    " AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass"           \
    " AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass"          \
    " WHERE c.oid OPERATOR(pg_catalog.=) n.oid AND c.relkind OPERATOR(pg_catalog.=) 'v'"           \
    ") AS x(oid))"

#define PARTY                                                                                      \
    " a.application_name, CASE WHEN c.relname IS NOT NULL"                                         \
    " THEN pg_catalog.concat(n.nspname, '.', c.relname) END"

#define PARTY_JOINS(lock)                                                                          \
    " LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) " lock ".pid"     \
    " LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) " lock ".relation"        \
    " AND " lock ".database OPERATOR(pg_catalog.=) ANY (SELECT d.oid FROM pg_catalog.pg_database"  \
    " AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"                   \
    " UNION ALL SELECT 0::pg_catalog.oid)"                                                         \
    " LEFT JOIN pg_catalog.pg_namespace AS n"                                                      \
    " ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"

static const char holders[] =
    NEEDED ", l AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks AS l"
           " WHERE l.locktype OPERATOR(pg_catalog.=) 'relation'"
           " AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'"
           " AND (l.pid IS NULL OR l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()))"
           " SELECT DISTINCT ON (x.root) x.root, l.virtualtransaction, coalesce(l.pid, 0)," PARTY
           " FROM needed AS x JOIN l ON l.relation OPERATOR(pg_catalog.=) x.oid" PARTY_JOINS(
               "l") " WHERE c.oid IS NOT NULL ORDER BY x.root, l.granted DESC";

/* Catalogs without which the server finds no name. */
static const struct {
    uint32_t oid;
    const char *name;
} catalogs[] = {
    {1247, "pg_type"},      {1249, "pg_attribute"}, {1255, "pg_proc"},      {1259, "pg_class"},
    {1260, "pg_authid"},    {1262, "pg_database"},  {2600, "pg_aggregate"}, {2601, "pg_am"},
    {2602, "pg_amop"},      {2603, "pg_amproc"},    {2605, "pg_cast"},      {2610, "pg_index"},
    {2615, "pg_namespace"}, {2616, "pg_opclass"},   {2617, "pg_operator"},  {2618, "pg_rewrite"},
    {2619, "pg_statistic"}, {2753, "pg_opfamily"},  {3456, "pg_collation"},
};

static const char name_question[] =
    "SELECT c.relname, n.nspname FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n"
    " ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
    " WHERE c.oid OPERATOR(pg_catalog.=) %u::pg_catalog.oid";

/* The object that a lock is on, as text. */
#define ON(lock)                                                                                   \
    "pg_catalog.concat_ws('/', " lock ".locktype, " lock ".database, " lock ".relation, " lock     \
    ".page, " lock ".tuple, " lock ".virtualxid, " lock ".transactionid, " lock ".classid, " lock  \
    ".objid, " lock ".objsubid)"

/* ACCESS EXCLUSIVE conflicts with every lock; for other modes the server is asked, which stops all
 * locking while it looks. The server does not tell at all what is in a standby's way. */
#define WAITERS_ON                                                                                 \
    "WITH l AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks)"                                   \
    " SELECT h.pid, w.pid," PARTY " FROM l AS w JOIN l AS h"                                       \
    " ON " ON("h") " OPERATOR(pg_catalog.=) " ON("w")                                              \
        PARTY_JOINS("w") " WHERE h.granted AND h.pid OPERATOR(pg_catalog.=) ANY "

static void take_party(const PGresult *rows, int row, int column, struct lock_party *out)
{
    *out = (struct lock_party){.pid = atoi(PQgetvalue(rows, row, column))};
    snprintf(out->application, sizeof out->application, "%s", PQgetvalue(rows, row, column + 1));
    snprintf(out->relation, sizeof out->relation, "%s", PQgetvalue(rows, row, column + 2));
}

/* A prepared transaction has no backend. */
static void name_prepared(struct lock_party *party)
{
    if (party->pid == 0)
        snprintf(party->application, sizeof party->application, "a prepared transaction");
}

/* "": unknown, since a catalog is locked. */
static void name_catalog(struct connection *connection, uint32_t oid, char *out, size_t size)
{
    char sql[sizeof name_question + 16];
    PGresult *rows = NULL;
    for (size_t i = 0; i < sizeof catalogs / sizeof *catalogs; i++)
        if (catalogs[i].oid == oid) {
            snprintf(out, size, "pg_catalog.%s", catalogs[i].name);
            return;
        }
    snprintf(sql, sizeof sql, name_question, oid);
    if (connection_question(connection, sql, ROWS_OF("tt"), &rows, NULL) == 0 &&
        PQntuples(rows) == 1)
        snprintf(out, size, "%s.%s", PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 0));
    PQclear(rows);
}

/* Finds the holder of any of these catalogs, all of which every statement needs. A holder of a lock
 * comes before a waiter. */
static int find_of_catalogs(struct connection *connection, struct lock_party *out,
                            struct error *error)
{
    PGresult *rows = NULL;
    int rc =
        connection_question(connection, LOCK_HOLDERS, ROWS_OF(LOCK_HOLDERS_COLUMNS), &rows, error);
    if (rc < 0)
        return rc;
    int row = 0, count = PQntuples(rows);
    while (row < count && PQgetvalue(rows, row, 3)[0] != 't')
        row++;
    row = row < count ? row : 0;
    *out = (struct lock_party){0};
    if (count > 0) {
        out->pid = atoi(PQgetvalue(rows, row, 0));
        snprintf(out->application, sizeof out->application, "%s", PQgetvalue(rows, row, 1));
        name_catalog(connection, (uint32_t)strtoul(PQgetvalue(rows, row, 2), NULL, 10),
                     out->relation, sizeof out->relation);
        name_prepared(out);
    }
    PQclear(rows);
    return 0;
}

static void put_holders_question(struct text *sql, const struct lock_held *relations, size_t count)
{
    /* The planner cannot know how few rows this statement has to look at: it would have it
     * compiled, for a second. */
    text_put(sql, "SET LOCAL jit = off; " NEEDED_OF);
    for (size_t i = 0; i < count; i++)
        sql_listed(sql, i, relations[i].relation);
    text_put(sql, holders);
}

static void take_holder(const PGresult *rows, int row, struct lock_held *out)
{
    snprintf(out->transaction, sizeof out->transaction, "%s", PQgetvalue(rows, row, 1));
    take_party(rows, row, 2, &out->holder);
    name_prepared(&out->holder);
}

/* The answer's rows are ordered by relation, and so are `relations`. */
int lock_find_holders(struct session *session, struct lock_held *relations, size_t count,
                      int patience_ms, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct text sql = {0};
    PGresult *rows = NULL;
    size_t at = 0;
    put_holders_question(&sql, relations, count);
    const char *question = text_string(&sql);
    connection_patience(connection, patience_ms);
    int rc = question == NULL
                 ? error_no_memory(error)
                 : connection_question(connection, question, ROWS_OF("ntnTT"), &rows, error);
    connection_patience(connection, -1);
    text_clear(&sql);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        relations[i] = (struct lock_held){.relation = relations[i].relation};
    for (int row = 0; row < PQntuples(rows); row++) {
        unsigned long relation = strtoul(PQgetvalue(rows, row, 0), NULL, 10);
        while (at < count && relations[at].relation < relation)
            at++;
        if (at < count && relations[at].relation == relation)
            take_holder(rows, row, &relations[at]);
    }
    PQclear(rows);
    return 0;
}

int lock_find_holder(struct session *session, uint32_t relation, struct lock_party *out,
                     struct error *error)
{
    struct lock_held held = {.relation = relation};
    int rc = find_of_catalogs(session_connection(session), &held.holder, error);
    if (rc == 0 && held.holder.application[0] + held.holder.pid == 0)
        rc = lock_find_holders(session, &held, 1, -1, error);
    if (rc == 0)
        *out = held.holder;
    return rc;
}

static void put_pids(struct text *sql, const int *pids, size_t count)
{
    text_put(sql, "('{");
    for (size_t i = 0; i < count; i++)
        sql_listed(sql, i, pids[i]);
    text_put(sql, "}'::pg_catalog.int4[])");
}

static void put_waiters_question(struct text *sql, const int *pids, size_t count, bool within)
{
    text_put(sql, within ? LOCK_LOOK_WITHIN : "");
    text_put(sql, WAITERS_ON);
    put_pids(sql, pids, count);
    text_put(sql, " AND NOT w.granted AND w.pid OPERATOR(pg_catalog.<>) ALL ");
    put_pids(sql, pids, count);
    text_put(sql, " AND (w.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'"
                  " OR h.pid OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids(w.pid)))");
}

int lock_forget_look(struct connection *connection, struct error *error)
{
    return connection_run(connection,
                          "ROLLBACK TO SAVEPOINT pgvecfs_look;"
                          " RELEASE SAVEPOINT pgvecfs_look",
                          error);
}

int lock_find_waiters_on(struct connection *connection, const int *pids, size_t count,
                         struct lock_party *out, struct error *error)
{
    bool within = connection_in_transaction(connection);
    struct text sql = {0};
    PGresult *rows = NULL;
    put_waiters_question(&sql, pids, count, within);
    const char *question = text_string(&sql);
    int rc = question == NULL
                 ? error_no_memory(error)
                 : connection_question(connection, question, ROWS_OF("nnTT"), &rows, error);
    text_clear(&sql);
    if (within && connection_usable(connection)) {
        int after = lock_forget_look(connection, rc == 0 ? error : NULL);
        rc = rc == 0 ? after : rc;
    }
    if (rc == 0)
        for (size_t i = 0; i < count; i++)
            out[i] = (struct lock_party){0};
    for (int row = 0; rc == 0 && row < PQntuples(rows); row++)
        for (size_t i = 0; i < count; i++)
            if (pids[i] == atoi(PQgetvalue(rows, row, 0)))
                take_party(rows, row, 1, &out[i]);
    PQclear(rows);
    return rc;
}

int lock_find_waiters(struct session *session, const int *pids, size_t count,
                      struct lock_party *out, struct error *error)
{
    return lock_find_waiters_on(session_connection(session), pids, count, out, error);
}

int lock_look(struct session_pool *pool, struct session *session, int patience_ms,
              struct error *error)
{
    enum { MOST = 256, POOLER_MS = 500 };
    struct connection *connection = session_connection(session);
    int pids[MOST];
    struct lock_party parties[MOST];
    int count = session_pool_holders(pool, pids, MOST);
    bool lent = connection_is_pooled(connection) && !connection_in_transaction(connection);
    connection_patience(connection, lent ? POOLER_MS : patience_ms);
    int rc = count > 0 ? lock_find_waiters(session, pids, (size_t)count, parties, error) : 0;
    connection_patience(connection, -1);
    if (rc < 0)
        session_pool_not_looked(pool);
    for (int i = 0; rc == 0 && i < count; i++) {
        char name[96], why[256];
        if (parties[i].pid == 0)
            continue;
        lock_party_name(&parties[i], name, sizeof name);
        snprintf(why, sizeof why, "%s waits for %s%s", name,
                 parties[i].relation[0] != '\0' ? "a lock on " : "its end", parties[i].relation);
        session_pool_want_back(pool, pids[i], why);
    }
    return rc;
}

void lock_party_name(const struct lock_party *party, char *out, size_t size)
{
    if (party->pid == 0)
        snprintf(out, size, "%s",
                 party->application[0] != '\0' ? party->application : "somebody else");
    else if (party->application[0] == '\0')
        snprintf(out, size, "pid %d", party->pid);
    else
        snprintf(out, size, "pid %d (%s)", party->pid, party->application);
}
