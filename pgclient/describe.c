#include "pgclient/describe.h"

#include "pgclient/from_clause.h"
#include "pgclient/sql_text.h"
#include "pgclient/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TID_RANGE_SCANS = 140000, MULTIRANGES = 140000 };

#define TEXT_OF_IT(it) #it
#define TEXT_OF(macro) TEXT_OF_IT(macro)
#define OUTPUT "pgvecfs output " TEXT_OF(OUTPUT_VERSION)

static uint32_t number(const PGresult *rows, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(rows, row, column), NULL, 10);
}

static bool yes(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

/* ---- tables whose rows are in others ---- */

/* What can tell us about the relation ($1), for each extension that is installed: the extension's
 * catalog ('c'), if the extension has made it itself, it has the known columns, and the role may
 * read it; or a trigger of the extension on the relation, which every role may see ('t'). All
 * tables of Citus have such a trigger. A hypertable of some versions has none: then nothing tells
 * about a table with children ('n'). TimescaleDB keeps names, Citus oids. */
static const char spreading_extensions[] =
    "SELECT x.extname, CASE WHEN c.readable THEN 'c'"
    "  WHEN EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
    "   JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid"
    "    AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e'"
    "   WHERE t.tgrelid = $1::oid AND p.proname = CASE x.extname"
    "    WHEN 'citus' THEN 'citus_truncate_trigger' ELSE 'insert_blocker' END) THEN 't'"
    "  WHEN x.extname = 'timescaledb' AND NOT c.readable"
    "   AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = $1::oid) THEN 'n'"
    "  ELSE '' END"
    " FROM pg_extension x LEFT JOIN LATERAL (SELECT"
    "   has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable"
    "  FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'r'"
    "  JOIN pg_namespace n ON n.oid = c.relnamespace"
    "  WHERE d.refobjid = x.oid AND d.deptype = 'e'"
    "   AND d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass"
    "   AND (x.extname = 'timescaledb' AND n.nspname = '_timescaledb_catalog'"
    "     AND c.relname = 'hypertable' AND 2 = (SELECT count(*) FROM pg_attribute a WHERE"
    "      a.attrelid = c.oid AND NOT a.attisdropped"
    "      AND a.attname IN ('schema_name', 'table_name'))"
    "    OR x.extname = 'citus' AND n.nspname = 'pg_catalog' AND c.relname = 'pg_dist_partition'"
    "     AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped"
    "      AND a.attname = 'logicalrelid'))) AS c ON true"
    " WHERE x.extname IN ('timescaledb', 'citus')";
static const char hypertables[] =
    "SELECT EXISTS (SELECT FROM _timescaledb_catalog.hypertable h JOIN pg_class c"
    " ON c.relname = h.table_name::text JOIN pg_namespace n ON n.oid = c.relnamespace"
    " AND n.nspname = h.schema_name::text WHERE c.oid = $1::oid)";
static const char distributed_tables[] =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid::oid = $1::oid)";

static int ask_catalog(struct connection *connection, const char *extension,
                       struct relation *relation, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    const char *parameter = oid;
    const char *question = strcmp(extension, "citus") == 0 ? distributed_tables : hypertables;
    PGresult *row = NULL;
    int rc = connection_ask(connection, question, 1, &parameter, ONE_ROW_OF("b"), &row, error);
    if (rc == 0 && yes(row, 0, 0))
        relation->kind = RELATION_SPREAD;
    PQclear(row);
    return rc;
}

int describe_spread(struct connection *connection, struct relation *relation, struct error *error)
{
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    const char *parameter = oid, *silent = NULL;
    PGresult *rows = NULL;
    int rc = connection_ask(connection, spreading_extensions, 1, &parameter, ROWS_OF("tt"), &rows,
                            error);
    for (int i = 0; rc == 0 && i < PQntuples(rows); i++) {
        const char *extension = PQgetvalue(rows, i, 0);
        char who = PQgetvalue(rows, i, 1)[0];
        if (who == 'c')
            rc = ask_catalog(connection, extension, relation, error);
        else if (who == 't')
            relation->kind = RELATION_SPREAD;
        else if (who == 'n')
            silent = extension;
    }
    if (rc == 0 && silent != NULL && relation->kind != RELATION_SPREAD)
        rc = error_set(error, -EACCES,
                       "whether the rows of \"%s\".\"%s\" are in its children only the catalog of "
                       "extension %s tells, which the role may not read",
                       relation->schema, relation->name, silent);
    PQclear(rows);
    return rc;
}

