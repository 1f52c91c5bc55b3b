#include "pgclient/readpoint_parts.h"

#include "pgclient/selection.h"

#include <errno.h>
#include <stdlib.h>

/* Sets a savepoint: an error of what follows leaves the transaction as it was. It is rolled back in
 * any case, so that the settings go back, too. */
static int guard(struct connection *connection, const char *settings, struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SAVEPOINT pgvecfs;");
    text_put(&sql, settings);
    const char *statements = text_string(&sql);
    int rc =
        statements == NULL ? error_no_memory(error) : connection_run(connection, statements, error);
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
    int rc = statement == NULL ? error_no_memory(error)
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
    int rc = parameter == NULL ? error_no_memory(error)
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
    return bytes == NULL ? error_no_memory(error) : 0;
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
    enum relation_kind kind = readpoint->relation.kind;
    bool view =
        kind == RELATION_VIEW || kind == RELATION_STATEMENT || readpoint_kept(readpoint)->filtered;
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
        rc = statement == NULL || before == NULL ? error_no_memory(error)
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
