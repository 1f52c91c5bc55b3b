#include "pgclient/row.h"

#include "codec/bytes.h"
#include "codec/copy_stream.h"
#include "pgclient/row_layout.h"
#include "pgclient/selection.h"
#include "pgclient/sql_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An index has no more columns. */
enum { KEY_COLUMNS_MOST = 32 };

static int no_row(struct error *error)
{
    return error_set(error, -ENOENT, "there is no row with this key");
}

/* ---- the key ---- */

/* The columns of the key, and the statement's parameters: each value twice. */
struct bound {
    const struct key_column *columns;
    int count;
    uint32_t types[2 * KEY_COLUMNS_MOST];
    const char *parameters[2 * KEY_COLUMNS_MOST];
};

static const struct key_column *unique_named(const struct row_layout *layout, const char *name)
{
    for (int i = 0; i < layout->unique_count; i++)
        if (strcmp(layout->keys[layout->key_count + i].name, name) == 0)
            return &layout->keys[layout->key_count + i];
    return NULL;
}

/* -ENOENT: the table has no such key. */
static int bind(const struct row_layout *layout, const struct row_key *key, struct bound *out,
                struct error *error)
{
    enum { TEXT = 25 }; /* the oid of the type text */
    const char *const *values = key->whole != NULL ? &key->whole : NULL;
    out->columns = layout->keys;
    out->count = layout->key_count;
    if (key->column != NULL) {
        out->columns = unique_named(layout, key->column);
        out->count = out->columns != NULL;
    } else if (out->count > 1) {
        values = key->count == out->count ? key->values : NULL;
    }
    if (values == NULL || out->count == 0 || out->count > KEY_COLUMNS_MOST)
        return error_set(error, -ENOENT, "the table has no such key");
    for (int i = 0; i < out->count; i++) {
        out->types[2 * i] = out->columns[i].type;
        out->types[2 * i + 1] = TEXT;
        out->parameters[2 * i] = out->parameters[2 * i + 1] = values[i];
    }
    return 0;
}

/* ---- the row ---- */

static const char *encoding_of(const struct connection *connection)
{
    return strcmp(connection_encoding(connection), "SQL_ASCII") == 0 ? "SQL_ASCII" : "UTF8";
}

static char *row_statement(const struct connection *connection, const struct row_table *table,
                           const struct row_layout *layout, enum row_form form,
                           const struct bound *bound)
{
    struct text sql = {0}, from = {0};
    text_put(&from, layout->kind == RELATION_TABLE ? "ONLY " : "");
    sql_relation(&from, table->relation->schema, table->relation->name);
    struct source source = {.from = text_take(&from)};
    if (source.from == NULL)
        return NULL;
    selection_put(&sql, layout->schemas[form], &source, NULL, encoding_of(connection));
    row_layout_put_equal(&sql, bound->columns, bound->count);
    text_put(&sql, " LIMIT 2");
    free(source.from);
    return text_take(&sql);
}

/* Puts the row together as a COPY would send it. */
static int write_tuple(const PGresult *row, struct buffer *out)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < PQnfields(row); i++) {
        bool null = PQgetisnull(row, 0, i);
        int size = PQgetlength(row, 0, i);
        uint8_t head[4];
        store_be32(head, null ? UINT32_MAX : (uint32_t)size);
        rc = buffer_append(out, head, sizeof head);
        if (rc == 0 && !null)
            rc = buffer_append(out, PQgetvalue(row, 0, i), (size_t)size);
    }
    return rc;
}

static int check_shape(const PGresult *rows, const struct schema *schema, struct error *error)
{
    bool fits = PQnfields(rows) == rowgroup_fields(schema);
    for (int i = 0; fits && i < PQnfields(rows); i++)
        fits = PQfformat(rows, i) == 1;
    return fits ? 0
                : error_set(error, -EIO, "unexpected answer of the server: not the row's columns");
}

