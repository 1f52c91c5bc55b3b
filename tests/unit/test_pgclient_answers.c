/* Answers of another shape than was asked for: between the pool and the server stands a relay that
 * changes one answer, each in turn, of all that is asked. Whatever comes is an error, or is taken
 * for what it says; and what is asked next, of an honest server, is right. */
#include "test_pgclient.h"

#include "codec/buffer.h"
#include "codec/bytes.h"
#include "pgclient/ddl.h"
#include "pgclient/ddl_cut.h"
#include "pgclient/ddl_facts.h"
#include "pgclient/dump.h"
#include "pgclient/lock.h"
#include "pgclient/primary_key.h"
#include "pgclient/search_nearest.h"
#include "pgclient/session.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

enum lie { NO_ROW, ONE_COLUMN, NULLS, NO_ROWS_AT_ALL, TWICE, LIES };

enum { ALL_PARTS = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON };

/* ---- the relay ---- */

static int listener;
static struct sockaddr_un real, false_one;
static atomic_int lie;     /* enum lie */
static atomic_int lie_at;  /* in which answer; 0: in none */
static atomic_int answers; /* so far */

static bool receive(int fd, uint8_t *bytes, size_t size)
{
    for (ssize_t n; size > 0; bytes += n, size -= (size_t)n)
        if ((n = recv(fd, bytes, size, 0)) <= 0)
            return false;
    return true;
}

static bool give(int fd, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    for (ssize_t n; size > 0; at += n, size -= (size_t)n)
        if ((n = send(fd, at, size, MSG_NOSIGNAL)) <= 0)
            return false;
    return true;
}

static bool give_message(int fd, uint8_t kind, const uint8_t *body, size_t size)
{
    uint8_t head[5] = {kind};
    store_be32(head + 1, (uint32_t)size + 4);
    return give(fd, head, sizeof head) && give(fd, body, size);
}

/* Of a RowDescription or a DataRow the first field. */
static size_t shorten(uint8_t kind, uint8_t *body, size_t size)
{
    enum { DESCRIPTION = 18 }; /* behind the name */
    if (load_be16(body) <= 1)
        return size;
    store_be16(body, 1);
    if (kind == 'T')
        return 2 + strlen((char *)body + 2) + 1 + DESCRIPTION;
    int32_t value = (int32_t)load_be32(body + 2);
    return 6 + (value > 0 ? (size_t)value : 0);
}

static size_t nulls(uint8_t *body)
{
    size_t fields = load_be16(body);
    memset(body + 2, 0xff, 4 * fields);
    return 2 + 4 * fields;
}

/* One message of an answer that is a lie. */
static bool distort(int fd, uint8_t kind, uint8_t *body, size_t size)
{
    switch ((enum lie)lie) {
    case NO_ROW:
        return kind == 'D' || give_message(fd, kind, body, size);
    case NO_ROWS_AT_ALL:
        return true;
    case ONE_COLUMN:
        return give_message(fd, kind, body, shorten(kind, body, size));
    case NULLS:
        return give_message(fd, kind, body, kind == 'D' ? nulls(body) : size);
    case TWICE:
        return give_message(fd, kind, body, size) &&
               (kind == 'T' || give_message(fd, kind, body, size));
    case LIES:
        break;
    }
    return false;
}

static bool relay_message(int server, int client, bool *lying)
{
    uint8_t head[5];
    if (!receive(server, head, sizeof head))
        return false;
    size_t size = load_be32(head + 1) - 4;
    uint8_t *body = malloc(size + 64); /* room for NULLs in place of empty values */
    bool good = body != NULL && receive(server, body, size);
    if (good && head[0] == 'T')
        *lying = atomic_fetch_add(&answers, 1) + 1 == lie_at;
    if (good && *lying && (head[0] == 'T' || head[0] == 'D'))
        good = distort(client, head[0], body, size);
    else
        good = good && give_message(client, head[0], body, size);
    free(body);
    return good;
}

static void *relay(void *argument)
{
    int client = (int)(intptr_t)argument, server = socket(AF_UNIX, SOCK_STREAM, 0);
    bool good = connect(server, (struct sockaddr *)&real, sizeof real) == 0, lying = false;
    struct pollfd fds[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    while (good && poll(fds, 2, -1) > 0) {
        uint8_t bytes[8192];
        ssize_t n = 0;
        if (fds[0].revents != 0)
            good = (n = recv(client, bytes, sizeof bytes, 0)) > 0 && give(server, bytes, (size_t)n);
        if (good && fds[1].revents != 0)
            good = relay_message(server, client, &lying);
    }
    close(client);
    close(server);
    return NULL;
}

static void *accept_all(void *argument)
{
    (void)argument;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        pthread_t thread;
        if (fd >= 0 && pthread_create(&thread, NULL, relay, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
    return NULL;
}

static char folder[] = "/tmp/pgvecfs-relay.XXXXXX";

static void start_relay(void)
{
    assert_non_null(mkdtemp(folder));
    real.sun_family = false_one.sun_family = AF_UNIX;
    snprintf(real.sun_path, sizeof real.sun_path, "%s/.s.PGSQL.%s", getenv("PGHOST"),
             getenv("PGPORT"));
    snprintf(false_one.sun_path, sizeof false_one.sun_path, "%s/.s.PGSQL.%s", folder,
             getenv("PGPORT"));
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&false_one, sizeof false_one), 0);
    assert_int_equal(listen(listener, 16), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, accept_all, NULL), 0);
    pthread_detach(thread);
}

