#include "codec/clock.h"
#include "pgclient/cancel.h"
#include "pgclient/connection_parts.h"
#include "pgclient/helper.h"
#include "pgclient/words.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { CANCEL_PATIENCE_MS = 5000 };

/* ---- errors ---- */

/* While a COPY runs in the database's own encoding, the server's messages are in that encoding,
 * too. */
static void tidy_words(const struct connection *connection, struct error *error)
{
    words_tidy(error->text, sizeof error->text,
               PQparameterStatus(connection->pg, "client_encoding"));
}

static int errno_of(const char *state)
{
    static const struct {
        const char *prefix;
        int code;
    } known[] = {
        {"42501", -EACCES},   {"42P01", -ENOENT},   {"3F000", -ENOENT},   {"42704", -ENOENT},
        {"57P01", -ENOTCONN}, {"57P02", -ENOTCONN}, {"57P03", -ENOTCONN}, {"57P05", -ENOTCONN},
        {"08", -ENOTCONN},    {"40", -EAGAIN},      {"55P03", -EAGAIN},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(state, known[i].prefix, strlen(known[i].prefix)) == 0)
            return known[i].code;
    return -EIO;
}

/* Tells whether a time limit was reached, or a function in a view used NOWAIT. */
static int lock_timeout(const struct connection *connection, const PGresult *result)
{
    const char *function = PQresultErrorField(result, PG_DIAG_SOURCE_FUNCTION);
    if (function == NULL || strcmp(function, "ProcessInterrupts") != 0)
        return -EAGAIN;
    return connection->lock_limit_is_own ? -EIO : -EBUSY;
}

/* Whether libpq itself has given up a connection for lack of memory. A line from the server begins
 * with a severity. */
static bool lacks_memory(const char *words)
{
    static const char *const lines[] = {"out of memory", "cannot allocate memory"};
    for (const char *at = words; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            if (strncmp(at, lines[i], strlen(lines[i])) == 0)
                return true;
    }
    return false;
}

/* -ENOMEM: connecting again would not help. */
int connection_fail_lost(struct connection *connection, struct error *error)
{
    const char *words = PQerrorMessage(connection->pg);
    connection->broken = true;
    if (lacks_memory(words))
        return error_set(error, -ENOMEM, "no memory for what the server sends in one message");
    if (error == NULL)
        return -ENOTCONN;
    error_set(error, -ENOTCONN, "%s", words);
    tidy_words(connection, error);
    if (error->text[0] == '\0')
        error_set(error, -ENOTCONN, "the connection to the server was lost");
    return -ENOTCONN;
}

bool connection_stopped(const struct connection *connection)
{
    return (connection->stop != NULL &&
            atomic_load_explicit(connection->stop, memory_order_acquire)) ||
           (connection->also_stop != NULL &&
            atomic_load_explicit(connection->also_stop, memory_order_acquire));
}

/* Other clients wait for this connection's locks, and it has had enough time to finish. */
static bool must_let_go(const struct connection *connection)
{
    enum { GRACE_MS = 500 };
    int64_t wanted = connection->holding != NULL && !connection->ends
                         ? atomic_load_explicit(&connection->holding->wanted, memory_order_relaxed)
                         : 0;
    return wanted != 0 && clock_ms() - wanted > GRACE_MS;
}

/* Whether to give up: stopped, out of time, or in the way of other clients. */
static bool stopped(const struct connection *connection)
{
    return connection_stopped(connection) || must_let_go(connection) ||
           (connection->until != 0 && clock_ms() >= connection->until);
}

static int fail_stopped(struct connection *connection, struct error *error)
{
    if (!connection->broken) {
        connection->broken = true;
        cancel_for_good(connection->pg);
    }
    if (must_let_go(connection) && !connection_stopped(connection))
        return error_set(error, -EAGAIN, "somebody else waits for a lock that this has");
    if (connection->until != 0 && !connection_stopped(connection))
        return error_set(error, -ETIMEDOUT, "no answer in time");
    return error_set(error, -EINTR, "stopped");
}

static int fail_result(struct connection *connection, const PGresult *result, struct error *error)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    if (state == NULL || primary == NULL)
        return connection_fail_lost(connection, error);
    int rc = errno_of(state);
    snprintf(connection->state, sizeof connection->state, "%s", state);
    if (rc == -ENOTCONN)
        connection->broken = true;
    if (strcmp(state, "55P03") == 0)
        rc = lock_timeout(connection, result);
    /* A server that runs out of memory says the same, but does not name this setting as a help. */
    connection->lacks_locks = strcmp(state, "53200") == 0 && hint != NULL &&
                              strstr(hint, "max_locks_per_transaction") != NULL;
    if (connection->lacks_locks)
        rc = -EAGAIN;
    error_set(error, rc, "%s%s%s%s%s (SQLSTATE %s)", primary, detail ? ". " : "",
              detail ? detail : "", hint ? ". " : "", hint ? hint : "", state);
    if (error != NULL)
        tidy_words(connection, error);
    return rc;
}

/* ---- waiting ---- */

