#include "pgclient/lock.h"

#include "tests/unit/test_pgclient.h"

/* Somebody else: a connection of its own. */
static PGconn *other(const char *name)
{
    char conninfo[128];
    snprintf(conninfo, sizeof conninfo, "dbname=locks application_name=%s", name);
    PGconn *pg = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(pg), CONNECTION_OK);
    return pg;
}

static void does(PGconn *pg, const char *sql)
{
    PGresult *result = PQexec(pg, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQerrorMessage(pg));
    PQclear(result);
}

static uint32_t oid_of(const char *name)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT '%s'::regclass::oid", name);
    char *value = test_value("locks", sql);
    uint32_t oid = (uint32_t)strtoul(value, NULL, 10);
    free(value);
    return oid;
}

static void make_database(void)
{
    test_new_database("locks", "");
    test_sql("locks", "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int, t text);"
                      "CREATE VIEW v AS SELECT a.id FROM a JOIN b ON a.id = b.id;"
                      "CREATE VIEW w AS TABLE v; CREATE MATERIALIZED VIEW m AS TABLE a;"
                      "CREATE TABLE p (id int) PARTITION BY LIST (id);"
                      "CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);"
                      "CREATE TABLE \"odd \"\"name\" (id int)");
}

static struct lock_party holder_of(struct session *session, const char *name)
{
    struct lock_party party = {.pid = -1};
    struct error error = {""};
    if (lock_find_holder(session, oid_of(name), &party, &error) != 0)
        fail_msg("%s", error.text);
    return party;
}

static void holders_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *lock, *read, *named;
    } cases[] = {
        {"LOCK TABLE a", "a", "public.a"},
        {"LOCK TABLE b", "v", "public.b"},
        {"LOCK TABLE b", "w", "public.b"},
        {"LOCK TABLE ONLY p1", "p", "public.p1"},
        {"REINDEX INDEX a_pkey", "a", "public.a_pkey"},
        {"REINDEX INDEX a_pkey", "w", "public.a_pkey"},
        {"LOCK TABLE \"odd \"\"name\"", "\"odd \"\"name\"", "public.odd \"name"},
        {"LOCK TABLE a", "m", NULL}, /* not read when it is */
        {"LOCK TABLE b", "a", NULL},
        {"LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE", "a", NULL},
    };
    make_database();
    struct test_pool pool = test_pool("locks", "", 1);
    struct session *session = test_take(&pool);
    PGconn *pg = other("migration");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        does(pg, "BEGIN");
        does(pg, cases[i].lock);
        struct lock_party party = holder_of(session, cases[i].read);
        if (cases[i].named == NULL) {
            assert_int_equal(party.pid, 0);
        } else {
            assert_int_equal(party.pid, PQbackendPID(pg));
            assert_string_equal(party.application, "migration");
            assert_string_equal(party.relation, cases[i].named);
        }
        does(pg, "ROLLBACK");
        assert_int_equal(holder_of(session, cases[i].read).pid, 0);
    }
    PQfinish(pg);
    session_give(session);
    test_pool_free(&pool);
}

/* Looks until somebody waits for what `pid` has, ten seconds at most. */
static struct lock_party waiter_for(struct session *session, int pid, const int *more)
{
    struct lock_party parties[2] = {{0}};
    int pids[2] = {pid, more != NULL ? *more : 0};
    for (int i = 0; i < 200 && parties[0].pid == 0; i++) {
        struct error error = {""};
        if (i > 0)
            usleep(50000);
        if (lock_find_waiters(session, pids, more != NULL ? 2 : 1, parties, &error) != 0)
            fail_msg("%s", error.text);
        assert_int_equal(parties[1].pid, 0);
    }
    return parties[0];
}

static void sends(PGconn *pg, const char *sql) { assert_true(PQsendQuery(pg, sql)); }

static void ends(PGconn *pg)
{
    PGresult *result;
    while ((result = PQgetResult(pg)) != NULL)
        PQclear(result);
}

