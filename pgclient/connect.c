/* Opening a connection, and finding out which server it leads to. */
#include "codec/clock.h"
#include "codec/hash.h"
#include "pgclient/connection_parts.h"
#include "pgclient/departing.h"
#include "pgclient/helper.h"
#include "pgclient/lock_holders.h"
#include "pgclient/search_path.h"
#include "pgclient/sql_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_SERVER = 130000 };

struct connecting {
    struct helper helper;
    struct server *server;
    PGconn *pg;
};

/* ---- the server has no connection left ---- */

/* Finds the server's own words in "…failed: FATAL: too many…": for a failed attempt libpq gives
 * these, not the SQLSTATE. NULL: the server said nothing. */
static const char *severity_of(const char *text)
{
    const char *end = strstr(text, ":  ");
    if (end == NULL)
        return NULL;
    while (end > text && end[-1] != ' ' && end[-1] != '\n')
        end--;
    return end;
}

/* Knows the refusal by the server's words, by those of poolers, and by 53300, which
 * PQERRORS_VERBOSE shows. */
static bool is_refusal(const char *text)
{
    static const char *const words[] = {":  53300:",
                                        "too many clients already",
                                        "too many connections",
                                        "connection slots are reserved",
                                        "no more connections allowed",
                                        "Max client connections reached"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i]) != NULL)
            return true;
    return false;
}

/* Runs in a thread of its own: resolving names blocks, and only the blocking call tries the next of
 * several hosts when connect_timeout has passed. If the server does not speak English it is asked
 * once more, for the SQLSTATE of its error. */
static void connecting_run(struct helper *helper)
{
    struct connecting *connecting = (struct connecting *)helper;
    PGconn *pg = PQconnectdbParams(server_keywords(connecting->server),
                                   server_values(connecting->server), 0);
    const char *severity =
        pg != NULL && PQstatus(pg) != CONNECTION_OK ? severity_of(PQerrorMessage(pg)) : NULL;
    if (severity != NULL && strncmp(severity, "FATAL:", 6) != 0 &&
        strncmp(severity, "ERROR:", 6) != 0) {
        PQsetErrorVerbosity(pg, PQERRORS_VERBOSE);
        PQreset(pg);
        PQsetErrorVerbosity(pg, PQERRORS_DEFAULT);
    }
    connecting->pg = pg;
}

static void connecting_drop(struct helper *helper)
{
    struct connecting *connecting = (struct connecting *)helper;
    connection_finish(connecting->pg, helper->departing);
    server_free(connecting->server);
    free(connecting);
}

static int connect_to(struct connection *connection, const struct server *server, int patience_ms)
{
    struct connecting *connecting = calloc(1, sizeof *connecting);
    if (connecting == NULL)
        return -ENOMEM;
    helper_init(&connecting->helper, connecting_run, connecting_drop);
    connecting->helper.departing = connection->departing;
    int rc = server_copy(server, &connecting->server);
    if (rc == 0)
        rc = helper_start(&connecting->helper);
    if (rc != 0) {
        helper_free(&connecting->helper);
        return rc;
    }
    if (!helper_wait(&connecting->helper, connection->stop, connection->also_stop, patience_ms))
        return connection_stopped(connection) ? -EINTR : -ETIMEDOUT;
    connection->pg = connecting->pg;
    connecting->pg = NULL;
    helper_free(&connecting->helper);
    return connection->pg == NULL ? -ENOMEM : 0;
}

/* ---- what it leads to ---- */

static void no_notices(void *context, const char *message) { (void)context, (void)message; }

/* libpq reads at most what its buffer has room for, which is 16 KiB until a larger row has come,
 * and it never shrinks. With room for all that a socket holds, a COPY takes fewer system calls
 * (measured: 0.45 instead of 0.48 s of CPU for 308 MB). */
#define ANSWER_BEGINS "SELECT pg_catalog.pg_backend_pid(), pg_catalog.repeat(' ', 200000),"
#define MAY_SEE_PLANS                                                                              \
    " pg_catalog.has_table_privilege('pg_catalog.pg_prepared_statements', 'SELECT')"               \
    "  AND pg_catalog.has_function_privilege('pg_catalog.pg_prepared_statement()', 'EXECUTE'),"
