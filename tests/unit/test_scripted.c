/* Every answer of a server spoilt in every way, one after the other, without a server
 * (scripted_server.h): each question of pgclient/, and a whole fetch, gives a clean error with words
 * or what is so; and the next one on the same pool is right. */
#include "tests/unit/no_memory.h"
#include "tests/unit/scripted_server.h"
#include "tests/unit/test_pgclient.h"

#include "codec/clock.h"
#include "codec/utf8.h"
#include "fs/base/log.h"
#include "fs/rows/fetch.h"
#include "pgclient/cluster.h"
#include "pgclient/ddl.h"
#include "pgclient/lock_room.h"
#include "pgclient/primary_key.h"
#include "pgclient/row.h"
#include "pgclient/search_nearest.h"
#include "tests/unit/place.h"

enum { ALL_PARTS = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON };
enum { PLAIN_ROWS = 3, WRONG = 4095 /* no errno: an answer that is not so */ };

static struct script catalog_script = {.name = "catalog"};
static struct catalog *catalog;

/* ---- stopping ---- */

static atomic_bool stop;
static pthread_mutex_t at_work = PTHREAD_MUTEX_INITIALIZER; /* guards these: */
static struct fetch *fetch_at_work;
static struct session *given_back; /* only session_stop ends its last statement */

static void set_at_work(struct fetch *fetch, struct session *session)
{
    pthread_mutex_lock(&at_work);
    fetch_at_work = fetch;
    given_back = session;
    pthread_mutex_unlock(&at_work);
}

static void stop_what_hangs(void)
{
    pthread_mutex_lock(&at_work);
    stop = true;
    if (fetch_at_work != NULL)
        fetch_stop(fetch_at_work);
    if (given_back != NULL)
        session_stop(given_back);
    pthread_mutex_unlock(&at_work);
}

/* A fetch that is tried again need not wait here. */
struct timespec __real_clock_after_ms(int64_t milliseconds);
struct timespec __wrap_clock_after_ms(int64_t milliseconds);

struct timespec __wrap_clock_after_ms(int64_t milliseconds)
{
    (void)milliseconds;
    return __real_clock_after_ms(1);
}

/* It tells each attempt. */
void __wrap_log_say(enum log_level level, const char *format, ...);

void __wrap_log_say(enum log_level level, const char *format, ...) { (void)level, (void)format; }

/* ---- courses: what is asked ---- */

static const struct relation *relation_of(const char *name)
{
    const struct relation *relation = test_find(catalog, "public", name);
    assert_non_null(relation);
    return relation;
}

static int ask_catalog(struct session *session, struct error *error)
{
    struct catalog *read = NULL;
    struct catalog_scope scope = {0};
    uint32_t oids[] = {1, relation_of("plain")->oid};
    bool there[2];
    char *mark = NULL;
    int rc = catalog_read(session, &scope, &read, error);
    if (rc == 0 && read->relation_count != catalog->relation_count)
        rc = -WRONG;
    catalog_free(read);
    if (rc == 0)
        rc = catalog_has(session, oids, 2, there, error);
    if (rc == 0 && (there[0] || !there[1]))
        rc = -WRONG;
    if (rc == 0)
        rc = catalog_mark(session, &mark, error);
    free(mark);
    return rc;
}

static int count_bytes(void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes;
    *(size_t *)context += size;
    return 0;
}

static int copy_source(struct readpoint *readpoint, const struct source *source, uint64_t *rows,
                       struct error *error)
{
    struct fingerprint print = {0};
    struct ctid_range all = {.end = {UINT32_MAX, 0}};
    size_t bytes = 0;
    uint64_t said = 0;
    int rc = 0;
    if (source->by_ctid)
        rc = readpoint_fingerprint(readpoint->leader, source, &all, 1, &print, error);
    if (rc == 0)
        rc = readpoint_copy(readpoint, readpoint->leader, readpoint->schema, source,
                            source->by_ctid ? &all : NULL, count_bytes, &bytes, &said, error);
    *rows += said;
    return rc;
}

static int ask_rows(struct session *session, const char *name, uint64_t rows, struct error *error)
{
    struct readpoint *readpoint = NULL;
    uint64_t sum = 0;
    int rc = readpoint_open(session, relation_of(name), &readpoint, error);
    if (rc == 0)
        schema_number(readpoint->schema, readpoint->with_binary, ALL_PARTS);
    for (size_t i = 0; rc == 0 && i < readpoint->source_count; i++)
        rc = copy_source(readpoint, &readpoint->sources[i], &sum, error);
    readpoint_close(readpoint);
    return rc == 0 && sum != rows ? -WRONG : rc;
}

