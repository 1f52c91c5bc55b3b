#include "pgclient/readpoint.h"

#include "pgclient/cluster.h"
#include "pgclient/describe.h"
#include "pgclient/lock_room.h"
#include "pgclient/policies.h"
#include "pgclient/search_path.h"
#include "pgclient/selection.h"
#include "pgclient/sql_text.h"
#include "pgclient/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The order in which a read point is made (each step needs the one before):
 *
 *   look up    the relation's present names by its oid, and which run of which server this is
 *   lock       as the transaction's first statement: LOCK TABLE takes no snapshot, so the snapshot
 *              is later than the lock. TRUNCATE and the like, which snapshots do not protect from,
 *              are over by then or have to wait. Views, materialized views and foreign tables
 *              cannot be locked like that, and LOCK TABLE needs a privilege on the whole table:
 *              these relations are locked by a SELECT, whose snapshot is earlier; hence
 *   describe   compares what the snapshot sees with what is true now. If they differ, all steps
 *              are taken again.
 */
enum { ATTEMPTS = 3 };

/* The questions to the catalog follow a few oids through large tables. The planner cannot know how
 * few they are, and would read the whole tables (16 ms instead of 2 with 10,000 tables). */
#define PLAN_SMALL "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
#define PLAN_AS_USUAL "SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = DEFAULT;"

/* What users wrote may need the role's own path, our questions about it need none. */
#define OUR_PATH ";" SEARCH_PATH_OURS

/* Without this the planner also evaluates what is constant in the checks of tables. */
#define NO_EXCLUSION "SET LOCAL constraint_exclusion = off;"

struct kept_readpoint {
    struct readpoint public; /* first, so that a pointer to it leads to the rest */
    char *lock;              /* LOCK TABLE … IN ACCESS SHARE MODE, or "" */
    char *probe;             /* SELECT * FROM … LIMIT 0 */
    char *seen;              /* pg_current_snapshot() */
    bool judged;             /* it is asked first whose functions would run */
    /* a table: policies hide rows from the role, and filter_rows allows that */
    bool filtered;
    bool may_be_spread; /* an extension that spreads tables is installed */
    bool shows_owners;  /* a view: it shows what its owner may see (policies.h) */
    struct cluster cluster;
};

static struct kept_readpoint *kept(struct readpoint *readpoint)
{
    return (struct kept_readpoint *)readpoint;
}

static int out_of_memory(struct error *error) { return error_set(error, -ENOMEM, "out of memory"); }

/* A foreign server's wrapper makes its statements, and a policy is what a user wrote: both need
 * TRANSACTION_USER. */
static enum transaction_kind kind_of(const struct kept_readpoint *r)
{
    enum relation_kind kind = r->public.relation.kind;
    return kind == RELATION_VIEW || kind == RELATION_FOREIGN || r->filtered ? TRANSACTION_USER
                                                                            : TRANSACTION_TABLES;
}

/* The settings under which the relation is read, in a transaction of its kind. */
static void put_own_settings(const struct kept_readpoint *r, const struct connection *connection,
                             struct text *sql)
{
    if (kind_of(r) == TRANSACTION_USER)
        text_printf(sql, "%s;%s", connection_own_path(connection),
                    r->shows_owners ? "SET LOCAL row_security = on;" : "");
}

/* Gives lc_monetary the same value in all sessions of the read point, as long as it lasts:
 * otherwise each session would follow a reload, or what was set for its role after others began. */
static void put_money(const struct kept_readpoint *r, struct text *sql)
{
    text_put(sql, "SET LOCAL lc_monetary = ");
    sql_literal(sql, r->cluster.money);
    text_put_byte(sql, ';');
}

/* ---- opening ---- */

