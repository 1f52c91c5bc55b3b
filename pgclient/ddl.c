#include "pgclient/ddl.h"

#include "pgclient/cluster.h"
#include "pgclient/ddl_text.h"
#include "pgclient/dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 500, LOOK_MS = 1000, TICK_MS = 100, TRIES = 5 };

static int64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static bool is_stopped(const atomic_bool *stop) { return stop != NULL && atomic_load(stop); }

static int fail_stopped(struct error *error) { return error_set(error, -EINTR, "stopped"); }

/* ---- which server ---- */

static int read_ours(const struct ddl_way *way, const atomic_bool *stop, struct cluster *out,
                     struct error *error)
{
    struct session *session;
    int rc = session_take(way->pool, true, &session, error);
    if (rc < 0)
        return rc;
    connection_also_stop(session_connection(session), stop);
    rc = cluster_read(session_connection(session), out, error);
    connection_also_stop(session_connection(session), NULL);
    session_give(session);
    return rc;
}

/* A standby may be behind the signature that its text would go with, another primary be a copy of
 * ours: only the same run of the same server will do, or the primary of our standby. */
static int compare_clusters(const struct cluster *ours, const struct cluster *theirs,
                            struct error *error)
{
    bool same_run = strcmp(ours->run, theirs->run) == 0;
    bool known = ours->system_id_known && theirs->system_id_known;
    bool good = ours->database == theirs->database &&
                (!known || ours->system_id == theirs->system_id) &&
                (same_run || (known && ours->standby && !theirs->standby));
    return good ? 0
                : error_set(error, -EIO,
                            "`direct` leads to another server or database than the connection "
                            "string (system identifier, start time or oid differ)");
}

/* Opens a connection to where pg_dump will connect, after it has been proved to be the right
 * server.
 */
static int open_direct(const struct ddl_way *way, const struct cluster *ours,
                       const atomic_bool *stop, struct connection **out, struct error *error)
{
    struct cluster theirs = {0};
    struct connection *connection;
    int rc = connection_open(way->direct, stop, &connection, error);
    if (rc < 0) {
        error_prefix(error, "`direct`");
        return rc;
    }
    if (connection_is_pooled(connection))
        rc = error_set(error, -EIO, "`direct` leads to a pooler, too");
    else if ((rc = cluster_read(connection, &theirs, error)) == 0)
        rc = compare_clusters(ours, &theirs, error);
    cluster_clear(&theirs);
    if (rc < 0)
        connection_close(connection);
    else
        *out = connection;
    return rc;
}

int ddl_check_direct(const struct ddl_way *way, const atomic_bool *stop, struct error *error)
{
    struct cluster ours = {0};
    struct connection *connection = NULL;
    int rc = read_ours(way, stop, &ours, error);
    if (rc == 0)
        rc = open_direct(way, &ours, stop, &connection, error);
    connection_close(connection);
    cluster_clear(&ours);
    return rc;
}

/* ---- what pg_dump has to be asked for ---- */

static int ask_directly(const struct ddl_way *way, const struct cluster *ours,
                        const struct relation *relation, const atomic_bool *stop, struct dump *dump,
                        struct error *error)
{
    struct connection *connection = NULL;
    int rc = open_direct(way, ours, stop, &connection, error);
    if (rc == 0)
        rc = dump_ask(connection, relation, dump, error);
    connection_close(connection);
    return rc;
}

static int ask_session(const struct ddl_way *way, const struct relation *relation,
                       const atomic_bool *stop, struct dump *dump, struct error *error)
{
    struct session *session;
    int rc = session_take(way->pool, true, &session, error);
    if (rc < 0)
        return rc;
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, stop);
    if (connection_is_pooled(connection))
        rc =
            error_set(error, -EOPNOTSUPP,
                      "the connection leads to a pooler, through which pg_dump must not run, since "
                      "it sets its session: name the server itself with -o direct=CONNINFO");
    else
        rc = dump_ask(connection, relation, dump, error);
    connection_also_stop(connection, NULL);
    session_give(session);
    return rc;
}

/* ---- one run of pg_dump, watched ---- */

struct run {
    const struct ddl_way *way;
    const atomic_bool *stop;
    char application[48]; /* by which its backend is found */
    int64_t look_at;      /* now_ms() of the next look at its locks */
    bool waited;          /* for a lock, at the last look */
    int ended;            /* why it had to be ended; 0: it did not */
    struct error error;
};

/* Whether its backend waits for a lock, and who waits for it. Depends on no setting. */
static const char locks_question[] =
    "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l"
    " WHERE NOT l.granted AND l.pid OPERATOR(pg_catalog.=) d.pid), w.pid, w.application_name"
    " FROM pg_catalog.pg_stat_activity d LEFT JOIN LATERAL ("
    "  SELECT a.pid, a.application_name FROM pg_catalog.pg_locks l"
    "  JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid"
    "  WHERE NOT l.granted"
    "  AND d.pid OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids(l.pid)) LIMIT 1) w ON true"
    " WHERE d.application_name OPERATOR(pg_catalog.=) '%s' LIMIT 1";