static int ask_table(struct session *session, struct error *error)
{
    return ask_rows(session, "plain", PLAIN_ROWS, error);
}

static int ask_tree(struct session *session, struct error *error)
{
    return ask_rows(session, "tree", 2, error);
}

static int ask_view(struct session *session, struct error *error)
{
    return ask_rows(session, "viewed", 2, error);
}

static int ask_guarded(struct session *session, struct error *error)
{
    return ask_rows(session, "guarded", 1, error);
}

static int count_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    (void)table, (void)place, (void)xmin;
    ++*(int *)context;
    return 0;
}

static int ask_condition(struct session *session, struct error *error)
{
    const struct relation *plain = relation_of("plain");
    struct version_key now = {0};
    struct search_heap heap = {.oid = plain->oid, .filenode = plain->oid};
    int found = 0;
    int rc = search_begin(session, plain, &stop, &now, error);
    if (rc == 0)
        rc = search_rows(session, plain, "id > 1", &stop, count_row, &found, error);
    version_key_clear(&now);
    if (rc == 0 && found != PLAIN_ROWS - 1)
        rc = -WRONG;
    if (rc == 0 && search_compare(session, plain, &heap, 1, &stop, NULL) == 0)
        rc = -WRONG; /* such rows there are none */
    return rc;
}

static int ask_nearest(struct session *session, struct error *error)
{
    static const char *const names[] = {"id"};
    const bool with_binary[] = {true, true};
    struct schema *schema;
    size_t bytes = 0;
    uint64_t said = 0;
    long at = no_memory_not_now();
    assert_int_equal(schema_new(false, &schema), 0);
    assert_int_equal(schema_add(schema, "id", "integer", type_find(NULL, "int4"), true), 0);
    assert_int_equal(
        schema_add(schema, "distance", "double precision", type_find(NULL, "float8"), true), 0);
    schema_number(schema, with_binary, ALL_PARTS);
    no_memory_again(at);
    struct search_nearest search = {.relation = relation_of("plain"),
                                    .schema = schema,
                                    .names = names,
                                    .column = "v",
                                    .type = "vector",
                                    .metric = "<->",
                                    .query = "[1,1]",
                                    .condition = "id < 3",
                                    .stop = &stop,
                                    .k = 5};
    int rc = search_nearest(session, &search, count_bytes, &bytes, &said, error);
    schema_free(schema);
    return rc == 0 && said != 2 ? -WRONG : rc;
}

static int count_column(void *context, const char *name, const char *type)
{
    (void)name, (void)type;
    ++*(int *)context;
    return 0;
}

static int ask_key(struct session *session, struct error *error)
{
    struct version_key now = {0};
    int columns = 0;
    int rc =
        primary_key_read(session, relation_of("plain")->oid, &now, count_column, &columns, error);
    version_key_clear(&now);
    return rc == 0 && columns != 1 ? -WRONG : rc;
}

static int read_row(struct session *session, const char *id, enum row_form form,
                    struct row_layout **layout, struct error *error)
{
    const struct row_table table = {.relation = relation_of("plain"),
                                    .system_id = catalog->system_id,
                                    .database = catalog->database,
                                    .stop = &stop};
    struct rowgroup *row = NULL;
    int rc = row_read(session, &table, &(struct row_key){.whole = id}, form, layout, &row, error);
    if (rc == 0 && (row->rows != 1 || row_layout_schema(*layout, form)->column_count == 0))
        rc = -WRONG;
    rowgroup_free(row);
    return rc;
}

static int count_key(void *context, const char *const *values, int count)
{
    *(int *)context += count == 1 && values[0][0] != '\0';
    return 0;
}

/* A row, by what is learnt of the table and then by what is known; what is no key; all keys. */
static int ask_row(struct session *session, struct error *error)
{
    const struct row_table table = {.relation = relation_of("plain"),
                                    .system_id = catalog->system_id,
                                    .database = catalog->database,
                                    .stop = &stop};
    struct row_layout *layout = NULL;
    int keys = 0;
    int rc = read_row(session, "2", ROW_AS_JSON, &layout, error);
    if (rc == 0)
        rc = read_row(session, "3", ROW_AS_TEXT, &layout, error);
    if (rc == 0) {
        rc = read_row(session, "none", ROW_AS_TEXT, &layout, error);
        rc = rc == -ENOENT ? 0 : rc == 0 ? -WRONG : rc;
    }
    if (rc == 0)
        rc = row_keys(session, &table, &layout, count_key, &keys, error);
    row_layout_unref(layout);
    return rc == 0 && keys != PLAIN_ROWS ? -WRONG : rc;
}