/* ---- sources ---- */

/* Leaves come in the order in which the server itself reads them. Only its plan tells that order;
 * $1 is EXPLAIN's JSON. */
static const char leaves_in_order[] =
    "SELECT c.oid FROM jsonb_path_query($1::pg_catalog.jsonb, 'strict $.** ? (exists(@.\"Relation "
    "Name\"))')"
    " WITH ORDINALITY AS node(plan, place)"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = plan->>'Schema'"
    " LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = plan->>'Relation "
    "Name'"
    " ORDER BY place";

static int explain_leaves(struct connection *connection, const struct relation *relation,
                          PGresult **out, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "EXPLAIN (VERBOSE, FORMAT JSON, COSTS OFF) SELECT FROM ");
    sql_relation(&sql, relation->schema, relation->name);
    const char *statement = text_string(&sql);
    PGresult *plan = NULL;
    int rc = statement == NULL
                 ? error_no_memory(error)
                 : connection_rows(connection, statement, ONE_ROW_OF("t"), &plan, error);
    text_clear(&sql);
    if (rc == 0) {
        const char *json = PQgetvalue(plan, 0, 0);
        rc = connection_ask(connection, leaves_in_order, 1, &json, ROWS_OF("N"), out, error);
    }
    PQclear(plan);
    return rc;
}

/* The relations whose rows are the relation's, as an array's text: itself, or its leaves. */
static int list_members(struct connection *connection, const struct relation *relation,
                        bool filtered, char **out, int *count, struct error *error)
{
    struct text list = {0};
    *count = 1;
    text_put_byte(&list, '{');
    if (relation->kind != RELATION_PARTITIONED || filtered) {
        sql_listed(&list, 0, relation->oid);
    } else {
        PGresult *leaves = NULL;
        int rc = explain_leaves(connection, relation, &leaves, error);
        if (rc != 0) {
            text_clear(&list);
            return rc;
        }
        *count = PQntuples(leaves);
        for (int i = 0; i < *count; i++)
            sql_listed(&list, (size_t)i, number(leaves, i, 0));
        PQclear(leaves);
    }
    text_put_byte(&list, '}');
    *out = text_take(&list);
    return *out != NULL ? 0 : error_no_memory(error);
}

/* Whether all virtual columns of a leaf are computed as those of the tree's root: the server takes
 * the expression of the relation that a query names. Without the OFFSET the planner, which expects
 * several leaves, would read all columns of the database at once. */
#define COMPUTES_AS_ROOT                                                                           \
    "NOT EXISTS (SELECT FROM pg_catalog.pg_attribute v"                                            \
    "  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = v.attrelid AND d.adnum = v.attnum"         \
    "  LEFT JOIN (pg_catalog.pg_attribute rv JOIN pg_catalog.pg_attrdef rd"                        \
    "   ON rd.adrelid = rv.attrelid AND rd.adnum = rv.attnum)"                                     \
    "   ON rv.attrelid = $2::pg_catalog.oid AND rv.attname = v.attname"                            \
    "  WHERE v.attrelid = s.oid AND v.attgenerated = 'v' AND NOT v.attisdropped"                   \
    "   AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM pg_get_expr(rd.adbin, rd.adrelid)"    \
    "  OFFSET 0)"

/* A leaf is read directly only if that shows the same rows as its parent does: the role may read
 * it, no policy interferes, and no column is computed otherwise. Columns: oid, schema, name,
 * filenode seen, filenode now, whether a heap, whether to be read directly, pages, bytes, the
 * tree's number of leaves, children. */
