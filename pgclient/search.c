#include "pgclient/search.h"

#include "codec/bytes.h"
#include "codec/copy_stream.h"
#include "pgclient/cluster.h"
#include "pgclient/connection.h"
#include "pgclient/describe.h"
#include "pgclient/lock_room.h"
#include "pgclient/policies.h"
#include "pgclient/search_path.h"
#include "pgclient/selection.h"
#include "pgclient/sql_text.h"
#include "pgclient/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int out_of_memory(struct error *error) { return error_set(error, -ENOMEM, "out of memory"); }

/* A statement with the user's words in it has failed: those words are to blame, unless the
 * connection failed, or the server lacks something or is damaged. */
static int blame(const struct connection *connection, int rc)
{
    static const char *const servers[] = {"53", "57P", "58", "F0", "XX"};
    for (size_t i = 0; rc == -EIO && i < sizeof servers / sizeof *servers; i++)
        if (strncmp(connection_state(connection), servers[i], strlen(servers[i])) == 0)
            return rc;
    return rc == -EIO || rc == -ENOENT || rc == -EACCES ? -EINVAL : rc;
}

static void put_from(struct text *sql, const struct relation *relation)
{
    text_put(sql, relation->kind == RELATION_TABLE ? " FROM ONLY " : " FROM ");
    sql_relation(sql, relation->schema, relation->name);
}

/* What must be known about a role and a relation before a transaction begins. */
struct beginning {
    bool judged; /* it is asked whose functions would run */
    /* the role may read the whole table, not only some columns: LOCK TABLE needs that */
    bool may_lock;
};

static int find_beginning(struct connection *connection, const struct relation *relation,
                          struct beginning *out, struct error *error)
{
    static const char question[] = "SELECT " TRUST_IS_SUPERUSER ","
                                   " pg_catalog.has_table_privilege(%u::pg_catalog.oid, 'SELECT')";
    char sql[sizeof question + 16];
    snprintf(sql, sizeof sql, question, relation->oid);
    PGresult *row = NULL;
    int rc = connection_question(connection, sql, ONE_ROW_OF("bB"), &row, error);
    if (rc == 0) {
        out->judged = PQgetvalue(row, 0, 0)[0] == 't' && !connection_reading(connection).trust_all;
        out->may_lock = PQgetvalue(row, 0, 1)[0] == 't';
    }
    PQclear(row);
    return rc;
}

/* Whether we ask questions between the lock and what users wrote. */
static bool asks_more(const struct relation *relation, const struct beginning *beginning)
{
    return beginning->judged || relation->kind == RELATION_VIEW;
}

/* Without this a condition makes the planner evaluate what is constant in the checks of partitions.
 */
#define NO_EXCLUSION "SET LOCAL constraint_exclusion = off"

/* Locks the relation first, as a fetch does. So it stays what is judged, and what a later snapshot
 * sees: a snapshot does not protect from TRUNCATE, and from whatever else writes a file anew. */
static char *write_beginning(const struct relation *relation, const struct beginning *beginning)
{
    struct text sql = {0};
    bool lockable = relation->kind == RELATION_TABLE || relation->kind == RELATION_PARTITIONED
                        ? beginning->may_lock
                        : beginning->judged && relation->kind != RELATION_MATVIEW &&
                              relation->kind != RELATION_FOREIGN;
    text_put(&sql, NO_EXCLUSION);
    if (asks_more(relation, beginning))
        text_put(&sql, "; " SEARCH_PATH_OURS);
    if (lockable) {
        text_put(&sql, relation->kind == RELATION_TABLE ? "; LOCK TABLE ONLY " : "; LOCK TABLE ");
        sql_relation(&sql, relation->schema, relation->name);
        text_put(&sql, " IN ACCESS SHARE MODE");
    }
    return text_take(&sql);
}

/* The statement goes by name, and the name may be another relation by now than the one that was
 * fetched; and the relation's file, or a partition's, may be one that this snapshot does not know.
 * A statement locks what it reads, so what is true after it was true for it. */