/* Looks up by oid, since the catalog's names may be old. */
#define LOOKUP                                                                                     \
    "SELECT n.nspname, c.relname, c.relkind, pg_catalog.has_table_privilege(c.oid, 'SELECT'),"     \
    " " TRUST_IS_SUPERUSER ", pg_catalog.row_security_active(c.oid),"                              \
    " EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extname"                               \
    "  OPERATOR(pg_catalog.=) ANY (ARRAY['timescaledb', 'citus']::pg_catalog.name[]))"             \
    " FROM pg_catalog.pg_class c"                                                                  \
    " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"               \
    " WHERE c.oid OPERATOR(pg_catalog.=) %u::pg_catalog.oid"

static int take_names(struct kept_readpoint *r, const struct relation *relation,
                      const PGresult *row)
{
    r->public.relation = *relation;
    r->public.relation.kind = (enum relation_kind)PQgetvalue(row, 0, 2)[0];
    r->public.relation.schema = strdup(PQgetvalue(row, 0, 0));
    r->public.relation.name = strdup(PQgetvalue(row, 0, 1));
    return r->public.relation.schema == NULL || r->public.relation.name == NULL ? -ENOMEM : 0;
}

static void put_names(struct text *sql, const struct relation *relation)
{
    text_put(sql, relation->kind == RELATION_TABLE ? "ONLY " : "");
    sql_relation(sql, relation->schema, relation->name);
}

/* LOCK TABLE of a partitioned table locks its leaves too, and that of a view all that it reads.
 * LOCK TABLE of a view may need more privileges of its owner than reading does: so a view is locked
 * only if it is judged, and must stay what it is. */
static int write_statements(struct kept_readpoint *r, bool may_lock)
{
    const struct relation *relation = &r->public.relation;
    bool lockable =
        may_lock && (relation->kind == RELATION_TABLE || relation->kind == RELATION_PARTITIONED ||
                     (relation->kind == RELATION_VIEW && r->judged));
    struct text lock = {0}, probe = {0};
    if (lockable) {
        text_put(&lock, "LOCK TABLE ");
        put_names(&lock, relation);
        text_put(&lock, " IN ACCESS SHARE MODE");
    }
    text_put(&probe, "SELECT * FROM ");
    put_names(&probe, relation);
    text_put(&probe, " LIMIT 0");
    r->lock = text_take(&lock);
    r->probe = text_take(&probe);
    return r->lock == NULL || r->probe == NULL ? -ENOMEM : 0;
}

static int look_up(struct kept_readpoint *r, struct connection *connection,
                   const struct relation *relation, struct error *error)
{
    char sql[sizeof LOOKUP + 16];
    snprintf(sql, sizeof sql, LOOKUP, relation->oid);
    PGresult *row = NULL;
    int rc = cluster_read(connection, &r->cluster, error);
    if (rc == 0)
        rc = connection_question(connection, sql, ROWS_OF("tttBbBb"), &row, error);
    if (rc != 0)
        return rc;
    if (PQntuples(row) != 1) {
        PQclear(row);
        return error_set(error, -ENOENT, "relation \"%s\".\"%s\" has been dropped",
                         relation->schema, relation->name);
    }
    struct reading reading = connection_reading(connection);
    r->judged = PQgetvalue(row, 0, 4)[0] == 't' && !reading.trust_all;
    r->filtered = PQgetvalue(row, 0, 5)[0] == 't' && reading.filter_rows;
    rc = take_names(r, relation, row);
    r->may_be_spread = PQgetvalue(row, 0, 6)[0] == 't' && r->public.relation.kind == RELATION_TABLE;
    if (rc == 0)
        rc = write_statements(r, PQgetvalue(row, 0, 3)[0] == 't');
    PQclear(row);
    return rc == 0 ? 0 : out_of_memory(error);
}

/* Asks whose functions would run. Planning a query may run some, too: those in the expressions of
 * an index. */