#define WIDE_ANSWER                                                                                \
    ANSWER_BEGINS                                                                                  \
    " pg_catalog.min(s.reset_val::pg_catalog.int4) FILTER"                                         \
    "  (WHERE s.name OPERATOR(pg_catalog.=) 'lock_timeout'),"                                      \
    " pg_catalog.min(s.reset_val::pg_catalog.int4) FILTER"                                         \
    "  (WHERE s.name OPERATOR(pg_catalog.<>) 'search_path'),"                                      \
    " pg_catalog.min(s.reset_val) FILTER"                                                          \
    "  (WHERE s.name OPERATOR(pg_catalog.=) 'search_path')," MAY_SEE_PLANS                         \
    " (SELECT pg_catalog.string_agg(r.setconfig::pg_catalog.text, ' '"                             \
    "   ORDER BY r.setdatabase, r.setrole)"                                                        \
    "  FROM pg_catalog.pg_db_role_setting r, pg_catalog.pg_database d, pg_catalog.pg_roles o"      \
    "  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"                       \
    "  AND o.rolname OPERATOR(pg_catalog.=) session_user"                                          \
    "  AND r.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0, d.oid]::pg_catalog.oid[])"           \
    "  AND r.setrole OPERATOR(pg_catalog.=) ANY (ARRAY[0, o.oid]::pg_catalog.oid[]))"              \
    " FROM pg_catalog.pg_settings AS s"                                                            \
    " WHERE s.name OPERATOR(pg_catalog.=) ANY (ARRAY['lock_timeout', 'statement_timeout',"         \
    "  'transaction_timeout', 'search_path']::pg_catalog.text[])"                                  \
    " AND s.reset_val OPERATOR(pg_catalog.<>) '0';"

/* The same for a role that may not read these catalogs, which sees its settings in force only. */
#define MODEST_ANSWER                                                                              \
    "SET LOCAL search_path TO DEFAULT; SET LOCAL lock_timeout TO DEFAULT;"                         \
    " SET LOCAL statement_timeout TO DEFAULT;" ANSWER_BEGINS                                       \
    " pg_catalog.min(s.ms) FILTER (WHERE s.ms OPERATOR(pg_catalog.>) 0"                            \
    "  AND s.name OPERATOR(pg_catalog.=) 'lock_timeout'),"                                         \
    " pg_catalog.min(s.ms) FILTER (WHERE s.ms OPERATOR(pg_catalog.>) 0),"                          \
    " pg_catalog.current_setting('search_path')," MAY_SEE_PLANS " NULL::pg_catalog.text"           \
    " FROM (SELECT n.name, (extract(epoch FROM"                                                    \
    "   pg_catalog.current_setting(n.name, true)::pg_catalog.interval)"                            \
    "   OPERATOR(pg_catalog.*) 1000)::pg_catalog.int4 AS ms"                                       \
    "  FROM pg_catalog.unnest(ARRAY['lock_timeout', 'statement_timeout',"                          \
    "   'transaction_timeout']::pg_catalog.text[]) AS n (name)) AS s;"

/* The name is no literal: where a backslash ends one is a setting, too. */
static int make_own_settings(struct connection *connection, struct error *error)
{
    const char *name = PQparameterStatus(connection->pg, "application_name");
    struct text sql = {0};
    if (!connection->pooled)
        return 0;
    text_put(&sql, OWN_SETTINGS);
    if (name != NULL && name[0] != '\0') {
        text_put(&sql, "SET LOCAL application_name = ");
        sql_name(&sql, name);
        text_put_byte(&sql, ';');
    }
    connection->own_settings = text_take(&sql);
    return connection->own_settings != NULL ? 0 : error_no_memory(error);
}

/* A role that may not ask gets a connection all the same. Behind a pooler another session may
 * answer the next question. */
static int learn_to_ask(struct connection *connection, struct error *error)
{
    PGresult *none = NULL;
    int rc = connection_question(connection, LOCK_HOLDERS " LIMIT 0", ROWS_OF(LOCK_HOLDERS_COLUMNS),
                                 &none, error);
    PQclear(none);
    return connection_usable(connection) && rc != -EBUSY ? 0 : rc;
}

/* Behind a pooler temporary tables belong to other clients, and a function in a view would find
 * them first. */
static int learn_path(struct connection *connection, const char *path, struct error *error)
{
    struct text sql = {0};
    if (!connection->pooled)
        return 0;
    text_put(&sql, "SET LOCAL search_path = ");
    search_path_put(&sql, path);
    int rc = sql.failed;
    connection->own_path = text_take(&sql);
    if (connection->own_path != NULL)
        return 0;
    return rc == -EINVAL ? error_set(error, -EIO,
                                     "unexpected answer of the server: "
                                     "a search_path that is none")
                         : error_no_memory(error);
}

/* Of all that ALTER ROLE and ALTER DATABASE have set: that is the same on each host of a list, which
 * may have configurations of their own. For a role that may not read it, of the limits and the path
 * in force. */
