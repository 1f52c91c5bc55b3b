/* Transactions and the settings that they have. */
#include "codec/clock.h"
#include "pgclient/connection_parts.h"

#include "codec/text.h"
#include "pgclient/search_path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Settings that decide how values print, what is converted to what, and in which order rows come.
 * They override what the role, the database or the server's configuration says. They are what
 * pg_dump sets, and what keeps scans in physical order. lc_monetary stays as it is, since no value
 * of it is right for every database; it is part of the signature. */
static const struct {
    int since;
    const char *sql;
} pinned[] = {
    {0, "DateStyle = 'ISO, MDY'"},
    {0, "IntervalStyle = 'postgres'"},
    {0, "TimeZone = 'UTC'"},
    {0, "extra_float_digits = 1"},
    {0, "bytea_output = 'hex'"},
    {0, "xmlbinary = 'base64'"},
    {0, "xmloption = 'content'"},
    {0, "quote_all_identifiers = off"},
    {0, "array_nulls = on"},
    {0, "standard_conforming_strings = on"},
    {0, "transform_null_equals = off"},
    {0, "client_min_messages = error"},
    {0, "exit_on_error = off"},
    {0, "synchronize_seqscans = off"},
    {0, "max_parallel_workers_per_gather = 0"},
    {0, "enable_seqscan = on"},
    {0, "enable_tidscan = on"},
    {0, "jit = off"},
    {140000, "enable_async_append = off"},
};

/* The planner's debugging aid has changed its name. */
enum { RENAMED_PARALLEL_DEBUGGING = 160000, TRANSACTION_TIMEOUT = 170000 };

static const char no_limits[] = "SET LOCAL idle_in_transaction_session_timeout = 0;";

/* Sets the role's own limits: a session that a pooler lends may have others, left by another
 * client. transaction_timeout runs already, and is left alone. */
static const char own_limits[] = "SET LOCAL statement_timeout TO DEFAULT;"
                                 " SET LOCAL idle_in_transaction_session_timeout TO DEFAULT;";

/* Nothing can be converted from an SQL_ASCII database; callers that read names check that they are
 * UTF-8. */
static const char *encoding_wanted(const struct connection *connection)
{
    return strcmp(connection_encoding(connection), "SQL_ASCII") == 0 ? "SQL_ASCII" : "UTF8";
}

/* Whether the connection has the wanted encoding already: the server converts a message before it
 * runs any of it. */
static bool has_encoding(const struct connection *connection)
{
    const char *encoding = PQparameterStatus(connection->pg, "client_encoding");
    return encoding != NULL && strcmp(encoding, encoding_wanted(connection)) == 0;
}

static void put_encoding(const struct connection *connection, struct text *sql)
{
    text_printf(sql, "SET LOCAL client_encoding = '%s';", encoding_wanted(connection));
}

const char *connection_own_path(const struct connection *connection)
{
    return connection->own_path != NULL ? connection->own_path : "SET LOCAL search_path TO DEFAULT";
}

/* Whether the role's own limit is the smaller one. */
static bool has_own_lock_limit(const struct connection *connection, enum transaction_kind kind)
{
    return kind == TRANSACTION_USER && connection->own_lock_limit_ms > 0 &&
           connection->own_lock_limit_ms <= connection->lock_patience_ms;
}

static void put_lock_limit(const struct connection *connection, enum transaction_kind kind,
                           struct text *sql)
{
    if (has_own_lock_limit(connection, kind))
        text_put(sql, "SET LOCAL lock_timeout TO DEFAULT;");
    else
        text_printf(sql, "SET LOCAL lock_timeout = %d;", connection->lock_patience_ms);
}

void connection_lock_patience(struct connection *connection, int milliseconds)
{
    connection->lock_patience_ms = milliseconds < 1 ? 1 : milliseconds;
}

static void put_begin(const struct connection *connection, struct text *sql)
{
    text_put(sql, connection->pooled ? BEGIN_READING OWN_ROLE : BEGIN_READING);
}

static void put_settings(const struct connection *connection, enum transaction_kind kind,
                         struct text *sql)
{
    int version = connection_version(connection);
    bool user = kind == TRANSACTION_USER;
    bool filters = connection->reading.filter_rows || connection->policies_choose;
    text_put(sql, connection->own_settings != NULL ? connection->own_settings : "");
    text_put(sql, user ? own_limits : no_limits);
    put_lock_limit(connection, kind, sql);
    if (!user && version >= TRANSACTION_TIMEOUT)
        text_put(sql, "SET LOCAL transaction_timeout = 0;");
    text_put(sql, connection->checks_client ? CHECK_CLIENT : "");
    text_printf(sql, "SET LOCAL row_security = %s;", filters ? "on" : "off");
    for (size_t i = 0; i < sizeof pinned / sizeof *pinned; i++)
        if (version >= pinned[i].since)
            text_printf(sql, "SET LOCAL %s;", pinned[i].sql);
    text_printf(sql, "SET LOCAL %s = off;",
                version >= RENAMED_PARALLEL_DEBUGGING ? "debug_parallel_query"
                                                      : "force_parallel_mode");
    /* search_path comes after these: how it is shown depends on quote_all_identifiers. */
    text_printf(sql, "%s;", user ? connection_own_path(connection) : SEARCH_PATH_OURS);
    put_encoding(connection, sql);
}

