/* Questions whose plans the server keeps: prepared statements.
 *
 * Their names are hashes of their texts. So if a pooler that does not show itself lends a session
 * in which another client of ours has prepared a statement of that name, it is the same question.
 */
#include "pgclient/connection_parts.h"

#include "codec/hash.h"
#include "codec/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

void connection_keep_plans(struct connection *connection, bool keep)
{
    connection->keeps_plans = keep && !connection->pooled && !connection->keeps_none;
}

/* NULL: as many as may be are known already. `*out` is new to the session: not asked before. */
static struct asked *look_up(struct connection *connection, const char *sql, bool *is_new)
{
    uint64_t text = hash64(sql, strlen(sql));
    for (int i = 0; i < connection->asked_count; i++)
        if (connection->asked[i].text == text) {
            *is_new = false;
            return &connection->asked[i];
        }
    if (connection->asked_count == QUESTIONS)
        return NULL;
    struct asked *asked = &connection->asked[connection->asked_count++];
    *asked = (struct asked){.text = text};
    *is_new = true;
    return asked;
}

bool connection_plan_is_kept(struct connection *connection, const char *sql)
{
    bool is_new = true;
    return connection->keeps_plans && look_up(connection, sql, &is_new) != NULL && !is_new;
}

/* From now on each question is planned each time. */
static int keep_none(struct connection *connection, const char *why, struct error *error)
{
    connection->keeps_none = true;
    connection->keeps_plans = false;
    return error_set(error, -ESTALE, "%s", why);
}

static int prepare(struct connection *connection, struct asked *asked, const char *name,
                   const char *sql, struct error *error)
{
    bool begun = !connection->broken && PQsendPrepare(connection->pg, name, sql, 0, NULL);
    int rc = connection_flush(connection, begun, error);
    if (rc == 0)
        rc = connection_take_answer(connection, NULL, error);
    asked->kept = rc == 0;
    return rc;
}

int connection_ask_by_name(struct connection *connection, const char *sql, int count,
                           const char *const *parameters, struct shape shape, PGresult **out,
                           struct error *error)
{
    bool is_new;
    char name[32];
    struct asked *asked = look_up(connection, sql, &is_new);
    snprintf(name, sizeof name, "pgvecfs %016" PRIx64, asked->text);
    connection->asked_by_name = true;
    connection->state[0] = '\0';
    int rc = asked->kept ? 0 : prepare(connection, asked, name, sql, error);
    if (rc == 0) {
        bool begun = PQsendQueryPrepared(connection->pg, name, count, parameters, NULL, NULL, 0);
        rc = connection_flush(connection, begun, error);
    }
    if (rc == 0)
        rc = connection_take_rows(connection, shape, out, error);
    if (rc == -EIO && strcmp(connection->state, "26000") == 0)
        return keep_none(connection, "a prepared statement is gone", error);
    if (rc == -EIO && strcmp(connection->state, "42P05") == 0)
        return keep_none(connection, "a prepared statement is there already", error);
    return rc;
}

/* A statement that came as ours did is not `from_sql`; nothing that runs in the server can make
 * one. */
int connection_prove_plans(struct connection *connection, const char *sql, struct error *error)
{
    static const char look[] = ";SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_statements"
                               " WHERE from_sql)";
    bool by_name = connection->asked_by_name;
    connection->keeps_plans = connection->asked_by_name = false;
    if (!by_name)
        return connection_run(connection, sql, error);
    struct text text = {0};
    PGresult *row = NULL;
    text_put(&text, sql);
    text_put(&text, look);
    const char *statements = text_string(&text);
    int rc = statements == NULL
                 ? error_set(error, -ENOMEM, "out of memory")
                 : connection_rows(connection, statements, ONE_ROW_OF("b"), &row, error);
    bool others = rc == 0 && PQgetvalue(row, 0, 0)[0] == 't';
    PQclear(row);
    text_clear(&text);
    return others ? keep_none(connection, "what users wrote has prepared statements here", error)
                  : rc;
}