static int judge(struct kept_readpoint *r, struct connection *connection, struct error *error)
{
    PGresult *rows = NULL;
    int rc = trust_ask(connection, r->public.relation.oid, NULL, &rows, error);
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++) {
        const char *reason = PQgetvalue(rows, i, TRUST_REASON);
        if (PQgetvalue(rows, i, TRUST_ROWS)[0] == 't')
            rc = error_set(error, -EACCES, "%s", reason);
        else if ((r->public.json_refused = strdup(reason)) == NULL)
            rc = out_of_memory(error);
    }
    PQclear(rows);
    return rc;
}

/* Begins the transaction, locks the relation, and gives the columns as they are under the lock.
 * -ENOENT: it was renamed or dropped meanwhile. */
static int lock(struct kept_readpoint *r, struct connection *connection, PGresult **present,
                struct error *error)
{
    enum transaction_kind kind = kind_of(r);
    bool user = kind == TRANSACTION_USER;
    struct text begin = {0}, probe = {0};
    put_money(r, &begin);
    text_printf(&begin, PLAN_SMALL "%s%s%s", r->judged ? NO_EXCLUSION : "", r->lock,
                user ? OUR_PATH : "");
    const char *statements = text_string(&begin);
    int rc = statements == NULL ? out_of_memory(error)
                                : connection_begin(connection, kind, statements, error);
    if (rc == 0 && r->judged)
        rc = judge(r, connection, error);
    if (rc == 0 && r->public.relation.kind == RELATION_VIEW)
        rc = policies_bind_owners_only(connection, r->public.relation.oid, &r->shows_owners, error);
    put_own_settings(r, connection, &probe);
    text_printf(&probe, "%s%s", r->probe, user ? OUR_PATH : "");
    statements = text_string(&probe);
    if (rc == 0)
        rc = statements == NULL ? out_of_memory(error)
                                : connection_rows(connection, statements, ANYTHING, present, error);
    text_clear(&begin);
    text_clear(&probe);
    return rc;
}

/* The position is asked for under the snapshot, so it is not before what the snapshot sees. */
static int ask_seen(const struct kept_readpoint *r, struct connection *connection, PGresult **row,
                    struct error *error)
{
    struct text name = {0}, sql = {0};
    sql_relation(&name, r->public.relation.schema, r->public.relation.name);
    text_printf(&sql, "SELECT to_regclass($1)::pg_catalog.oid, %s, pg_current_snapshot(), %s, %s",
                cluster_export_sql(&r->cluster), cluster_run_sql(&r->cluster),
                cluster_position_sql(&r->cluster));
    const char *parameter = text_string(&name), *statement = text_string(&sql);
    int rc =
        parameter == NULL || statement == NULL
            ? out_of_memory(error)
            : connection_ask(connection, statement, 1, &parameter, ONE_ROW_OF("NTtTT"), row, error);
    text_clear(&name);
    text_clear(&sql);
    return rc;
}

/* Checks that the name that was locked is the relation that was meant, and on the server that was
 * asked. */
static int verify_name(struct kept_readpoint *r, struct connection *connection, struct error *error)
{
    PGresult *row = NULL;
    int rc = ask_seen(r, connection, &row, error);
    if (rc < 0 && cluster_does_without_export(&r->cluster, connection, rc))
        return -ESTALE;
    /* Behind a balancer the transaction may be on another server than the question before it. */
    if (rc == 0 && (strtoul(PQgetvalue(row, 0, 0), NULL, 10) != r->public.relation.oid ||
                    strcmp(PQgetvalue(row, 0, 3), r->cluster.run) != 0))
        rc = -ESTALE;
    if (rc == 0) {
        bool exported = !PQgetisnull(row, 0, 1);
        r->public.snapshot = exported ? strdup(PQgetvalue(row, 0, 1)) : NULL;
        r->seen = strdup(PQgetvalue(row, 0, 2));
        rc = cluster_key(&r->cluster, PQgetvalue(row, 0, 2),
                         cluster_position(PQgetvalue(row, 0, 4)), &r->public.key);
        if (rc != 0 || (exported && r->public.snapshot == NULL) || r->seen == NULL)
            rc = out_of_memory(error);
    }
    PQclear(row);
    return rc;
}