static int check_same(struct connection *connection, const struct relation *relation,
                      struct error *error)
{
    static const char question[] =
        "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid,"
        " EXISTS (SELECT FROM pg_catalog.pg_class c"
        "  WHERE c.oid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT $2::pg_catalog.oid"
        "   UNION ALL SELECT t.relid FROM pg_catalog.pg_partition_tree($2::pg_catalog.oid) t))"
        "  AND c.relfilenode OPERATOR(pg_catalog.<>) 0::pg_catalog.oid"
        "  AND c.relfilenode OPERATOR(pg_catalog.<>)"
        "   coalesce(pg_catalog.pg_relation_filenode(c.oid), 0::pg_catalog.oid))";
    struct text name = {0};
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    sql_relation(&name, relation->schema, relation->name);
    const char *parameters[] = {text_string(&name), oid};
    PGresult *rows = NULL;
    int rc = name.failed != 0 ? out_of_memory(error)
                              : connection_ask(connection, question, 2, parameters,
                                               ONE_ROW_OF("Nb"), &rows, error);
    text_clear(&name);
    if (rc == 0 && strtoul(PQgetvalue(rows, 0, 0), NULL, 10) != relation->oid)
        rc = error_set(error, -ESTALE, "the table was renamed or dropped in the meantime");
    if (rc == 0 && PQgetvalue(rows, 0, 1)[0] == 't')
        rc = error_set(error, -ESTALE, "the table was written anew in the meantime");
    PQclear(rows);
    return rc;
}

/* As in a fetch: a view whose owner is subject to policies is read with these. */
static int settle_policies(struct connection *connection, const struct relation *relation,
                           struct error *error)
{
    bool owners_only = false;
    if (relation->kind != RELATION_VIEW)
        return 0;
    int rc = policies_bind_owners_only(connection, relation->oid, &owners_only, error);
    return rc == 0 && owners_only ? connection_let_policies_choose(connection, error) : rc;
}

/* A condition may call functions that change settings: they go back with the transaction. If
 * `later` is given, *later says whether what is to be run, and the relation with it, must be judged
 * before it runs. If it is NULL the relation is judged now. */
static int begin(struct session *session, const struct relation *relation, bool *later,
                 struct error *error)
{
    struct connection *connection = session_connection(session);
    struct beginning beginning = {0};
    char *text = NULL;
    if (connection_in_transaction(connection))
        return later == NULL ? 0 : trust_is_asked(connection, later, error);
    int rc = find_beginning(connection, relation, &beginning, error);
    if (rc == 0)
        rc = lock_room_take(session, relation, error);
    if (rc == 0 && (text = write_beginning(relation, &beginning)) == NULL)
        rc = out_of_memory(error);
    if (rc == 0)
        rc = connection_begin(connection, TRANSACTION_USER, text, error);
    free(text);
    if (rc == -ENOENT) /* the relation to be locked has another name by now */
        rc = error_set(error, -ESTALE, "the table was renamed or dropped in the meantime");
    if (rc < 0)
        return rc;
    rc = check_same(connection, relation, error);
    if (rc == 0 && beginning.judged && later == NULL)
        rc = trust_check(connection, relation->oid, NULL, false, error);
    if (rc == 0)
        rc = settle_policies(connection, relation, error);
    if (rc == 0 && asks_more(relation, &beginning))
        rc = connection_run(connection, connection_own_path(connection), error);
    if (rc < 0)
        connection_end(connection);
    else if (later != NULL)
        *later = beginning.judged;
    return rc;
}

/* If a standby's replayed position is asked for before the snapshot is taken, it tells what the
 * snapshot sees. */
static int read_now(struct connection *connection, const struct cluster *before,
                    struct version_key *out, struct error *error)
{
    struct cluster cluster;
    int rc = cluster_read(connection, &cluster, error);
    if (rc < 0)
        return rc;
    uint64_t position = cluster.position;
    if (cluster.standby)
        cluster.position = before->standby ? before->position : 0;
    rc = cluster_key(&cluster, cluster.snapshot, position, out);
    cluster_clear(&cluster);
    return rc == 0 ? 0 : out_of_memory(error);
}

