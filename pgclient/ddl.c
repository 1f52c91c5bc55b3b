#include "pgclient/ddl.h"

#include "codec/clock.h"
#include "pgclient/cluster.h"
#include "pgclient/ddl_text.h"
#include "pgclient/dump.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* pg_dump's place, the session whose snapshot it has, and one that looks. */
enum { LOOK_MS = 1000, PLACES_TO_EXPORT = 3, UNSEEN_MOST = 3 };

/* ---- which server ---- */

static int read_ours(const struct ddl_way *way, const atomic_bool *stop, struct cluster *out,
                     struct error *error)
{
    struct session *session;
    int rc = session_take(way->pool, SESSION_SHORT, stop, &session, error);
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
    bool same_run = cluster_run_known(ours) && strcmp(ours->run, theirs->run) == 0;
    bool known = ours->system_id_known && theirs->system_id_known;
    bool good = ours->database == theirs->database &&
                (!known || ours->system_id == theirs->system_id) &&
                (same_run || (known && ours->standby && !theirs->standby));
    if (!good && !(cluster_run_known(ours) && cluster_run_known(theirs)))
        return error_set(error, -EIO,
                         "whether `direct` leads to the same server cannot be told: the role may "
                         "not call pg_postmaster_start_time() or "
                         "pg_stat_get_bgwriter_stat_reset_time()");
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
    int rc = connection_open(way->direct, session_pool_departing(way->pool), stop, NULL, -1,
                             &connection, error);
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
    struct session *place = NULL;
    int rc = read_ours(way, stop, &ours, error);
    if (rc == 0)
        rc = session_place_take(way->pool, stop, &place, error);
    if (rc == 0)
        rc = open_direct(way, &ours, stop, &connection, error);
    connection_close(connection);
    session_place_give(place);
    cluster_clear(&ours);
    return rc;
}

/* ---- what pg_dump has to be asked for ---- */

static int ask_directly(const struct ddl_way *way, const struct cluster *ours,
                        const struct relation *relation, int lock_ms, const atomic_bool *stop,
                        struct dump *dump, struct error *error)
{
    struct connection *connection = NULL;
    struct session *place;
    int rc = session_place_take(way->pool, stop, &place, error);
    if (rc < 0)
        return rc;
    rc = open_direct(way, ours, stop, &connection, error);
    if (rc == 0) {
        connection_lock_patience(connection, lock_ms);
        rc = dump_ask(connection, relation, dump, error);
    }
    connection_close(connection);
    session_place_give(place);
    return rc;
}

static int ask_session(const struct ddl_way *way, const struct relation *relation, int lock_ms,
                       const atomic_bool *stop, struct dump *dump, struct error *error)
{
    struct session *session;
    int rc = session_take(way->pool, SESSION_SHORT, stop, &session, error);
    if (rc < 0)
        return rc;
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, stop);
    connection_lock_patience(connection, lock_ms);
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
    char application[48];     /* by which its backend is found */
    int64_t look_at;          /* clock_ms() of the next look at its locks */
    int unseen;               /* looks that came to nothing for want of a session */
    struct session *exporter; /* whose snapshot it has; NULL: none, or no longer */
    bool waited;              /* for a lock, at the last look */
    int ended;                /* why it had to be ended; 0: it did not */
    struct error error;
};

/* Its backend, and whether that waits for a lock. Depends on no setting. */
static const char backend_question[] =
    "SELECT d.pid, EXISTS (SELECT FROM pg_catalog.pg_locks l"
    " WHERE NOT l.granted AND l.pid OPERATOR(pg_catalog.=) d.pid)"
    " FROM pg_catalog.pg_stat_activity d"
    " WHERE d.application_name OPERATOR(pg_catalog.=) '%s' LIMIT 1";

static void judge_locks(struct run *run, bool waits, const struct lock_party *waiter)
{
    char name[128];
    lock_party_name(waiter, name, sizeof name);
    if (waiter->pid != 0)
        run->ended = error_set(&run->error, -EAGAIN, "pg_dump held a lock that %s waits for", name);
    else if (waits && run->waited)
        run->ended = error_set(&run->error, -EBUSY, "pg_dump waited for a lock");
    run->waited = waits;
}

static void end_snapshot(struct run *run)
{
    if (run->exporter == NULL)
        return;
    connection_end(session_connection(run->exporter));
    session_give(run->exporter);
    run->exporter = NULL;
}

/* Whoever runs into a lock on a catalog when he looks takes it that pg_dump does, too. */
static void look_with(struct run *run, struct session *session)
{
    struct lock_party waiter = {0};
    char sql[sizeof backend_question + sizeof run->application];
    PGresult *rows = NULL;
    snprintf(sql, sizeof sql, backend_question, run->application);
    int rc = connection_question(session_connection(session), sql, ROWS_OF(2), &rows, NULL);
    bool found = rc == 0 && PQntuples(rows) == 1, waits = false;
    if (found) {
        int backend = atoi(PQgetvalue(rows, 0, 0));
        waits = PQgetvalue(rows, 0, 1)[0] == 't';
        rc = lock_find_waiters(session, &backend, 1, &waiter, NULL);
    }
    if (rc == -EBUSY || (rc == 0 && found))
        judge_locks(run, waits || rc == -EBUSY, &waiter);
    PQclear(rows);
}