static int take_row(const PGresult *rows, const struct schema *schema, struct rowgroup **out,
                    struct error *error)
{
    struct rowgroup_builder *builder = NULL;
    struct buffer tuple = {0};
    int rc = check_shape(rows, schema, error);
    if (rc == 0 && PQntuples(rows) == 0)
        rc = no_row(error);
    if (rc == 0 && PQntuples(rows) > 1)
        rc = error_set(error, -EIO, "several rows have this key: an index of the table is damaged");
    if (rc == 0 && (write_tuple(rows, &tuple) < 0 || rowgroup_builder_new(schema, &builder) < 0))
        rc = error_no_memory(error);
    if (rc == 0)
        rc = rowgroup_builder_add(builder, tuple.data, tuple.size, error);
    if (rc == 0 && rowgroup_builder_finish(builder, out) < 0)
        rc = error_no_memory(error);
    rowgroup_builder_free(builder);
    buffer_clear(&tuple);
    return rc == -EBADMSG ? -EIO : rc;
}

/* Whether a statement that failed might have failed because a text is no value of its type. */
static bool may_be_values_fault(const struct connection *connection, int rc)
{
    static const char *const others[] = {"08", "25", "40", "53", "55",
                                         "57", "58", "72", "F0", "XX"};
    const char *state = connection_state(connection);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(state, others[i], strlen(others[i])) == 0)
            return false;
    return (rc == -EIO || rc == -ENOENT) && connection_usable(connection) && state[0] != '\0';
}

/* Asks for the values alone. -ENOENT: one of them is none of its type; 0: all are. */
static int try_values(struct session *session, const struct row_table *table,
                      const struct row_layout *layout, const struct bound *bound,
                      struct error *error)
{
    struct connection *connection = session_connection(session);
    struct text sql = {0};
    PGresult *row = NULL;
    connection_end(connection);
    int rc = row_layout_begin(session, table, layout, error);
    text_put(&sql, "SELECT true");
    for (int i = 0; i < bound->count; i++)
        text_printf(&sql, ", $%d IS NULL, $%d IS NULL", 2 * i + 1, 2 * i + 2);
    const char *statement = text_string(&sql);
    if (rc == 0 && statement == NULL)
        rc = error_no_memory(error);
    if (rc == 0) {
        rc = connection_ask_binary(connection, statement, 2 * bound->count, bound->types,
                                   bound->parameters, &row, error);
        if (rc < 0 && may_be_values_fault(connection, rc))
            rc = no_row(error);
    }
    text_clear(&sql);
    PQclear(row);
    return rc;
}

/* Runs the statement. */
static int ask_row(struct session *session, const struct row_table *table,
                   const struct row_layout *layout, enum row_form form, const struct bound *bound,
                   PGresult **out, struct error *error)
{
    struct connection *connection = session_connection(session);
    char *sql = row_statement(connection, table, layout, form, bound);
    int rc = sql == NULL ? error_no_memory(error) : row_layout_set(session, layout, form, error);
    if (rc == 0) {
        rc = connection_ask_binary(connection, sql, 2 * bound->count, bound->types,
                                   bound->parameters, out, error);
        if (rc < 0 && may_be_values_fault(connection, rc)) {
            struct error other = {""};
            int told = try_values(session, table, layout, bound, &other);
            if (told < 0 && error != NULL)
                *error = other;
            rc = told < 0 ? told : rc == -ENOENT ? -EIO : rc;
        }
    }
    free(sql);
    return rc;
}

static int read_once(struct session *session, const struct row_table *table,
                     const struct row_key *key, enum row_form form, struct row_layout **layout,
                     struct rowgroup **out, struct error *error)
{
    PGresult *rows = NULL;
    struct bound bound;
    int rc = row_layout_enter(session, table, form, layout, error);
    if (rc == 0)
        rc = bind(*layout, key, &bound, error);
    if (rc == 0)
        rc = ask_row(session, table, *layout, form, &bound, &rows, error);
    if (rc == 0)
        rc = row_layout_check(session, table, *layout, error);
    if (rc == 0)
        rc = take_row(rows, (*layout)->schemas[form], out, error);
    PQclear(rows);
    connection_end(session_connection(session));
    return rc;
}

int row_read(struct session *session, const struct row_table *table, const struct row_key *key,
             enum row_form form, struct row_layout **layout, struct rowgroup **out,
             struct error *error)
{
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, table->stop);
    int rc = read_once(session, table, key, form, layout, out, error);
    connection_also_stop(connection, NULL);
    return rc;
}

