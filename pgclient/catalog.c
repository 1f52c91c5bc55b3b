#include "pgclient/catalog.h"

#include "codec/utf8.h"
#include "pgclient/cluster.h"
#include "pgclient/sql_text.h"
#include "pgclient/trust.h"
#include "pgclient/verdicts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The catalog's strings stay where libpq put them. */
struct kept_catalog {
    struct catalog catalog; /* first, so that catalog_free finds the rest */
    struct cluster cluster;
    PGresult *rows;
};

enum {
    COLUMN_SCHEMA,
    COLUMN_OID,
    COLUMN_KIND,
    COLUMN_NAME,
    COLUMN_PARENT,
    COLUMN_HAS_VECTORS,
    COLUMN_SUPERUSER,
    COLUMN_HAS_DDL
};
#define COLUMNS "tNTTNBbB"

/* One row for each relation, and one without a relation for each schema that has none. A condition
 * on the system schemas follows it. */
static const char question[] =
    /* The types of vectors, the domains over them, and the domains over those. */
    "WITH RECURSIVE vector_type(oid) AS ("
    " SELECT t.oid FROM pg_catalog.pg_type t"
    "  WHERE t.oid IN ('pg_catalog.bit'::regtype, 'pg_catalog.varbit'::regtype)"
    "   OR t.typname IN ('vector', 'halfvec', 'sparsevec') AND EXISTS ("
    "    SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid"
    "    WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'"
    "     AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND x.extname = 'vector')"
    " UNION SELECT t.oid FROM pg_catalog.pg_type t JOIN vector_type v ON t.typbasetype = v.oid"
    "  WHERE t.typtype = 'd')"
    " SELECT n.nspname, c.oid, c.relkind, c.relname, i.inhparent,"
    "  c.oid IN (SELECT a.attrelid FROM pg_catalog.pg_attribute a JOIN vector_type v"
    "   ON v.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped), "
    "(SELECT " TRUST_IS_SUPERUSER "),"
    "  c.relkind NOT IN ('r', 'p') OR has_table_privilege(c.oid,"
    "   CASE WHEN current_setting('server_version_num')::int4 < 160000 THEN 'SELECT'"
    "   ELSE 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE' END)"
    " FROM pg_catalog.pg_namespace n"
    " LEFT JOIN (pg_catalog.pg_class c"
    "  LEFT JOIN pg_catalog.pg_inherits i ON c.relispartition AND i.inhrelid = c.oid)"
    " ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> "
    "'t'"
    /* NULL: the relation was dropped after the snapshot, which shows neither that it has gone nor
     * what took its place. */
    "  AND (has_table_privilege(c.oid, 'SELECT') IS NOT FALSE"
    "   OR has_any_column_privilege(c.oid, 'SELECT')"
    "   AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND "
    "a.attnum > 0"
    "    AND NOT a.attisdropped AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')))"
    " WHERE has_schema_privilege(n.oid, 'USAGE') IS NOT FALSE AND ";
static const char without_system[] =
    "NOT starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'";
static const char with_system[] = "(NOT starts_with(n.nspname, 'pg_') OR n.nspname = 'pg_catalog')";

/* In an SQL_ASCII database a name may be any bytes; a name that is not UTF-8 cannot be shown. */
static bool in_scope(const struct catalog_scope *scope, const char *schema)
{
    if (!utf8_is(schema))
        return false;
    if (scope->schemas == NULL)
        return true;
    for (char **wanted = scope->schemas; *wanted != NULL; wanted++)
        if (strcmp(*wanted, schema) == 0)
            return true;
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int by_name(const void *a, const void *b)
{
    const struct relation *left = a, *right = b;
    int order = strcmp(left->schema, right->schema);
    return order != 0 ? order : strcmp(left->name, right->name);
}

static int take_rows(struct catalog *catalog, const PGresult *rows,
                     const struct catalog_scope *scope)
{
    int count = PQntuples(rows);
    catalog->schemas = calloc((size_t)count + 1, sizeof *catalog->schemas);
    catalog->relations = calloc((size_t)count + 1, sizeof *catalog->relations);
    if (catalog->schemas == NULL || catalog->relations == NULL)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        const char *schema = PQgetvalue(rows, i, COLUMN_SCHEMA);
        if (!in_scope(scope, schema))
            continue;
        catalog->schemas[catalog->schema_count++] = schema;
        const char *name = PQgetvalue(rows, i, COLUMN_NAME);
        if (PQgetisnull(rows, i, COLUMN_OID) || !utf8_is(name))
            continue;
        catalog->relations[catalog->relation_count++] = (struct relation){
            .oid = (uint32_t)strtoul(PQgetvalue(rows, i, COLUMN_OID), NULL, 10),
            .parent = (uint32_t)strtoul(PQgetvalue(rows, i, COLUMN_PARENT), NULL, 10),
            .kind = (enum relation_kind)PQgetvalue(rows, i, COLUMN_KIND)[0],
            .has_vectors = PQgetvalue(rows, i, COLUMN_HAS_VECTORS)[0] == 't',
            .has_ddl = PQgetvalue(rows, i, COLUMN_HAS_DDL)[0] == 't',
            .schema = schema,
            .name = name,
        };
    }
    qsort(catalog->relations, catalog->relation_count, sizeof *catalog->relations, by_name);
    qsort(catalog->schemas, catalog->schema_count, sizeof *catalog->schemas, by_text);
    size_t distinct = 0;
    for (size_t i = 0; i < catalog->schema_count; i++)
        if (i == 0 || strcmp(catalog->schemas[i], catalog->schemas[distinct - 1]) != 0)
            catalog->schemas[distinct++] = catalog->schemas[i];
    catalog->schema_count = distinct;
    catalog->superuser = count > 0 && PQgetvalue(rows, 0, COLUMN_SUPERUSER)[0] == 't';
    return 0;
}

