/* Names, threads, questions, what pg_dump printed, snapshots in the making and the store without
 * memory (no_memory.h). */
#include "tests/unit/no_memory.h"

#include "codec/column_format.h"
#include "fs/base/name.h"
#include "fs/base/shared_text.h"
#include "fs/base/waiters.h"
#include "fs/base/workers.h"
#include "fs/rows/pieces.h"
#include "fs/rows/snapshot_choose.h"
#include "fs/rows/snapshot_times.h"
#include "fs/rows/snapshot_view.h"
#include "fs/search/question.h"
#include "pgclient/ddl_text.h"

#include "tests/unit/place.h"

/* ---- fs/base ---- */

static int code_name(void *context)
{
    static const char sql[] = "a name/with %, and longer than a buffer's first bytes, by far\n";
    struct buffer file = {0};
    char *again = NULL;
    (void)context;
    int rc = name_encode(sql, &file);
    assert_true(rc == 0 || file.size == 0);
    if (rc == 0)
        rc = name_decode((const char *)file.data, file.size, &again);
    assert_int_equal(again != NULL, rc == 0);
    free(again);
    buffer_clear(&file);
    return rc;
}

static int share_text(void *context)
{
    char *text = shared_text_new("text", 4);
    (void)context;
    shared_text_unref(text);
    return text == NULL ? -ENOMEM : 0;
}

/* Not done if it was refused, and once if not. */
static void count_work(void *argument) { ++*(atomic_int *)argument; }

static int give_work(void *context)
{
    struct workers *workers;
    atomic_int done = 0;
    (void)context;
    int rc = workers_new(1, &workers);
    if (rc < 0)
        return rc;
    rc = workers_add(workers, count_work, &done, 0);
    workers_free(workers);
    blocks -= rc == 0; /* that thread has freed the task */
    assert_int_equal(done, rc == 0);
    return rc;
}

static int let_wait(void *context)
{
    struct waiters *waiters;
    atomic_int done = 0;
    (void)context;
    int rc = waiters_new(1, &waiters);
    if (rc < 0)
        return rc;
    rc = waiters_add(waiters, count_work, &done);
    waiters_free(waiters);
    blocks -= rc == 0;
    assert_int_equal(done, rc == 0);
    return rc;
}

static void test_base(void **state)
{
    (void)state;
    no_memory_each(code_name, NULL, 0);
    no_memory_each(share_text, NULL, 0);
    no_memory_each(give_work, NULL, 0);
    no_memory_each(let_wait, NULL, -EAGAIN); /* not even one thread */
}

/* ---- questions ---- */

static const char asked[] =
    "{\"column\":\"embedding\",\"metric\":\"cosine\",\"k\":7,\"recall\":0.9,\"filter\":\"id > 3\","
    "\"columns\":[\"a\",\"b "
    "\\\"c\"],\"vector\":[[1,2],{\"dim\":5,\"indices\":[1,3],\"values\":[1.5,"
    "-2]}],\"mode\":\"exact\"}";

static int parse_question(void *context)
{
    struct question question = {.k = 999};
    (void)context;
    int rc = question_parse_json(asked, strlen(asked), &question, NULL);
    assert_int_equal(question.k, rc == 0 ? 7 : 999);
    if (rc == 0)
        question_clear(&question);
    return rc;
}

static int parse_key(void *context)
{
    static const char line[] = "{\"key\":\"a key\"}";
    struct question question = {.k = 999};
    (void)context;
    int rc = question_parse_json(line, strlen(line), &question, NULL);
    if (rc == 0)
        question_clear(&question);
    return rc;
}