int search_begin(struct session *session, const struct relation *relation, const atomic_bool *stop,
                 struct version_key *now, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct cluster before = {0};
    connection_also_stop(connection, stop);
    int rc = cluster_read(connection, &before, error);
    if (rc == 0)
        rc = begin(session, relation, NULL, error);
    if (rc == 0 && (rc = read_now(connection, &before, now, error)) < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    cluster_clear(&before);
    return rc;
}

/* ---- rows ---- */

/* For our own question, not the user's: without the user's time limits, and with our path. */
#define OURS SEARCH_PATH_OURS "; SET LOCAL statement_timeout = 0"

static int set_theirs(struct connection *connection, struct error *error)
{
    int rc = connection_run(connection, connection_own_path(connection), error);
    return rc == 0 ? connection_run(connection, "SET LOCAL statement_timeout TO DEFAULT", error)
                   : rc;
}

/* Asks whose functions the statement would run, and, if `json`, those for JSON of the relation's
 * columns. The server may have found other functions than the user meant, by their names and their
 * places in search_path: the one that fits the arguments better wins. */
static int judge_statement(struct connection *connection, const struct relation *relation,
                           const char *statement, bool json, struct error *error)
{
    char *tree = NULL;
    int rc = connection_parse_tree(connection, statement, &tree, error);
    if (rc < 0)
        return blame(connection, rc);
    rc = connection_run(connection, OURS, error);
    if (rc == 0)
        rc = trust_check(connection, relation->oid, tree, json, error);
    free(tree);
    return rc == 0 ? set_theirs(connection, error) : rc;
}

/* Parsing a statement locks what it names; the plan that describe_sources looks at locks
 * partitions. */
static int lock_heaps(struct connection *connection, const struct relation *relation,
                      struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SELECT");
    put_from(&sql, relation);
    const char *statement = text_string(&sql);
    int rc =
        statement == NULL ? out_of_memory(error) : connection_parse(connection, statement, error);
    text_clear(&sql);
    return rc;
}

static int compare_heaps(struct session *session, const struct sources *sources,
                         const struct search_heap *heaps, size_t count, bool *same,
                         struct error *error)
{
    static const struct ctid_range everywhere = {{0, 0}, {UINT32_MAX, 0}};
    int rc = 0;
    *same = sources->count == count && sources->by_ctid;
    for (size_t i = 0; *same && i < count && rc == 0; i++) {
        const struct source *source = &sources->list[i];
        struct fingerprint now = {0, 0};
        *same = source->oid == heaps[i].oid && source->filenode == heaps[i].filenode;
        if (*same)
            rc = readpoint_fingerprint(session, source, &everywhere, 1, &now, error);
        *same = *same && now.rows == heaps[i].rows.rows && now.sum == heaps[i].rows.sum;
    }
    return rc;
}

static int compare(struct session *session, const struct relation *relation,
                   const struct search_heap *heaps, size_t count, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct sources sources = {0};
    bool same = false;
    int rc = connection_run(connection, OURS, error);
    if (rc == 0)
        rc = lock_heaps(connection, relation, error);
    if (rc == 0)
        rc = describe_sources(connection, relation, false, &sources, error);
    if (rc == 0)
        rc = compare_heaps(session, &sources, heaps, count, &same, error);
    sources_clear(&sources);
    if (rc == 0)
        rc = set_theirs(connection, error);
    if (rc == -ESTALE || rc == -ENOENT || (rc == 0 && !same))
        rc = error_set(error, -ESTALE, "the table has changed in the meantime");
    return rc;
}

int search_compare(struct session *session, const struct relation *relation,
                   const struct search_heap *heaps, size_t count, const atomic_bool *stop,
                   struct error *error)
{
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, stop);
    int rc = compare(session, relation, heaps, count, error);
    if (rc < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    return rc;
}

/* ---- conditions ---- */

/* Puts the condition on lines of its own, so that a comment at its end does not swallow the rest.
 */
static void put_condition(struct text *sql, const char *before, const char *condition,
                          const char *behind)
{
    text_printf(sql, "%s(\n%s\n)%s", before, condition, behind);
}

static int parse_condition(struct connection *connection, const struct relation *relation,
                           const char *before, const char *condition, const char *behind,
                           bool judged, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SELECT");
    put_from(&sql, relation);
    text_printf(&sql, " WHERE (%s\n%s\n%s", before, condition, behind);
    char *statement = text_take(&sql);
    if (statement == NULL)
        return out_of_memory(error);
    int rc = judged ? judge_statement(connection, relation, statement, false, error)
                    : blame(connection, connection_parse(connection, statement, error));
    free(statement);
    if (rc < 0)
        error_prefix(error, "filter");
    return rc;
}

/* Checks that the condition is one whole expression of type boolean. If it has an open comment,
 * string or bracket, nothing behind it closes that. If it closes a bracket of ours, it makes sense
 * inside ( ) or inside [ ], but not inside both. */
static int check_condition(struct connection *connection, const struct relation *relation,
                           const char *condition, bool judged, struct error *error)
{
    int rc = parse_condition(connection, relation, "", condition, ")", judged, error);
    return rc == 0 ? parse_condition(connection, relation, "ARRAY[", condition,
                                     "]::pg_catalog.bool[])[1]", false, error)
                   : rc;
}

struct row_reader {
    search_sink *sink;
    void *context;
    struct copy_stream stream;
    bool failed; /* the sink has failed */
    struct error *error;
};

static int read_row(void *context, const uint8_t *tuple, size_t size)
{
    enum { SIZE = 4 + 4 + 4 + 6 + 4 + 4 }; /* tableoid, ctid, xmin, a size in front of each */
    struct row_reader *reader = context;
    if (size != SIZE)
        return error_set(reader->error, -EBADMSG, "the server names a row in an unknown form");
    struct ctid place = {load_be32(tuple + 12), load_be16(tuple + 16)};
    int rc = reader->sink(reader->context, load_be32(tuple + 4), place, load_be32(tuple + 22));
    reader->failed |= rc < 0;
    return rc;
}

static int read_rows(void *context, const uint8_t *bytes, size_t size)
{
    struct row_reader *reader = context;
    return copy_stream_feed(&reader->stream, bytes, size, read_row, reader, reader->error);
}

static char *rows_statement(const struct relation *relation, const char *condition)
{
    struct text sql = {0};
    text_put(&sql, "COPY (SELECT tableoid, ctid, xmin");
    put_from(&sql, relation);
    put_condition(&sql, " WHERE ", condition, ") TO STDOUT (FORMAT binary)");
    return text_take(&sql);
}

int search_rows(struct session *session, const struct relation *relation, const char *condition,
                const atomic_bool *stop, search_sink *sink, void *context, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct row_reader reader = {
        .sink = sink, .context = context, .stream = {.fields = 3}, .error = error};
    char *sql = rows_statement(relation, condition);
    if (sql == NULL)
        return out_of_memory(error);
    connection_also_stop(connection, stop);
    bool judged;
    int rc = begin(session, relation, &judged, error);
    if (rc == 0)
        rc = check_condition(connection, relation, condition, judged, error);
    if (rc == 0) {
        uint64_t said = 0;
        rc = connection_copy(connection, sql, read_rows, &reader, &said, error);
        if (rc == 0)
            rc = copy_stream_end(&reader.stream, said, error);
        if (rc == 0)
            rc = check_same(connection, relation, error);
        else if (!reader.failed && blame(connection, rc) == -EINVAL) {
            error_prefix(error, "filter");
            rc = -EINVAL;
        }
    }
    connection_end(connection);
    connection_also_stop(connection, NULL);
    copy_stream_clear(&reader.stream);
    free(sql);
    return rc;
}

/* ---- nearest ---- */

/* Finds the schema that pgvector is in. */
static int find_extension(struct connection *connection, char **out, struct error *error)
{
    PGresult *row = NULL;
    int rc = connection_rows(connection,
                             "SELECT n.nspname FROM pg_catalog.pg_extension x"
                             " JOIN pg_catalog.pg_namespace n"
                             " ON n.oid OPERATOR(pg_catalog.=) x.extnamespace"
                             " WHERE x.extname OPERATOR(pg_catalog.=) 'vector'",
                             ROWS_OF("t"), &row, error);
    if (rc == 0 && PQntuples(row) != 1)
        rc = error_set(error, -EINVAL, "the database does not have the extension vector");
    if (rc == 0 && (*out = strdup(PQgetvalue(row, 0, 0))) == NULL)
        rc = out_of_memory(error);
    PQclear(row);
    return rc;
}

/* An index scan ends after ef_search rows, whatever a filter or LIMIT wants. The settings exist
 * once the library is loaded, and not in all versions of pgvector. */
static int set_effort(struct connection *connection, const struct search_nearest *search,
                      const char *schema, struct error *error)
{
    enum { EF_LEAST = 40, EF_MOST = 1000 };
    uint32_t ef = search->ef != 0 ? search->ef : search->k;
    ef = ef > EF_MOST ? EF_MOST : ef < EF_LEAST && search->ef == 0 ? EF_LEAST : ef;
    struct text sql = {0};
    text_put(&sql, "SELECT '[1]'::");
    sql_relation(&sql, schema, "vector");
    text_printf(&sql,
                "; SET LOCAL enable_indexscan = %s;"
                " SELECT name FROM pg_catalog.pg_settings"
                " WHERE name OPERATOR(pg_catalog.=) 'hnsw.ef_search'"
                " OR name OPERATOR(pg_catalog.=) 'hnsw.iterative_scan'",
                search->no_index ? "off" : "DEFAULT");
    const char *statements = text_string(&sql);
    PGresult *names = NULL;
    int rc = statements == NULL
                 ? out_of_memory(error)
                 : connection_rows(connection, statements, ROWS_OF("t"), &names, error);
    text_clear(&sql);
    for (int i = 0; rc == 0 && i < PQntuples(names); i++) {
        bool width = strcmp(PQgetvalue(names, i, 0), "hnsw.ef_search") == 0;
        char set[64];
        snprintf(set, sizeof set,
                 width ? "SET LOCAL hnsw.ef_search = %u"
                       : "SET LOCAL hnsw.iterative_scan = strict_order",
                 ef);
        rc = connection_run(connection, set, error);
    }
    PQclear(names);
    return rc;
}

static bool is_bits(const struct search_nearest *search)
{
    return strcmp(search->type, "bit") == 0 || strcmp(search->type, "varbit") == 0;
}

/* Casts to exactly the type for which pgvector has its operators and functions: for a domain or a
 * varbit, others that a user has put into the same schema would fit better. */
static void put_vectors(struct text *sql, const struct search_nearest *search, const char *schema)
{
    sql_name(sql, search->column);
    text_put(sql, is_bits(search) ? "::pg_catalog.bit" : "::");
    if (!is_bits(search))
        sql_relation(sql, schema, search->type);
}

static void put_distance(struct text *sql, const struct search_nearest *search, const char *schema)
{
    bool bits = is_bits(search);
    put_vectors(sql, search, schema);
    text_put(sql, " OPERATOR(");
    sql_name(sql, schema);
    text_printf(sql, ".%s) %s'%s'", search->metric, bits ? "B" : "", search->query);
    if (!bits) {
        text_put(sql, "::");
        sql_relation(sql, schema, search->type);
    }
}

/* Names the columns by number, since two may have the same name. */
static void put_columns(struct text *sql, const struct search_nearest *search)
{
    for (int i = 0; i < search->schema->column_count - 1; i++) {
        if (search->names[i] != NULL)
            sql_name(sql, search->names[i]);
        else
            text_printf(sql, "%u::pg_catalog.int4", search->number);
        text_printf(sql, " AS c%d, ", i);
    }
}

/* Puts text as hexadecimal digits, which mean the same under all settings. */
static void put_bytes(struct text *sql, const char *text)
{
    text_put(sql, "pg_catalog.decode('");
    for (; *text != '\0'; text++)
        text_printf(sql, "%02x", (uint8_t)*text);
    text_put(sql, "', 'hex')");
}

/* Excludes the row by the text of its key's values: its present place is unknown, and not every
 * type has an operator that is always found. */
static void put_except(struct text *sql, const struct search_nearest *search, const char *encoding)
{
    text_put(sql, " AND NOT (true");
    for (size_t i = 0; i < search->except_count; i++) {
        text_put(sql, " AND pg_catalog.convert_to(pg_catalog.format('%s', ");
        sql_name(sql, search->except[i].column);
        text_printf(sql, "), '%s') OPERATOR(pg_catalog.=) ", encoding);
        put_bytes(sql, search->except[i].text);
    }
    text_put_byte(sql, ')');
}

/* For a sparsevec only its text tells the dimensions. */
static void put_dims(struct text *sql, const struct search_nearest *search, const char *schema)
{
    bool sparse = strcmp(search->type, "sparsevec") == 0;
    text_put(sql, " AND ");
    if (sparse) {
        text_put(sql, "pg_catalog.split_part(pg_catalog.format('%s', ");
    } else if (is_bits(search)) {
        text_put(sql, "pg_catalog.length(");
    } else {
        sql_relation(sql, schema, "vector_dims");
        text_put_byte(sql, '(');
    }
    put_vectors(sql, search, schema);
    text_printf(sql,
                sparse ? "), '/', 2) OPERATOR(pg_catalog.=) '%u'" : ") OPERATOR(pg_catalog.=) %u",
                search->dims);
}

static void put_where(struct text *sql, const struct search_nearest *search, const char *schema,
                      const char *encoding)
{
    text_put(sql, " WHERE ");
    sql_name(sql, search->column);
    text_put(sql, " IS NOT NULL");
    if (search->except_count > 0)
        put_except(sql, search, encoding);
    if (search->dims != 0)
        put_dims(sql, search, schema);
    if (search->condition != NULL)
        put_condition(sql, " AND ", search->condition, "");
}

/* The rows, as a table to select from. */
static char *nearest_rows(const struct search_nearest *search, const char *schema,
                          const char *encoding)
{
    struct text sql = {0};
    text_put(&sql, "(SELECT ");
    put_columns(&sql, search);
    put_distance(&sql, search, schema);
    text_printf(&sql, " AS c%d", search->schema->column_count - 1);
    put_from(&sql, search->relation);
    put_where(&sql, search, schema, encoding);
    text_put(&sql, " ORDER BY ");
    put_distance(&sql, search, schema);
    text_printf(&sql, " LIMIT %u) AS n", search->k);
    return text_take(&sql);
}

/* A copy of the schema, with the column names of put_columns. */
static struct schema *numbered(const struct schema *schema)
{
    struct schema *out;
    if (schema_new(false, &out) < 0)
        return NULL;
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        if (schema_add(out, name, column->type_name, column->type, column->in_copy) < 0) {
            schema_free(out);
            return NULL;
        }
        memcpy(out->columns[i].part, column->part, sizeof column->part);
    }
    memcpy(out->part_count, schema->part_count, sizeof schema->part_count);
    return out;
}