static const char sources_question[] =
    "SELECT s.oid, n.nspname, c.relname, c.relfilenode, coalesce(pg_relation_filenode(s.oid), 0),"
    " c.relkind IN ('r', 'm') AND coalesce(a.amhandler = "
    "'pg_catalog.heap_tableam_handler'::pg_catalog.regproc, false),"
    " has_table_privilege(s.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')"
    "  AND NOT row_security_active(s.oid) AND " COMPUTES_AS_ROOT ","
    " CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(s.oid) / "
    "current_setting('block_size')::int8 ELSE 0 END,"
    " CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(s.oid) ELSE 0 END,"
    " CASE $3 WHEN 'p' THEN (SELECT count(*) FROM pg_partition_tree($2::pg_catalog.oid) WHERE "
    "isleaf AND relid <> $2::pg_catalog.oid)"
    "  ELSE 1 END,"
    " CASE $3 WHEN 'r' THEN (SELECT json_agg(format('%I.%I', cn.nspname, cc.relname) ORDER BY "
    "cn.nspname, cc.relname)"
    "  FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class cc ON cc.oid = i.inhrelid"
    "  JOIN pg_catalog.pg_namespace cn ON cn.oid = cc.relnamespace"
    "  WHERE i.inhparent = $2::pg_catalog.oid) END"
    " FROM unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS s(oid, place)"
    " LEFT JOIN pg_catalog.pg_class c ON c.oid = s.oid"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam"
    " ORDER BY s.place";
enum {
    S_OID,
    S_SCHEMA,
    S_NAME,
    S_SEEN,
    S_NOW,
    S_HEAP,
    S_DIRECT,
    S_PAGES,
    S_BYTES,
    S_LEAVES,
    S_CHILDREN
};
#define S_COLUMNS "nTTNnBBNNnT"

static char *from_clause(const char *only, const char *schema, const char *name)
{
    struct text from = {0};
    text_put(&from, only);
    sql_relation(&from, schema, name);
    return text_take(&from);
}

