#include "pgclient/ddl_facts.h"

#include <errno.h>
#include <stdlib.h>

/* Objects made by initdb have smaller oids. */
#define OF_USERS " >= 16384"
/* The limit is DDL_RELATIONS_MOST + 1. pg_dump locks a table with its children, and the server
 * locks what a view reads when it looks up the names in the view's query. */
static const char relations_question[] =
    "WITH RECURSIVE locked(oid) AS ("
    " SELECT l.relation FROM pg_catalog.pg_locks l"
    "  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'"
    "   AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.database ="
    "   (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = current_database())"
    " UNION SELECT e.oid FROM locked k, LATERAL ("
    "  SELECT h.inhparent AS oid FROM pg_catalog.pg_inherits h WHERE h.inhrelid = k.oid"
    "  UNION ALL SELECT w.ev_class FROM pg_catalog.pg_depend d"
    "   JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid"
    "   WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
    "    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = k.oid) AS "
    "e)"
    " SELECT c.oid, c.relkind, n.nspname, c.relname,"
    "  EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.deptype = 'e' AND d.objid = c.oid"
    "   AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass),"
    "  coalesce((SELECT min(h.inhparent) FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid), "
    "0),"
    "  EXISTS (SELECT FROM pg_catalog.pg_inherits h"
    "   JOIN pg_catalog.pg_inherits g ON g.inhrelid = h.inhparent WHERE h.inhrelid = c.oid),"
    "  EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid),"
    "  c.oid IN (SELECT k.oid FROM locked k WHERE k.oid IS NOT NULL) OR c.relkind IN ('r', 'p') "
    "AND NOT"
    "   (has_schema_privilege(n.oid, 'USAGE') AND coalesce(has_table_privilege(c.oid,"
    "    CASE WHEN current_setting('server_version_num')::int4 < 160000 THEN 'SELECT'"
    "    ELSE 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE' END), false))"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'"
    "  AND NOT starts_with(n.nspname, 'pg_') AND n.nspname <> 'information_schema'"
    " ORDER BY c.oid LIMIT 20001";
enum {
    COLUMN_OID,
    COLUMN_KIND,
    COLUMN_SCHEMA,
    COLUMN_NAME,
    COLUMN_MEMBER,
    COLUMN_PARENT,
    COLUMN_DEEP,
    COLUMN_HAS_CHILDREN,
    COLUMN_LEFT_OUT
};
#define COLUMNS "ntttbnbbb"

/* Ownership of a sequence is as pg_dump understands it. */
static const char objects_question[] =
    "SELECT 1259, c.oid, coalesce((SELECT d.refobjid FROM pg_catalog.pg_depend d"
    "  WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid"
    "   AND d.objsubid = 0 AND d.deptype IN ('a', 'i')"
    "   AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass LIMIT 1), 0)"
    " FROM pg_catalog.pg_class c WHERE c.relkind = 'S' AND c.oid" OF_USERS
    " UNION ALL SELECT 1259, c.oid, c.oid FROM pg_catalog.pg_class c"
    "  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.oid" OF_USERS
    " UNION ALL SELECT 1259, indexrelid, indrelid FROM pg_catalog.pg_index"
    "  WHERE indexrelid" OF_USERS
    " UNION ALL SELECT 2604, oid, adrelid FROM pg_catalog.pg_attrdef WHERE oid" OF_USERS
    " UNION ALL SELECT 2606, oid, conrelid FROM pg_catalog.pg_constraint WHERE oid" OF_USERS
    " UNION ALL SELECT 2618, oid, ev_class FROM pg_catalog.pg_rewrite WHERE oid" OF_USERS
    " UNION ALL SELECT 2620, oid, tgrelid FROM pg_catalog.pg_trigger WHERE oid" OF_USERS
    " UNION ALL SELECT 3256, oid, polrelid FROM pg_catalog.pg_policy WHERE oid" OF_USERS
    " ORDER BY 1, 2";

/* The types of columns, and what they are made of: elements of arrays, bases of domains, parts of
 * ranges and composites. */
static const char needs_question[] =
    "WITH RECURSIVE part(root, oid) AS ("
    " SELECT u.oid, u.oid FROM (SELECT DISTINCT a.atttypid AS oid FROM pg_catalog.pg_attribute a"
    "  WHERE a.attrelid" OF_USERS " AND a.attnum > 0 AND NOT a.attisdropped) AS u"
    " UNION SELECT p.root, e.oid FROM part p JOIN pg_catalog.pg_type t ON t.oid = p.oid,"
    " LATERAL (SELECT t.typelem WHERE t.typelem <> 0"
    "  UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0"
    "  UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid"
    "  UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a"
    "   WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped)"
    " AS e(oid))"
    " SELECT DISTINCT a.attrelid, d.refobjid FROM part p"
    " JOIN pg_catalog.pg_depend d ON d.objid = p.oid AND d.deptype = 'e'"
    "  AND d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass"
    "  AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass"
    " JOIN pg_catalog.pg_attribute a ON a.atttypid = p.root AND a.attrelid" OF_USERS
    "  AND a.attnum > 0 AND NOT a.attisdropped"
    " JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
    " ORDER BY 1, 2";