/* Waits until something came in, or a tick has passed, and reads what came. A lost connection shows
 * when the caller asks libpq for the next result: libpq then gives the server's last words, if
 * there were any. */
static int take_in(struct connection *connection, short events, struct error *error)
{
    if (stopped(connection))
        return fail_stopped(connection, error);
    struct pollfd fd = {.fd = PQsocket(connection->pg), .events = events};
    if (fd.fd < 0)
        return connection_fail_lost(connection, error);
    (void)poll(&fd, 1, HELPER_TICK_MS);
    /* Also after a mere tick: TLS may hold bytes that poll does not see. */
    (void)PQconsumeInput(connection->pg);
    return 0;
}

int connection_flush(struct connection *connection, bool begun, struct error *error)
{
    int rc = 0, left;
    if (!begun)
        return stopped(connection) ? fail_stopped(connection, error)
                                   : connection_fail_lost(connection, error);
    while ((left = PQflush(connection->pg)) > 0 && rc == 0)
        rc = take_in(connection, POLLIN | POLLOUT, error);
    return rc != 0 ? rc : left < 0 ? connection_fail_lost(connection, error) : 0;
}

/* The next result of the running statements; NULL when there are no more. */
static int next_result(struct connection *connection, PGresult **out, struct error *error)
{
    int rc = 0;
    while (rc == 0 && PQisBusy(connection->pg) && PQstatus(connection->pg) == CONNECTION_OK)
        rc = take_in(connection, POLLIN, error);
    if (rc == 0)
        *out = PQgetResult(connection->pg);
    return rc;
}

/* Reads all results. The answer is the first error; if there is none, the last result, or the last
 * one with rows. */
int connection_take_answer(struct connection *connection, PGresult **out, struct error *error)
{
    PGresult *last = NULL, *result = NULL;
    int failed = 0, rc;
    while ((rc = next_result(connection, &result, error)) == 0 && result != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_FATAL_ERROR && failed == 0)
            failed = fail_result(connection, result, error);
        else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
                 status != PGRES_EMPTY_QUERY && failed == 0)
            failed =
                error_set(error, -EIO, "unexpected answer of the server: %s", PQresStatus(status));
        if (last != NULL && PQresultStatus(last) == PGRES_TUPLES_OK && status == PGRES_COMMAND_OK) {
            PQclear(result);
            continue;
        }
        PQclear(last);
        last = result;
        if (status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH) {
            connection->broken = true;
            break;
        }
    }
    if (rc == 0 && PQstatus(connection->pg) != CONNECTION_OK) {
        connection->broken = true;
        rc = failed == 0         ? connection_fail_lost(connection, error)
             : failed == -ENOMEM ? failed
                                 : -ENOTCONN;
    }
    if (rc == 0) {
        connection->answered_at = clock_ms();
        connection->answered |= !connection->broken;
        rc = failed;
    }
    if (rc == 0 && last == NULL)
        rc = connection_fail_lost(connection, error);
    if (rc != 0 || out == NULL)
        PQclear(last);
    else
        *out = last;
    return rc;
}

static int send(struct connection *connection, const char *sql, struct error *error)
{
    bool begun = !connection->broken && PQsendQuery(connection->pg, sql);
    return connection_flush(connection, begun, error);
}

int connection_run(struct connection *connection, const char *sql, struct error *error)
{
    int rc = send(connection, sql, error);
    return rc == 0 ? connection_take_answer(connection, NULL, error) : rc;
}

/* Gives the answer if it has the expected shape. */
int connection_take_rows(struct connection *connection, struct shape shape, PGresult **out,
                         struct error *error)
{
    PGresult *rows = NULL;
    int rc = connection_take_answer(connection, &rows, error);
    if (rc != 0)
        return rc;
    rc = shape_check(rows, shape, error);
    if (rc == 0)
        *out = rows;
    else
        PQclear(rows);
    return rc;
}

int connection_rows(struct connection *connection, const char *sql, struct shape shape,
                    PGresult **out, struct error *error)
{
    int rc = send(connection, sql, error);
    return rc == 0 ? connection_take_rows(connection, shape, out, error) : rc;
}

/* `types` NULL: the server finds them out. */
static int send_with(struct connection *connection, const char *sql, int count, const Oid *types,
                     const char *const *parameters, bool binary, struct error *error)
{
    bool begun = !connection->broken && PQsendQueryParams(connection->pg, sql, count, types,
                                                          parameters, NULL, NULL, binary);
    return connection_flush(connection, begun, error);
}

int connection_ask(struct connection *connection, const char *sql, int count,
                   const char *const *parameters, struct shape shape, PGresult **out,
                   struct error *error)
{
    if (connection_plan_is_kept(connection, sql))
        return connection_ask_by_name(connection, sql, count, parameters, shape, out, error);
    int rc = send_with(connection, sql, count, NULL, parameters, false, error);
    return rc == 0 ? connection_take_rows(connection, shape, out, error) : rc;
}

int connection_ask_binary(struct connection *connection, const char *sql, int count,
                          const uint32_t *types, const char *const *parameters, PGresult **out,
                          struct error *error)
{
    int rc = send_with(connection, sql, count, types, parameters, true, error);
    return rc == 0 ? connection_take_rows(connection, ANYTHING, out, error) : rc;
}

