/* Sessions, the catalog and the DDL, against a real server. */
#include "tests/unit/test_pgclient.h"

#include "pgclient/ddl.h"
#include "pgclient/search.h"
#include "pgclient/session_parts.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000 + at.tv_nsec / 1000000;
}

static int set_up(void **state)
{
    (void)state;
    test_find_server();
    test_new_database("pgc", "");
    return 0;
}

/* ---- server ---- */

static void strings_are_parsed_and_secrets_kept(void **state)
{
    (void)state;
    struct server *server =
        test_server("host=h port=7 dbname='a b' user=u password='se cret' sslpassword=hidden");
    assert_true(server_has_password(server));
    assert_string_equal(server_name(server), "host='h' port='7' dbname='a b' user='u'");
    server_free(server);

    server = test_server("postgresql://u:se%20cret@h:7/d?keepalives=1");
    assert_true(server_has_password(server));
    assert_string_equal(server_name(server), "host='h' port='7' dbname='d' user='u'");
    server_free(server);

    server = test_server("");
    assert_false(server_has_password(server));
    server_free(server);

    static const char *const wrong[] = {"secret", "password=a secret", "nonsense=secret",
                                        "postgresql://secret:secret@[::1", "password='secret"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct error error = {""};
        assert_int_equal(server_parse(wrong[i], &server, &error), -EINVAL);
        assert_null(strstr(error.text, "secret"));
        assert_true(strlen(error.text) > 20);
    }
}

/* ---- sessions ---- */

static void pool_has_a_limit(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 2);
    struct session *a = test_take(&pool), *b = test_take(&pool), *c = NULL;
    assert_int_equal(session_take_now(pool.pool, SESSION_SHORT, NULL, &c, NULL), -EAGAIN);
    session_give(a);
    c = test_take(&pool);
    session_give(b);
    session_give(c);
    test_pool_free(&pool);
}

struct taker {
    struct test_pool *pool;
    int rc;
    struct session *session;
};

static void *take_waiting(void *argument)
{
    struct taker *waiter = argument;
    waiter->rc = session_take(waiter->pool->pool, SESSION_SHORT, NULL, &waiter->session, NULL);
    return NULL;
}

static void waiting_for_a_session_ends(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *held = test_take(&pool);
    struct taker waiter = {.pool = &pool};
    pthread_t thread;
    pthread_create(&thread, NULL, take_waiting, &waiter);
    usleep(50000);
    session_give(held);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, 0);

    struct taker second = {.pool = &pool};
    pthread_create(&thread, NULL, take_waiting, &second);
    usleep(50000);
    session_pool_stop(pool.pool);
    pthread_join(thread, NULL);
    assert_int_equal(second.rc, -EINTR);
    session_give(waiter.session);
    test_pool_free(&pool);
}

/* ---- the pool's order; places need no connection ---- */

enum { IN_LINE = 6 };

struct line {
    struct test_pool *pool;
    pthread_mutex_t lock;
    int order[IN_LINE], count; /* guarded by lock */
};

struct in_line {
    struct line *line;
    int number;
    pthread_t thread;
};

static void *take_and_note(void *argument)
{
    struct in_line *me = argument;
    struct session *place;
    if (session_place_take(me->line->pool->pool, NULL, &place, NULL) != 0)
        return NULL;
    pthread_mutex_lock(&me->line->lock);
    me->line->order[me->line->count++] = me->number;
    pthread_mutex_unlock(&me->line->lock);
    session_place_give(place);
    return NULL;
}

static void who_waits_is_served_in_order(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct line line = {.pool = &pool, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct in_line waiting[IN_LINE];
    struct session *first;
    assert_int_equal(session_place_take(pool.pool, NULL, &first, NULL), 0);
    assert_false(session_pool_wanted(pool.pool));
    for (int i = 0; i < IN_LINE; i++) {
        waiting[i] = (struct in_line){.line = &line, .number = i};
        pthread_create(&waiting[i].thread, NULL, take_and_note, &waiting[i]);
        usleep(30000);
    }
    assert_true(session_pool_wanted(pool.pool));
    session_place_give(first);
    for (int i = 0; i < IN_LINE; i++)
        pthread_join(waiting[i].thread, NULL);
    assert_int_equal(line.count, IN_LINE);
    for (int i = 0; i < IN_LINE; i++)
        assert_int_equal(line.order[i], i);
    assert_false(session_pool_wanted(pool.pool));
    test_pool_free(&pool);
}

static struct session *take_now(struct test_pool *pool, enum session_purpose purpose, int expected)
{
    struct session *session = NULL;
    assert_int_equal(session_take_now(pool->pool, purpose, NULL, &session, NULL), expected);
    return session;
}

static void purposes_have_their_places(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 4);
    struct session *taken[4] = {take_now(&pool, SESSION_USER, 0), take_now(&pool, SESSION_USER, 0)};
    take_now(&pool, SESSION_USER, -EAGAIN); /* so that tables get on */
    taken[2] = take_now(&pool, SESSION_FETCH, 0);
    take_now(&pool, SESSION_FETCH, -EAGAIN); /* the last one is kept for short questions */
    take_now(&pool, SESSION_JOIN, -EAGAIN);
    taken[3] = take_now(&pool, SESSION_SHORT, 0);
    take_now(&pool, SESSION_SHORT, -EAGAIN);
    for (int i = 0; i < 4; i++)
        session_give(taken[i]);
    test_pool_free(&pool);

    for (int limit = 1; limit <= 2; limit++) { /* too few to keep any */
        pool = test_pool("pgc", "", limit);
        for (enum session_purpose purpose = 0; purpose < SESSION_PURPOSES; purpose++)
            session_give(take_now(&pool, purpose == SESSION_PLACE ? SESSION_SHORT : purpose, 0));
        test_pool_free(&pool);
    }
}

