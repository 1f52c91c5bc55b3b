#include "pgclient/ddl.h"

#include "codec/clock.h"
#include "pgclient/cluster.h"
#include "pgclient/ddl_text.h"
#include "pgclient/dump.h"
#include "pgclient/lock.h"
#include "pgclient/lock_room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* pg_dump's place, and that of the session whose snapshot it has. */
enum { LOOK_MS = 1000, PLACES_TO_EXPORT = 2 };

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

static bool same_server(const struct cluster *a, const struct cluster *b)
{
    return a->system_id == b->system_id && a->database == b->database &&
           strcmp(a->run, b->run) == 0;
}

static int fail_elsewhere(struct error *error)
{
    return error_set(error, -EREMCHG,
                     "several servers stand behind one address: pg_dump, or a connection before or "
                     "after it, has met another than the one that was asked");
}

/* Opens a connection to where pg_dump will connect, after it has been proved to be the right
 * server, `theirs`.
 */
static int open_direct(const struct ddl_way *way, const struct cluster *ours,
                       const atomic_bool *stop, struct connection **out, struct cluster *theirs,
                       struct error *error)
{
    struct connection *connection;
    int rc = connection_open(way->direct, session_pool_departing(way->pool), stop, NULL, -1,
                             &connection, error);
    if (rc < 0) {
        error_prefix(error, "`direct`");
        return rc;
    }
    if (connection_is_pooled(connection))
        rc = error_set(error, -EIO, "`direct` leads to a pooler, too");
    else if ((rc = cluster_read(connection, theirs, error)) == 0)
        rc = compare_clusters(ours, theirs, error);
    if (rc < 0)
        connection_close(connection);
    else
        *out = connection;
    return rc;
}

int ddl_check_direct(const struct ddl_way *way, const atomic_bool *stop, struct error *error)
{
    struct cluster ours = {0}, theirs = {0};
    struct connection *connection = NULL;
    struct session *place = NULL;
    int rc = read_ours(way, stop, &ours, error);
    if (rc == 0)
        rc = session_place_take(way->pool, stop, &place, error);
    if (rc == 0)
        rc = open_direct(way, &ours, stop, &connection, &theirs, error);
    connection_close(connection);
    session_place_give(place);
    cluster_clear(&ours);
    cluster_clear(&theirs);
    return rc;
}

/* ---- what pg_dump has to be asked for ---- */

static int reserve(struct session *session, const struct lock_room *room, struct error *error)
{
    int rc = lock_room_reserve(session, room, error);
    return rc == -EBUSY ? -ENOLCK : rc;
}

/* pg_dump's LOCK TABLE, and ours before it, takes a table with all that inherits from it. `session`
 * has the locks reserved that the connection, its own or another, will take. */
static int take_room(struct connection *connection, struct session *session,
                     const struct relation *relation, struct lock_room *room, struct error *error)
{
    if (relation->kind != RELATION_TABLE && relation->kind != RELATION_PARTITIONED)
        return 0;
    int rc = lock_room_ask(connection, relation, room, error);
    return rc < 0 ? rc : reserve(session, room, error);
}

static int ask_directly(const struct ddl_way *way, const struct cluster *ours,
                        const struct relation *relation, int lock_ms, const atomic_bool *stop,
                        struct dump *dump, struct lock_room *room, struct cluster *theirs,
                        struct error *error)
{
    struct connection *connection = NULL;
    struct session *place;
    int rc = session_place_take(way->pool, stop, &place, error);
    if (rc < 0)
        return rc;
    rc = open_direct(way, ours, stop, &connection, theirs, error);
    if (rc == 0) {
        connection_lock_patience(connection, lock_ms);
        rc = take_room(connection, place, relation, room, error);
    }
    if (rc == 0)
        rc = dump_ask(connection, relation, dump, error);
    connection_close(connection);
    session_place_give(place);
    return rc;
}

static int ask_session(const struct ddl_way *way, const struct relation *relation, int lock_ms,
                       const atomic_bool *stop, struct dump *dump, struct lock_room *room,
                       struct cluster *ours, struct error *error)
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
    else if ((rc = cluster_read(connection, ours, error)) == 0)
        rc = take_room(connection, session, relation, room, error);
    if (rc == 0)
        rc = dump_ask(connection, relation, dump, error);
    connection_also_stop(connection, NULL);
    session_give(session);
    return rc;
}

/* ---- one run of pg_dump, watched ---- */

struct run {
    const struct ddl_way *way;
    const atomic_bool *stop;
    struct dump *dump;
    struct lock_room room;       /* that its locks take */
    const struct cluster *there; /* the server that pg_dump has to meet */
    char application[48];        /* by which its backend is found */
    int64_t look_at;             /* clock_ms() of the next look at its locks */
    struct session *exporter;    /* whose snapshot it has; NULL: none, or no longer */
    bool found;                  /* its backend, at the last look */
    bool waited;                 /* for a lock, at the last look */
    int ended;                   /* why it had to be ended; 0: it did not */
    struct error error;
};

/* Its backend, and whether that waits for a lock. Depends on no setting. */
static const char backend_question[] =
    "%s SELECT d.pid, EXISTS (SELECT FROM pg_catalog.pg_locks l"
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

