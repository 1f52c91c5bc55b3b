#include "pgclient/statement_parts.h"

#include "codec/json_writer.h"
#include "pgclient/from_clause.h"
#include "pgclient/lock_room.h"
#include "pgclient/trust.h"
#include "pgclient/user_words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

size_t statement_size(const char *text)
{
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\n\r\f\v;", text[size - 1]) != NULL)
        size--;
    return size;
}

/* ---- whose functions it would run ---- */

/* How the server understands `before`, the relation, and `behind`. */
static int judge_text(struct connection *connection, const struct relation *relation,
                      const char *before, const char *behind, struct error *error)
{
    struct text sql = {0};
    char *tree = NULL;
    text_put(&sql, before);
    from_put(&sql, relation);
    text_put(&sql, behind);
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? error_no_memory(error)
                               : connection_parse_tree(connection, statement, &tree, error);
    text_clear(&sql);
    if (rc == 0)
        rc = connection_run(connection, USER_WORDS_OURS, error);
    if (rc == 0)
        rc = trust_check(connection, relation->oid, tree, false, error);
    free(tree);
    int after =
        connection_usable(connection) ? user_words_settings(connection, rc == 0 ? error : NULL) : 0;
    return rc == 0 ? after : rc;
}

int statement_judge(struct connection *connection, const struct relation *relation,
                    char **json_refused, struct error *error)
{
    struct error reason = {""};
    int rc = judge_text(connection, relation, "SELECT * FROM ", "", error);
    if (rc < 0 || json_refused == NULL)
        return rc;
    /* The cast to JSON of a column's type is looked for when it runs, for all of a row's columns. */
    rc = judge_text(connection, relation, "SELECT pg_catalog.to_json(s) FROM (SELECT * FROM ",
                    ") AS s", &reason);
    if (rc == -EACCES) {
        *json_refused = strdup(reason.text);
        return *json_refused == NULL ? error_no_memory(error) : 0;
    }
    if (rc < 0 && error != NULL)
        *error = reason;
    return rc;
}

/* ---- its columns ---- */

static int check_names(const PGresult *present, struct error *error)
{
    for (int i = 0; i < PQnfields(present); i++)
        for (int before = 0; before < i; before++)
            if (strcmp(PQfname(present, i), PQfname(present, before)) == 0)
                return error_set(error, -EINVAL,
                                 "two columns are called \"%s\": give one another name, with AS",
                                 PQfname(present, i));
    return 0;
}

int statement_columns(const PGresult *present, char **out, struct error *error)
{
    struct json_writer json = {0};
    struct buffer text = {0};
    int rc = check_names(present, error);
    if (rc < 0)
        return rc;
    json_open_array(&json, NULL, JSON_ONE_LINE);
    for (int i = 0; i < PQnfields(present); i++) {
        json_open_array(&json, NULL, JSON_ONE_LINE);
        json_put_words(&json, NULL, PQfname(present, i));
        json_put_unsigned(&json, NULL, PQftype(present, i));
        json_put_signed(&json, NULL, PQfmod(present, i));
        json_close(&json);
    }
    json_close(&json);
    rc = json_end(&json, &text);
    if (rc == 0)
        rc = buffer_append_byte(&text, '\0');
    if (rc < 0) {
        buffer_clear(&text);
        return error_no_memory(error);
    }
    *out = (char *)text.data;
    return 0;
}

int statement_probe(struct connection *connection, const struct relation *relation, char **out,
                    struct error *error)
{
    struct text sql = {0};
    PGresult *present = NULL;
    text_put(&sql, "SELECT * FROM ");
    from_put(&sql, relation);
    text_put(&sql, " LIMIT 0");
    const char *statement = text_string(&sql);
    int rc = statement == NULL ? error_no_memory(error)
                               : connection_rows(connection, statement, ANYTHING, &present, error);
    if (rc == 0)
        rc = statement_columns(present, out, error);
    PQclear(present);
    text_clear(&sql);
    return rc;
}

/* ---- locks ---- */

int statement_take_lock_room(struct session *session, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct lock_room room;
    PGresult *row = NULL;
    int rc = lock_room_of(connection, &room, error);
    if (rc == 0)
        rc = connection_question(connection,
                                 "SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l"
                                 " WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"
                                 " AND l.locktype OPERATOR(pg_catalog.=) 'relation'",
                                 ONE_ROW_OF("n"), &row, error);
    if (rc == 0) {
        room.locks = lock_room_counts(&room, strtoll(PQgetvalue(row, 0, 0), NULL, 10));
        rc = lock_room_reserve(session, &room, error);
    }
    PQclear(row);
    return rc;
}