/* Whether two show the same. */
static bool same_question(const struct question *a, const struct question *b)
{
    bool same = true;
    for (int field = 0; same && field < QUESTION_FIELDS; field++) {
        struct buffer left = {0}, right = {0};
        must(question_show(a, field, &left) == 0 && question_show(b, field, &right) == 0);
        same = left.size == right.size &&
               (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
        buffer_clear(&left);
        buffer_clear(&right);
    }
    return same;
}

/* Each value anew: it is as before, or all of the new one. */
static int set_question(void *context)
{
    static const char *const values[QUESTION_FIELDS] = {"other", "l2",     "3", "0.5",      "80",
                                                        "true",  "server", "*", "[1,2,3]\n"};
    struct question question, before;
    long at = no_memory_not_now();
    int rc = 0;
    (void)context;
    must(question_parse_json(asked, strlen(asked), &question, NULL) == 0);
    no_memory_again(at);
    for (int field = 0; rc == 0 && field < QUESTION_FIELDS; field++) {
        at = no_memory_not_now();
        must(question_copy(&question, &before) == 0);
        no_memory_again(at);
        rc = question_set(&question, field, values[field], strlen(values[field]), NULL);
        at = no_memory_not_now();
        assert_int_equal(same_question(&question, &before), rc < 0);
        question_clear(&before);
        no_memory_again(at);
    }
    question_clear(&question);
    return rc;
}

static int copy_and_show(void *context)
{
    struct question question, copy = {.k = 999};
    struct buffer shown = {0};
    long at = no_memory_not_now();
    (void)context;
    must(question_init(&question) == 0);
    question.key = strdup("a key");
    no_memory_again(at);
    int rc = question_copy(&question, &copy);
    assert_int_equal(copy.k != 999, rc == 0);
    for (int field = 0; rc == 0 && field < QUESTION_FIELDS; field++)
        rc = question_show(&copy, field, &shown);
    if (copy.k != 999)
        question_clear(&copy);
    question_clear(&question);
    buffer_clear(&shown);
    return rc;
}

static void test_question(void **state)
{
    (void)state;
    no_memory_each(parse_question, NULL, 0);
    no_memory_each(parse_key, NULL, 0);
    no_memory_each(set_question, NULL, 0);
    no_memory_each(copy_and_show, NULL, 0);
}

/* ---- what pg_dump printed ---- */

static int tidy_dump(void *context)
{
    static const char dump[] = "--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n"
                               "-- Dumped from database version 15\n\nCREATE TABLE t ();\n\n"
                               "\\unrestrict abc\n\n";
    static const uint8_t secret[KEYED_HASH_KEY] = {1};
    const struct buffer from = {.data = (uint8_t *)(uintptr_t)dump, .size = strlen(dump)};
    struct buffer out = {0};
    (void)context;
    int rc = ddl_text(&from, secret, &out);
    assert_int_equal(out.size == 0, rc < 0);
    buffer_clear(&out);
    return rc;
}

static void test_ddl_text(void **state)
{
    (void)state;
    no_memory_each(tidy_dump, NULL, 0);
}

/* ---- snapshots ---- */

struct setting {
    struct place place;
    struct snapshot *snapshot;
    struct schema *schema;
    struct rowgroup *rows;
};

static int make_snapshot(void *context)
{
    const struct setting *setting = context;
    const struct snapshot *like = setting->snapshot;
    struct snapshot *snapshot;
    int rc = snapshot_new(setting->place.store, &snapshot);
    if (rc < 0)
        return rc;
    rc = snapshot_take_basis(snapshot, &like->relation, &like->key, like->schema);
    for (int i = 0; rc == 0 && i < 3; i++) {
        rc = snapshot_add_source(snapshot, &like->sources[0]);
        assert_int_equal(snapshot->source_count, rc == 0 ? i + 1 : i);
    }
    for (size_t i = 0; rc == 0 && i < like->group_count; i++) {
        rc = snapshot_add_group(snapshot, group_ref(like->groups[i]));
        assert_int_equal(snapshot->group_count, rc == 0 ? i + 1 : i);
        if (rc < 0)
            group_unref(like->groups[i]);
    }
    for (int f = 0; rc == 0 && f < FORMAT_COUNT; f++) {
        const struct view view = view_whole(snapshot, formats[f]);
        rc = view_measured(&view);
        assert_int_equal(view_face(&view)->measured, rc == 0);
    }
    snapshot_unref(snapshot);
    return rc;
}

static int copy_snapshot(void *context)
{
    const struct setting *setting = context;
    struct snapshot *copy = NULL;
    int rc = snapshot_copy_basis(setting->snapshot, &copy);
    assert_int_equal(copy != NULL, rc == 0);
    snapshot_unref(copy);
    return rc;
}

static int list_groups(void *context)
{
    const struct setting *setting = context;
    uint64_t *ids = NULL;
    int rc = snapshot_group_ids(setting->snapshot, &ids);
    assert_int_equal(ids != NULL, rc == 0);
    free(ids);
    return rc;
}

/* Under a mark that is new each time; on failure the old one stays. */
static int prove_snapshot(void *context)
{
    const struct setting *setting = context;
    struct version_key now;
    long at = no_memory_not_now();
    must(version_key_copy(&setting->snapshot->key, &now) == 0);
    now.mark[0] = (char)('0' + at % 10);
    char *before = strdup(setting->snapshot->key.mark);
    no_memory_again(at);
    int rc = snapshot_prove(setting->snapshot, &now);
    char *mark = rc >= 0 ? snapshot_mark(setting->snapshot) : NULL;
    if (rc >= 0)
        rc = mark == NULL ? -ENOMEM : 0;
    else
        assert_string_equal(setting->snapshot->key.mark, before);
    free(mark);
    free(before);
    version_key_clear(&now);
    return rc;
}

static int take_identity(void *context)
{
    const struct setting *setting = context;
    struct snapshot *fresh;
    long at = no_memory_not_now();
    must(snapshot_copy_basis(setting->snapshot, &fresh) == 0);
    for (size_t i = 0; i < setting->snapshot->group_count; i++)
        must(snapshot_add_group(fresh, group_ref(setting->snapshot->groups[i])) == 0);
    no_memory_again(at);
    int rc = snapshot_take_identity(fresh, setting->snapshot);
    snapshot_unref(fresh);
    return rc;
}

/* What had been chosen of the first groups is gone from the store, too. */
static int choose_columns(void *context)
{
    const struct setting *setting = context;
    static const atomic_bool going;
    struct store *store = setting->place.store;
    struct snapshot *chosen = NULL;
    uint64_t used = store_used(store);
    int rc = snapshot_choose(setting->snapshot, "\"c,2\",\"c,1\"", 0, &going, &chosen);
    assert_int_equal(chosen != NULL, rc == 0);
    assert_int_equal(store_used(store) > used, rc == 0);
    snapshot_unref(chosen);
    return rc;
}

/* Single columns, of a snapshot of their own: what is known of its views stays with it. */
static int measure_columns(void *context)
{
    struct setting *setting = context;
    const atomic_bool stop = false;
    int rc = 0;
    long at = no_memory_not_now();
    struct snapshot *snapshot = place_snapshot(&setting->place, &rows_tables[3], 20, 5);
    no_memory_again(at);
    for (int number = 0; rc == 0 && number < 2; number++)
        for (int f = 0; rc == 0 && f < 3; f++) {
            struct progress progress = {0};
            struct columns *columns;
            rc = columns_new(&number, 1, &columns);
            if (rc < 0)
                break;
            const struct view view = {snapshot, {column_formats[f], columns}, 0, VIEW_TO_END};
            struct schema *chosen = NULL;
            rc = schema_choose(snapshot->schema, &number, 1, &chosen);
            if (rc == 0 && column_formats[f]->possible(chosen)) {
                rc = fetch_measure(&setting->place.fetch, &view, &stop, NULL, &progress, NULL);
                assert_int_equal(view_face(&view)->measured, rc == 0);
            }
            schema_free(chosen);
            columns_unref(columns);
        }
    for (size_t i = 0; i < snapshot->group_count; i++)
        store_drop_group(setting->place.store, PLACE_RELATION, snapshot->groups[i]->id);
    snapshot_unref(snapshot);
    return rc;
}

/* Without memory the snapshot stays without times of its groups. */
static int take_times(void *context)
{
    const struct setting *setting = context;
    struct snapshot *fresh;
    long at = no_memory_not_now();
    must(snapshot_copy_basis(setting->snapshot, &fresh) == 0);
    for (size_t i = 0; i < setting->snapshot->group_count; i++)
        must(snapshot_add_group(fresh, group_ref(setting->snapshot->groups[i])) == 0);
    no_memory_again(at);
    int rc = snapshot_take_times(fresh, setting->snapshot);
    assert_int_equal(fresh->times != NULL, rc == 0);
    snapshot_unref(fresh);
    return rc;
}

static int cut_pieces(void *context)
{
    const struct setting *setting = context;
    struct pieces *pieces = NULL;
    int rc = pieces_new(setting->snapshot, 1, &pieces);
    assert_int_equal(pieces != NULL, rc == 0);
    pieces_free(pieces);
    return rc;
}

static void open_setting(struct setting *setting)
{
    place_open(&setting->place, 100 << 20);
    setting->snapshot = place_snapshot(&setting->place, &rows_tables[0], 20, 5);
    setting->schema = rows_schema(&rows_tables[0]);
    setting->rows = rows_group(&rows_tables[0], setting->schema, 0, 20);
}

static void close_setting(struct setting *setting)
{
    snapshot_unref(setting->snapshot);
    rowgroup_free(setting->rows);
    schema_free(setting->schema);
    place_close(&setting->place);
}

static void test_snapshot(void **state)
{
    struct setting setting;
    (void)state;
    open_setting(&setting);
    no_memory_each(make_snapshot, &setting, 0);
    no_memory_each(copy_snapshot, &setting, 0);
    no_memory_each(list_groups, &setting, 0);
    no_memory_each(prove_snapshot, &setting, 0);
    no_memory_each(take_identity, &setting, 0);
    no_memory_each(choose_columns, &setting, 0);
    no_memory_each(measure_columns, &setting, 0);
    no_memory_each(take_times, &setting, 0);
    no_memory_each(cut_pieces, &setting, 0);
    close_setting(&setting);
}

/* ---- the store ---- */

enum { ID = 4711 };

/* What is refused leaves no file, and no room taken. */
static int put_rows(void *context)
{
    const struct setting *setting = context;
    struct store *store = setting->place.store;
    uint64_t used = store_used(store);
    int rc = store_put_rows(store, PLACE_RELATION, ID, setting->rows, setting->schema);
    assert_int_equal(store_has_group(store, PLACE_RELATION, ID), rc == 0);
    store_drop_group(store, PLACE_RELATION, ID);
    assert_int_equal(store_used(store), used);
    return rc;
}

static int get_group(void *context)
{
    const struct setting *setting = context;
    uint64_t id = setting->snapshot->groups[0]->id;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = store_get_group(setting->place.store, PLACE_RELATION, id, 1 << 20, &bytes, &size);
    assert_int_equal(bytes != NULL, rc == 0);
    free(bytes);
    return rc;
}

static int get_record(void *context)
{
    const struct setting *setting = context;
    struct buffer out = {0};
    int rc = store_get_record(setting->place.store, PLACE_RELATION, "test", &out);
    assert_int_equal(out.size > 0, rc == 0);
    buffer_clear(&out);
    return rc;
}

static int open_store(void *context)
{
    const struct setting *setting = context;
    static const struct store_name name = {.system_id = 8, .database = 5, .role = "tester"};
    struct store *store = NULL;
    int rc = store_open(setting->place.dir, &name, 1 << 20, &store, NULL);
    assert_int_equal(store != NULL, rc == 0);
    store_close(store);
    return rc;
}

static bool none_in_use(void *context, uint32_t relation)
{
    (void)context, (void)relation;
    return false;
}

/* Without memory there may be no room. What is gone is not counted any more. */
static int make_room(void *context)
{
    const struct setting *setting = context;
    struct store *store = setting->place.store;
    long at = no_memory_not_now();
    must(store_put_rows(store, PLACE_RELATION, ID, setting->rows, setting->schema) == 0);
    no_memory_again(at);
    bool room = store_make_room(store, store_limit(store), false, none_in_use, NULL);
    assert_int_equal(room, store_used(store) == 0);
    store_drop_group(store, PLACE_RELATION, ID);
    return room ? 0 : -ENOMEM;
}

static void test_store(void **state)
{
    struct setting setting;
    struct buffer record = {0};
    (void)state;
    open_setting(&setting);
    must(buffer_append_text(&record, "a record") == 0);
    must(store_put_record(setting.place.store, PLACE_RELATION, "test", &record) == 0);
    buffer_clear(&record);
    no_memory_each(put_rows, &setting, 0);
    no_memory_each(get_group, &setting, 0);
    no_memory_each(get_record, &setting, 0);
    no_memory_each(open_store, &setting, 0);
    must(make_room(&setting) == 0); /* all others have gone then */
    no_memory_each(make_room, &setting, 0);
    close_setting(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),     cmocka_unit_test(test_question),
        cmocka_unit_test(test_ddl_text), cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