/* Makes the settings for all that is read from now on. */
static int set_own(const struct kept_readpoint *r, struct connection *connection,
                   struct error *error)
{
    struct text sql = {0};
    text_put(&sql, PLAN_AS_USUAL);
    put_own_settings(r, connection, &sql);
    const char *statements = text_string(&sql);
    int rc =
        statements == NULL ? out_of_memory(error) : connection_run(connection, statements, error);
    text_clear(&sql);
    return rc;
}

static int describe(struct kept_readpoint *r, struct connection *connection,
                    const PGresult *present, struct error *error)
{
    struct readpoint *out = &r->public;
    struct sources sources = {0};
    struct columns columns = {0};
    int rc = verify_name(r, connection, error);
    if (rc == 0 && r->may_be_spread)
        rc = describe_spread(connection, &out->relation, error);
    if (rc == 0)
        rc = describe_sources(connection, &out->relation, r->filtered, &sources, error);
    if (rc == 0)
        rc =
            describe_columns(connection, &out->relation, sources.by_ctid, present, &columns, error);
    if (rc == 0)
        rc = describe_signature(connection, &out->relation, &sources,
                                r->filtered                 ? BY_POLICIES
                                : out->json_refused != NULL ? "JSON refused"
                                                            : NULL,
                                &out->key.signature, error);
    if (rc == 0)
        rc = set_own(r, connection, error);
    if (rc == 0)
        rc = connection_wait_as_usual(connection, error);
    if (rc != 0) {
        sources_clear(&sources);
        columns_clear(&columns);
        return rc;
    }
    out->sources = sources.list;
    out->source_count = sources.count;
    out->children = sources.children;
    out->schema = columns.schema;
    out->with_binary = columns.with_binary;
    out->json_apart = columns.json_apart;
    out->of_users = kind_of(r) == TRANSACTION_USER || out->relation.kind == RELATION_SPREAD ||
                    columns.json_apart;
    out->key.relation = out->relation.oid;
    out->key.proves = sources.heaps && columns.self_contained && out->key.run_count > 0 &&
                      out->key.runs[0].position != 0;
    return 0;
}

/* Frees what an attempt has gathered. */
static void empty(struct kept_readpoint *r)
{
    struct readpoint *out = &r->public;
    struct sources sources = {
        .list = out->sources, .count = out->source_count, .children = out->children};
    sources_clear(&sources);
    schema_free(out->schema);
    free(out->with_binary);
    free(out->json_refused);
    free((char *)out->relation.schema);
    free((char *)out->relation.name);
    version_key_clear(&out->key);
    free(out->snapshot);
    free(r->lock);
    free(r->probe);
    free(r->seen);
    cluster_clear(&r->cluster);
    *r = (struct kept_readpoint){.public = {.leader = out->leader}};
}

/* Only the transaction tells which table is spread, so any that may be is counted with its
 * children. */
static int take_lock_room(const struct kept_readpoint *r, struct error *error)
{
    struct relation relation = r->public.relation;
    if (r->may_be_spread)
        relation.kind = RELATION_SPREAD;
    return lock_room_take(r->public.leader, &relation, error);
}

/* -ESTALE: the relation changed between two steps, or (`missing`) the server misses something,
 * which it names. */
static int attempt(struct kept_readpoint *r, const struct relation *relation, bool *missing,
                   struct error *error)
{
    struct connection *connection = session_connection(r->public.leader);
    PGresult *present = NULL;
    *missing = false;
    int rc = look_up(r, connection, relation, error);
    if (rc == 0)
        rc = take_lock_room(r, error);
    if (rc != 0)
        return rc;
    rc = lock(r, connection, &present, error);
    *missing = rc == -ENOENT;
    if (rc == -ENOENT)
        rc = -ESTALE; /* the next look-up tells what happened */
    if (rc == 0)
        rc = describe(r, connection, present, error);
    PQclear(present);
    if (rc != 0)
        connection_end(connection);
    return rc;
}

