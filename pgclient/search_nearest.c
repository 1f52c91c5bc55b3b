#include "pgclient/search_nearest.h"

#include "pgclient/describe.h"
#include "pgclient/search_parts.h"
#include "pgclient/selection.h"
#include "pgclient/statement_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        rc = error_no_memory(error);
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
                 ? error_no_memory(error)
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
        search_put_condition(sql, " AND ", search->condition, "");
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
    search_put_from(&sql, search->relation);
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
    search_put_from(&sql, search->relation);
    put_where(&sql, search, schema, encoding);
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? error_no_memory(error)
                               : search_judge(connection, search->relation, statement,
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
    char *statement = NULL;
    int rc = search->relation->kind == RELATION_STATEMENT
                 ? statement_probe(connection, search->relation, &statement, error)
                 : 0;
    if (rc == 0)
        rc = connection_run(connection, USER_WORDS_OURS, error);
    if (rc == 0)
        rc =
            describe_columns(connection, search->relation, false, NULL, statement, &columns, error);
    free(statement);
    if (rc < 0)
        return rc;
    if (!fits(search, columns.schema))
        rc = error_set(error, -ESTALE, "the table's columns have changed in the meantime");
    columns_clear(&columns);
    return rc == 0 ? user_words_settings(connection, error) : rc;
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
    int rc = search_open(session, search->relation, first ? &judged : NULL, error);
    /* the condition may have run before, in this transaction */
    if (rc == 0 && search->condition != NULL)
        rc = connection_set_again(connection, SEARCH_NO_EXCLUSION, error);
    if (rc == 0)
        rc = find_extension(connection, &schema, error);
    if (rc == 0)
        rc = set_effort(connection, search, schema, error);
    if (rc == 0 && search->condition != NULL)
        rc = search_check_condition(connection, search->relation, search->condition, false, error);
    if (rc == 0 && judged)
        rc = judge_nearest(connection, search, schema, encoding, error);
    if (rc == 0) {
        sql = nearest_statement(search, schema, encoding);
        rc = sql == NULL ? error_no_memory(error)
                         : user_words_blame(connection, connection_copy(connection, sql, sink,
                                                                        context, said, error));
    }
    if (rc == 0)
        rc = same_relation_check(connection, search->relation, error);
    if (rc == 0 && first)
        rc = check_types(connection, search, error);
    if (rc < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    free(schema);
    free(sql);
    return rc;
}