static void nobody_joins_while_others_wait(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 3);
    struct session *leader = take_now(&pool, SESSION_FETCH, 0),
                   *joined = take_now(&pool, SESSION_JOIN, 0);
    struct line line = {.pool = &pool, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct in_line waiting = {.line = &line};
    pthread_create(&waiting.thread, NULL, take_and_note, &waiting);
    while (!session_pool_wanted(pool.pool))
        usleep(1000);
    session_give(joined);
    pthread_join(waiting.thread, NULL);
    assert_int_equal(line.count, 1);
    session_give(take_now(&pool, SESSION_JOIN, 0));
    session_give(leader);
    test_pool_free(&pool);
}

static void who_waits_can_be_stopped(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *held = take_now(&pool, SESSION_FETCH, 0), *none = NULL;
    atomic_bool stop = true;
    assert_int_equal(session_take(pool.pool, SESSION_FETCH, &stop, &none, NULL), -EINTR);
    session_give(held);
    test_pool_free(&pool);
}

static void a_place_closes_what_is_idle(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "application_name=placed", 1);
    session_give(test_take(&pool));
    struct session *place;
    assert_int_equal(session_place_take(pool.pool, NULL, &place, NULL), 0);
    char *left = NULL;
    for (int i = 0; i < 200 && (left == NULL || *left != '0'); i++, usleep(20000)) {
        free(left);
        left = test_value("pgc", "SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                                 "'placed'");
    }
    assert_string_equal(left, "0");
    free(left);
    session_place_give(place);
    test_pool_free(&pool);
}

/* The role may have one connection: who is refused another waits for it. */
static void a_refused_session_waits_for_one_of_the_pools_own(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS lonely");
    test_sql("postgres", "CREATE ROLE lonely LOGIN CONNECTION LIMIT 1");
    struct test_pool pool = test_pool("pgc", "user=lonely", 4);
    struct session *held = take_now(&pool, SESSION_FETCH, 0);
    take_now(&pool, SESSION_JOIN, -EAGAIN);
    struct taker waiter = {.pool = &pool};
    pthread_t thread;
    pthread_create(&thread, NULL, take_waiting, &waiter);
    usleep(200000);
    session_give(held);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, 0);
    session_give(waiter.session);

    /* There is none of its own: somebody else has the only one. */
    struct test_pool other = test_pool("pgc", "user=lonely", 4);
    struct error error = {""};
    struct session *none;
    assert_int_equal(session_take(other.pool, SESSION_FETCH, NULL, &none, &error), -EUSERS);
    assert_non_null(strstr(error.text, "too many connections for role"));
    assert_non_null(strstr(error.text, "none of its own to wait for"));
    test_pool_free(&other);
    test_pool_free(&pool);
    test_sql("postgres", "DROP ROLE lonely");
}

/* A server that refuses in another language; libpq shows its number only when asked again. */
static void a_refusal_is_known_in_any_language(void **state)
{
    (void)state;
    char folder[] = "/tmp/pgvecfs-test-XXXXXX", conninfo[128], command[1024], socket[64];
    assert_non_null(mkdtemp(folder));
    snprintf(socket, sizeof socket, "%s/.s.PGSQL.5432", folder);
    snprintf(command, sizeof command,
             "python3 -c \"\n"
             "import os, socket\n"
             "s = socket.socket(socket.AF_UNIX); s.bind('%s.new'); s.listen(); s.settimeout(20)\n"
             "os.rename('%s.new', '%s')\n"
             "words = b'SFATALE\\0VFATAL\\0C53300\\0Mtroppi client\\0\\0'\n"
             "for _ in range(2):\n"
             "    c, _ = s.accept(); c.recv(9999)\n"
             "    c.sendall(b'E' + (len(words) + 4).to_bytes(4, 'big') + words); c.close()\n"
             "\" &",
             socket, socket, socket);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < 1000 && access(socket, F_OK) != 0; i++)
        usleep(20000);
    snprintf(conninfo, sizeof conninfo, "host=%s port=5432", folder);
    struct test_pool pool = test_pool("x", conninfo, 1);
    struct session *none;
    struct error error = {""};
    assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &none, &error), -EUSERS);
    assert_non_null(strstr(error.text, "troppi client"));
    test_pool_free(&pool);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

static void given_back_in_any_state(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    int backend = connection_backend(session_connection(session));
    assert_int_equal(connection_run(session_connection(session), "BEGIN; SELECT 1/0", NULL), -EIO);
    session_give(session);
    session = test_take(&pool);
    assert_int_equal(connection_backend(session_connection(session)), backend);
    assert_false(connection_in_transaction(session_connection(session)));
    session_give(session);
    test_pool_free(&pool);
}

static int count_of(const char *sql)
{
    char *value = test_value("pgc", sql);
    int n = atoi(value);
    free(value);
    return n;
}

static int backend_of(struct session *session)
{
    return connection_backend(session_connection(session));
}

static void end_backend(int backend)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", backend);
    test_sql("postgres", sql);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %d", backend);
    while (count_of(sql) > 0)
        usleep(1000);
}

static void what_is_old_is_lent_no_more(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    int backend = backend_of(session);
    session->connected_at -= POOL_AGE_MS - 10000; /* not yet */
    session_give(session);
    session_pool_tend(pool.pool);
    assert_ptr_equal(test_take(&pool), session);
    assert_int_equal(backend_of(session), backend);
    session->connected_at -= 10000;
    session_give(session);
    assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &session, NULL), 0);
    assert_int_not_equal(backend_of(session), backend);
    session_give(session);
    session->connected_at -= POOL_AGE_MS;
    session_pool_tend(pool.pool);
    assert_null(pool.pool->sessions);
    test_pool_free(&pool);
}

/* The connections know no limit that is made later. What one that is new is told ends the others:
 * the idle ones at once, those in use when they are given back. */