int readpoint_open(struct session *leader, const struct relation *relation, struct readpoint **out,
                   struct error *error)
{
    struct kept_readpoint *r = calloc(1, sizeof *r);
    if (r == NULL)
        return out_of_memory(error);
    r->public.leader = leader;
    bool missing = false;
    int rc = -ESTALE;
    for (int i = 0; i < ATTEMPTS && rc == -ESTALE; i++) {
        rc = attempt(r, relation, &missing, error);
        if (rc != 0)
            empty(r);
    }
    if (rc == -ESTALE && missing)
        rc = -EIO; /* the relation itself is there; something that a view needs is missing */
    if (rc == -ESTALE)
        error_set(error, rc,
                  "\"%s\".\"%s\" was rewritten or renamed again and again while its read began: "
                  "try again",
                  relation->schema, relation->name);
    if (rc != 0) {
        free(r);
        return rc;
    }
    *out = &r->public;
    return 0;
}

void readpoint_close(struct readpoint *readpoint)
{
    if (readpoint == NULL)
        return;
    connection_end(session_connection(readpoint->leader));
    empty(kept(readpoint));
    free(readpoint);
}

int readpoint_choose(struct readpoint *readpoint, const int *numbers, int count)
{
    struct schema *chosen;
    bool *with_binary = calloc((size_t)count + 1, sizeof *with_binary);
    int rc =
        with_binary == NULL ? -ENOMEM : schema_choose(readpoint->schema, numbers, count, &chosen);
    if (rc < 0) {
        free(with_binary);
        return rc;
    }
    for (int i = 0; i < count; i++) {
        with_binary[i] = readpoint->with_binary[numbers[i]];
        chosen->columns[i].in_copy = true; /* as COPY (SELECT …) has it */
    }
    schema_free(readpoint->schema);
    free(readpoint->with_binary);
    readpoint->schema = chosen;
    readpoint->with_binary = with_binary;
    return 0;
}

/* ---- joining ---- */

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
                 ? out_of_memory(error)
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
    struct kept_readpoint *r = kept(readpoint);
    struct text sql = {0};
    if (readpoint->snapshot == NULL)
        return error_set(error, -EACCES, "the role may not export snapshots");
    text_put(&sql, "SET TRANSACTION SNAPSHOT ");
    sql_literal(&sql, readpoint->snapshot);
    text_put_byte(&sql, ';');
    text_put(&sql, r->judged ? NO_EXCLUSION : "");
    put_own_settings(r, connection, &sql);
    put_money(r, &sql);
    put_lock(r, &sql);
    const char *statements = text_string(&sql);
    if (connection_is_pooled(connection)) {
        connection_also_stop(connection, stop);
        connection_patience(connection, PATIENCE_MS);
    }
    int rc = statements == NULL ? out_of_memory(error)
                                : connection_begin(connection, kind_of(r), statements, error);
    if (rc == 0)
        rc = compare_snapshots(r, connection, error);
    connection_also_stop(connection, NULL);
    connection_patience(connection, -1);
    text_clear(&sql);
    return rc;
}

void readpoint_leave(struct session *worker) { connection_end(session_connection(worker)); }

/* ---- reading ---- */

/* Sets a savepoint: an error of what follows leaves the transaction as it was. It is rolled back in
 * any case, so that the settings go back, too. */
static int guard(struct connection *connection, const char *settings, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SAVEPOINT pgvecfs;");
    text_put(&sql, settings);
    const char *statements = text_string(&sql);
    int rc =
        statements == NULL ? out_of_memory(error) : connection_run(connection, statements, error);
    text_clear(&sql);
    return rc;
}

