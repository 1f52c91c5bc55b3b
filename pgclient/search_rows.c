#include "pgclient/search_parts.h"

#include "codec/bytes.h"
#include "codec/copy_stream.h"

#include <errno.h>
#include <stdlib.h>

void search_put_condition(struct text *sql, const char *before, const char *condition,
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
    search_put_from(&sql, relation);
    text_printf(&sql, " WHERE (%s\n%s\n%s", before, condition, behind);
    char *statement = text_take(&sql);
    if (statement == NULL)
        return error_no_memory(error);
    int rc = judged ? search_judge(connection, relation, statement, false, error)
                    : user_words_blame(connection, connection_parse(connection, statement, error));
    free(statement);
    if (rc < 0)
        error_prefix(error, "filter");
    return rc;
}

int search_check_condition(struct connection *connection, const struct relation *relation,
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
    search_put_from(&sql, relation);
    search_put_condition(&sql, " WHERE ", condition, ") TO STDOUT (FORMAT binary)");
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
        return error_no_memory(error);
    connection_also_stop(connection, stop);
    bool judged;
    int rc = search_open(session, relation, &judged, error);
    if (rc == 0)
        rc = search_check_condition(connection, relation, condition, judged, error);
    if (rc == 0) {
        uint64_t said = 0;
        rc = connection_copy(connection, sql, read_rows, &reader, &said, error);
        if (rc == 0)
            rc = copy_stream_end(&reader.stream, said, error);
        if (rc == 0)
            rc = same_relation_check(connection, relation, error);
        else if (!reader.failed && user_words_blame(connection, rc) == -EINVAL) {
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