/* With a session that is to be had at once; without one it goes on unseen. The one whose snapshot
 * pg_dump has taken long ago is of more use for looking. */
static void look_at_locks(struct run *run)
{
    struct session *session;
    if (session_take_now(run->way->pool, SESSION_SHORT, run->stop, &session, NULL) < 0) {
        if (++run->unseen >= UNSEEN_MOST)
            end_snapshot(run);
        return;
    }
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, run->stop);
    look_with(run, session);
    connection_also_stop(connection, NULL);
    session_give(session);
}

static int look(void *context)
{
    struct run *run = context;
    if (run->stop != NULL && atomic_load(run->stop))
        run->ended = error_set(&run->error, -EINTR, "stopped");
    if (run->ended == 0 && clock_ms() >= run->look_at) {
        look_at_locks(run);
        run->look_at = clock_ms() + LOOK_MS;
    }
    return run->ended;
}

/* Pins pg_dump to the server that the session is to: what stands behind one name, or one address,
 * may be several. Without a session at hand, or if the server does not let the role export a
 * snapshot, only the address is the same. The session, in a transaction until pg_dump has ended. */
static struct session *export_snapshot(const struct ddl_way *way, const atomic_bool *stop,
                                       struct dump *dump)
{
    static const char question[] = "SELECT pg_catalog.pg_export_snapshot()";
    struct session *session;
    PGresult *rows = NULL;
    if (way->direct != NULL || session_pool_limit(way->pool) < PLACES_TO_EXPORT ||
        session_take_now(way->pool, SESSION_JOIN, stop, &session, NULL) < 0)
        return NULL;
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, stop);
    int rc = connection_begin(connection, TRANSACTION_TABLES, NULL, NULL);
    if (rc == 0)
        rc = connection_rows(connection, question, ONE_ROW_OF(1), &rows, NULL);
    if (rc == 0)
        dump->snapshot = strdup(PQgetvalue(rows, 0, 0));
    connection_also_stop(connection, NULL);
    PQclear(rows);
    if (dump->snapshot != NULL)
        return session;
    connection_end(connection);
    session_give(session);
    return NULL;
}

static int run_dump(const struct ddl_way *way, struct dump *dump, const atomic_bool *stop,
                    struct buffer *out, enum dump_failure *failure, struct error *error)
{
    static atomic_uint number;
    struct run run = {.way = way, .stop = stop};
    snprintf(run.application, sizeof run.application, "pgvecfs pg_dump %d-%u", (int)getpid(),
             atomic_fetch_add(&number, 1));
    struct session *place;
    int rc = session_place_take(way->pool, stop, &place, error);
    if (rc < 0)
        return rc;
    run.exporter = export_snapshot(way, stop, dump);
    run.look_at = clock_ms() + LOOK_MS;
    rc = dump_run(dump, way->direct != NULL ? way->direct : way->server, run.application, look,
                  &run, out, failure, error);
    end_snapshot(&run);
    if (rc == -EIO && *failure == DUMP_NOT_CONNECTED)
        session_place_refused(place);
    session_place_give(place);
    return run.ended == 0 ? rc : error_set(error, run.ended, "%s", run.error.text);
}

/* What its failure means to whoever may try again. */
static int judge_failure(enum dump_failure failure, int rc)
{
    return rc != -EIO                      ? rc
           : failure == DUMP_NOT_CONNECTED ? -EUSERS
           : failure == DUMP_NOT_LOCKED    ? -EAGAIN
                                           : rc;
}

int ddl_read(const struct ddl_way *way, const struct relation *relation, int lock_ms,
             const atomic_bool *stop, struct buffer *out, struct error *error)
{
    struct dump dump = {0};
    struct cluster ours = {0};
    struct buffer bytes = {0};
    enum dump_failure failure = DUMP_FAILED;
    int rc = way->direct == NULL ? ask_session(way, relation, lock_ms, stop, &dump, error)
                                 : read_ours(way, stop, &ours, error);
    if (rc == 0 && way->direct != NULL)
        rc = ask_directly(way, &ours, relation, lock_ms, stop, &dump, error);
    if (rc == 0)
        rc = run_dump(way, &dump, stop, &bytes, &failure, error);
    rc = judge_failure(failure, rc);
    if (rc == 0 && (rc = ddl_text(&bytes, way->secret, out)) < 0)
        error_set(error, rc, "the DDL cannot be kept: %s", strerror(-rc));
    buffer_clear(&bytes);
    cluster_clear(&ours);
    dump_clear(&dump);
    return rc;
}