static int find_backend(const struct run *run, struct connection *connection, int *backend,
                        bool *waits)
{
    bool within = connection_in_transaction(connection);
    char sql[sizeof backend_question + sizeof LOCK_LOOK_WITHIN + sizeof run->application];
    PGresult *rows = NULL;
    snprintf(sql, sizeof sql, backend_question, within ? LOCK_LOOK_WITHIN : "", run->application);
    int rc = connection_question(connection, sql, ROWS_OF(2), &rows, NULL);
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

/* Whoever runs into a lock on a catalog when he looks takes it that pg_dump does, too. */
static void look_with(struct run *run, struct connection *connection)
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

/* The server of the one whose snapshot pg_dump has is pg_dump's. He goes as soon as pg_dump is there
 * and somebody wants a session. */
static void look_with_exporter(struct run *run)
{
    struct connection *connection = session_connection(run->exporter);
    connection_also_stop(connection, run->stop);
    look_with(run, connection);
    connection_also_stop(connection, NULL);
    if (!session_usable(run->exporter) || (run->found && session_pool_wanted(run->way->pool)))
        end_snapshot(run);
}

/* The pool may lead to a standby, which does not see what is on its primary. */
static void look_directly(struct run *run)
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
        cluster_read(connection, &theirs, NULL) == 0 && same_server(run->there, &theirs))
        look_with(run, connection);
    cluster_clear(&theirs);
    connection_close(connection);
    server_free(server);
    session_place_give(place);
}

/* With a session that is to be had at once; without one pg_dump goes on unseen. */
static void look_with_another(struct run *run)
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
    struct run *run = context;
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

static int export_from(struct run *run, struct connection *connection, struct error *error)
{
    static const char question[] = "SELECT pg_catalog.pg_export_snapshot()";
    struct cluster its = {0};
    PGresult *rows = NULL;
    int rc = cluster_read(connection, &its, NULL);
    bool same = rc == 0 && same_server(run->there, &its);
    cluster_clear(&its);
    if (rc == 0 && !same)
        return fail_elsewhere(error);
    if (rc == 0)
        rc = connection_begin(connection, TRANSACTION_TABLES, NULL, NULL);
    if (rc == 0)
        rc = connection_rows(connection, question, ONE_ROW_OF(1), &rows, NULL);
    if (rc == 0)
        run->dump->snapshot = strdup(PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return 0;
}

/* Pins pg_dump to the server that was asked: what stands behind one name, or one address, may be
 * several. Not without a session at hand, nor if the server does not let the role export a snapshot.
 * The session is in a transaction until pg_dump has ended. */
static int export_snapshot(struct run *run, struct error *error)
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

/* Connects as pg_dump does, in a place of its own, and looks whom it has met. */
static int meet_once(const struct run *run, struct error *error)
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
    if (rc == 0 && !same_server(run->there, &met))
        rc = fail_elsewhere(error);
    cluster_clear(&met);
    connection_close(connection);
    server_free(server);
    session_place_give(place);
    return rc;
}

/* So many times. The server may not have let go yet of pg_dump's connection, which is not ours to
 * see off. */
static int meet(const struct run *run, int times, struct error *error)
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

static int run_in_place(struct run *run, struct session *place, struct buffer *out,
                        enum dump_failure *failure, struct error *error)
{
    const struct ddl_way *way = run->way;
    run->look_at = clock_ms() + LOOK_MS;
    int rc = reserve(place, &run->room, error);
    if (rc == 0)
        rc = dump_run(run->dump, way->direct != NULL ? way->direct : way->server, run->application,
                      look, run, out, failure, error);
    end_snapshot(run);
    if (rc == -EIO && *failure == DUMP_NOT_CONNECTED)
        session_place_refused(place);
    return run->ended == 0 ? rc : error_set(error, run->ended, "%s", run->error.text);
}

/* Without a snapshot that the right server has, connections before and after pg_dump's tell
 * where that was likely to go: two afterwards, so that a balancer that takes two servers in turn is
 * found out. What is asked directly was met just before. */
static int run_dump(struct run *run, struct buffer *out, enum dump_failure *failure,
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

/* What its failure means to whoever may try again. */
static int judge_failure(enum dump_failure failure, int rc, struct error *error)
{
    return rc != -EIO                      ? rc
           : failure == DUMP_NOT_CONNECTED ? -EUSERS
           : failure == DUMP_NOT_LOCKED    ? -EAGAIN
           : failure == DUMP_NO_SNAPSHOT   ? fail_elsewhere(error)
                                           : rc;
}

int ddl_read(const struct ddl_way *way, const struct relation *relation, const char *signature,
             int lock_ms, const atomic_bool *stop, struct buffer *out, struct error *error)
{
    struct dump dump = {0};
    struct cluster ours = {0}, theirs = {0};
    struct buffer bytes = {0};
    struct run run = {
        .way = way, .stop = stop, .dump = &dump, .there = way->direct != NULL ? &theirs : &ours};
    enum dump_failure failure = DUMP_FAILED;
    bool direct = way->direct != NULL;
    int rc = direct ? read_ours(way, stop, &ours, error)
                    : ask_session(way, relation, lock_ms, stop, &dump, &run.room, &ours, error);
    if (rc == 0 && signature != NULL && !ddl_signature_is_of(signature, &ours))
        rc = fail_elsewhere(error);
    if (rc == 0 && direct)
        rc = ask_directly(way, &ours, relation, lock_ms, stop, &dump, &run.room, &theirs, error);
    if (rc == 0) {
        rc = run_dump(&run, &bytes, &failure, error);
        rc = judge_failure(failure, rc, error);
    }
    if (rc == 0 && (rc = ddl_text(&bytes, way->secret, out)) < 0)
        error_set(error, rc, "the DDL cannot be kept: %s", strerror(-rc));
    buffer_clear(&bytes);
    cluster_clear(&ours);
    cluster_clear(&theirs);
    dump_clear(&dump);
    return rc;
}
