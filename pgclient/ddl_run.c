#include "pgclient/ddl_run.h"

#include "codec/clock.h"
#include "pgclient/ddl_server.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* PLACES_TO_EXPORT: pg_dump's place, and that of the session that has exported its snapshot. */
enum { LOOK_MS = 1000, PLACES_TO_EXPORT = 2 };

int ddl_run_reserve(struct session *session, const struct lock_room *room, struct error *error)
{
    int rc = lock_room_reserve(session, room, error);
    return rc == -EBUSY ? -ENOLCK : rc;
}

/* Asks for pg_dump's backend, and whether it waits for a lock. Depends on no setting. */
static const char backend_question[] =
    "%s SELECT d.pid, EXISTS (SELECT FROM pg_catalog.pg_locks l"
    " WHERE NOT l.granted AND l.pid OPERATOR(pg_catalog.=) d.pid)"
    " FROM pg_catalog.pg_stat_activity d"
    " WHERE d.application_name OPERATOR(pg_catalog.=) '%s' LIMIT 1";

static void judge_locks(struct ddl_run *run, bool waits, const struct lock_party *waiter)
{
    char name[128];
    lock_party_name(waiter, name, sizeof name);
    if (waiter->pid != 0)
        run->ended = error_set(&run->error, -EAGAIN, "pg_dump held a lock that %s waits for", name);
    else if (waits && run->waited)
        run->ended = error_set(&run->error, -EBUSY, "pg_dump waited for a lock");
    run->waited = waits;
}

static void end_snapshot(struct ddl_run *run)
{
    if (run->exporter == NULL)
        return;
    connection_end(session_connection(run->exporter));
    session_give(run->exporter);
    run->exporter = NULL;
}

static int find_backend(const struct ddl_run *run, struct connection *connection, int *backend,
                        bool *waits)
{
    bool within = connection_in_transaction(connection);
    char sql[sizeof backend_question + sizeof LOCK_LOOK_WITHIN + sizeof run->application];
    PGresult *rows = NULL;
    snprintf(sql, sizeof sql, backend_question, within ? LOCK_LOOK_WITHIN : "", run->application);
    int rc = connection_question(connection, sql, ROWS_OF("nb"), &rows, NULL);
    *backend = 0;
    if (rc == 0 && PQntuples(rows) == 1) {
        *backend = atoi(PQgetvalue(rows, 0, 0));
        *waits = PQgetvalue(rows, 0, 1)[0] == 't';
    }
    PQclear(rows);
    if (within && connection_usable(connection) && lock_forget_look(connection, NULL) < 0)
        return rc < 0 ? rc : -EIO;
    return rc;
}

/* Looks through `connection`. If a lock on a catalog stops this look, pg_dump is taken to wait for
 * it, too. */
static void look_with(struct ddl_run *run, struct connection *connection)
{
    struct lock_party waiter = {0};
    int backend = 0;
    bool waits = false;
    int rc = find_backend(run, connection, &backend, &waits);
    run->found = rc == 0 && backend != 0;
    if (run->found)
        rc = lock_find_waiters_on(connection, &backend, 1, &waiter, NULL);
    if (rc == -EBUSY || (rc == 0 && run->found))
        judge_locks(run, waits || rc == -EBUSY, &waiter);
}

/* Looks through the exporter, the session that has exported pg_dump's snapshot: it is on pg_dump's
 * server. The exporter is given back as soon as pg_dump is connected and another thread wants a
 * session. */
static void look_with_exporter(struct ddl_run *run)
{
    struct connection *connection = session_connection(run->exporter);
    connection_also_stop(connection, run->stop);
    look_with(run, connection);
    connection_also_stop(connection, NULL);
    if (!session_usable(run->exporter) || (run->found && session_pool_wanted(run->way->pool)))
        end_snapshot(run);
}

/* Looks through a connection of its own, since the pool may lead to a standby, which does not see
 * the primary's backends. */