static int ask_locks(struct session *session, struct error *error)
{
    const struct relation *tree = relation_of("tree");
    struct lock_party party;
    struct lock_room room;
    int pid = 1;
    int rc = lock_find_holder(session, tree->oid, &party, error);
    if (rc == 0 && party.pid != 0)
        rc = -WRONG;
    if (rc == 0)
        rc = lock_find_waiters(session, &pid, 1, &party, error);
    if (rc == 0)
        rc = lock_room_ask(session_connection(session), tree, &room, error);
    return rc;
}

static int ask_ddl(struct session *session, struct error *error)
{
    char *signature = NULL;
    int rc = ddl_signature(session, &signature, error);
    free(signature);
    return rc;
}

/* ---- a course on a pool ---- */

struct course {
    struct script script;
    int (*ask)(struct session *session, struct error *error); /* NULL: a fetch */
    const char *user;
};

static struct course courses[] = {
    {{.name = "read-catalog"}, ask_catalog, "postgres"},
    {{.name = "table"}, ask_table, "postgres"},
    {{.name = "table-of-role"}, ask_table, "scripted"},
    {{.name = "tree"}, ask_tree, "scripted"},
    {{.name = "view"}, ask_view, "scripted"},
    {{.name = "guarded"}, ask_guarded, "scripted"},
    {{.name = "condition"}, ask_condition, "postgres"},
    {{.name = "nearest"}, ask_nearest, "scripted"},
    {{.name = "key"}, ask_key, "scripted"},
    {{.name = "row"}, ask_row, "scripted"},
    {{.name = "row-judged"}, ask_row, "postgres"},
    {{.name = "locks"}, ask_locks, "scripted"},
    {{.name = "ddl"}, ask_ddl, "scripted"},
    {{.name = "fetch"}, NULL, "scripted"},
};
enum { COURSES = sizeof courses / sizeof *courses };

static int run_session(const struct course *course, struct session_pool *pool, struct error *error)
{
    struct session *session = NULL;
    int rc = session_take(pool, SESSION_SHORT, &stop, &session, error);
    if (rc < 0)
        return rc;
    session_also_stop(session, &stop);
    rc = course->ask(session, error);
    session_also_stop(session, NULL);
    set_at_work(NULL, session);
    session_give(session);
    set_at_work(NULL, NULL);
    return rc;
}

static uint64_t rows_of(const struct snapshot *snapshot)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < snapshot->group_count; i++)
        rows += snapshot->groups[i]->rows;
    return rows;
}

static int fetch_once(const struct fetch_place *place, struct snapshot *old, struct snapshot **out,
                      struct error *error)
{
    struct progress progress = {0};
    struct fetch *fetch;
    int rc = fetch_new(place, &progress, &fetch);
    if (rc < 0)
        return error_set(error, rc, "no memory for a fetch");
    set_at_work(fetch, NULL);
    rc = fetch_table(fetch, relation_of("plain"), old, ALL_PARTS, out, error);
    set_at_work(NULL, NULL);
    fetch_free(fetch);
    return rc == 0 && rows_of(*out) != PLAIN_ROWS ? -WRONG : rc;
}

/* The rows, and whether they are still so: of a version whose mark says nothing. */
static int fetch_twice(const struct fetch_place *place, struct error *error)
{
    struct snapshot *first = NULL, *second = NULL;
    int rc = fetch_once(place, NULL, &first, error);
    if (rc == 0) {
        strcpy(first->key.mark, "?");
        rc = fetch_once(place, first, &second, error);
    }
    snapshot_unref(second);
    snapshot_unref(first);
    return rc;
}

/* The place, which the pool is lent to, is the scripted server's. */
static struct fetch_place scripted_place(const struct place *place, struct session_pool *pool)
{
    struct fetch_place here = place->fetch;
    here.pool = pool;
    here.system_id = catalog->system_id;
    here.database = catalog->database;
    return here;
}

static int run_fetch(struct session_pool *pool, struct error *error)
{
    struct place place;
    place_open(&place, UINT64_C(1) << 30);
    const struct fetch_place here = scripted_place(&place, pool);
    int rc = fetch_twice(&here, error);
    place_close(&place);
    return rc;
}