/* Runs the statements in `sql` and clears it; if they fail, ends the transaction. `out` (nullable):
 * the rows. */
static int run(struct connection *connection, struct text *sql, struct shape shape, PGresult **out,
               struct error *error)
{
    const char *statements = text_string(sql);
    if (connection->pooled)
        connection->asked_at = clock_ms();
    int rc = statements == NULL ? error_no_memory(error)
             : out == NULL      ? connection_run(connection, statements, error)
                                : connection_rows(connection, statements, shape, out, error);
    connection->asked_at = 0;
    text_clear(sql);
    if (rc < 0)
        connection_end(connection);
    return rc;
}

static void forget_others_locks(struct connection *connection)
{
    free(connection->others_locks);
    connection->others_locks = NULL;
}

/* Begins a transaction, with `sql` (nullable) in the same message if the server is sure to
 * understand it there. */
static int begin(struct connection *connection, enum transaction_kind kind, const char *sql,
                 const char *behind, struct shape shape, PGresult **out, struct error *error)
{
    struct text text = {0};
    bool at_once = sql == NULL || has_encoding(connection);
    connection->policies_choose = connection->lacks_locks = connection->keeps_plans = false;
    if (kind == TRANSACTION_USER) {
        int rc = connection_drop_plans(connection, error);
        if (rc < 0)
            return rc;
    }
    put_begin(connection, &text);
    put_settings(connection, kind, &text);
    /* Also when it reads a table: casts, policies, what an index or a partition's bound computes.
     */
    connection->users_words = true;
    forget_others_locks(connection); /* the transaction may be in another session now */
    connection->lock_limit_is_own = has_own_lock_limit(connection, kind);
    connection->own_limits_hold = kind == TRANSACTION_USER;
    if (!at_once) {
        int rc = run(connection, &text, shape, NULL, error);
        if (rc < 0)
            return rc;
    }
    if (sql != NULL)
        text_printf(&text, "%s%s", sql, behind);
    return run(connection, &text, shape, out, error);
}

/* Advisory locks that a user's function takes may outlive the transaction. A session that a pooler
 * lends to us may have locks of other clients as well: those that it had before. */
#define LOCK_NAME "pg_catalog.concat_ws(' ', l.mode, l.classid, l.objid, l.objsubid)"
#define LOCKS_OF_SESSION                                                                           \
    " FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'"               \
    " AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()"

/* Asks which backend serves the transaction, since a pooler makes up that number, and what it has
 * locked. */
static int ask_pooled(struct connection *connection, int *pid, struct error *error)
{
    PGresult *row = NULL;
    int rc = connection_rows(connection,
                             "SELECT pg_catalog.pg_backend_pid(),"
                             " pg_catalog.string_agg(" LOCK_NAME ", ',')" LOCKS_OF_SESSION,
                             ONE_ROW_OF("nT"), &row, error);
    if (rc == 0)
        *pid = atoi(PQgetvalue(row, 0, 0));
    if (rc == 0 && (connection->others_locks = strdup(PQgetvalue(row, 0, 1))) == NULL)
        rc = error_no_memory(error);
    PQclear(row);
    if (rc < 0)
        connection_end(connection);
    return rc;
}

static int note_beginning(struct connection *connection, struct error *error)
{
    struct holding *holding = connection->holding;
    int pid = PQbackendPID(connection->pg);
    int rc = connection->pooled ? ask_pooled(connection, &pid, error) : 0;
    if (rc < 0 || holding == NULL)
        return rc;
    holding->wanted = 0;
    holding->since = clock_ms();
    holding->backend = pid;
    return 0;
}

/* Releases each lock as often as it was taken: until there is none left, which gives a warning. */
#define UNLOCK(t)                                                                                  \
    "CASE WHEN " t ".objsubid = 1 AND " t ".mode = 'ShareLock' THEN"                               \
    " pg_advisory_unlock_shared((" t ".classid::bigint::bit(32) || " t ".objid::bigint::bit(32))"  \
    "::bit(64)::bigint) WHEN " t ".objsubid = 1 THEN"                                              \
    " pg_advisory_unlock((" t ".classid::bigint::bit(32) || " t ".objid::bigint::bit(32))"         \
    "::bit(64)::bigint) WHEN " t ".mode = 'ShareLock' THEN pg_advisory_unlock_shared(" t           \
    ".classid::bigint::bit(32)::integer, " t ".objid::bigint::bit(32)::integer) ELSE"              \
    " pg_advisory_unlock(" t ".classid::bigint::bit(32)::integer, " t                              \
    ".objid::bigint::bit(32)::integer) END"