static uint32_t number_at(const PGresult *rows, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(rows, row, column), NULL, 10);
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static int read_relations(struct connection *connection, struct ddl_facts *facts,
                          struct error *error)
{
    PGresult *rows = NULL;
    int rc =
        connection_ask(connection, relations_question, 0, NULL, ROWS_OF(COLUMNS), &rows, error);
    if (rc < 0)
        return rc;
    facts->rows = rows;
    int count = PQntuples(rows);
    if (count > DDL_RELATIONS_MOST)
        return error_set(error, -EFBIG, "there are more than %d relations", DDL_RELATIONS_MOST);
    facts->relations = calloc((size_t)count + 1, sizeof *facts->relations);
    if (facts->relations == NULL)
        return error_no_memory(error);
    for (int i = 0; i < count; i++)
        facts->relations[facts->relation_count++] =
            (struct ddl_relation){.oid = number_at(rows, i, COLUMN_OID),
                                  .kind = PQgetvalue(rows, i, COLUMN_KIND)[0],
                                  .schema = PQgetvalue(rows, i, COLUMN_SCHEMA),
                                  .name = PQgetvalue(rows, i, COLUMN_NAME),
                                  .member = is_true(rows, i, COLUMN_MEMBER),
                                  .parent = number_at(rows, i, COLUMN_PARENT),
                                  .deep = is_true(rows, i, COLUMN_DEEP),
                                  .has_children = is_true(rows, i, COLUMN_HAS_CHILDREN),
                                  .left_out = is_true(rows, i, COLUMN_LEFT_OUT)};
    return 0;
}

static int read_objects(struct connection *connection, struct ddl_facts *facts, struct error *error)
{
    PGresult *rows = NULL;
    int rc = connection_ask(connection, objects_question, 0, NULL, ROWS_OF("nnn"), &rows, error);
    if (rc < 0)
        return rc;
    int count = PQntuples(rows);
    facts->objects = calloc((size_t)count + 1, sizeof *facts->objects);
    for (int i = 0; facts->objects != NULL && i < count; i++)
        facts->objects[facts->object_count++] = (struct ddl_object){
            number_at(rows, i, 0), number_at(rows, i, 1), number_at(rows, i, 2)};
    PQclear(rows);
    return facts->objects == NULL ? error_no_memory(error) : 0;
}

static int read_needs(struct connection *connection, struct ddl_facts *facts, struct error *error)
{
    PGresult *rows = NULL;
    int rc = connection_ask(connection, needs_question, 0, NULL, ROWS_OF("nn"), &rows, error);
    if (rc < 0)
        return rc;
    int count = PQntuples(rows);
    facts->needs = calloc((size_t)count + 1, sizeof *facts->needs);
    for (int i = 0; facts->needs != NULL && i < count; i++)
        facts->needs[facts->need_count++] =
            (struct ddl_need){number_at(rows, i, 0), number_at(rows, i, 1)};
    PQclear(rows);
    return facts->needs == NULL ? error_no_memory(error) : 0;
}

int ddl_facts_read(struct connection *connection, struct ddl_facts *out, struct error *error)
{
    struct ddl_facts facts = {0};
    int rc = read_relations(connection, &facts, error);
    if (rc == 0)
        rc = read_objects(connection, &facts, error);
    if (rc == 0)
        rc = read_needs(connection, &facts, error);
    if (rc == 0)
        *out = facts;
    else
        ddl_facts_clear(&facts);
    return rc;
}

void ddl_facts_clear(struct ddl_facts *facts)
{
    free(facts->relations);
    free(facts->objects);
    free(facts->needs);
    PQclear(facts->rows);
    *facts = (struct ddl_facts){0};
}

static int by_oid(const void *a, const void *b)
{
    const struct ddl_relation *left = a, *right = b;
    return (left->oid > right->oid) - (left->oid < right->oid);
}

const struct ddl_relation *ddl_facts_relation(const struct ddl_facts *facts, uint32_t oid)
{
    const struct ddl_relation wanted = {.oid = oid};
    return facts->relation_count == 0
               ? NULL
               : bsearch(&wanted, facts->relations, facts->relation_count, sizeof wanted, by_oid);
}

static int by_object(const void *a, const void *b)
{
    const struct ddl_object *left = a, *right = b;
    return left->catalog != right->catalog
               ? (left->catalog > right->catalog) - (left->catalog < right->catalog)
               : (left->object > right->object) - (left->object < right->object);
}

const struct ddl_object *ddl_facts_object(const struct ddl_facts *facts, uint32_t catalog,
                                          uint32_t object)
{
    const struct ddl_object wanted = {.catalog = catalog, .object = object};
    return facts->object_count == 0
               ? NULL
               : bsearch(&wanted, facts->objects, facts->object_count, sizeof wanted, by_object);
}

const struct ddl_need *ddl_facts_needs(const struct ddl_facts *facts, uint32_t relation,
                                       size_t *count)
{
    size_t low = 0, high = facts->need_count, end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (facts->needs[middle].relation < relation)
            low = middle + 1;
        else
            high = middle;
    }
    for (end = low; end < facts->need_count && facts->needs[end].relation == relation; end++)
        ;
    *count = end - low;
    return &facts->needs[low];
}
