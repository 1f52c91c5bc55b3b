/* Whether any DDL has changed, without asking pg_dump. A catalog's row that is written anew gets
 * another (ctid, xmin); a row that VACUUM and ANALYZE change in place keeps them. */
#include "pgclient/cluster.h"
#include "pgclient/ddl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Catalogs, and which of their rows belong to no temporary table: `temporary` is the array of those
 * tables' oids. */
static const struct {
    int since; /* server version */
    const char *name, *condition;
} catalogs[] = {
    {0, "pg_class", "c.relpersistence <> 't'"},
    {0, "pg_attribute", "c.attrelid <> ALL (t.temporary)"},
    {0, "pg_attrdef", "c.adrelid <> ALL (t.temporary)"},
    {0, "pg_index", "c.indrelid <> ALL (t.temporary)"},
    {0, "pg_constraint", "c.conrelid <> ALL (t.temporary)"},
    {0, "pg_type", "c.typnamespace <> ALL (t.namespaces)"},
    {0, "pg_inherits", "true"},
    {0, "pg_partitioned_table", "true"},
    {0, "pg_trigger", "true"},
    {0, "pg_policy", "true"},
    {0, "pg_rewrite", "true"},
    {0, "pg_description", "true"},
    {0, "pg_seclabel", "true"},
    {0, "pg_enum", "true"},
    {0, "pg_range", "true"},
    {0, "pg_proc", "true"},
    {0, "pg_operator", "true"},
    {0, "pg_opclass", "true"},
    {0, "pg_opfamily", "true"},
    {0, "pg_collation", "true"},
    {0, "pg_am", "true"},
    {0, "pg_namespace", "c.oid <> ALL (t.namespaces)"},
    {0, "pg_extension", "true"},
    {0, "pg_init_privs", "true"},
    {0, "pg_default_acl", "true"},
    {0, "pg_sequence", "true"},
    {0, "pg_statistic_ext", "true"},
    {0, "pg_ts_config", "true"},
    {0, "pg_ts_dict", "true"},
    {0, "pg_depend", "c.deptype = 'x'"}, /* ALTER ... DEPENDS ON EXTENSION */
    {0, "pg_publication", "true"},
    {0, "pg_publication_rel", "true"},
    {0, "pg_foreign_table", "true"},
    {0, "pg_foreign_server", "true"},
    {0, "pg_foreign_data_wrapper", "true"},
    {0, "pg_tablespace", "true"},
    {150000, "pg_publication_namespace", "true"},
};

static int write_query(int version, const struct cluster *cluster, struct buffer *sql)
{
    int rc = buffer_printf(
        sql,
        "WITH n AS (SELECT coalesce(array_agg(oid), '{}') AS namespaces FROM "
        "pg_catalog.pg_namespace"
        " WHERE nspname ~ '^pg_(toast_)?temp_'),"
        " t AS (SELECT n.namespaces, (SELECT coalesce(array_agg(oid), '{}') FROM "
        "pg_catalog.pg_class"
        " WHERE relnamespace = ANY (n.namespaces)) AS temporary FROM n)"
        " SELECT %s, pg_catalog.concat_ws(' ',"
        " (SELECT count(*) || ':' || coalesce(sum(pg_catalog.hashtextextended(oid || ' ' || "
        "rolname, 0)), 0)"
        " FROM pg_catalog.pg_roles)",
        cluster_position_sql(cluster));
    for (size_t i = 0; rc == 0 && i < sizeof catalogs / sizeof *catalogs; i++)
        if (version >= catalogs[i].since)
            rc = buffer_printf(
                sql,
                ", (SELECT count(*) || ':' || coalesce(sum(pg_catalog.hashtextextended("
                "c.ctid::text || ' ' || c.xmin::text, 0)), 0) FROM pg_catalog.%s c WHERE %s)",
                catalogs[i].name, catalogs[i].condition);
    if (rc == 0)
        rc = buffer_append_text(sql, ") FROM t");
    return rc < 0 ? rc : buffer_append_byte(sql, '\0');
}

/* A text without @ holds at no other time (mark_holds). */
static int write_signature(const struct cluster *cluster, const char *sums, uint64_t position,
                           struct buffer *out)
{
    int rc = buffer_printf(out, "%llu/%u/%u/%s/%s", (unsigned long long)cluster->name,
                           cluster->database, cluster->timeline, cluster->run, sums);
    if (rc == 0 && cluster_run_known(cluster) && position != 0)
        rc = buffer_printf(out, "@%llu", (unsigned long long)position);
    return rc < 0 ? rc : buffer_append_byte(out, '\0');
}

bool ddl_signature_is_of(const char *signature, const struct cluster *cluster)
{
    char begin[48];
    size_t size = (size_t)snprintf(begin, sizeof begin, "%llu/%u/",
                                   (unsigned long long)cluster->name, cluster->database);
    if (strncmp(signature, begin, size) != 0)
        return false;
    const char *run = strchr(signature + size, '/'); /* the timeline may change within a run */
    size_t length = strlen(cluster->run);
    return run != NULL && strncmp(run + 1, cluster->run, length) == 0 && run[1 + length] == '/';
}

static int ask_signature(struct connection *connection, const struct cluster *cluster,
                         struct buffer *out, struct error *error)
{
    struct buffer sql = {0};
    PGresult *row = NULL;
    int rc = write_query(connection_version(connection), cluster, &sql);
    rc = rc == 0 ? connection_read(connection, TRANSACTION_TABLES, (const char *)sql.data,
                                   ONE_ROW_OF("Tt"), &row, error)
                 : error_set(error, rc, "no memory");
    buffer_clear(&sql);
    if (rc == 0 && write_signature(cluster, PQgetvalue(row, 0, 1),
                                   cluster_position(PQgetvalue(row, 0, 0)), out) < 0)
        rc = error_set(error, -ENOMEM, "no memory");
    PQclear(row);
    return rc;
}

int ddl_signature(struct session *session, char **out, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct buffer signature = {0};
    struct cluster cluster;
    int rc = cluster_read(connection, &cluster, error);
    if (rc < 0)
        return rc;
    rc = ask_signature(connection, &cluster, &signature, error);
    cluster_clear(&cluster);
    if (rc == 0)
        *out = (char *)signature.data;
    else
        buffer_clear(&signature);
    return rc;
}