static void look_directly(struct ddl_run *run)
{
    struct connection *connection = NULL;
    struct cluster theirs = {0};
    struct server *server = NULL;
    struct session *place;
    if (session_place_take_now(run->way->pool, run->stop, &place, NULL) < 0)
        return;
    if (dump_server(run->dump, run->way->direct, "", &server) == 0 &&
        connection_open(server, session_pool_departing(run->way->pool), run->stop, NULL, LOOK_MS,
                        &connection, NULL) == 0 &&
        cluster_read(connection, &theirs, NULL) == 0 && ddl_server_same(run->there, &theirs))
        look_with(run, connection);
    cluster_clear(&theirs);
    connection_close(connection);
    server_free(server);
    session_place_give(place);
}

/* Looks through a session that is free at once; if there is none, pg_dump goes on unseen. */
static void look_with_another(struct ddl_run *run)
{
    struct session *session;
    if (session_take_now(run->way->pool, SESSION_SHORT, run->stop, &session, NULL) < 0)
        return;
    connection_also_stop(session_connection(session), run->stop);
    look_with(run, session_connection(session));
    connection_also_stop(session_connection(session), NULL);
    session_give(session);
}

static int look(void *context)
{
    struct ddl_run *run = context;
    if (run->stop != NULL && atomic_load(run->stop))
        run->ended = error_set(&run->error, -EINTR, "stopped");
    if (run->ended == 0 && clock_ms() >= run->look_at) {
        if (run->exporter != NULL)
            look_with_exporter(run);
        else if (run->way->direct != NULL)
            look_directly(run);
        else
            look_with_another(run);
        run->look_at = clock_ms() + LOOK_MS;
    }
    return run->ended;
}

/* ---- where pg_dump goes ---- */

static int export_from(struct ddl_run *run, struct connection *connection, struct error *error)
{
    static const char question[] = "SELECT pg_catalog.pg_export_snapshot()";
    struct cluster its = {0};
    PGresult *rows = NULL;
    int rc = cluster_read(connection, &its, NULL);
    bool same = rc == 0 && ddl_server_same(run->there, &its);
    cluster_clear(&its);
    if (rc == 0 && !same)
        return ddl_server_elsewhere(error);
    if (rc == 0)
        rc = connection_begin(connection, TRANSACTION_TABLES, NULL, NULL);
    if (rc == 0)
        rc = connection_rows(connection, question, ONE_ROW_OF("t"), &rows, NULL);
    if (rc == 0)
        run->dump->snapshot = strdup(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return 0;
}

/* Pins pg_dump to the server that was asked: several may stand behind one name, or one address.
 * Does nothing without a session at hand, or if the server does not let the role export a snapshot.
 * The session stays in a transaction until pg_dump has ended. */
static int export_snapshot(struct ddl_run *run, struct error *error)
{
    const struct ddl_way *way = run->way;
    struct session *session;
    if (way->direct != NULL || session_pool_limit(way->pool) < PLACES_TO_EXPORT ||
        session_take_now(way->pool, SESSION_JOIN, run->stop, &session, NULL) < 0)
        return 0;
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, run->stop);
    int rc = export_from(run, connection, error);
    connection_also_stop(connection, NULL);
    if (run->dump->snapshot != NULL) {
        run->exporter = session;
        return 0;
    }
    connection_end(connection);
    session_give(session);
    return rc;
}

/* Connects as pg_dump does, in a place of its own, and checks which server it has met. */
static int meet_once(const struct ddl_run *run, struct error *error)
{
    const struct ddl_way *way = run->way;
    char application[sizeof run->application + 8];
    struct connection *connection = NULL;
    struct cluster met = {0};
    struct server *server = NULL;
    struct session *place;
    int rc = session_place_take(way->pool, run->stop, &place, error);
    if (rc < 0)
        return rc;
    snprintf(application, sizeof application, "%s probe", run->application);
    rc = dump_server(run->dump, way->direct != NULL ? way->direct : way->server, application,
                     &server);
    rc = rc < 0 ? error_set(error, rc, "out of memory")
                : connection_open(server, session_pool_departing(way->pool), run->stop, NULL, -1,
                                  &connection, error);
    if (rc == -EUSERS)
        session_place_refused(place);
    if (rc == 0)
        rc = cluster_read(connection, &met, error);
    if (rc == 0 && !ddl_server_same(run->there, &met))
        rc = ddl_server_elsewhere(error);
    cluster_clear(&met);
    connection_close(connection);
    server_free(server);
    session_place_give(place);
    return rc;
}

