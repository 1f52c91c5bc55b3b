#include "pgclient/readpoint_parts.h"

#include "pgclient/describe.h"
#include "pgclient/from_clause.h"
#include "pgclient/lock_room.h"
#include "pgclient/policies.h"
#include "pgclient/search_path.h"
#include "pgclient/statement_parts.h"
#include "pgclient/trust.h"
#include "pgclient/verdicts.h"

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
 *
 * A statement is nothing that could be looked up, and is locked by its SELECT. If what it reads is
 * rewritten meanwhile, its snapshot may see those tables empty: as any client's would.
 */
enum { ATTEMPTS = 3 };

/* The questions to the catalog follow a few oids through large tables. The planner cannot know how
 * few they are, and would read the whole tables (16 ms instead of 2 with 10,000 tables). */
#define PLAN_SMALL                                                                                 \
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;" CONNECTION_KEEP_PLANS
#define PLAN_AS_USUAL                                                                              \
    "SET LOCAL enable_hashjoin = DEFAULT; SET LOCAL enable_mergejoin = "                           \
    "DEFAULT;" CONNECTION_PLAN_AS_USUAL

/* What users wrote may need the role's own path, our questions about it need none. */
#define OUR_PATH ";" SEARCH_PATH_OURS

enum transaction_kind readpoint_kind(const struct kept_readpoint *r)
{
    enum relation_kind kind = r->public.relation.kind;
    return kind == RELATION_VIEW || kind == RELATION_FOREIGN || kind == RELATION_STATEMENT ||
                   r->filtered
               ? TRANSACTION_USER
               : TRANSACTION_TABLES;
}

void readpoint_put_own_settings(const struct kept_readpoint *r, const struct connection *connection,
                                struct text *sql)
{
    if (readpoint_kind(r) == TRANSACTION_USER)
        text_printf(sql, "%s;%s", connection_own_path(connection),
                    r->shows_owners ? "SET LOCAL row_security = on;" : "");
}

void readpoint_put_money(const struct kept_readpoint *r, struct text *sql)
{
    text_put(sql, "SET LOCAL lc_monetary = ");
    sql_literal(sql, r->cluster.money);
    text_put_byte(sql, ';');
}

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
        from_put(&lock, relation);
        text_put(&lock, " IN ACCESS SHARE MODE");
    }
    text_put(&probe, "SELECT * FROM ");
    from_put(&probe, relation);
    text_put(&probe, " LIMIT 0");
    r->lock = text_take(&lock);
    r->probe = text_take(&probe);
    return r->lock == NULL || r->probe == NULL ? -ENOMEM : 0;
}

static int look_up_statement(struct kept_readpoint *r, struct connection *connection,
                             const struct relation *relation, struct error *error)
{
    PGresult *row = NULL;
    int rc = cluster_read(connection, &r->cluster, error);
    if (rc == 0)
        rc = connection_question(connection, "SELECT " TRUST_IS_SUPERUSER, ONE_ROW_OF("b"), &row,
                                 error);
    if (rc != 0)
        return rc;
    r->judged = PQgetvalue(row, 0, 0)[0] == 't' && !connection_reading(connection).trust_all;
    PQclear(row);
    r->public.relation = *relation;
    r->public.relation.schema = strdup(relation->schema);
    r->public.relation.name = strdup(relation->name);
    r->public.relation.statement = strdup(relation->statement);
    rc = r->public.relation.schema == NULL || r->public.relation.name == NULL ||
                 r->public.relation.statement == NULL
             ? -ENOMEM
             : write_statements(r, false);
    return rc == 0 ? 0 : error_no_memory(error);
}

static int look_up(struct kept_readpoint *r, struct connection *connection,
                   const struct relation *relation, struct error *error)
{
    if (relation->kind == RELATION_STATEMENT)
        return look_up_statement(r, connection, relation, error);
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
    return rc == 0 ? 0 : error_no_memory(error);
}

static int judge_statement(struct kept_readpoint *r, struct connection *connection,
                           struct error *error)
{
    int rc = connection_run(connection, connection_own_path(connection), error);
    return rc == 0
               ? statement_judge(connection, &r->public.relation, &r->public.json_refused, error)
               : rc;
}

/* SQL: whether plans must not be kept. */
static const char *others_plans(const struct kept_readpoint *r, const struct connection *connection)
{
    return r->keeps_plans ? connection_others_plans(connection) : "true";
}

/* -ESTALE: perhaps the role may not ask that any more; the next attempt does without. */
static int refused_with_plans(const struct kept_readpoint *r, struct connection *connection, int rc)
{
    if ((rc != -EACCES && rc != -EIO) || !r->keeps_plans ||
        strcmp(connection_others_plans(connection), "true") == 0)
        return rc;
    connection_keep_no_plans(connection);
    return -ESTALE;
}

/* `others`: what others_plans gave. */
static void keep_plans(const struct kept_readpoint *r, struct connection *connection,
                       const char *others)
{
    if (r->keeps_plans && others[0] == 't')
        connection_keep_no_plans(connection);
    connection_keep_plans(connection, r->keeps_plans);
}