static uint64_t hash_of(const PGresult *row, bool modest)
{
    enum { LIMIT = 2, PATH = 4, SET_FOR_ROLE = 6 };
    uint64_t hashes[2] = {0};
    for (int i = modest ? LIMIT : SET_FOR_ROLE; i <= (modest ? PATH : SET_FOR_ROLE); i++) {
        const char *value = PQgetvalue(row, 0, i);
        hashes[1] = hash64(value, strlen(value));
        hashes[0] = hash64(hashes, sizeof hashes);
    }
    return hashes[0];
}

static int ask_around(struct connection *connection, bool modest, PGresult **row,
                      struct error *error)
{
    struct text sql = {0};
    text_printf(&sql, BEGIN_READING "%s%sCOMMIT", connection->checks_client ? CHECK_CLIENT : "",
                modest ? MODEST_ANSWER : WIDE_ANSWER);
    const char *statements = text_string(&sql);
    int rc = statements == NULL
                 ? error_no_memory(error)
                 : connection_rows(connection, statements, ONE_ROW_OF("ntNNTbT"), row, error);
    text_clear(&sql);
    return rc;
}

/* Finds out, in one round trip: the role's own limits, path and other settings; whether it may see
 * which statements are prepared (connection_others_plans); whether a pooler stands in between,
 * which makes up the backend's process id; and whether the server checks during a statement that
 * its client is still there, which it cannot do on every platform. */
static int look_around(struct connection *connection, struct error *error)
{
    PGresult *row = NULL;
    bool modest = false;
    int rc;
    connection->checks_client = connection_version(connection) >= CHECKS_CLIENTS;
    while ((rc = ask_around(connection, modest, &row, error)) < 0 && rc != -EBUSY) {
        connection_end(connection);
        if (!connection_usable(connection))
            break;
        if (rc == -EACCES && !modest)
            modest = true;
        else if (connection->checks_client)
            connection->checks_client = false;
        else
            break;
    }
    if (rc == 0) {
        connection->pooled = atoi(PQgetvalue(row, 0, 0)) != PQbackendPID(connection->pg);
        connection->own_lock_limit_ms = atoi(PQgetvalue(row, 0, 2));
        connection->own_limit_ms = atoi(PQgetvalue(row, 0, 3));
        connection->keeps_none = PQgetvalue(row, 0, 5)[0] != 't';
        connection->settings = connection->pooled ? 0 : hash_of(row, modest);
        rc = learn_path(connection, PQgetvalue(row, 0, 4), error);
    }
    if (rc == 0)
        rc = make_own_settings(connection, error);
    PQclear(row);
    connection_end(connection);
    return rc == 0 && !connection->pooled ? learn_to_ask(connection, error) : rc;
}

static int make_ready(struct connection *connection, struct error *error)
{
    if (PQstatus(connection->pg) != CONNECTION_OK) {
        int rc = connection_fail_lost(connection, error);
        if (!is_refusal(PQerrorMessage(connection->pg)))
            return rc;
        connection_finish(connection->pg, NULL); /* the server never had it */
        connection->pg = NULL;
        return -EUSERS;
    }
    if (connection_version(connection) < OLDEST_SERVER)
        return error_set(error, -EIO, "the server is PostgreSQL %s, 13 or newer is needed",
                         PQparameterStatus(connection->pg, "server_version"));
    if (PQsetnonblocking(connection->pg, 1) != 0)
        return connection_fail_lost(connection, error);
    PQsetNoticeProcessor(connection->pg, no_notices, NULL);
    return look_around(connection, error);
}

int connection_open(const struct server *server, struct departing *departing,
                    const atomic_bool *stop, const atomic_bool *also, int patience_ms,
                    struct connection **out, struct error *error)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return error_no_memory(error);
    connection->departing = departing_ref(departing);
    connection->stop = stop;
    connection->also_stop = also;
    connection->reading = server_reading(server);
    connection->lock_patience_ms = LOCK_PATIENCE_MS;
    connection->answered = true; /* until it is lent again: it has not gone before this use */
    if (patience_ms >= 0)
        connection->until = clock_ms() + patience_ms;
    int rc = connect_to(connection, server, patience_ms);
    if (rc == -EINTR)
        error_set(error, rc, "stopped");
    else if (rc == -ETIMEDOUT)
        error_set(error, rc, "no answer within %d ms", patience_ms);
    else if (rc != 0)
        error_set(error, rc, "cannot start to connect: %s", strerror(-rc));
    else
        rc = make_ready(connection, error);
    if (rc != 0) {
        connection_close(connection);
        return rc;
    }
    connection->also_stop = NULL;
    connection->until = 0;
    *out = connection;
    return 0;
}