/* ---- all keys ---- */

struct key_reader {
    row_key_sink *sink;
    void *context;
    struct copy_stream stream;
    struct buffer texts; /* of one row, each with a NUL behind it */
    int count;
    struct error *error;
};

static int take_texts(struct key_reader *reader, const uint8_t *tuple, size_t size,
                      size_t starts[KEY_COLUMNS_MOST])
{
    int rc = 0;
    reader->texts.size = 0;
    for (int i = 0; rc == 0 && i < reader->count; i++) {
        uint32_t n = size >= 4 ? load_be32(tuple) : UINT32_MAX;
        if (n == UINT32_MAX || n > size - 4 || memchr(tuple + 4, '\0', n) != NULL)
            return error_set(reader->error, -EBADMSG, "the server sent a key without a text");
        starts[i] = reader->texts.size;
        rc = buffer_append(&reader->texts, tuple + 4, n);
        if (rc == 0)
            rc = buffer_append_byte(&reader->texts, '\0');
        tuple += 4 + n;
        size -= 4 + n;
    }
    return rc == 0 ? 0 : error_no_memory(reader->error);
}

static int take_key(void *context, const uint8_t *tuple, size_t size)
{
    struct key_reader *reader = context;
    size_t starts[KEY_COLUMNS_MOST];
    const char *values[KEY_COLUMNS_MOST];
    int rc = take_texts(reader, tuple, size, starts);
    for (int i = 0; rc == 0 && i < reader->count; i++)
        values[i] = (const char *)reader->texts.data + starts[i];
    return rc == 0 ? reader->sink(reader->context, values, reader->count) : rc;
}

static int take_bytes(void *context, const uint8_t *bytes, size_t size)
{
    struct key_reader *reader = context;
    return copy_stream_feed(&reader->stream, bytes, size, take_key, reader, reader->error);
}

static char *keys_statement(const struct row_table *table, const struct row_layout *layout)
{
    struct text sql = {0};
    text_put(&sql, "COPY (SELECT ");
    for (int i = 0; i < layout->key_count; i++) {
        text_put(&sql, i > 0 ? ", " : "");
        text_put(&sql, "pg_catalog.format('%s', ");
        sql_name(&sql, layout->keys[i].name);
        text_put_byte(&sql, ')');
    }
    row_layout_put_from(&sql, table->relation, layout);
    row_layout_put_order(&sql, layout);
    text_put(&sql, ") TO STDOUT (FORMAT binary)");
    return text_take(&sql);
}

static int copy_keys(struct session *session, const struct row_table *table,
                     const struct row_layout *layout, struct key_reader *reader,
                     struct error *error)
{
    char *sql = keys_statement(table, layout);
    uint64_t said = 0;
    int rc =
        sql == NULL ? error_no_memory(error) : row_layout_set(session, layout, ROW_AS_TEXT, error);
    if (rc == 0)
        rc = connection_copy(session_connection(session), sql, take_bytes, reader, &said, error);
    if (rc == 0)
        rc = copy_stream_end(&reader->stream, said, error);
    if (rc == 0)
        rc = row_layout_check(session, table, layout, error);
    free(sql);
    return rc;
}

int row_keys(struct session *session, const struct row_table *table, struct row_layout **layout,
             row_key_sink *sink, void *context, struct error *error)
{
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, table->stop);
    int rc = row_layout_enter(session, table, ROW_AS_TEXT, layout, error);
    if (rc == 0 && (*layout)->key_count > 0 && (*layout)->key_count <= KEY_COLUMNS_MOST) {
        int count = (*layout)->key_count;
        struct key_reader reader = {.sink = sink,
                                    .context = context,
                                    .stream = {.fields = count},
                                    .count = count,
                                    .error = error};
        rc = copy_keys(session, table, *layout, &reader, error);
        copy_stream_clear(&reader.stream);
        buffer_clear(&reader.texts);
    }
    connection_end(connection);
    connection_also_stop(connection, NULL);
    return rc == -EBADMSG ? -EIO : rc;
}