/* Meets the server this many times. The server may still have pg_dump's connection, which is not
 * ours to watch. */
static int meet(const struct ddl_run *run, int times, struct error *error)
{
    enum { PAUSE_MS = 50, REFUSALS_MOST = 40 };
    int rc = 0, refusals = 0;
    while (times > 0) {
        rc = meet_once(run, error);
        if (rc == 0)
            times--;
        else if (rc != -EUSERS || ++refusals > REFUSALS_MOST)
            return rc;
        else
            usleep(PAUSE_MS * 1000);
    }
    return rc;
}

static int run_in_place(struct ddl_run *run, struct session *place, struct buffer *out,
                        enum dump_failure *failure, struct error *error)
{
    const struct ddl_way *way = run->way;
    run->look_at = clock_ms() + LOOK_MS;
    int rc = ddl_run_reserve(place, &run->room, error);
    if (rc == 0)
        rc = dump_run(run->dump, way->direct != NULL ? way->direct : way->server, run->application,
                      look, run, out, failure, error);
    end_snapshot(run);
    if (rc == -EIO && *failure == DUMP_NOT_CONNECTED)
        session_place_refused(place);
    return run->ended == 0 ? rc : error_set(error, run->ended, "%s", run->error.text);
}

/* Without a snapshot that only the right server has, connections before and after pg_dump's tell
 * which server pg_dump is likely to have met. Two come afterwards, to find out a balancer that
 * takes two servers in turn. A server that is asked directly was met just before. */
static int run_pinned(struct ddl_run *run, struct buffer *out, enum dump_failure *failure,
                      struct error *error)
{
    static atomic_uint number;
    const struct ddl_way *way = run->way;
    struct session *place;
    snprintf(run->application, sizeof run->application, "pgvecfs pg_dump %d-%u", (int)getpid(),
             atomic_fetch_add(&number, 1));
    int rc = session_place_take(way->pool, run->stop, &place, error);
    if (rc < 0)
        return rc;
    rc = export_snapshot(run, error);
    bool pinned = run->exporter != NULL;
    if (rc == 0 && !pinned && way->direct == NULL) {
        session_place_give(place);
        place = NULL;
        rc = meet(run, 1, error);
        if (rc == 0)
            rc = session_place_take(way->pool, run->stop, &place, error);
    }
    if (rc == 0)
        rc = run_in_place(run, place, out, failure, error);
    session_place_give(place);
    bool asked = rc == 0 || (rc == -EIO && *failure == DUMP_FAILED);
    if (!pinned && asked) {
        struct error after = {""};
        int met = meet(run, 2, &after);
        if (met == -EREMCHG || (met < 0 && rc == 0))
            rc = error_set(error, met, "%s", after.text);
    }
    return rc;
}

/* What pg_dump's failure means to the caller, who may try again. */
static int judge_failure(enum dump_failure failure, int rc, struct error *error)
{
    return rc != -EIO                      ? rc
           : failure == DUMP_NOT_CONNECTED ? -EUSERS
           : failure == DUMP_NOT_LOCKED    ? -EAGAIN
           : failure == DUMP_NO_SNAPSHOT   ? ddl_server_elsewhere(error)
                                           : rc;
}

int ddl_run_dump(struct ddl_run *run, struct buffer *out, struct error *error)
{
    enum dump_failure failure = DUMP_FAILED;
    int rc = run_pinned(run, out, &failure, error);
    return judge_failure(failure, rc, error);
}