static void remove_relay(void)
{
    (void)unlink(false_one.sun_path);
    (void)rmdir(folder);
}

/* ---- what is asked ---- */

static struct test_pool superusers, readers, *pool;
static struct catalog *honest; /* the catalog */

static int gather(void *context, const uint8_t *bytes, size_t size)
{
    return buffer_append(context, bytes, size);
}

static int count_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    (void)table, (void)place, (void)xmin;
    ++*(int *)context;
    return 0;
}

static int count_column(void *context, const char *name, const char *type)
{
    (void)name, (void)type;
    ++*(int *)context;
    return 0;
}

/* Each gives 0 only if all is as it is. */
static int ask_catalog(struct session *session)
{
    struct catalog *catalog = NULL;
    struct catalog_scope scope = {0};
    int rc = catalog_read(session, &scope, &catalog, NULL);
    if (rc == 0 && catalog->relation_count != honest->relation_count)
        rc = -EIO;
    catalog_free(catalog);
    return rc;
}

static int ask_rows(struct session *session, const char *name, size_t sources, uint64_t rows)
{
    struct readpoint *readpoint = NULL;
    struct buffer bytes = {0};
    struct fingerprint print = {0};
    struct ctid_range all = {.end = {UINT32_MAX, 0}};
    uint64_t said = 0, sum = 0;
    struct session *worker = test_take(pool);
    int rc = readpoint_open(session, test_find(honest, "public", name), &readpoint, NULL);
    if (rc == 0)
        schema_number(readpoint->schema, readpoint->with_binary, ALL_PARTS);
    if (rc == 0)
        rc = readpoint_join(readpoint, worker, NULL, NULL);
    for (size_t i = 0; rc == 0 && i < readpoint->source_count; i++) {
        const struct source *source = &readpoint->sources[i];
        if (source->by_ctid)
            rc = readpoint_fingerprint(worker, source, &all, 1, &print, NULL);
        if (rc == 0)
            rc = readpoint_copy(readpoint, worker, readpoint->schema, source,
                                source->by_ctid ? &all : NULL, gather, &bytes, &said, NULL);
        sum += said;
    }
    if (rc == 0 && (readpoint->source_count != sources || sum != rows))
        rc = -EIO;
    readpoint_close(readpoint);
    session_give(worker);
    buffer_clear(&bytes);
    return rc;
}

static int ask_table(struct session *session) { return ask_rows(session, "plain", 1, 3); }
static int ask_tree(struct session *session) { return ask_rows(session, "tree", 2, 2); }
static int ask_view(struct session *session) { return ask_rows(session, "viewed", 1, 2); }

static int ask_condition(struct session *session)
{
    int found = 0;
    int rc = search_rows(session, test_find(honest, "public", "plain"), "id > 1", NULL, count_row,
                         &found, NULL);
    return rc == 0 && found != 2 ? -EIO : rc;
}

static int ask_nearest(struct session *session)
{
    static const char *const names[] = {"id"};
    const bool with_binary[] = {true, true};
    struct schema *schema;
    struct buffer bytes = {0};
    uint64_t said = 0;
    assert_int_equal(schema_new(false, &schema), 0);
    assert_int_equal(schema_add(schema, "id", "integer", type_find(NULL, "int4"), true), 0);
    assert_int_equal(
        schema_add(schema, "distance", "double precision", type_find(NULL, "float8"), true), 0);
    schema_number(schema, with_binary, ALL_PARTS);
    struct search_nearest search = {.relation = test_find(honest, "public", "plain"),
                                    .schema = schema,
                                    .names = names,
                                    .column = "v",
                                    .type = "vector",
                                    .metric = "<->",
                                    .query = "[1,1]",
                                    .condition = "id < 3",
                                    .k = 5};
    int rc = search_nearest(session, &search, gather, &bytes, &said, NULL);
    schema_free(schema);
    buffer_clear(&bytes);
    return rc == 0 && said != 2 ? -EIO : rc;
}

static int ask_key(struct session *session)
{
    int columns = 0;
    struct version_key now = {0};
    int rc = primary_key_read(session, test_find(honest, "public", "plain")->oid, &now,
                              count_column, &columns, NULL);
    version_key_clear(&now);
    return rc == 0 && columns != 1 ? -EIO : rc;
}

static int ask_locks(struct session *session)
{
    struct lock_party party;
    int pid = 1;
    int rc = lock_find_holder(session, test_find(honest, "public", "plain")->oid, &party, NULL);
    return rc == 0 ? lock_find_waiters(session, &pid, 1, &party, NULL) : rc;
}