/* `encoding`: that of the connection. */
static char *nearest_statement(const struct search_nearest *search, const char *schema,
                               const char *encoding)
{
    struct text sql = {0};
    struct source source = {.from = nearest_rows(search, schema, encoding)};
    struct schema *columns = numbered(search->schema);
    if (source.from != NULL && columns != NULL) {
        text_put(&sql, "COPY (");
        selection_put(&sql, columns, &source, NULL, encoding);
        /* Zero vectors have no cosine distance. */
        text_printf(&sql, " WHERE c%d OPERATOR(pg_catalog.<>) 'NaN') TO STDOUT (FORMAT binary)",
                    search->schema->column_count - 1);
    } else {
        text_fail(&sql, -ENOMEM);
    }
    free(source.from);
    schema_free(columns);
    return text_take(&sql);
}

/* Judges the statement that is put together here, the condition included, and the functions that
 * make JSON of the columns. */
static int judge_nearest(struct connection *connection, const struct search_nearest *search,
                         const char *schema, const char *encoding, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SELECT ");
    put_distance(&sql, search, schema);
    put_from(&sql, search->relation);
    put_where(&sql, search, schema, encoding);
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? out_of_memory(error)
                               : judge_statement(connection, search->relation, statement,
                                                 search->schema->part_count[PART_JSON] > 0, error);
    text_clear(&sql);
    return rc;
}