static int run(const struct course *course, struct session_pool *pool, struct error *error)
{
    stop = false;
    return course->ask != NULL ? run_session(course, pool, error) : run_fetch(pool, error);
}

static struct test_pool pool_of(const struct course *course)
{
    char more[128];
    snprintf(more, sizeof more, "host=%s port=5432 user=%s", scripted.folder, course->user);
    return test_pool("pgs", more, 2);
}

/* ---- what may come of it ---- */

static bool is_clean(int rc)
{
    static const int codes[] = {-EACCES, -EAGAIN, -EBADMSG,   -EBUSY,    -EINTR,
                                -EINVAL, -EINVAL, -EIO,       -ENOENT,   -ENOTCONN,
                                -ESTALE, -EUSERS, -EREMOTEIO, -ETIMEDOUT};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (rc == codes[i])
            return true;
    return false;
}

/* Of another shape, which may be what is so. */
static bool is_lie(enum spoil how) { return how >= SPOIL_NO_ROWS; }

static bool is_right(int rc, enum spoil how, const struct error *error)
{
    if (rc == 0 || (rc == -WRONG && is_lie(how)))
        return true;
    return is_clean(rc) && error->text[0] != '\0' && utf8_is(error->text);
}

static int failures;

static void complain(const struct course *course, size_t at, enum spoil how, int rc,
                     const struct error *error)
{
    print_error("%s: answer %zu spoilt in way %d: %d, %s\n", course->script.name, at, how, rc,
                error->text);
    failures++;
}

static void spoil(struct course *course, size_t at, enum spoil how)
{
    struct test_pool pool = pool_of(course);
    struct error error = {""};
    scripted_begin(&course->script, at, how);
    int rc = run(course, pool.pool, &error);
    if (!is_right(rc, how, &error))
        complain(course, at, how, rc, &error);
    /* What is left of it does no harm. */
    scripted_begin_freely(&course->script);
    error.text[0] = '\0';
    rc = run(course, pool.pool, &error);
    /* Once refused something, a connection may ask in other words. */
    if (rc != 0 && strstr(error.text, SCRIPTED_UNKNOWN) == NULL)
        complain(course, at, how, rc, &error);
    test_pool_free(&pool);
}

/* The first questions are those of a new connection, the same in all. */
static void spoil_all(struct course *course)
{
    enum { OF_CONNECTION = 2 };
    size_t first = course == courses ? 1 : 1 + OF_CONNECTION;
    for (size_t at = first; at < course->script.count; at++)
        for (int how = SPOIL_LOST; how < SPOILS; how++)
            if (script_can_be(&course->script.list[at], how) &&
                how != (at % 2 ? SPOIL_HANG : SPOIL_HANG_HALF)) /* which take long */
                spoil(course, at, how);
}

/* ---- tests ---- */

static void each_course_goes_as_recorded(void **state)
{
    (void)state;
    for (int i = 0; i < COURSES; i++) {
        struct course *course = &courses[i];
        struct test_pool pool = pool_of(course);
        struct error error = {""};
        scripted_begin(&course->script, 0, SPOIL_NOTHING);
        if (run(course, pool.pool, &error) != 0)
            fail_msg("%s: %s", course->script.name, error.text);
        test_pool_free(&pool);
        if (scripted.records)
            script_save(&course->script);
        else
            assert_true(scripted_was_usual());
    }
}

static void every_answer_may_be_spoilt(void **state)
{
    (void)state;
    if (scripted.records)
        skip();
    for (int i = 0; i < COURSES; i++)
        spoil_all(&courses[i]);
    assert_int_equal(failures, 0);
}

static bool is_without_memory(int rc, const struct error *error)
{
    /* Nothing fails if it can be done without. A connection whose transaction could not be ended is
     * lost. */
    return rc == 0 || ((rc == -ENOMEM || rc == -ENOTCONN) && error->text[0] != '\0');
}

static void fail_allocations(struct course *course)
{
    bool failed = true;
    long kept = course->ask == ask_catalog; /* at most: the mark of the pool's verdicts */
    for (long n = 1; failed; n++) {
        struct test_pool pool = pool_of(course);
        struct error error = {""};
        scripted_begin_freely(&course->script);
        struct session *session = test_take(&pool);
        long before = blocks;
        no_memory_at = n;
        int rc = course->ask(session, &error);
        failed = no_memory_at == 0;
        no_memory_at = 0;
        if (!is_without_memory(rc, &error) || blocks < before || blocks > before + kept) {
            print_error("%s: allocation %ld failed: %d, %s, %ld blocks left\n", course->script.name,
                        n, rc, error.text, blocks - before);
            failures++;
        }
        session_give(session);
        session = test_take(&pool);
        assert_true(session_usable(session));
        session_give(session);
        test_pool_free(&pool);
    }
}