static int ask_facts(struct session *session)
{
    struct connection *connection = session_connection(session);
    uint32_t plain = test_find(honest, "public", "plain")->oid;
    struct ddl_facts facts = {0};
    size_t needs = 0;
    int rc = connection_begin(connection, TRANSACTION_TABLES, NULL, NULL);
    if (rc == 0)
        rc = ddl_facts_read(connection, &facts, NULL);
    if (rc == 0 && (ddl_facts_relation(&facts, plain) == NULL ||
                    ddl_facts_object(&facts, CATALOG_CLASS, plain) == NULL))
        rc = -EIO;
    if (rc == 0 && (ddl_facts_needs(&facts, plain, &needs) == NULL || needs != 1))
        rc = -EIO; /* that of the vectors */
    ddl_facts_clear(&facts);
    connection_end(connection);
    return rc;
}

static int ask_ddl(struct session *session)
{
    char *signature = NULL;
    struct dump dump = {0};
    int rc = ddl_signature(session, &signature, NULL);
    free(signature);
    if (rc == 0)
        rc = dump_ask(session_connection(session), test_find(honest, "public", "plain"), &dump,
                      NULL);
    /* --strict-names, --table=… and the extension of the vectors */
    if (rc == 0 && (dump.selection == NULL || dump.selection[2] == NULL))
        rc = -EIO;
    dump_clear(&dump);
    return rc == 0 ? ask_facts(session) : rc;
}

/* ---- tests ---- */

struct question {
    int (*ask)(struct session *session);
    bool as_superuser; /* who asks more, and takes longer */
};

static const struct question questions[] = {
    {ask_catalog, true}, {ask_table, true},      {ask_tree, false},
    {ask_view, false},   {ask_condition, false}, {ask_nearest, false},
    {ask_key, false},    {ask_locks, false},     {ask_ddl, false},
};

static int put(const struct question *question, int kind, int at)
{
    pool = question->as_superuser ? &superusers : &readers;
    struct session *session = test_take(pool);
    answers = 0;
    lie = kind;
    lie_at = at;
    int rc = question->ask(session);
    lie_at = 0;
    session_give(session);
    return rc;
}

static void no_answer_is_taken_for_what_it_is_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        assert_int_equal(put(&questions[i], NO_ROW, 0), 0); /* sessions are there */
        assert_int_equal(put(&questions[i], NO_ROW, 0), 0);
        int count = answers;
        assert_true(count > 0);
        /* Not every answer is looked at, and some questions are put again; but the first. */
        for (int kind = 0; kind < LIES; kind++)
            for (int at = 1; at <= count; at++)
                if (put(&questions[i], kind, at) == 0)
                    assert_false(kind == NO_ROWS_AT_ALL && at == 1);
        assert_int_equal(put(&questions[i], NO_ROW, 0), 0);
    }
}

static void a_session_may_begin_with_any_answer(void **state)
{
    (void)state;
    for (int kind = 0; kind < LIES; kind++) {
        struct session *session = NULL;
        char conninfo[256];
        snprintf(conninfo, sizeof conninfo, "dbname=pga host=%s", folder);
        struct test_pool other = {.server = test_server(conninfo)};
        assert_int_equal(session_pool_new(other.server, 1, &other.pool), 0);
        answers = 0;
        lie = kind;
        lie_at = 1;
        if (session_take_now(other.pool, SESSION_SHORT, NULL, &session, NULL) == 0)
            session_give(session);
        lie_at = 0;
        session = test_take(&other);
        assert_int_equal(ask_key(session), 0);
        session_give(session);
        test_pool_free(&other);
    }
}

static int set_up(void **state)
{
    (void)state;
    char more[128];
    start_relay();
    test_new_database("pga", "");
    test_sql("pga", "CREATE EXTENSION vector");
    test_sql("pga",
             "CREATE TABLE plain (id int PRIMARY KEY, v vector(2));"
             "INSERT INTO plain SELECT g, ARRAY[g, g]::float4[]::vector FROM generate_series(1, 3)"
             " g;"
             "CREATE TABLE tree (id int) PARTITION BY RANGE (id);"
             "CREATE TABLE tree1 PARTITION OF tree FOR VALUES FROM (0) TO (10);"
             "CREATE TABLE tree2 PARTITION OF tree FOR VALUES FROM (10) TO (20);"
             "INSERT INTO tree VALUES (1), (11);"
             "CREATE VIEW viewed AS SELECT id FROM plain WHERE id < 3;"
             "DROP ROLE IF EXISTS asker; CREATE ROLE asker LOGIN;"
             "GRANT SELECT ON ALL TABLES IN SCHEMA public TO asker");
    snprintf(more, sizeof more, "host=%s", folder);
    superusers = test_pool("pga", more, 4);
    snprintf(more, sizeof more, "host=%s user=asker", folder);
    readers = test_pool("pga", more, 4);
    struct session *session = test_take(&superusers);
    honest = test_catalog(session);
    session_give(session);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(honest);
    test_pool_free(&superusers);
    test_pool_free(&readers);
    remove_relay();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_answer_is_taken_for_what_it_is_not),
        cmocka_unit_test(a_session_may_begin_with_any_answer),
    };
    test_find_server();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