static const struct column *column_named(const struct schema *schema, const char *name)
{
    for (int i = 0; i < schema->column_count; i++)
        if (strcmp(schema->columns[i].name, name) == 0)
            return &schema->columns[i];
    return NULL;
}

/* Whether the binary values are of the types that they are read as. */
static bool fits(const struct search_nearest *search, const struct schema *now)
{
    const struct column *asked = column_named(now, search->column);
    bool fits =
        asked != NULL && asked->type != NULL && strcmp(asked->type->name, search->type) == 0;
    for (int i = 0; fits && i < search->schema->column_count - 1; i++) {
        const struct column *column =
            search->names[i] != NULL ? column_named(now, search->names[i]) : NULL;
        fits = search->names[i] == NULL ||
               (column != NULL && column->type == search->schema->columns[i].type);
    }
    return fits;
}

/* Call it after the statement, which has locked what it has read. */
static int check_types(struct connection *connection, const struct search_nearest *search,
                       struct error *error)
{
    struct columns columns;
    int rc = connection_run(connection, OURS, error);
    if (rc == 0)
        rc = describe_columns(connection, search->relation, false, NULL, &columns, error);
    if (rc < 0)
        return rc;
    if (!fits(search, columns.schema))
        rc = error_set(error, -ESTALE, "the table's columns have changed in the meantime");
    columns_clear(&columns);
    return rc == 0 ? set_theirs(connection, error) : rc;
}

