/* Questions whose plans the server keeps: prepared statements.
 *
 * Their names are hashes of their texts. So if a pooler that does not show itself lends a session
 * in which another client of ours has prepared a statement of that name, it is the same question.
 */
#include "pgclient/connection_parts.h"

#include "codec/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool may_keep(const struct connection *connection)
{
    return !connection->pooled && !connection->keeps_none;
}

/* A statement that came as ours do is not `from_sql`; nothing that runs in the server can make one.
 */
const char *connection_others_plans(const struct connection *connection)
{
    return may_keep(connection)
               ? "EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)"
               : "true";
}

void connection_keep_no_plans(struct connection *connection)
{
    connection->keeps_none = true;
    connection->keeps_plans = false;
}

void connection_keep_plans(struct connection *connection, bool keep)
{
    connection->keeps_plans = keep && may_keep(connection);
}

/* NULL: as many as may be are known already. `*is_new`: it was not asked before. */
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

/* In a transaction like all others: a role may have an isolation level that a standby refuses. */
int connection_drop_plans(struct connection *connection, struct error *error)
{
    bool any = false;
    for (int i = 0; i < connection->asked_count; i++) {
        any |= connection->asked[i].kept;
        connection->asked[i].kept = false;
    }
    return any ? connection_run(connection, BEGIN_READING "DEALLOCATE ALL; COMMIT", error) : 0;
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
    connection->state[0] = '\0';
    int rc = asked->kept ? 0 : prepare(connection, asked, name, sql, error);
    if (rc == 0) {
        bool begun = PQsendQueryPrepared(connection->pg, name, count, parameters, NULL, NULL, 0);
        rc = connection_flush(connection, begun, error);
    }
    if (rc == 0)
        rc = connection_take_rows(connection, shape, out, error);
    bool gone = rc == -EIO && strcmp(connection->state, "26000") == 0;
    bool taken = rc == -EIO && strcmp(connection->state, "42P05") == 0;
    if (!gone && !taken)
        return rc;
    connection_keep_no_plans(connection);
    return error_set(error, -ESTALE, "a prepared statement %s",
                     gone ? "is gone" : "is there already");
}