static void judge_locks(struct run *run, const PGresult *rows)
{
    bool waits = PQntuples(rows) > 0 && PQgetvalue(rows, 0, 0)[0] == 't';
    if (PQntuples(rows) > 0 && !PQgetisnull(rows, 0, 1))
        run->ended =
            error_set(&run->error, -EBUSY, "pg_dump held a lock that process %s (%s) waits for",
                      PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 2));
    else if (waits && run->waited)
        run->ended = error_set(&run->error, -EAGAIN, "others hold a lock that pg_dump needs");
    run->waited = waits;
}

/* With a session that is to be had at once; without one it goes on unseen. */
static void look_at_locks(struct run *run)
{
    struct session *session;
    char sql[sizeof locks_question + sizeof run->application];
    PGresult *rows = NULL;
    if (session_take(run->way->pool, false, &session, NULL) < 0)
        return;
    struct connection *connection = session_connection(session);
    snprintf(sql, sizeof sql, locks_question, run->application);
    connection_also_stop(connection, run->stop);
    if (connection_question(connection, sql, &rows, NULL) == 0 && PQnfields(rows) == 3)
        judge_locks(run, rows);
    connection_also_stop(connection, NULL);
    PQclear(rows);
    session_give(session);
}

static int look(void *context)
{
    struct run *run = context;
    if (is_stopped(run->stop))
        run->ended = fail_stopped(&run->error);
    if (run->ended == 0 && now_ms() >= run->look_at) {
        look_at_locks(run);
        run->look_at = now_ms() + LOOK_MS;
    }
    return run->ended;
}

static int run_dump(const struct ddl_way *way, const struct dump *dump, const atomic_bool *stop,
                    struct buffer *out, enum dump_failure *failure, struct error *error)
{
    static atomic_uint number;
    struct run run = {.way = way, .stop = stop, .look_at = now_ms() + LOOK_MS};
    snprintf(run.application, sizeof run.application, "pgvecfs pg_dump %d-%u", (int)getpid(),
             atomic_fetch_add(&number, 1));
    int rc = dump_run(dump, way->direct != NULL ? way->direct : way->server, run.application, look,
                      &run, out, failure, error);
    return run.ended == 0 ? rc : error_set(error, run.ended, "%s", run.error.text);
}

/* ---- until it has worked ---- */

static int attempt(const struct ddl_way *way, const struct relation *relation,
                   const atomic_bool *stop, struct buffer *out, enum dump_failure *failure,
                   struct error *error)
{
    struct dump dump = {0};
    struct cluster ours = {0};
    *failure = DUMP_FAILED;
    int rc = way->direct == NULL ? ask_session(way, relation, stop, &dump, error)
                                 : read_ours(way, stop, &ours, error);
    if (rc == 0 && way->direct != NULL)
        rc = ask_directly(way, &ours, relation, stop, &dump, error);
    if (rc == 0)
        rc = run_dump(way, &dump, stop, out, failure, error);
    cluster_clear(&ours);
    dump_clear(&dump);
    return rc;
}

/* How often it has not worked, and why. */
struct trials {
    int64_t began;
    int gave_way, refused, locked;
};

/* 0: once more, after a pause; else the answer. */
static int decide(const struct ddl_way *way, struct trials *trials, int rc,
                  enum dump_failure failure, struct error *error)
{
    if (rc == -EBUSY) {
        way->tell(error->text);
        return ++trials->gave_way < TRIES ? 0 : rc;
    }
    if (rc == -EAGAIN) {
        if (way->lock_wait_ms < 0 || now_ms() - trials->began < way->lock_wait_ms)
            return 0;
        error_prefix(error, "given up after %lld s", (long long)way->lock_wait_ms / 1000);
        return -EBUSY;
    }
    if (rc == -EIO && failure == DUMP_NOT_CONNECTED)
        return ++trials->refused < TRIES ? 0 : rc;
    if (rc == -EIO && failure == DUMP_NOT_LOCKED) /* the next attempt knows more */
        return ++trials->locked < TRIES ? 0 : rc;
    return rc;
}

static int pause_between(const atomic_bool *stop, struct error *error)
{
    for (int left = PAUSE_MS; left > 0; left -= TICK_MS) {
        if (is_stopped(stop))
            return fail_stopped(error);
        usleep(TICK_MS * 1000);
    }
    return 0;
}

int ddl_read(const struct ddl_way *way, const struct relation *relation, const atomic_bool *stop,
             struct buffer *out, struct error *error)
{
    struct trials trials = {.began = now_ms()};
    struct buffer bytes = {0};
    struct error words = {""};
    enum dump_failure failure;
    int rc;
    for (;;) {
        bytes.size = 0;
        rc = attempt(way, relation, stop, &bytes, &failure, &words);
        if (rc == 0 || (rc = decide(way, &trials, rc, failure, &words)) < 0 ||
            (rc = pause_between(stop, &words)) < 0)
            break;
    }
    if (rc == 0 && (rc = ddl_text(&bytes, way->secret, out)) < 0)
        error_set(&words, rc, "the DDL cannot be kept: %s", strerror(-rc));
    buffer_clear(&bytes);
    return rc == 0 ? 0 : error_set(error, rc, "%s", words.text);
}