static void other_settings_of_the_role_end_connections(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "ALTER DATABASE pgc SET pgvecfs_test.made_up = 'a'",
        "ALTER ROLE CURRENT_USER IN DATABASE pgc SET work_mem = '9MB'",
        "ALTER ROLE CURRENT_USER IN DATABASE pgc RESET work_mem",
        "ALTER DATABASE pgc RESET pgvecfs_test.made_up"};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct test_pool pool = test_pool("pgc", "", 4);
        struct session *used = test_take(&pool), *idle = test_take(&pool),
                       *fresh = test_take(&pool);
        session_give(fresh);
        assert_ptr_equal(test_take(&pool), fresh); /* nothing has changed yet */
        session_give(idle);
        test_sql("postgres", changes[i]);
        struct session *newest = NULL;
        session_give(fresh);
        end_backend(backend_of(fresh));
        assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &newest, NULL), 0);
        assert_int_equal(pool.pool->count, 2);
        session_give(used);
        assert_int_equal(pool.pool->count, 1);
        session_give(newest);
        assert_int_equal(pool.pool->count, 1);
        test_pool_free(&pool);
    }
}

static void errors_have_the_servers_words(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    struct error error = {""};
    assert_int_equal(connection_run(session_connection(session), "SELECT * FROM nowhere", &error),
                     -ENOENT);
    assert_string_equal(error.text, "relation \"nowhere\" does not exist (SQLSTATE 42P01)");
    assert_string_equal(connection_state(session_connection(session)), "42P01");
    assert_int_equal(connection_begin(session_connection(session), TRANSACTION_TABLES,
                                      "CREATE TABLE t ()", &error),
                     -EIO);
    assert_non_null(strstr(error.text, "read-only transaction"));
    assert_false(connection_in_transaction(session_connection(session)));
    session_give(session);
    test_pool_free(&pool);

    pool = test_pool("no_such_database", "", 1);
    assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &session, &error), -ENOTCONN);
    assert_non_null(strstr(error.text, "no_such_database"));
    test_pool_free(&pool);
}

static void *stop_soon(void *argument)
{
    usleep(100000);
    session_stop(argument);
    return NULL;
}

static void stop_ends_a_blocked_lock(void **state)
{
    (void)state;
    test_sql("pgc", "CREATE TABLE locked (a int)");
    PGconn *holder = PQconnectdb("dbname=pgc");
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE locked"));
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    int backend = connection_backend(session_connection(session));
    pthread_t thread;
    pthread_create(&thread, NULL, stop_soon, session);
    int64_t start = now_ms();
    struct error error = {""};
    assert_int_equal(connection_run(session_connection(session),
                                    "BEGIN; LOCK TABLE public.locked IN ACCESS SHARE MODE", &error),
                     -EINTR);
    assert_true(now_ms() - start < 10000);
    pthread_join(thread, NULL);
    session_give(session);
    /* The server was asked to cancel: its backend waits no longer. */
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'", backend);
    int left = 1;
    for (int i = 0; i < 500 && left > 0; i++, usleep(20000))
        left = count_of(sql);
    assert_int_equal(left, 0);
    PQfinish(holder);
    session = test_take(&pool);
    session_give(session);
    test_pool_free(&pool);
}

struct late {
    struct session *session;
    int backend;
};

/* Lets the backend go on only after the server has been asked to cancel. */
static void *stop_before_it_begins(void *argument)
{
    const struct late *late = argument;
    usleep(100000);
    session_stop(late->session);
    usleep(500000);
    kill(late->backend, SIGCONT);
    return NULL;
}

static void stop_ends_what_had_not_begun(void **state)
{
    (void)state;
    test_sql("pgc", "CREATE TABLE locked_late (a int)");
    PGconn *holder = PQconnectdb("dbname=pgc");
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE locked_late"));
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    struct connection *connection = session_connection(session);
    /* Nothing else may end it. */
    assert_int_equal(connection_run(connection, "SET client_connection_check_interval = 0", NULL),
                     0);
    struct late late = {session, connection_backend(connection)};
    assert_int_equal(kill(late.backend, SIGSTOP), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, stop_before_it_begins, &late);
    assert_int_equal(connection_run(connection,
                                    "BEGIN; LOCK TABLE public.locked_late IN ACCESS SHARE MODE",
                                    NULL),
                     -EINTR);
    session_give(session);
    pthread_join(thread, NULL);
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %d", late.backend);
    int left = 1;
    for (int i = 0; i < 500 && left > 0; i++, usleep(20000))
        left = count_of(sql);
    assert_int_equal(left, 0);
    PQfinish(holder);
    test_pool_free(&pool);
}

/* Takes connections and says nothing, as long as its folder is there. The socket has its name only
 * when it listens. */
static const char silent_server[] =
    "python3 -c \"import os,socket,time; s=socket.socket(socket.AF_UNIX); f='%s/'; "
    "s.bind(f+'new'); "
    "s.listen(); os.rename(f+'new', f+'.s.PGSQL.5432')\n"
    "for i in range(600):\n if os.path.exists(f): time.sleep(0.1)\" &";

static struct test_pool silent_pool(char *folder)
{
    char path[64], conninfo[128], command[512];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/.s.PGSQL.5432", folder);
    snprintf(command, sizeof command, silent_server, folder);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < 3000 && access(path, F_OK) < 0; i++)
        usleep(10000);
    snprintf(conninfo, sizeof conninfo, "host=%s port=5432 connect_timeout=60", folder);
    return test_pool("x", conninfo, 1);
}

static void silent_pool_free(struct test_pool *pool, const char *folder)
{
    char command[64];
    test_pool_free(pool);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
    assert_true(session_helpers_ended(30000)); /* the abandoned attempt ends with the server */
}

static void stop_ends_connecting(void **state)
{
    (void)state;
    char folder[] = "/tmp/pgvecfs-test-XXXXXX";
    struct test_pool pool = silent_pool(folder);
    struct taker waiter = {.pool = &pool};
    pthread_t thread;
    pthread_create(&thread, NULL, take_waiting, &waiter);
    usleep(200000);
    int64_t start = now_ms();
    session_pool_stop(pool.pool);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.rc, -EINTR);
    assert_true(now_ms() - start < 20000); /* long before the 60 s */
    silent_pool_free(&pool, folder);
}