static void waiters_are_found(void **state)
{
    (void)state;
    make_database();
    struct test_pool pool = test_pool("locks", "", 2);
    struct session *session = test_take(&pool), *second = test_take(&pool);
    PGconn *holder = other("holder"), *writer = other("writer"), *waiter = other("waiter");
    int pid = PQbackendPID(holder), none = 0, self = PQbackendPID(waiter);
    struct lock_party parties[1];
    does(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE a IN ACCESS SHARE MODE");
    does(writer, "BEGIN; LOCK TABLE a IN ROW EXCLUSIVE MODE");
    assert_int_equal(lock_find_waiters(session, &pid, 1, parties, NULL), 0);
    assert_int_equal(parties[0].pid, 0);
    /* Behind another, who has let him wait, not behind us. */
    sends(waiter, "BEGIN; LOCK TABLE a IN SHARE MODE; COMMIT");
    assert_int_equal(waiter_for(session, PQbackendPID(writer), NULL).pid, self);
    assert_int_equal(lock_find_waiters(session, &pid, 1, parties, NULL), 0);
    assert_int_equal(parties[0].pid, 0);
    does(writer, "COMMIT");
    ends(waiter);
    /* Behind us; and also found by a session in a transaction, again and again. */
    sends(waiter, "ALTER TABLE a ADD COLUMN x int");
    struct lock_party party = waiter_for(session, pid, &none);
    assert_int_equal(party.pid, self);
    assert_string_equal(party.application, "waiter");
    assert_string_equal(party.relation, "public.a");
    char name[64];
    lock_party_name(&party, name, sizeof name);
    assert_non_null(strstr(name, "(waiter)"));
    /* Unless he is one of us. */
    int ours[2] = {pid, self};
    struct lock_party both[2];
    assert_int_equal(lock_find_waiters(session, ours, 2, both, NULL), 0);
    assert_int_equal(both[0].pid, 0);
    assert_int_equal(both[1].pid, 0);
    does(holder, "COMMIT");
    ends(waiter);
    PQfinish(waiter);
    PQfinish(writer);
    PQfinish(holder);
    session_give(second);
    session_give(session);
    test_pool_free(&pool);
}

/* A read point asks on its own session, and goes on; whoever came later is known by name, too. */
static void a_read_point_asks_itself(void **state)
{
    (void)state;
    make_database();
    struct test_pool pool = test_pool("locks", "", 1);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    struct readpoint *readpoint;
    struct error error = {""};
    if (readpoint_open(session, test_find(catalog, "public", "b"), &readpoint, &error) != 0)
        fail_msg("%s", error.text);
    int pid = connection_backend(session_connection(session));
    struct lock_party party;
    assert_int_equal(lock_find_waiters(session, &pid, 1, &party, NULL), 0);
    assert_int_equal(party.pid, 0);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof name, "waiter%d", i);
        PGconn *waiter = other(name);
        /* The second waits for our transaction to end, whatever it has locked. */
        sends(waiter, i == 0 ? "TRUNCATE b" : "CREATE INDEX CONCURRENTLY ON a (id)");
        party = waiter_for(session, pid, NULL);
        assert_int_equal(party.pid, PQbackendPID(waiter));
        assert_string_equal(party.application, name);
        assert_string_equal(party.relation, i == 0 ? "public.b" : "");
        PGcancel *cancel = PQgetCancel(waiter);
        char words[256];
        assert_true(PQcancel(cancel, words, sizeof words));
        PQfreeCancel(cancel);
        ends(waiter);
        PQfinish(waiter);
    }
    assert_true(connection_in_transaction(session_connection(session)));
    assert_int_equal(connection_run(session_connection(session), "SELECT 1", &error), 0);
    readpoint_close(readpoint);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

/* A lock is not waited for for long, by tables and views; a smaller limit of the role's is its own.
 */
static void locks_are_not_waited_for(void **state)
{
    (void)state;
    make_database();
    test_sql("postgres", "DROP ROLE IF EXISTS hasty");
    test_sql("postgres", "CREATE ROLE hasty LOGIN SUPERUSER");
    test_sql("postgres", "ALTER ROLE hasty SET lock_timeout = '20ms'");
    PGconn *pg = other("migration");
    for (int hasty = 0; hasty < 2; hasty++) {
        struct test_pool pool = test_pool("locks", hasty ? "user=hasty" : "", 1);
        struct session *session = test_take(&pool);
        struct catalog *catalog = test_catalog(session);
        struct readpoint *readpoint;
        struct error error = {""};
        does(pg, "BEGIN; LOCK TABLE a, p1");
        assert_int_equal(
            readpoint_open(session, test_find(catalog, "public", "a"), &readpoint, &error), -EBUSY);
        assert_int_equal(
            readpoint_open(session, test_find(catalog, "public", "p"), &readpoint, &error), -EBUSY);
        assert_int_equal(
            readpoint_open(session, test_find(catalog, "public", "w"), &readpoint, &error),
            hasty ? -EIO : -EBUSY);
        assert_non_null(strstr(error.text, "55P03"));
        does(pg, "COMMIT");
        catalog_free(catalog);
        session_give(session);
        test_pool_free(&pool);
    }
    PQfinish(pg);
    test_sql("postgres", "DROP ROLE hasty");
}

static void assert_lock_timeout(struct session *session, const char *expected)
{
    PGresult *row = NULL;
    struct error error = {""};
    assert_int_equal(
        connection_rows(session_connection(session), "SHOW lock_timeout", ANYTHING, &row, &error),
        0);
    assert_string_equal(PQgetvalue(row, 0, 0), expected);
    PQclear(row);
}

/* Once all is locked the limit is the usual one: ours for tables, the role's for what users wrote.
 */
static void patience_comes_back_as_it_was(void **state)
{
    (void)state;
    make_database();
    test_sql("postgres", "DROP ROLE IF EXISTS hasty");
    test_sql("postgres", "CREATE ROLE hasty LOGIN SUPERUSER");
    test_sql("postgres", "ALTER ROLE hasty SET lock_timeout = '20ms'");
    struct test_pool pool = test_pool("locks", "user=hasty", 1);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    static const char *const names[] = {"a", "w"}, *const limits[] = {LOCK_PATIENCE "ms", "20ms"};
    for (int i = 0; i < 2; i++) {
        struct readpoint *readpoint = NULL;
        struct error error = {""};
        session_lock_patience(session, 1);
        assert_int_equal(
            readpoint_open(session, test_find(catalog, "public", names[i]), &readpoint, &error), 0);
        assert_lock_timeout(session, limits[i]);
        readpoint_close(readpoint);
    }
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
    test_sql("postgres", "DROP ROLE hasty");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holders_are_named),
        cmocka_unit_test(waiters_are_found),
        cmocka_unit_test(a_read_point_asks_itself),
        cmocka_unit_test(locks_are_not_waited_for),
        cmocka_unit_test(patience_comes_back_as_it_was),
    };
    test_find_server();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