static int unguard(struct connection *connection, struct error *error)
{
    if (!connection_usable(connection))
        return error_set(error, -ENOTCONN, "the connection to the server was lost");
    return connection_run(connection, "ROLLBACK TO SAVEPOINT pgvecfs; RELEASE SAVEPOINT pgvecfs",
                          error);
}

/* PostgreSQL 17 and earlier have no hash of an xid. Its distance from another xid is a number,
 * without a detour over text; the three special xids have no distance. */
#define XMIN_NUMBER                                                                                \
    "CASE WHEN pg_catalog.age(xmin) = 2147483647 THEN xmin::pg_catalog.text::pg_catalog.int8"      \
    " ELSE pg_catalog.age('3'::pg_catalog.xid)::pg_catalog.int8 + 3 - pg_catalog.age(xmin) & "     \
    "4294967295 END"

static void put_fingerprints(struct text *sql, const struct source *source,
                             const struct ctid_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        text_printf(sql,
                    "%sSELECT %zu, count(*),"
                    " mod(mod(coalesce(sum(hashtidextended(ctid, " XMIN_NUMBER ")), 0),"
                    " 18446744073709551616) + 18446744073709551616, 18446744073709551616)"
                    " FROM %s",
                    i > 0 ? " UNION ALL " : "", i, source->from);
        selection_put_range(sql, &ranges[i]);
    }
}

static int ask_fingerprints(struct connection *connection, const struct source *source,
                            const struct ctid_range *ranges, size_t count, struct fingerprint *out,
                            struct error *error)
{
    struct text sql = {0};
    PGresult *rows = NULL;
    put_fingerprints(&sql, source, ranges, count);
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? out_of_memory(error)
                               : connection_rows(connection, statement,
                                                 (struct shape){(int)count, "nnn"}, &rows, error);
    uint64_t told = 0;
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++) {
        size_t number = strtoul(PQgetvalue(rows, i, 0), NULL, 10);
        if (number >= count || (told & (uint64_t)1 << number) != 0) {
            rc = error_set(error, -EIO, "unexpected answer of the server: range %zu", number);
            break;
        }
        told |= (uint64_t)1 << number;
        out[number] = (struct fingerprint){strtoull(PQgetvalue(rows, i, 1), NULL, 10),
                                           strtoull(PQgetvalue(rows, i, 2), NULL, 10)};
    }
    PQclear(rows);
    text_clear(&sql);
    return rc;
}

int readpoint_fingerprint(struct session *session, const struct source *source,
                          const struct ctid_range *ranges, size_t count, struct fingerprint *out,
                          struct error *error)
{
    enum { RANGES_AT_ONCE = 64 };
    if (!source->by_ctid)
        return error_set(error, -EINVAL, "rows of a stream have no identity");
    struct connection *connection = session_connection(session);
    int rc = guard(connection, "", error);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < count && rc == 0; i += RANGES_AT_ONCE)
        rc = ask_fingerprints(connection, source, ranges + i,
                              count - i < RANGES_AT_ONCE ? count - i : RANGES_AT_ONCE, out + i,
                              error);
    int after = unguard(connection, rc == 0 ? error : NULL);
    return rc == 0 ? after : rc;
}

/* Whether the database's encoding is known, and is not UTF-8. */
static bool has_own_encoding(const struct connection *connection)
{
    return !connection_is_utf8(connection) &&
           strcmp(connection_encoding(connection), "SQL_ASCII") != 0;
}

/* Converts the statement to the database's own encoding: text comes as the database's own bytes, so
 * the statement must be sent in the same encoding. No server's encoding has bytes inside a
 * character that would look like ASCII. */