int connection_parse(struct connection *connection, const char *sql, struct error *error)
{
    bool begun = !connection->broken && PQsendPrepare(connection->pg, "", sql, 0, NULL);
    int rc = connection_flush(connection, begun, error);
    return rc == 0 ? connection_take_answer(connection, NULL, error) : rc;
}

void connection_also_stop(struct connection *connection, const atomic_bool *stop)
{
    connection->also_stop = stop;
}

void connection_lend(struct connection *connection) { connection->answered = false; }

bool connection_had_gone(const struct connection *connection)
{
    return !connection->answered && !connection_usable(connection) &&
           !connection_stopped(connection);
}

/* Whether nothing has come since the last answer, which was a moment ago: the server says something
 * before it ends a session, and closes the socket. */
static bool was_alive(const struct connection *connection)
{
    enum { MOMENT_MS = 1000 };
    struct pollfd socket = {.fd = PQsocket(connection->pg), .events = POLLIN};
    return connection->answered_at != 0 && clock_ms() - connection->answered_at < MOMENT_MS &&
           poll(&socket, 1, 0) == 0;
}

/* A pooler would have to lend a session of the server for it, which may take time: so behind a
 * pooler an open connection is taken to be alive. */
bool connection_ping(struct connection *connection, const atomic_bool *stop, int milliseconds)
{
    if (connection_usable(connection) && was_alive(connection))
        return true;
    (void)PQconsumeInput(connection->pg); /* the server's last message, if it has sent one */
    if (connection->pooled || !connection_usable(connection))
        return connection_usable(connection);
    connection_patience(connection, milliseconds);
    connection_also_stop(connection, stop);
    bool answers = connection_run(connection, "", NULL) == 0;
    connection_also_stop(connection, NULL);
    connection_patience(connection, -1);
    return answers;
}

/* ---- COPY ---- */

/* Feeds the sink until the stream ends; 0 says nothing yet about how the statement ended. */
static int feed(struct connection *connection, copy_sink *sink, void *context, int *sink_error,
                struct error *error)
{
    for (int dry = 0;;) {
        if (stopped(connection))
            return fail_stopped(connection, error);
        char *bytes = NULL;
        int n = PQgetCopyData(connection->pg, &bytes, 1);
        if (n > 0) {
            *sink_error = sink(context, (const uint8_t *)bytes, (size_t)n);
            PQfreemem(bytes);
            if (*sink_error < 0)
                return 0;
            dry = 0;
        } else if (n < 0) {
            return n == -1 ? 0 : connection_fail_lost(connection, error);
        } else if (PQstatus(connection->pg) != CONNECTION_OK) {
            return connection_fail_lost(connection, error);
        } else if (PQsslInUse(connection->pg) && dry++ < 2) {
            (void)PQconsumeInput(
                connection->pg); /* a TLS record is larger than one read of libpq's */
        } else {
            int rc = take_in(connection, POLLIN, error);
            if (rc != 0)
                return rc;
            dry = 0;
        }
    }
}

static int swallow(void *context, const uint8_t *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return 0;
}

/* Ends a COPY whose sink has had enough, so that the connection is ready for the next statement. */
static void end_early(struct connection *connection)
{
    int none = 0;
    if (!cancel_once(connection->pg, connection->stop, CANCEL_PATIENCE_MS) ||
        feed(connection, swallow, NULL, &none, NULL) != 0) {
        connection->broken = true;
        return;
    }
    (void)connection_take_answer(connection, NULL, NULL); /* cancelled, or it had just succeeded */
}

/* The end of the statement: "COPY 20000". */
static int finish_copy(struct connection *connection, uint64_t *said, struct error *error)
{
    PGresult *result = NULL;
    int rc = connection_take_answer(connection, &result, error);
    if (rc == 0) {
        const char *number = PQcmdTuples(result);
        if (number[0] == '\0')
            rc = error_set(error, -EIO, "the server does not say how many rows it sent");
        else
            *said = strtoull(number, NULL, 10);
    }
    PQclear(result);
    return rc;
}

int connection_copy(struct connection *connection, const char *sql, copy_sink *sink, void *context,
                    uint64_t *said, struct error *error)
{
    PGresult *result = NULL;
    connection->state[0] = '\0';
    int rc = send(connection, sql, error);
    if (rc == 0)
        rc = next_result(connection, &result, error);
    if (rc != 0)
        return rc;
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COPY_OUT) {
        rc = status == PGRES_FATAL_ERROR
                 ? fail_result(connection, result, error)
                 : error_set(error, -EIO, "the server answered COPY with %s", PQresStatus(status));
        PQclear(result);
        (void)connection_take_answer(connection, NULL, NULL);
        return rc;
    }
    PQclear(result);
    int sink_error = 0;
    rc = feed(connection, sink, context, &sink_error, error);
    if (sink_error < 0) {
        end_early(connection);
        return sink_error;
    }
    return rc == 0 ? finish_copy(connection, said, error) : rc;
}