static void take_verdict(struct relation *relation, const PGresult *verdict)
{
    for (int i = verdicts_find(verdict, relation->oid); i < PQntuples(verdict); i++)
        if (strtoul(PQgetvalue(verdict, i, TRUST_RELATION), NULL, 10) != relation->oid)
            return;
        else if (PQgetvalue(verdict, i, TRUST_ROWS)[0] == 't')
            relation->refuses_rows = true;
        else
            relation->refuses_json = true;
}

/* Leaves the verdict to those who read a relation, with the mark of what was looked at. */
static int keep_verdict(struct session *session, const struct cluster *now, PGresult *verdict,
                        struct error *error)
{
    char *mark = NULL;
    int rc = cluster_mark(now, now->snapshot, now->position, &mark);
    if (rc == 0)
        rc = verdicts_keep(session_verdicts(session), mark, verdict);
    else
        PQclear(verdict);
    free(mark);
    return rc == 0 ? 0 : error_set(error, rc, "out of memory");
}

/* Notes which relations a superuser must not read. */
static int judge(struct session *session, struct catalog *catalog, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct cluster now = {0};
    PGresult *verdict = NULL;
    int rc = connection_begin(connection, TRANSACTION_TABLES, NULL, error);
    if (rc == 0)
        rc = cluster_read(connection, &now, error);
    if (rc == 0)
        rc = trust_ask(connection, 0, NULL, &verdict, error);
    connection_end(connection);
    for (size_t i = 0; rc == 0 && i < catalog->relation_count; i++)
        take_verdict(&catalog->relations[i], verdict);
    if (rc == 0)
        rc = keep_verdict(session, &now, verdict, error);
    cluster_clear(&now);
    return rc;
}

int catalog_read(struct session *session, const struct catalog_scope *scope, struct catalog **out,
                 struct error *error)
{
    struct connection *connection = session_connection(session);
    struct kept_catalog *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return error_no_memory(error);
    struct text sql = {0};
    text_put(&sql, question);
    text_put(&sql, scope->system ? with_system : without_system);
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? -ENOMEM : cluster_read(connection, &kept->cluster, error);
    if (rc == 0)
        rc = connection_read(connection, TRANSACTION_TABLES, statement, ROWS_OF(COLUMNS),
                             &kept->rows, error);
    if (rc == 0)
        rc = take_rows(&kept->catalog, kept->rows, scope);
    if (rc == 0 && kept->catalog.superuser && !connection_reading(connection).trust_all)
        rc = judge(session, &kept->catalog, error);
    text_clear(&sql);
    if (rc != 0) {
        catalog_free(&kept->catalog);
        return rc == -ENOMEM ? error_set(error, rc, "out of memory") : rc;
    }
    const struct cluster *cluster = &kept->cluster;
    kept->catalog.system_id = cluster->name;
    kept->catalog.database = cluster->database;
    kept->catalog.role = cluster->role;
    kept->catalog.pooled = connection_is_pooled(connection);
    /* initdb puts the time into the upper half of the identifier. */
    kept->catalog.born = cluster->system_id_known ? (int64_t)(cluster->system_id >> 32) : 0;
    *out = &kept->catalog;
    return 0;
}

void catalog_is_mounted(const struct catalog *catalog, struct session_pool *pool)
{
    cluster_note_mounted(&((const struct kept_catalog *)catalog)->cluster,
                         session_pool_mounted(pool));
}

void catalog_free(struct catalog *catalog)
{
    if (catalog == NULL)
        return;
    struct kept_catalog *kept = (struct kept_catalog *)catalog;
    free(catalog->schemas);
    free(catalog->relations);
    cluster_clear(&kept->cluster);
    PQclear(kept->rows);
    free(kept);
}

static int ask_which(struct session *session, const uint32_t *oids, size_t count, PGresult **rows,
                     struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid "
                   "OPERATOR(pg_catalog.=) ANY ('{");
    for (size_t i = 0; i < count; i++)
        sql_listed(&sql, i, oids[i]);
    text_put(&sql, "}'::pg_catalog.oid[])");
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? error_no_memory(error)
                               : connection_question(session_connection(session), statement,
                                                     ROWS_OF("n"), rows, error);
    text_clear(&sql);
    return rc;
}

static int by_oid(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

int catalog_has(struct session *session, const uint32_t *oids, size_t count, bool *there,
                struct error *error)
{
    PGresult *rows;
    int rc = ask_which(session, oids, count, &rows, error);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        there[i] = false;
    for (int row = 0; row < PQntuples(rows); row++) {
        uint32_t oid = (uint32_t)strtoul(PQgetvalue(rows, row, 0), NULL, 10);
        const uint32_t *found = bsearch(&oid, oids, count, sizeof *oids, by_oid);
        if (found != NULL)
            there[found - oids] = true;
    }
    PQclear(rows);
    return 0;
}

int catalog_mark(struct session *session, char **out, struct error *error)
{
    struct cluster cluster;
    int rc = cluster_read(session_connection(session), &cluster, error);
    if (rc != 0)
        return rc;
    rc = cluster_mark(&cluster, cluster.snapshot, cluster.position, out);
    cluster_clear(&cluster);
    return rc == 0 ? 0 : error_set(error, rc, "out of memory");
}

int catalog_now(struct session *session, struct version_key *out, struct error *error)
{
    struct cluster cluster;
    int rc = cluster_read(session_connection(session), &cluster, error);
    if (rc != 0)
        return rc;
    rc = cluster_key(&cluster, cluster.snapshot, cluster.position, out);
    cluster_clear(&cluster);
    return rc == 0 ? 0 : error_set(error, rc, "out of memory");
}