static void an_attempt_that_is_given_up_keeps_its_place(void **state)
{
    (void)state;
    char folder[] = "/tmp/pgvecfs-test-XXXXXX";
    struct test_pool pool = silent_pool(folder);
    atomic_bool stop = true;
    struct session *none;
    take_now(&pool, SESSION_SHORT, -ETIMEDOUT);
    take_now(&pool, SESSION_SHORT, -EAGAIN);
    assert_int_equal(session_take(pool.pool, SESSION_SHORT, &stop, &none, NULL), -EINTR);
    silent_pool_free(&pool, folder);
}

static void a_backend_keeps_its_place_until_it_has_ended(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS lonely");
    test_sql("postgres", "CREATE ROLE lonely LOGIN CONNECTION LIMIT 1");
    test_sql("pgc", "CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS "
                    "'BEGIN PERFORM pg_sleep(60);"
                    " EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(1.5); END'");
    struct test_pool pool = test_pool("pgc", "user=lonely", 2);
    struct session *session = test_take(&pool);
    pthread_t thread;
    pthread_create(&thread, NULL, stop_soon, session);
    assert_int_equal(connection_run(session_connection(session), "SELECT public.stubborn()", NULL),
                     -EINTR);
    pthread_join(thread, NULL);
    session_give(session);
    assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &session, NULL), 0);
    session_give(session);
    test_pool_free(&pool);
    test_sql("pgc", "DROP FUNCTION stubborn()");
}