static int take_heaps(const PGresult *rows, struct sources *out)
{
    out->by_ctid = true;
    for (int i = 0; i < PQntuples(rows); i++) {
        out->list[i] = (struct source){
            .oid = number(rows, i, S_OID),
            .filenode = number(rows, i, S_NOW),
            .by_ctid = true,
            .pages = number(rows, i, S_PAGES),
            .bytes = strtoull(PQgetvalue(rows, i, S_BYTES), NULL, 10),
            .from =
                from_clause("ONLY ", PQgetvalue(rows, i, S_SCHEMA), PQgetvalue(rows, i, S_NAME)),
        };
        out->count++;
        if (out->list[i].from == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Reads everything in one stream. An ordinary table does not include its children, as with COPY t.
 */
static int take_stream(const struct relation *relation, const PGresult *rows, struct sources *out)
{
    bool itself = relation->kind != RELATION_PARTITIONED;
    const char *only = relation->kind == RELATION_TABLE ? "ONLY " : "";
    struct source *source = &out->list[0];
    *source = (struct source){
        .oid = relation->oid,
        .filenode = itself ? number(rows, 0, S_NOW) : 0,
        .from = from_clause(only, relation->schema, relation->name),
    };
    for (int i = 0; i < PQntuples(rows); i++)
        source->bytes += strtoull(PQgetvalue(rows, i, S_BYTES), NULL, 10);
    out->count = 1;
    return source->from == NULL ? -ENOMEM : 0;
}

static int take_sources(struct connection *connection, const struct relation *relation,
                        const PGresult *rows, struct sources *out)
{
    int count = PQntuples(rows);
    bool heaps = relation->kind != RELATION_SPREAD, direct = true;
    for (int i = 0; i < count; i++) {
        /* 0 also for the few catalogs whose file is in the relation map */
        uint32_t seen = number(rows, i, S_SEEN);
        if (PQgetisnull(rows, i, S_NAME) || (seen != 0 && seen != number(rows, i, S_NOW)))
            return -ESTALE;
        heaps = heaps && yes(rows, i, S_HEAP);
        direct = direct && yes(rows, i, S_DIRECT);
    }
    /* the plan does not show each leaf: a foreign server's join, or a plan of a future server */
    if (count > 0 && number(rows, 0, S_LEAVES) != (uint32_t)count)
        heaps = false;
    out->list = calloc((size_t)count + 1, sizeof *out->list);
    if (out->list == NULL)
        return -ENOMEM;
    out->heaps = heaps;
    return heaps && direct && connection_version(connection) >= TID_RANGE_SCANS
               ? take_heaps(rows, out)
               : take_stream(relation, rows, out);
}

/* One stream, of which nothing else is known. */
static int take_statement(const struct relation *relation, struct sources *out, struct error *error)
{
    struct text from = {0};
    from_put(&from, relation);
    out->list = calloc(1, sizeof *out->list);
    char *text = text_take(&from);
    if (out->list == NULL || text == NULL) {
        free(text);
        sources_clear(out);
        return error_no_memory(error);
    }
    out->list[out->count++] = (struct source){.oid = relation->oid, .from = text};
    return 0;
}

int describe_sources(struct connection *connection, const struct relation *relation, bool filtered,
                     struct sources *out, struct error *error)
{
    *out = (struct sources){0};
    if (relation->kind == RELATION_STATEMENT)
        return take_statement(relation, out, error);
    char *members = NULL, oid[16], kind[2] = {(char)relation->kind, '\0'};
    int count, rc = list_members(connection, relation, filtered, &members, &count, error);
    if (rc != 0)
        return rc;
    snprintf(oid, sizeof oid, "%u", relation->oid);
    const char *parameters[] = {members, oid, kind};
    PGresult *rows = NULL;
    rc = connection_ask(connection, sources_question, 3, parameters,
                        (struct shape){count, S_COLUMNS}, &rows, error);
    free(members);
    if (rc != 0)
        return rc;
    rc = take_sources(connection, relation, rows, out);
    out->heaps = out->heaps && !filtered;
    if (rc == 0 && PQntuples(rows) == 1 &&
        (out->children = strdup(PQgetvalue(rows, 0, S_CHILDREN))) == NULL)
        rc = -ENOMEM;
    PQclear(rows);
    if (rc != 0)
        sources_clear(out);
    return rc == -ENOMEM ? error_no_memory(error) : rc;
}

void sources_clear(struct sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        free(sources->list[i].from);
    free(sources->list);
    free(sources->children);
    *sources = (struct sources){0};
}

/* ---- columns ---- */

/* The columns of relations; and those of a statement, of which $n is a JSON array of [name, type,
 * its modifier], as if the only relation of $1 had them. `as` below: the name that the latter need
 * behind them, if they get no other. */
#define OF_RELATIONS "pg_catalog.pg_attribute"
#define OF_STATEMENT(n)                                                                            \
    "(SELECT ($1::pg_catalog.oid[])[1] AS attrelid, j.place::int2 AS attnum,"                      \
    "  (j.it ->> 0)::name AS attname, (j.it ->> 1)::pg_catalog.oid AS atttypid,"                   \
    "  (j.it ->> 2)::int4 AS atttypmod, false AS attisdropped,"                                    \
    "  ''::pg_catalog.\"char\" AS attgenerated, 0::pg_catalog.oid AS attcollation,"                \
    "  NULL::pg_catalog.text AS attmissingval"                                                     \
    "  FROM jsonb_array_elements($" #n "::pg_catalog.jsonb) WITH ORDINALITY AS j(it, place))"

/* part: for each column's type (root), the types it consists of, through arrays, domains,
 * composites, ranges. $1: relations. */
#define PARTS_OF_TYPES(columns, as, multiranges)                                                   \
    "WITH RECURSIVE part(root, oid) AS ("                                                          \
    " SELECT DISTINCT atttypid, atttypid FROM " columns as                                         \
    "  WHERE attrelid = ANY ($1::pg_catalog.oid[]) AND attnum > 0 AND NOT attisdropped"            \
    " UNION SELECT p.root, e.oid FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.oid,"          \
    " LATERAL (SELECT t.typelem WHERE t.typelem <> 0"                                              \
    "  UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0"                                    \
    "  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a"                                 \
    "   WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped" \
    "  UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = "               \
    "t.oid" multiranges ") AS e(oid))"
#define WITH_MULTIRANGES                                                                           \
    "  UNION ALL SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = t.oid"

/* A virtual column whose expression uses more than columns and built-in objects: what else it uses
 * could be replaced. For built-in objects no dependencies are recorded. */
#define COMPUTED_BY_USERS                                                                          \
    "a.attgenerated = 'v' AND EXISTS (SELECT FROM pg_catalog.pg_depend d"                          \
    " WHERE d.refclassid <> 'pg_catalog.pg_class'::pg_catalog.regclass"                            \
    "  AND (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid"       \
    "    AND d.objsubid = a.attnum OR d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass"    \
    "    AND d.objid IN (SELECT v.oid FROM pg_catalog.pg_attrdef v"                                \
    "     WHERE v.adrelid = a.attrelid AND v.adnum = a.attnum)))"

/* Without the OFFSET the planner would look for domains in all types.
 *
 * Types whose text depends on more than their value and what the signature holds: those that print
 * the names of other objects, and those with a user's output function or cast to json that does not
 * promise it. PostgreSQL's own stable output functions depend on pinned settings and on the types
 * of their parts. */
#define COLUMNS_QUESTION(columns, as, multiranges)                                                 \
    PARTS_OF_TYPES(columns, as, multiranges)                                                       \
    ", base(root, oid, type) AS ("                                                                 \
    " SELECT root, oid, oid FROM part WHERE root = oid"                                            \
    " UNION ALL SELECT b.root, t.typbasetype, t.typbasetype FROM base b, LATERAL"                  \
    "  (SELECT * FROM pg_catalog.pg_type WHERE oid = b.oid AND typtype = 'd' OFFSET 0) AS t"       \
    "), root AS ("                                                                                 \
    " SELECT p.root, bool_and(t.typsend <> 0 AND t.typtype <> 'p') AS with_binary, bool_or("       \
    "  t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AND (starts_with(t.typname, 'reg') " \
    "OR t.typname = 'aclitem')"                                                                    \
    "  OR t.typtype = 'p'"                                                                         \
    "  OR f.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace AND f.provolatile <> 'i'"        \
    "   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON "     \
    "x.oid = d.refobjid"                                                                           \
    "    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = f.oid AND "     \
    "d.deptype = 'e'"                                                                              \
    "    AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND x.extname = "       \
    "'vector')"                                                                                    \
    "  OR EXISTS (SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc j ON j.oid = "          \
    "c.castfunc"                                                                                   \
    "   WHERE c.castsource = t.oid AND c.casttarget = 'pg_catalog.json'::pg_catalog.regtype AND "  \
    "j.provolatile <> 'i')"                                                                        \
    " ) AS depends, bool_or(EXISTS (SELECT FROM pg_catalog.pg_cast c"                              \
    "  JOIN pg_catalog.pg_proc j ON j.oid = c.castfunc WHERE c.castsource = t.oid"                 \
    "   AND c.casttarget = 'pg_catalog.json'::pg_catalog.regtype"                                  \
    "   AND (NOT " TRUST_OF_SUPERUSER(                                                             \
        "j.proowner") " OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'"   \
                      " AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = "  \
                      "j.oid)))) AS json_apart"                                                    \
                      " FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.oid"                    \
                      " JOIN pg_catalog.pg_proc f ON f.oid = t.typoutput GROUP BY p.root)"         \
                      " SELECT a.attname, format_type(a.atttypid, a.atttypmod), t.typname, "       \
                      "x.extname,"                                                                 \
                      "  t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace, a.attgenerated, " \
                      "r.with_binary, "                                                            \
                      "r.depends OR " COMPUTED_BY_USERS ", a.atttypid, r.json_apart"               \
                      " FROM " columns " a JOIN root r ON r.root = a.atttypid"                     \
                      " JOIN base b ON b.root = a.atttypid JOIN pg_catalog.pg_type t ON t.oid = "  \
                      "b.type AND "                                                                \
                      "t.typtype <> 'd'"                                                           \
                      " LEFT JOIN (pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON "      \
                      "x.oid = d.refobjid)"                                                        \
                      "  ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = "  \
                      "t.oid AND "                                                                 \
                      "d.deptype = 'e'"                                                            \
                      "  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"        \
                      " WHERE a.attrelid = ANY ($1::pg_catalog.oid[]) AND a.attnum > 0 AND NOT "   \
                      "a.attisdropped "                                                            \
                      "ORDER BY a.attnum"
enum {
    C_NAME,
    C_TYPE,
    C_BASE,
    C_EXTENSION,
    C_BUILT_IN,
    C_GENERATED,
    C_BINARY,
    C_DEPENDS,
    C_TYPE_OID,
    C_JSON_APART
};
#define C_COLUMNS "tttTbtbbnb"

static const struct type *rendered_here(struct connection *connection, const PGresult *rows, int i)
{
    bool of_extension = !PQgetisnull(rows, i, C_EXTENSION);
    if (!of_extension && !yes(rows, i, C_BUILT_IN))
        return NULL;
    const struct type *type = type_find(of_extension ? PQgetvalue(rows, i, C_EXTENSION) : NULL,
                                        PQgetvalue(rows, i, C_BASE));
    if (type != NULL && type->in_database_encoding && !connection_is_utf8(connection))
        return NULL;
    return type;
}

static const char *columns_question(const struct connection *connection, bool statement)
{
    bool multiranges = connection_version(connection) >= MULTIRANGES;
    if (statement)
        return multiranges ? COLUMNS_QUESTION(OF_STATEMENT(2), " a", WITH_MULTIRANGES)
                           : COLUMNS_QUESTION(OF_STATEMENT(2), " a", "");
    return multiranges ? COLUMNS_QUESTION(OF_RELATIONS, "", WITH_MULTIRANGES)
                       : COLUMNS_QUESTION(OF_RELATIONS, "", "");
}

static bool same_columns(const PGresult *rows, const PGresult *present)
{
    if (PQntuples(rows) != PQnfields(present))
        return false;
    for (int i = 0; i < PQntuples(rows); i++)
        if (strcmp(PQgetvalue(rows, i, C_NAME), PQfname(present, i)) != 0)
            return false;
    return true;
}

static int take_columns(struct connection *connection, const struct relation *relation,
                        const PGresult *rows, struct columns *out)
{
    int count = PQntuples(rows), rc = 0;
    out->with_binary = calloc((size_t)count + 1, sizeof *out->with_binary);
    if (out->with_binary == NULL)
        return -ENOMEM;
    out->self_contained = true;
    bool stored = relation->kind != RELATION_VIEW && relation->kind != RELATION_FOREIGN &&
                  relation->kind != RELATION_STATEMENT;
    for (int i = 0; i < count && rc == 0; i++) {
        char generated = PQgetvalue(rows, i, C_GENERATED)[0];
        bool table = relation->kind == RELATION_TABLE || relation->kind == RELATION_SPREAD;
        bool in_copy = generated == '\0' || !table;
        out->with_binary[i] = yes(rows, i, C_BINARY);
        if (yes(rows, i, C_DEPENDS))
            out->self_contained = false;
        out->json_apart |= stored && yes(rows, i, C_JSON_APART);
        rc = schema_add(out->schema, PQgetvalue(rows, i, C_NAME), PQgetvalue(rows, i, C_TYPE),
                        rendered_here(connection, rows, i), in_copy);
    }
    return rc;
}

int describe_columns(struct connection *connection, const struct relation *relation,
                     bool with_row_ids, const PGresult *present, const char *statement,
                     struct columns *out, struct error *error)
{
    char oids[16];
    snprintf(oids, sizeof oids, "{%u}", relation->oid);
    const char *parameters[] = {oids, statement};
    *out = (struct columns){0};
    PGresult *rows = NULL;
    int rc =
        connection_ask(connection, columns_question(connection, statement != NULL),
                       statement != NULL ? 2 : 1, parameters, ROWS_OF(C_COLUMNS), &rows, error);
    if (rc != 0)
        return rc;
    if (present != NULL && !same_columns(rows, present)) {
        PQclear(rows);
        return -ESTALE;
    }
    rc = schema_new(with_row_ids, &out->schema);
    if (rc == 0)
        rc = take_columns(connection, relation, rows, out);
    PQclear(rows);
    if (rc != 0)
        columns_clear(out);
    return rc == 0 ? 0 : error_no_memory(error);
}

void columns_clear(struct columns *columns)
{
    schema_free(columns->schema);
    free(columns->with_binary);
    *columns = (struct columns){0};
}

/* ---- signature ---- */

/* $1: the relation and its sources, $2: the sources' (oid, filenode) in order, $3: the relation,
 * $4: what else the output depends on, NULL: nothing. Each line is an unambiguous text of catalog
 * rows in a fixed order. */
#define SIGNATURE_QUESTION(columns, as, multiranges, multirange_column)                            \
    PARTS_OF_TYPES(columns, as, multiranges)                                                       \
    ", type AS (SELECT t.*, t.xmin AS version, x.extname, x.extversion FROM pg_catalog.pg_type t"  \
    "  LEFT JOIN (pg_catalog.pg_depend d JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid)"    \
    "   ON d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.objid = t.oid AND "         \
    "d.deptype = 'e'"                                                                              \
    "   AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"                         \
    "  WHERE t.oid IN (SELECT oid FROM part))"                                                     \
    " SELECT encode(sha256(convert_to(concat_ws(E'\\n', '" OUTPUT "',"                             \
    " current_setting('server_version_num'), "                                                     \
    "CASE current_setting('server_encoding') WHEN 'SQL_ASCII' THEN 'bytes as they are' "           \
    "ELSE current_setting('server_encoding') END, "                                                \
    "current_setting('lc_monetary'), $2::pg_catalog.text, '',"                                     \
    " (SELECT string_agg(ROW(attrelid, attnum, attname, atttypid, atttypmod, attisdropped, "       \
    "attgenerated,"                                                                                \
    "   attcollation, attmissingval::text)::text, ';' ORDER BY attrelid, attnum)"                  \
    "  FROM " columns as " WHERE attrelid = ANY ($1::pg_catalog.oid[]) AND attnum > 0),"           \
    " (SELECT string_agg(ROW(a.attrelid, a.attnum, pg_get_expr(d.adbin, d.adrelid))::text, ';' "   \
    "ORDER BY a.attrelid, a.attnum)"                                                               \
    "  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid"      \
    "   AND d.adnum = a.attnum WHERE a.attrelid = ANY ($1::pg_catalog.oid[])"                      \
    "   AND a.attgenerated = 'v' AND NOT a.attisdropped),"                                         \
    " (SELECT string_agg(ROW(t.oid, t.typname, t.typnamespace, t.version, t.typoutput, f.xmin, "   \
    "t.extname, t.extversion)::text,"                                                              \
    "   ';' ORDER BY t.oid) FROM type t JOIN pg_catalog.pg_proc f ON f.oid = t.typoutput),"        \
    " (SELECT string_agg(ROW(e.enumtypid, e.oid, e.enumlabel, e.enumsortorder)::text, ';' ORDER "  \
    "BY e.enumtypid, e.oid)"                                                                       \
    "  FROM pg_catalog.pg_enum e WHERE e.enumtypid IN (SELECT oid FROM part)),"                    \
    " (SELECT string_agg(ROW(r.rngtypid, r.rngsubtype, r.rngcollation, "                           \
    "r.rngcanonical" multirange_column ")::text, ';' ORDER BY r.rngtypid)"                         \
    "  FROM pg_catalog.pg_range r WHERE r.rngtypid IN (SELECT oid FROM part)),"                    \
    " (SELECT string_agg(ROW(t.oid, a.attnum, a.attname, a.atttypid, a.atttypmod, "                \
    "a.attisdropped)::text, ';' ORDER BY t.oid, a.attnum)"                                         \
    "  FROM type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid AND a.attnum > 0 "    \
    "WHERE t.typrelid <> 0),"                                                                      \
    " (SELECT string_agg(ROW(c.castsource, c.castfunc, j.xmin)::text, ';' ORDER BY c.castsource)"  \
    "  FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc j ON j.oid = c.castfunc"                  \
    "  WHERE c.casttarget = 'pg_catalog.json'::pg_catalog.regtype AND c.castsource IN (SELECT "    \
    "oid FROM part)),"                                                                             \
    " (SELECT c.relkind::text || CASE c.relkind WHEN 'v' THEN pg_get_viewdef(c.oid) ELSE '' END"   \
    "  FROM pg_catalog.pg_class c WHERE c.oid = $3::pg_catalog.oid)"                               \
    ", $4::pg_catalog.text, CASE WHEN $4::pg_catalog.text = '" BY_POLICIES "' THEN"                \
    "  (SELECT string_agg(ROW(p.oid, p.xmin)::text, ';' ORDER BY p.oid)"                           \
    "   FROM pg_catalog.pg_policy p WHERE p.polrelid = $3::pg_catalog.oid) END"                    \
    "), current_setting('server_encoding'))), 'hex')"

static void put_sources(const struct relation *relation, const struct sources *sources,
                        struct text *oids, struct text *nodes)
{
    text_put_byte(oids, '{');
    sql_listed(oids, 0, relation->oid);
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->list[i];
        sql_listed(oids, i + 1, source->oid);
        text_printf(nodes, "%u/%u%s ", source->oid, source->filenode,
                    source->by_ctid ? "" : " stream");
    }
    text_put_byte(oids, '}');
}

static const char *signature_question(const struct connection *connection, bool statement)
{
    bool multiranges = connection_version(connection) >= MULTIRANGES;
    if (statement)
        return multiranges ? SIGNATURE_QUESTION(OF_STATEMENT(5), " a", WITH_MULTIRANGES,
                                                ", r.rngmultitypid")
                           : SIGNATURE_QUESTION(OF_STATEMENT(5), " a", "", "");
    return multiranges ? SIGNATURE_QUESTION(OF_RELATIONS, "", WITH_MULTIRANGES, ", r.rngmultitypid")
                       : SIGNATURE_QUESTION(OF_RELATIONS, "", "", "");
}

/* The text of a statement and its columns' types tell what a view's definition tells. */
int describe_signature(struct connection *connection, const struct relation *relation,
                       const struct sources *sources, const char *more, const char *statement,
                       char **out, struct error *error)
{
    struct text oids = {0}, nodes = {0}, said = {0};
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    PGresult *row = NULL;
    put_sources(relation, sources, &oids, &nodes);
    if (statement != NULL)
        text_printf(&said, "%s\n%s", more != NULL ? more : "", relation->statement);
    const char *parameters[] = {text_string(&oids), text_string(&nodes), oid,
                                statement != NULL ? text_string(&said) : more, statement};
    const char *sql = signature_question(connection, statement != NULL);
    int rc = parameters[0] == NULL || parameters[1] == NULL || said.failed != 0
                 ? error_no_memory(error)
                 : connection_ask(connection, sql, statement != NULL ? 5 : 4, parameters,
                                  ONE_ROW_OF("t"), &row, error);
    if (rc == 0) {
        *out = strdup(PQgetvalue(row, 0, 0));
        rc = *out == NULL ? error_no_memory(error) : 0;
    }
    PQclear(row);
    text_clear(&oids);
    text_clear(&nodes);
    text_clear(&said);
    return rc;
}