static int convert(struct connection *connection, struct text *sql, struct error *error)
{
    const char *parameter = text_string(sql);
    PGresult *row = NULL;
    int rc = parameter == NULL ? out_of_memory(error)
                               : connection_ask(connection,
                                                "SELECT pg_catalog.convert_to($1,"
                                                " pg_catalog.getdatabaseencoding())",
                                                1, &parameter, ONE_ROW_OF("t"), &row, error);
    if (rc != 0)
        return rc;
    size_t size = 0;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *)PQgetvalue(row, 0, 0), &size);
    PQclear(row);
    text_clear(sql);
    if (bytes != NULL)
        text_put_bytes(sql, bytes, size);
    PQfreemem(bytes);
    return bytes == NULL ? out_of_memory(error) : 0;
}

static int write_copy(struct connection *connection, const struct schema *schema,
                      const struct source *source, const struct ctid_range *range, struct text *sql,
                      struct error *error)
{
    text_put(sql, "COPY (");
    selection_put(sql, schema, source, range, connection_encoding(connection));
    text_put(sql, ") TO STDOUT (FORMAT binary)");
    if (sql->failed == -EOVERFLOW)
        return error_set(error, -EOVERFLOW, "more columns than a SELECT may have");
    return has_own_encoding(connection) ? convert(connection, sql, error) : 0;
}

/* A table's rows come in the order of the heap, as COPY t gives them, never in the order of an
 * index. */
static void put_copy_settings(struct readpoint *readpoint, const struct schema *schema,
                              const struct connection *connection, struct text *sql)
{
    bool view = readpoint->relation.kind == RELATION_VIEW || kept(readpoint)->filtered;
    bool casts = readpoint->json_apart && schema->part_count[PART_JSON] > 0;
    text_put(sql, view ? "" : "SET LOCAL enable_indexonlyscan = off;");
    text_put(sql, casts ? "SET LOCAL statement_timeout TO DEFAULT;" : "");
    if (has_own_encoding(connection))
        text_printf(sql, "SET LOCAL client_encoding = '%s'", connection_encoding(connection));
}

/* Tells errors that are not the fault of the rows or the format: the server had no time, memory,
 * disk or peace for the COPY. Errors of these classes that are worth trying again, and locks, have
 * codes of their own already. */
static int blame(const struct connection *connection, int rc)
{
    static const char *const of_the_moment[] = {
        "08",             /* a connection, of a foreign server too */
        "25P02",          /* the transaction had failed before */
        "25P03", "25P04", /* time limits of transactions */
        "40",             /* conflicts with others */
        "53",             /* memory, disk, connections, limits of the configuration */
        "55P03",          /* a lock */
        "57",             /* cancelled, a time limit, a shutdown */
        "58",             /* files */
        "72",             /* the snapshot is too old */
    };
    const char *state = connection_state(connection);
    for (size_t i = 0; i < sizeof of_the_moment / sizeof *of_the_moment; i++)
        if (rc == -EIO && strncmp(state, of_the_moment[i], strlen(of_the_moment[i])) == 0)
            return -EREMOTEIO;
    return rc;
}

int readpoint_copy(struct readpoint *readpoint, struct session *session,
                   const struct schema *schema, const struct source *source,
                   const struct ctid_range *range, copy_sink *sink, void *context, uint64_t *said,
                   struct error *error)
{
    struct connection *connection = session_connection(session);
    struct text sql = {0}, settings = {0};
    int rc = write_copy(connection, schema, source, range, &sql, error);
    put_copy_settings(readpoint, schema, connection, &settings);
    const char *statement = text_string(&sql), *before = text_string(&settings);
    if (rc == 0)
        rc = statement == NULL || before == NULL ? out_of_memory(error)
                                                 : guard(connection, before, error);
    if (rc == 0) {
        rc = connection_copy(connection, statement, sink, context, said, error);
        rc = blame(connection, rc);
        int after = unguard(connection, rc == 0 ? error : NULL);
        rc = rc == 0 ? after : rc;
    }
    text_clear(&sql);
    text_clear(&settings);
    return rc;
}