/* The transaction's first answer, if functions are judged. */
enum { NOW_RUN, NOW_SNAPSHOT, NOW_POSITION, NOW_OTHERS_PLANS };
#define NOW_COLUMNS "TtTb"

/* Whether no function would run that may not, as far as that was asked of all relations and nothing
 * has changed: 1, 0, or -ENOMEM. A standby's mark is as old as the look-up: it tells nothing of what
 * was replayed since, while this waited for the lock. */
static int allowed_already(const struct kept_readpoint *r, const PGresult *now)
{
    char *mark = NULL;
    if (r->cluster.standby || strcmp(PQgetvalue(now, 0, NOW_RUN), r->cluster.run) != 0)
        return 0;
    int rc = cluster_mark(&r->cluster, PQgetvalue(now, 0, NOW_SNAPSHOT),
                          cluster_position(PQgetvalue(now, 0, NOW_POSITION)), &mark);
    if (rc == 0)
        rc = verdicts_allow(session_verdicts(r->public.leader), mark, r->public.relation.oid);
    free(mark);
    return rc;
}

/* Asks whose functions would run. Planning a query may run some, too: those in the expressions of
 * an index. */
static int judge(struct kept_readpoint *r, struct connection *connection, const PGresult *now,
                 struct error *error)
{
    PGresult *rows = NULL;
    int allowed = allowed_already(r, now);
    if (allowed != 0)
        return allowed > 0 ? 0 : error_no_memory(error);
    keep_plans(r, connection, PQgetvalue(now, 0, NOW_OTHERS_PLANS));
    int rc = trust_ask(connection, r->public.relation.oid, NULL, &rows, error);
    connection_keep_plans(connection, false);
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++) {
        const char *reason = PQgetvalue(rows, i, TRUST_REASON);
        if (PQgetvalue(rows, i, TRUST_ROWS)[0] == 't')
            rc = error_set(error, -EACCES, "%s", reason);
        else if ((r->public.json_refused = strdup(reason)) == NULL)
            rc = error_no_memory(error);
    }
    PQclear(rows);
    return rc;
}

static int begin(struct kept_readpoint *r, struct connection *connection, bool judges,
                 PGresult **now, struct error *error)
{
    enum transaction_kind kind = readpoint_kind(r);
    struct text sql = {0};
    readpoint_put_money(r, &sql);
    text_printf(&sql, PLAN_SMALL "%s%s%s", r->judged ? READPOINT_NO_EXCLUSION : "", r->lock,
                kind == TRANSACTION_USER ? OUR_PATH : "");
    if (judges)
        text_printf(&sql, ";SELECT %s, pg_catalog.pg_current_snapshot(), %s, %s",
                    cluster_run_sql(&r->cluster), cluster_position_sql(&r->cluster),
                    others_plans(r, connection));
    const char *statements = text_string(&sql);
    int rc = statements == NULL ? error_no_memory(error)
             : judges
                 ? refused_with_plans(r, connection,
                                      connection_begin_rows(connection, kind, statements,
                                                            ONE_ROW_OF(NOW_COLUMNS), now, error))
                 : connection_begin(connection, kind, statements, error);
    text_clear(&sql);
    return rc;
}

/* Begins the transaction, locks the relation, and gives the columns as they are under the lock.
 * -ENOENT: it was renamed or dropped meanwhile. */
static int lock(struct kept_readpoint *r, struct connection *connection, PGresult **present,
                struct error *error)
{
    bool statement = r->public.relation.kind == RELATION_STATEMENT;
    struct text probe = {0};
    PGresult *now = NULL;
    int rc = begin(r, connection, r->judged && !statement, &now, error);
    if (rc == 0 && r->judged)
        rc = statement ? judge_statement(r, connection, error) : judge(r, connection, now, error);
    PQclear(now);
    if (rc == 0 && r->public.relation.kind == RELATION_VIEW)
        rc = policies_bind_owners_only(connection, r->public.relation.oid, &r->shows_owners, error);
    readpoint_put_own_settings(r, connection, &probe);
    text_printf(&probe, "%s%s", r->probe, readpoint_kind(r) == TRANSACTION_USER ? OUR_PATH : "");
    const char *statements = text_string(&probe);
    if (rc == 0)
        rc = statements == NULL ? error_no_memory(error)
                                : connection_rows(connection, statements, ANYTHING, present, error);
    text_clear(&probe);
    return rc;
}

/* The position is asked for under the snapshot, so it is not before what the snapshot sees. */
static int ask_seen(const struct kept_readpoint *r, struct connection *connection, PGresult **row,
                    struct error *error)
{
    struct text name = {0}, sql = {0};
    sql_relation(&name, r->public.relation.schema, r->public.relation.name);
    text_printf(&sql,
                "SELECT to_regclass($1)::pg_catalog.oid, %s, pg_current_snapshot(), %s, %s, %s",
                cluster_export_sql(&r->cluster), cluster_run_sql(&r->cluster),
                cluster_position_sql(&r->cluster), others_plans(r, connection));
    const char *parameter = text_string(&name), *statement = text_string(&sql);
    int rc = parameter == NULL || statement == NULL
                 ? error_no_memory(error)
                 : connection_ask(connection, statement, 1, &parameter, ONE_ROW_OF("NTtTTb"), row,
                                  error);
    text_clear(&name);
    text_clear(&sql);
    return rc;
}