/* *left: what is not freed, which libraries allocate and free in part. */
static int fetch_without(struct course *course, long at, bool *failed, long *left,
                         struct error *error)
{
    struct test_pool pool = pool_of(course);
    struct place place;
    long before = blocks;
    scripted_begin_freely(&course->script);
    place_open(&place, UINT64_C(1) << 30);
    const struct fetch_place here = scripted_place(&place, pool.pool);
    stop = false;
    no_memory_at = at;
    int rc = fetch_twice(&here, error);
    *failed = at > 0 && no_memory_at == 0;
    no_memory_at = 0;
    place_close(&place);
    test_pool_free(&pool);
    *left = blocks - before;
    return rc;
}

/* Without memory the fetch may have to ask what it would not have asked. */
static bool asked_another(int rc, const struct error *error)
{
    return rc == -EIO && strstr(error->text, "not in the script") != NULL;
}

static void fail_fetches(struct course *course)
{
    struct error none = {""};
    bool failed = true;
    long usual, left;
    assert_int_equal(fetch_without(course, 0, &failed, &usual, &none), 0);
    failed = true;
    for (long n = 1; failed; n++) {
        struct error error = {""};
        int rc = fetch_without(course, n, &failed, &left, &error);
        if (left == usual && (is_without_memory(rc, &error) || asked_another(rc, &error)))
            continue;
        print_error("fetch: allocation %ld failed: %d, %s, %ld blocks left\n", n, rc, error.text,
                    left - usual);
        failures++;
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    if (scripted.records)
        skip();
    failures = 0;
    for (int i = 0; i < COURSES; i++)
        if (courses[i].ask != NULL)
            fail_allocations(&courses[i]);
        else
            fail_fetches(&courses[i]);
    assert_int_equal(failures, 0);
}

static void make_database(void)
{
    test_find_server();
    test_new_database("pgs", "");
    test_sql("pgs", "CREATE EXTENSION vector");
    test_sql("pgs", "CREATE TABLE plain (id int PRIMARY KEY, v vector(2), words text);"
                    "INSERT INTO plain SELECT g, ARRAY[g, g]::float4[]::vector, 'w' FROM"
                    " generate_series(1, 3) g;"
                    "CREATE TABLE tree (id int) PARTITION BY RANGE (id);"
                    "CREATE TABLE tree1 PARTITION OF tree FOR VALUES FROM (0) TO (10);"
                    "CREATE TABLE tree2 PARTITION OF tree FOR VALUES FROM (10) TO (20);"
                    "INSERT INTO tree VALUES (1), (11);"
                    "CREATE VIEW viewed AS SELECT id FROM plain WHERE id < 3;"
                    "CREATE TABLE owned (id int); INSERT INTO owned VALUES (1), (2);"
                    "ALTER TABLE owned ENABLE ROW LEVEL SECURITY;"
                    "CREATE POLICY few ON owned USING (id < 2);"
                    "DROP ROLE IF EXISTS scripted; CREATE ROLE scripted LOGIN;"
                    "CREATE VIEW guarded AS SELECT id FROM owned WHERE id < 2;"
                    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO scripted; ANALYZE");
}

static void read_catalog(void)
{
    const struct course course = {.user = "postgres"};
    struct test_pool pool = pool_of(&course);
    scripted_begin(&catalog_script, 0, SPOIL_NOTHING);
    struct session *session = test_take(&pool);
    catalog = test_catalog(session);
    session_give(session);
    test_pool_free(&pool);
    if (scripted.records)
        script_save(&catalog_script);
}

static int set_up(void **state)
{
    (void)state;
    if (scripted_is_recorded())
        make_database();
    scripted_start(stop_what_hangs);
    for (int i = 0; i < COURSES && !scripted.records; i++)
        script_load(&courses[i].script);
    if (!scripted.records)
        script_load(&catalog_script);
    read_catalog();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    catalog_free(catalog);
    script_clear(&catalog_script);
    for (int i = 0; i < COURSES; i++)
        script_clear(&courses[i].script);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_course_goes_as_recorded),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(every_answer_may_be_spoilt),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