int search_nearest(struct session *session, const struct search_nearest *search, copy_sink *sink,
                   void *context, uint64_t *said, struct error *error)
{
    struct connection *connection = session_connection(session);
    bool ascii = strcmp(connection_encoding(connection), "SQL_ASCII") == 0;
    const char *encoding = ascii ? "SQL_ASCII" : "UTF8";
    char *schema = NULL, *sql = NULL;
    connection_also_stop(connection, search->stop);
    bool judged = false, first = search->number == 0 || !connection_in_transaction(connection);
    int rc = begin(session, search->relation, first ? &judged : NULL, error);
    /* the condition may have run before, in this transaction */
    if (rc == 0 && search->condition != NULL)
        rc = connection_set_again(connection, NO_EXCLUSION, error);
    if (rc == 0)
        rc = find_extension(connection, &schema, error);
    if (rc == 0)
        rc = set_effort(connection, search, schema, error);
    if (rc == 0 && search->condition != NULL)
        rc = check_condition(connection, search->relation, search->condition, false, error);
    if (rc == 0 && judged)
        rc = judge_nearest(connection, search, schema, encoding, error);
    if (rc == 0) {
        sql = nearest_statement(search, schema, encoding);
        rc = sql == NULL
                 ? out_of_memory(error)
                 : blame(connection, connection_copy(connection, sql, sink, context, said, error));
    }
    if (rc == 0)
        rc = check_same(connection, search->relation, error);
    if (rc == 0 && first)
        rc = check_types(connection, search, error);
    if (rc < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    free(schema);
    free(sql);
    return rc;
}

/* ---- keys ---- */

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

int search_primary_key(struct session *session, uint32_t relation, struct version_key *now,
                       search_key *key, void *context, struct error *error)
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
        rc = key(context, PQgetvalue(rows, i, 0), PQgetvalue(rows, i, 1));
    PQclear(rows);
    return rc;
}