/* As a daemon does once it has found its server. */
static void places_come_free_after_a_fork(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool), *place;
    int status = -1;
    int backend = connection_backend(session_connection(session));
    assert_int_equal(kill(backend, SIGSTOP), 0);
    session_stop(session);
    session_give(session);
    take_now(&pool, SESSION_SHORT, -EAGAIN);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(session_place_take(pool.pool, NULL, &place, NULL) == 0 ? 0 : 1);
    }
    assert_int_equal(kill(backend, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    test_pool_free(&pool);
}

/* A place's old connection has to go first, idle ones having theirs. */
static void a_place_is_not_one_more_beside_idle_ones(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 2);
    struct session *sessions[2] = {test_take(&pool), test_take(&pool)}, *place;
    int backends[2];
    atomic_bool stop = true;
    for (int i = 0; i < 2; i++) {
        backends[i] = connection_backend(session_connection(sessions[i]));
    }
    for (int i = 0; i < 2; i++)
        session_give(sessions[i]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kill(backends[i], SIGSTOP), 0);
    int rc = session_place_take(pool.pool, &stop, &place, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(kill(backends[i], SIGCONT), 0);
    assert_int_equal(rc, -EINTR);
    assert_int_equal(session_place_take(pool.pool, NULL, &place, NULL), 0);
    session_place_give(place);
    test_pool_free(&pool);
}

/* However soon those that are closed then have gone: here they have before. */
static void the_connections_that_were_there_are_room_for_one_less(void **state)
{
    (void)state;
    enum { LIMIT = 8, THERE = 6 };
    struct test_pool pool = test_pool("pgc", "", LIMIT);
    struct session *sessions[LIMIT], *place;
    for (int i = 0; i < THERE; i++)
        sessions[i] = test_take(&pool);
    assert_int_equal(session_place_take(pool.pool, NULL, &place, NULL), 0);
    for (int i = 1; i < THERE; i++) {
        int backend = connection_backend(session_connection(sessions[i]));
        session_give(sessions[i]);
        assert_int_equal(kill(backend, SIGTERM), 0);
        for (int tries = 0; tries < 3000 && kill(backend, 0) == 0; tries++)
            usleep(10000);
    }
    session_place_refused(place);
    session_place_give(place);
    for (int i = 1; i < THERE; i++)
        assert_int_equal(session_take(pool.pool, SESSION_SHORT, NULL, &sessions[i], NULL), 0);
    take_now(&pool, SESSION_SHORT, -EAGAIN);
    for (int i = 0; i < THERE; i++)
        session_give(sessions[i]);
    test_pool_free(&pool);
}

struct kill_at {
    int backend;
    size_t rows;
};

static int kill_backend(void *context, const uint8_t *bytes, size_t size)
{
    struct kill_at *at = context;
    (void)bytes, (void)size;
    if (at->rows++ == 1000) {
        char sql[96];
        snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", at->backend);
        test_sql("pgc", sql);
    }
    return 0;
}

static uint64_t said; /* rows of the last COPY, by the server's word */

static void death_in_mid_copy_is_an_error(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    struct kill_at at = {.backend = connection_backend(session_connection(session))};
    struct error error = {""};
    assert_int_equal(connection_copy(session_connection(session),
                                     "COPY (SELECT repeat('x', 1000) FROM generate_series(1, "
                                     "1000000)) TO STDOUT (FORMAT binary)",
                                     kill_backend, &at, &said, &error),
                     -ENOTCONN);
    assert_true(at.rows < 1000000);
    assert_true(error.text[0] != '\0');
    session_give(session);
    session = test_take(&pool);
    assert_int_equal(connection_run(session_connection(session), "SELECT 1", &error), 0);
    session_give(session);
    test_pool_free(&pool);
}

/* Address space for so many bytes more than now; 0: as before. */
static void limit_memory(size_t more)
{
    static struct rlimit before;
    unsigned long long pages = 0;
    if (more == 0) {
        assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
        return;
    }
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%llu", &pages), 1);
    fclose(statm);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit limit = {pages * (rlim_t)sysconf(_SC_PAGESIZE) + more, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

static int count_row(void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    ++*(int *)context;
    return 0;
}

/* A row that finds no memory will find none the next time, either: the connection is gone, but that
 * is not the reason. */
static void no_memory_for_a_row_is_no_lost_connection(void **state)
{
    (void)state;
    if (getenv("SANITIZED") != NULL)
        skip(); /* a sanitizer's address space is its own */
    struct test_pool pool = test_pool("pgc", "", 1);
    for (int i = 0; i < 2; i++) {
        struct session *session = test_take(&pool);
        struct connection *connection = session_connection(session);
        struct error error = {""};
        int rows = 0, rc;
        limit_memory(64 << 20);
        if (i == 0)
            rc = connection_copy(
                connection,
                "COPY (SELECT 1, '' UNION ALL SELECT 2, repeat('x', 200000000)) TO STDOUT",
                count_row, &rows, &said, &error);
        else
            rc = connection_run(connection, "SELECT repeat('x', 200000000)", &error);
        limit_memory(0);
        assert_int_equal(rc, -ENOMEM);
        assert_non_null(strstr(error.text, "memory"));
        assert_int_equal(rows, i == 0 ? 1 : 0);
        session_give(session);
        session = test_take(&pool);
        assert_int_equal(connection_run(session_connection(session), "SELECT 1", &error), 0);
        session_give(session);
    }
    test_pool_free(&pool);
}

static int refuse_at(void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    return ++*(int *)context == 3 ? -ENOSPC : 0;
}

static void sink_ends_a_copy(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    static const char *const statements[] = {
        "COPY (SELECT generate_series(1, 100000000)) TO STDOUT (FORMAT binary)",
        "COPY (SELECT generate_series(1, 3)) TO STDOUT (FORMAT binary)",
        "COPY (SELECT 1/(5-least(g,5)) FROM generate_series(1,9) g) TO STDOUT (FORMAT binary)",
    };
    for (size_t i = 0; i < 3; i++) {
        int rows = 0;
        int64_t start = now_ms();
        assert_int_equal(connection_copy(session_connection(session), statements[i], refuse_at,
                                         &rows, &said, NULL),
                         -ENOSPC);
        assert_int_equal(rows, 3);
        assert_true(now_ms() - start < 5000);
        assert_true(connection_usable(session_connection(session)));
        assert_int_equal(connection_run(session_connection(session), "SELECT 1", NULL), 0);
    }
    session_give(session);
    test_pool_free(&pool);
}

static int count_rows(void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    ++*(int *)context;
    return 0;
}

static void error_in_mid_copy_is_an_error(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    struct error error = {""};
    int rows = 0;
    assert_int_equal(connection_copy(session_connection(session),
                                     "COPY (SELECT 1 / (5000 - g) FROM generate_series(1, 9999) g) "
                                     "TO STDOUT (FORMAT binary)",
                                     count_rows, &rows, &said, &error),
                     -EIO);
    assert_string_equal(error.text, "division by zero (SQLSTATE 22012)");
    assert_true(connection_usable(session_connection(session)));
    session_give(session);
    test_pool_free(&pool);
}

static void restart_is_recovered_from(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc", "", 2);
    struct session *idle = test_take(&pool), *busy = test_take(&pool);
    session_give(idle);
    test_script("restart");
    struct error error = {""};
    assert_int_equal(connection_run(session_connection(busy), "SELECT 1", &error), -ENOTCONN);
    session_give(busy);
    for (int i = 0; i < 2; i++) {
        struct session *session = test_take(&pool);
        assert_int_equal(connection_run(session_connection(session), "SELECT 1", &error), 0);
        session_give(session);
    }
    test_pool_free(&pool);
}

/* By server versions, as numbers: from the first on, and before the second if there is one. */
static const struct {
    int since, before;
    const char *sql;
} disturbing[] = {
    {0, 0, "search_path = 'public'"},
    {0, 0, "DateStyle = 'German'"},
    {0, 0, "IntervalStyle = 'iso_8601'"},
    {0, 0, "TimeZone = 'Asia/Tokyo'"},
    {0, 0, "extra_float_digits = -5"},
    {0, 0, "bytea_output = 'escape'"},
    {0, 0, "xmlbinary = 'hex'"},
    {0, 0, "row_security = on"},
    {0, 0, "statement_timeout = '2s'"},
    {0, 0, "lock_timeout = '1s'"},
    {0, 0, "idle_in_transaction_session_timeout = '2s'"},
    {140000, 0, "idle_session_timeout = '2s'"},
    {0, 0, "synchronize_seqscans = on"},
    {0, 0, "max_parallel_workers_per_gather = 8"},
    {0, 0, "jit = on"},
    {0, 0, "default_transaction_read_only = off"},
    {0, 0, "quote_all_identifiers = on"},
    {0, 0, "client_encoding = 'LATIN1'"},
    {0, 190000, "standard_conforming_strings = off"},
    {0, 0, "array_nulls = off"},
    {0, 0, "client_min_messages = 'debug5'"},
    {0, 0, "enable_seqscan = off"},
    {0, 160000, "force_parallel_mode = on"},
    {160000, 0, "debug_parallel_query = on"},
    {0, 0, "exit_on_error = on"},
    {0, 0, "transform_null_equals = on"},
    {0, 0, "default_transaction_isolation = 'serializable'"},
    {0, 0, "default_transaction_deferrable = on"},
};

static char *settings_of(const char *more)
{
    struct test_pool pool = test_pool("pgc", more, 1);
    struct session *session = test_take(&pool);
    PGresult *row = NULL;
    struct error error = {""};
    /* What decides how the next transaction begins, and when an idle session ends, is not ours. */
    if (connection_read(session_connection(session), TRANSACTION_TABLES,
                        "SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM "
                        "pg_catalog.pg_settings"
                        " WHERE name !~ '^default_transaction_' AND name NOT IN "
                        "('idle_session_timeout', 'transaction_deferrable')",
                        ANYTHING, &row, &error) != 0)
        fail_msg("%s", error.text);
    char *settings = strdup(PQgetvalue(row, 0, 0));
    PQclear(row);
    session_give(session);
    test_pool_free(&pool);
    return settings;
}

static void settings_of_roles_and_databases_change_nothing(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS odd");
    test_sql("postgres", "CREATE ROLE odd SUPERUSER LOGIN");
    char *before = settings_of("user=odd");
    int version = count_of("SHOW server_version_num");
    for (size_t i = 0; i < sizeof disturbing / sizeof *disturbing; i++) {
        char sql[256];
        if (version < disturbing[i].since ||
            (disturbing[i].before > 0 && version >= disturbing[i].before))
            continue;
        snprintf(sql, sizeof sql, i % 2 ? "ALTER ROLE odd SET %s" : "ALTER DATABASE pgc SET %s",
                 disturbing[i].sql);
        test_sql("postgres", sql);
    }
    char *after = settings_of("user=odd");
    assert_string_equal(before, after);
    free(before);
    free(after);
    test_sql("postgres", "ALTER DATABASE pgc RESET ALL");
    test_sql("postgres", "DROP ROLE odd");
}

/* Everything about a session that could outlive a transaction of ours. */
static char *session_state(struct connection *connection)
{
    PGresult *row = NULL;
    struct error error = {""};
    if (connection_rows(connection,
                        "SELECT concat_ws(E'\\n',"
                        " (SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name)"
                        "  FROM pg_settings),"
                        " (SELECT count(*) FROM pg_prepared_statements),"
                        " (SELECT count(*) FROM pg_locks"
                        "  WHERE locktype = 'advisory' AND pid = pg_backend_pid()),"
                        " (SELECT count(*) FROM pg_listening_channels()), pg_my_temp_schema())",
                        ANYTHING, &row, &error) != 0)
        fail_msg("%s", error.text);
    char *state = strdup(PQgetvalue(row, 0, 0));
    PQclear(row);
    return state;
}

static int ignore_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    (void)context, (void)table, (void)place, (void)xmin;
    return 0;
}

static void nothing_outlives_a_transaction(void **state)
{
    (void)state;
    test_sql("pgc", "CREATE TABLE looked_at (a int); INSERT INTO looked_at VALUES (1)");
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    struct connection *connection = session_connection(session);
    struct error error = {""};
    char *before = session_state(connection), *signature = NULL;
    struct catalog *catalog = test_catalog(session);
    const struct relation *relation = test_find(catalog, "public", "looked_at");
    struct readpoint *readpoint = NULL;
    assert_int_equal(ddl_signature(session, &signature, &error), 0);
    assert_int_equal(readpoint_open(session, relation, &readpoint, &error), 0);
    readpoint_close(readpoint);
    assert_int_equal(
        search_rows(session, relation,
                    "set_config('work_mem', '1MB', false) IS NOT NULL AND pg_advisory_lock(1) IS "
                    "NOT NULL",
                    NULL, ignore_row, NULL, &error),
        0);
    char *after = session_state(connection);
    assert_string_equal(before, after);
    free(before), free(after), free(signature);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

static int search_with(struct session *session, const struct relation *relation,
                       const char *condition, struct error *error)
{
    return search_rows(session, relation, condition, NULL, ignore_row, NULL, error);
}

/* What users wrote runs under the role's limits, our own reading does not. */
static void limits_hold_for_users_words(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS limited");
    test_sql("postgres", "CREATE ROLE limited SUPERUSER LOGIN");
    test_sql("postgres", "ALTER ROLE limited SET statement_timeout = '300ms'");
    struct test_pool pool = test_pool("pgc", "user=limited", 1);
    struct session *session = test_take(&pool);
    struct connection *connection = session_connection(session);
    struct error error = {""};
    struct catalog *catalog = test_catalog(session);
    const struct relation *relation = test_find(catalog, "public", "looked_at");
    assert_int_equal(search_with(session, relation, "pg_sleep(5) IS NOT NULL", &error), -EINVAL);
    assert_non_null(strstr(error.text, "statement timeout"));
    assert_int_equal(
        connection_begin(connection, TRANSACTION_TABLES, "SELECT pg_sleep(0.6)", &error), 0);
    connection_end(connection);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);

    pool = test_pool("pgc", "options='-c statement_timeout=300ms'", 1);
    session = test_take(&pool);
    assert_int_equal(connection_begin(session_connection(session), TRANSACTION_USER,
                                      "SELECT pg_sleep(5)", &error),
                     -EIO);
    session_give(session);
    test_pool_free(&pool);
    test_sql("postgres", "DROP ROLE limited");
}

/* ---- catalog ---- */

static void catalog_shows_what_the_role_may_read(void **state)
{
    (void)state;
    test_new_database("pgc_catalog", "");
    test_sql("postgres", "DROP ROLE IF EXISTS reader");
    test_sql("postgres", "CREATE ROLE reader LOGIN");
    test_sql("pgc_catalog",
             "CREATE SCHEMA empty; GRANT USAGE ON SCHEMA empty TO reader; CREATE SCHEMA closed;"
             "CREATE TABLE closed.t (a int); GRANT SELECT ON closed.t TO reader;"
             "CREATE TABLE yes (a int); GRANT SELECT ON yes TO reader;"
             "CREATE TABLE no (a int);"
             "CREATE TABLE all_columns (a int, x int, b int); ALTER TABLE all_columns DROP x;"
             "GRANT SELECT (a, b) ON all_columns TO reader;"
             "CREATE TABLE some_columns (a int, b int); GRANT SELECT (a) ON some_columns TO reader;"
             "CREATE TABLE parent (a int) PARTITION BY RANGE (a);"
             "CREATE TABLE child PARTITION OF parent FOR VALUES FROM (0) TO (9); GRANT SELECT ON "
             "parent, child TO reader;"
             "CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one; "
             "GRANT SELECT ON v, mv TO reader;"
             "CREATE TABLE \"odd \"\"na/me\"\"%\n.\u00fc\U0001F600\" (a int);"
             "GRANT SELECT ON \"odd \"\"na/me\"\"%\n.\u00fc\U0001F600\" TO reader;"
             "CREATE SEQUENCE seq; CREATE TYPE composite AS (a int); CREATE INDEX i ON yes (a)");
    struct test_pool pool = test_pool("pgc_catalog", "user=reader", 1);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    static const char *const expected[] = {
        "all_columns", "child", "mv", "odd \"na/me\"%\n.\u00fc\U0001F600", "parent", "v", "yes"};
    assert_int_equal(catalog->relation_count, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(catalog->relations[i].name, expected[i]);
    assert_int_equal(catalog->schema_count, 2);
    assert_string_equal(catalog->schemas[0], "empty");
    assert_string_equal(catalog->schemas[1], "public");
    const struct relation *child = test_find(catalog, "public", "child"),
                          *parent = test_find(catalog, "public", "parent");
    assert_int_equal(child->parent, parent->oid);
    assert_int_equal(parent->parent, 0);
    assert_int_equal(parent->kind, RELATION_PARTITIONED);
    assert_int_equal(test_find(catalog, "public", "v")->kind, RELATION_VIEW);
    assert_int_equal(test_find(catalog, "public", "mv")->kind, RELATION_MATVIEW);
    assert_string_equal(catalog->role, "reader");
    char *id = test_value("pgc_catalog", "SELECT system_identifier FROM pg_control_system()");
    assert_int_equal(catalog->system_id, strtoull(id, NULL, 10));
    assert_true(catalog->born > 1700000000);
    free(id);
    catalog_free(catalog);

    char *only[] = {(char *)"empty", NULL};
    struct catalog_scope scope = {.schemas = only};
    assert_int_equal(catalog_read(session, &scope, &catalog, NULL), 0);
    assert_int_equal(catalog->schema_count, 1);
    assert_int_equal(catalog->relation_count, 0);
    catalog_free(catalog);

    scope = (struct catalog_scope){.system = true};
    assert_int_equal(catalog_read(session, &scope, &catalog, NULL), 0);
    assert_non_null(test_find(catalog, "pg_catalog", "pg_class"));
    assert_non_null(test_find(catalog, "information_schema", "tables"));
    assert_null(test_find(catalog, "pg_catalog", "pg_authid"));
    /* pg_authid is there, though the role may not read it. */
    const uint32_t oids[] = {1, 2, 1259, 1260, UINT32_MAX};
    bool there[] = {true, true, false, false, true};
    assert_int_equal(catalog_has(session, oids, 5, there, NULL), 0);
    assert_true(!there[0] && !there[1] && there[2] && there[3] && !there[4]);
    for (size_t i = 0; i < catalog->schema_count; i++)
        assert_true(strncmp(catalog->schemas[i], "pg_toast", 8) != 0);
    catalog_free(catalog);

    /* A role that may not ask for the system's identifier gets another, always the same. */
    test_sql("pgc_catalog", "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    catalog = test_catalog(session);
    struct catalog *again = test_catalog(session);
    assert_int_equal(catalog->system_id, again->system_id);
    assert_int_not_equal(catalog->system_id, 0);
    assert_int_equal(catalog->born, 0);
    catalog_free(catalog);
    catalog_free(again);
    session_give(session);
    test_pool_free(&pool);
    test_new_database("pgc_catalog", "");
    test_sql("postgres", "DROP ROLE reader");
}

static char *mark_of(struct session *session)
{
    char *mark = NULL;
    struct error error = {""};
    if (catalog_mark(session, &mark, &error) != 0)
        fail_msg("%s", error.text);
    return mark;
}

static void mark_changes_with_what_is_visible(void **state)
{
    (void)state;
    test_sql("pgc", "CREATE TABLE marked (a int)");
    struct test_pool pool = test_pool("pgc", "", 1);
    struct session *session = test_take(&pool);
    char *a = mark_of(session), *b = mark_of(session);
    assert_string_equal(a, b);
    test_sql("pgc", "INSERT INTO marked VALUES (1)");
    char *c = mark_of(session);
    assert_string_not_equal(b, c);
    free(a), free(b), free(c);
    session_give(session);
    test_pool_free(&pool);
}

/* ---- DDL ---- */

static struct ddl_way way_of(const struct test_pool *pool)
{
    return (struct ddl_way){.pool = pool->pool, .server = pool->server, .secret = "any secret"};
}

static char *ddl_of(struct test_pool *pool, const struct relation *relation)
{
    struct buffer out = {0};
    struct error error = {""};
    atomic_bool stop = false;
    struct ddl_way way = way_of(pool);
    if (ddl_read(&way, relation, NULL, LOCK_PATIENCE_MS, &stop, &out, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(buffer_append_byte(&out, 0), 0);
    return (char *)out.data;
}

static void ddl_is_that_of_the_relation_alone(void **state)
{
    (void)state;
    static const char *const names[] = {"plain", "a\"b",           "a*b?",      "a.b",
                                        "a|(b)", "a$b^[x]{2}+\\d", "new\nline", "\u00fc %s 'q'",
                                        "UPPER", "--table",        "a,b",       "tab\there"};
    test_new_database("pgc_ddl", "");
    test_sql("pgc_ddl", "CREATE EXTENSION vector; CREATE TABLE other (a int); CREATE TABLE axb (a "
                        "int); CREATE TABLE aab (a int)");
    PGconn *pg = PQconnectdb("dbname=pgc_ddl client_encoding=UTF8");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char sql[512];
        char *quoted = PQescapeIdentifier(pg, names[i], strlen(names[i]));
        snprintf(sql, sizeof sql, "CREATE TABLE %s (mine%zu vector(3)[])", quoted, i);
        PQclear(PQexec(pg, sql));
        PQfreemem(quoted);
    }
    PQfinish(pg);
    struct test_pool pool = test_pool("pgc_ddl", "", 3);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct relation *relation = test_find(catalog, "public", names[i]);
        assert_non_null(relation);
        char *ddl = ddl_of(&pool, relation), *again = ddl_of(&pool, relation), column[32];
        assert_string_equal(ddl, again);
        snprintf(column, sizeof column, "mine%zu public.vector(3)[]", i);
        assert_non_null(strstr(ddl, column));
        const char *table = strstr(ddl, "CREATE TABLE ");
        assert_non_null(table);
        assert_null(strstr(table + 1, "CREATE TABLE "));
        const char *extension = strstr(ddl, "CREATE EXTENSION IF NOT EXISTS vector");
        assert_true(extension != NULL && extension < table);
        assert_null(strstr(ddl, "Dumped"));
        assert_non_null(strstr(ddl, "\n\\restrict "));
        free(ddl);
        free(again);
    }
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

static void ddl_keeps_lines_that_only_look_like_pg_dumps(void **state)
{
    (void)state;
    test_sql("pgc_ddl",
             "CREATE VIEW tricky AS SELECT E'x\n\\\\unrestrict abc\n-- Dumped from x\n' AS a");
    struct test_pool pool = test_pool("pgc_ddl", "", 3);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    char *ddl = ddl_of(&pool, test_find(catalog, "public", "tricky"));
    assert_non_null(strstr(ddl, "unrestrict abc\n-- Dumped from x\n"));
    assert_null(strstr(ddl, "15."));
    free(ddl);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

static void *set_flag(void *argument)
{
    usleep(400000);
    atomic_store((atomic_bool *)argument, true);
    return NULL;
}

static void ddl_fails_in_words_and_stops(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgc_ddl", "", 3);
    struct error error = {""};
    struct buffer out = {0};
    atomic_bool stop = false;
    struct ddl_way way = way_of(&pool);
    test_sql("pgc_ddl", "CREATE VIEW others AS SELECT a FROM other");
    struct relation gone = {.oid = 1, .schema = "s", .name = "t"};
    assert_int_equal(ddl_read(&way, &gone, NULL, LOCK_PATIENCE_MS, &stop, &out, &error), -ENOENT);

    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    PGconn *holder = PQconnectdb("dbname=pgc_ddl");
    PQclear(PQexec(holder, "BEGIN; LOCK TABLE other"));
    assert_int_equal(ddl_read(&way, test_find(catalog, "public", "other"), NULL, LOCK_PATIENCE_MS,
                              &stop, &out, &error),
                     -EBUSY);
    /* pg_dump itself waits for what a view is made of. */
    pthread_t thread;
    pthread_create(&thread, NULL, set_flag, &stop);
    int64_t start = now_ms();
    assert_int_equal(ddl_read(&way, test_find(catalog, "public", "others"), NULL, LOCK_PATIENCE_MS,
                              &stop, &out, &error),
                     -EINTR);
    assert_true(now_ms() - start < 10000);
    assert_int_equal(out.size, 0);
    pthread_join(thread, NULL);
    atomic_store(&stop, false);
    assert_int_equal(ddl_read(&way, test_find(catalog, "public", "others"), NULL, LOCK_PATIENCE_MS,
                              &stop, &out, &error),
                     -EBUSY);
    PQfinish(holder);

    test_sql("postgres", "DROP ROLE IF EXISTS nobody_much");
    test_sql("postgres", "CREATE ROLE nobody_much LOGIN");
    struct test_pool poor = test_pool("pgc_ddl", "user=nobody_much", 2);
    struct ddl_way poor_way = way_of(&poor);
    atomic_store(&stop, false);
    assert_int_equal(ddl_read(&poor_way, test_find(catalog, "public", "other"), NULL,
                              LOCK_PATIENCE_MS, &stop, &out, &error),
                     -EACCES);
    assert_non_null(strstr(error.text, "permission denied"));
    test_pool_free(&poor);
    test_sql("postgres", "DROP ROLE nobody_much");
    buffer_clear(&out);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_parsed_and_secrets_kept),
        cmocka_unit_test(pool_has_a_limit),
        cmocka_unit_test(waiting_for_a_session_ends),
        cmocka_unit_test(who_waits_is_served_in_order),
        cmocka_unit_test(purposes_have_their_places),
        cmocka_unit_test(nobody_joins_while_others_wait),
        cmocka_unit_test(who_waits_can_be_stopped),
        cmocka_unit_test(a_place_closes_what_is_idle),
        cmocka_unit_test(a_refused_session_waits_for_one_of_the_pools_own),
        cmocka_unit_test(a_refusal_is_known_in_any_language),
        cmocka_unit_test(given_back_in_any_state),
        cmocka_unit_test(what_is_old_is_lent_no_more),
        cmocka_unit_test(other_settings_of_the_role_end_connections),
        cmocka_unit_test(errors_have_the_servers_words),
        cmocka_unit_test(stop_ends_a_blocked_lock),
        cmocka_unit_test(stop_ends_what_had_not_begun),
        cmocka_unit_test(stop_ends_connecting),
        cmocka_unit_test(an_attempt_that_is_given_up_keeps_its_place),
        cmocka_unit_test(a_backend_keeps_its_place_until_it_has_ended),
        cmocka_unit_test(places_come_free_after_a_fork),
        cmocka_unit_test(a_place_is_not_one_more_beside_idle_ones),
        cmocka_unit_test(the_connections_that_were_there_are_room_for_one_less),
        cmocka_unit_test(death_in_mid_copy_is_an_error),
        cmocka_unit_test(no_memory_for_a_row_is_no_lost_connection),
        cmocka_unit_test(sink_ends_a_copy),
        cmocka_unit_test(error_in_mid_copy_is_an_error),
        cmocka_unit_test(restart_is_recovered_from),
        cmocka_unit_test(settings_of_roles_and_databases_change_nothing),
        cmocka_unit_test(nothing_outlives_a_transaction),
        cmocka_unit_test(limits_hold_for_users_words),
        cmocka_unit_test(catalog_shows_what_the_role_may_read),
        cmocka_unit_test(mark_changes_with_what_is_visible),
        cmocka_unit_test(ddl_is_that_of_the_relation_alone),
        cmocka_unit_test(ddl_keeps_lines_that_only_look_like_pg_dumps),
        cmocka_unit_test(ddl_fails_in_words_and_stops),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