/* Checks that the name that was locked is the relation that was meant, and on the server that was
 * asked. */
static int verify_name(struct kept_readpoint *r, struct connection *connection, struct error *error)
{
    PGresult *row = NULL;
    bool statement = r->public.relation.kind == RELATION_STATEMENT;
    int rc = ask_seen(r, connection, &row, error);
    if (rc < 0 && cluster_does_without_export(&r->cluster, connection, rc))
        return -ESTALE;
    rc = refused_with_plans(r, connection, rc);
    /* Behind a balancer the transaction may be on another server than the question before it. */
    if (rc == 0 &&
        ((!statement && strtoul(PQgetvalue(row, 0, 0), NULL, 10) != r->public.relation.oid) ||
         strcmp(PQgetvalue(row, 0, 3), r->cluster.run) != 0))
        rc = -ESTALE;
    if (rc == 0) {
        bool exported = !PQgetisnull(row, 0, 1);
        r->public.snapshot = exported ? strdup(PQgetvalue(row, 0, 1)) : NULL;
        r->seen = strdup(PQgetvalue(row, 0, 2));
        rc = cluster_key(&r->cluster, PQgetvalue(row, 0, 2),
                         cluster_position(PQgetvalue(row, 0, 4)), &r->public.key);
        if (rc != 0 || (exported && r->public.snapshot == NULL) || r->seen == NULL)
            rc = error_no_memory(error);
        /* To list the leaves, the planner may run what users wrote. */
        if (r->public.relation.kind != RELATION_PARTITIONED)
            keep_plans(r, connection, PQgetvalue(row, 0, 5));
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
    readpoint_put_own_settings(r, connection, &sql);
    const char *statements = text_string(&sql);
    int rc =
        statements == NULL ? error_no_memory(error) : connection_run(connection, statements, error);
    text_clear(&sql);
    return rc;
}

static int describe(struct kept_readpoint *r, struct connection *connection,
                    const PGresult *present, struct error *error)
{
    struct readpoint *out = &r->public;
    struct sources sources = {0};
    struct columns columns = {0};
    char *names = NULL; /* of a statement */
    int rc = verify_name(r, connection, error);
    if (rc == 0 && out->relation.kind == RELATION_STATEMENT) {
        rc = statement_take_lock_room(out->leader, error);
        if (rc == 0)
            rc = statement_columns(present, &names, error);
    }
    if (rc == 0 && r->may_be_spread)
        rc = describe_spread(connection, &out->relation, error);
    if (rc == 0)
        rc = describe_sources(connection, &out->relation, r->filtered, &sources, error);
    if (rc == 0)
        rc = describe_columns(connection, &out->relation, sources.by_ctid, present, names, &columns,
                              error);
    if (rc == 0)
        rc = describe_signature(connection, &out->relation, &sources,
                                r->filtered                 ? BY_POLICIES
                                : out->json_refused != NULL ? "JSON refused"
                                                            : NULL,
                                names, &out->key.signature, error);
    free(names);
    connection_keep_plans(connection, false);
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
    out->of_users = readpoint_kind(r) == TRANSACTION_USER ||
                    out->relation.kind == RELATION_SPREAD || columns.json_apart;
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
    free((char *)out->relation.statement);
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
    if (relation.kind == RELATION_STATEMENT)
        return 0; /* it is taken once the locks are there */
    return lock_room_take(r->public.leader, &relation, error);
}

/* `plans`: plans may be kept; what was kept may be wrong. -ESTALE: the relation changed between two
 * steps, or (`missing`) the server misses something, which it names. */
static int attempt(struct kept_readpoint *r, const struct relation *relation, bool plans,
                   bool *missing, struct error *error)
{
    struct connection *connection = session_connection(r->public.leader);
    PGresult *present = NULL;
    *missing = false;
    int rc = look_up(r, connection, relation, error);
    if (rc == 0)
        rc = take_lock_room(r, error);
    if (rc != 0)
        return rc;
    r->keeps_plans = plans && readpoint_kind(r) == TRANSACTION_TABLES;
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
        return error_no_memory(error);
    r->public.leader = leader;
    bool missing = false;
    int rc = -ESTALE;
    for (int i = 0; i < ATTEMPTS && rc == -ESTALE; i++) {
        rc = attempt(r, relation, i == 0, &missing, error);
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
    empty(readpoint_kept(readpoint));
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
    for (int i = 0; i < count; i++)
        with_binary[i] = readpoint->with_binary[numbers[i]];
    schema_copy_all(chosen);
    schema_free(readpoint->schema);
    free(readpoint->with_binary);
    readpoint->schema = chosen;
    readpoint->with_binary = with_binary;
    return 0;
}