static void put_end(const struct connection *connection, bool users_words, struct text *sql)
{
    text_put(sql, "ROLLBACK");
    if (users_words && !connection->pooled)
        text_put(sql, ";" BEGIN_READING "SELECT pg_catalog.pg_advisory_unlock_all(); COMMIT");
    else if (users_words && connection->others_locks != NULL)
        text_printf(sql,
                    ";" BEGIN_READING SEARCH_PATH_OURS ";"
                    "WITH RECURSIVE ours AS MATERIALIZED (SELECT l.classid, l.objid, l.objsubid,"
                    " l.mode" LOCKS_OF_SESSION " AND " LOCK_NAME
                    " <> ALL (string_to_array('%s', ','))),"
                    " released AS (SELECT o.*, " UNLOCK(
                        "o") " AS held FROM ours o UNION ALL"
                             "  SELECT r.classid, r.objid, r.objsubid, r.mode, " UNLOCK(
                                 "r") " FROM released r"
                                      "  WHERE r.held) SELECT count(*) FROM released; COMMIT",
                    connection->others_locks);
}

int connection_begin(struct connection *connection, enum transaction_kind kind, const char *more,
                     struct error *error)
{
    int rc = begin(connection, kind, more, "", ANYTHING, NULL, error);
    return rc == 0 ? note_beginning(connection, error) : rc;
}

int connection_begin_rows(struct connection *connection, enum transaction_kind kind,
                          const char *more, struct shape shape, PGresult **out, struct error *error)
{
    int rc = begin(connection, kind, more, "", shape, out, error);
    if (rc == 0 && (rc = note_beginning(connection, error)) != 0) {
        PQclear(*out);
        *out = NULL;
    }
    return rc;
}

int connection_wait_as_usual(struct connection *connection, struct error *error)
{
    struct text sql = {0};
    bool differs = connection->lock_patience_ms != LOCK_PATIENCE_MS;
    enum transaction_kind kind =
        connection->own_limits_hold ? TRANSACTION_USER : TRANSACTION_TABLES;
    connection->lock_patience_ms = LOCK_PATIENCE_MS;
    if (!differs || !connection_in_transaction(connection))
        return 0;
    connection->lock_limit_is_own = has_own_lock_limit(connection, kind);
    put_lock_limit(connection, kind, &sql);
    return run(connection, &sql, ANYTHING, NULL, error);
}

int connection_set_again(struct connection *connection, const char *more, struct error *error)
{
    struct text sql = {0};
    put_settings(connection, TRANSACTION_USER, &sql);
    text_put(&sql, more);
    return run(connection, &sql, ANYTHING, NULL, error);
}

int connection_let_policies_choose(struct connection *connection, struct error *error)
{
    connection->policies_choose = true; /* it also holds when settings are made again */
    return connection_run(connection, "SET LOCAL row_security = on", error);
}

/* COMMIT would take OWN_SETTINGS out of the transaction. */
int connection_read(struct connection *connection, enum transaction_kind kind, const char *sql,
                    struct shape shape, PGresult **out, struct error *error)
{
    const char *end = connection->own_settings != NULL ? ";ROLLBACK" : ";COMMIT";
    return begin(connection, kind, sql, end, shape, out, error);
}

/* It runs in a transaction of its own all the same: a role may have another isolation level, which
 * a standby refuses. Before version 14 times are float8, whose digits are a setting. */
int connection_question(struct connection *connection, const char *sql, struct shape shape,
                        PGresult **out, struct error *error)
{
    enum { EXACT_TIMES = 140000 };
    if (connection_in_transaction(connection))
        return connection_rows(connection, sql, shape, out, error);
    struct text text = {0};
    connection->lock_limit_is_own = connection->own_limits_hold = connection->lacks_locks = false;
    put_begin(connection, &text);
    if (connection_version(connection) < EXACT_TIMES)
        text_put(&text, "SET LOCAL extra_float_digits = 1;");
    if (!has_encoding(connection))
        put_encoding(connection, &text);
    text_printf(&text, "%s;COMMIT", sql);
    return run(connection, &text, shape, out, error);
}

void connection_end(struct connection *connection)
{
    bool users_words = connection->users_words;
    struct text sql = {0};
    connection->users_words = false;
    if (!connection_usable(connection) || !connection_in_transaction(connection))
        return;
    connection->ends = true;
    put_end(connection, users_words, &sql);
    const char *statements = text_string(&sql);
    if (statements != NULL)
        (void)!connection_run(connection, statements, NULL);
    else
        connection->broken = true;
    text_clear(&sql);
    connection->ends = false;
    if (connection->holding != NULL)
        connection->holding->backend = 0;
}
