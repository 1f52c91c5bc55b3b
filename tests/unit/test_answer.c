/* Answers that need no server: exact search over the hand-made tables of rows.h, whose vectors are
 * (-0.3, pi) in even rows and (1, pi) in odd ones. */
#include "fs/search/answer.h"
#include "fs/search/corpus.h"
#include "fs/search/vector_index.h"
#include "index/distance.h"
#include "index/hnsw.h"

#include "tests/unit/place.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { MIXED = 0, FIXED = 3, ROWS = 40, EACH = 7, CSV = 0, JSONL = 2 };

static struct place place;
static struct search search;
static struct snapshot *snapshot;
static struct question question;
static struct buffer answer, plan;
static struct error error;

static int set_up_table(int table, int key)
{
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[table], ROWS, EACH);
    search = (struct search){.place = &place.fetch, .corpora = place.corpora, .memory = 64 << 20};
    /* The server's answer about the key. */
    struct key_columns columns = {key >= 0, {key}, {KEY_SIGNED}};
    corpus_cache_keep_key(place.corpora, snapshot->relation.oid, snapshot->key.mark, &columns);
    answer = plan = (struct buffer){0};
    error = (struct error){""};
    return question_init(&question);
}

static int set_up(void **state)
{
    (void)state;
    return set_up_table(FIXED, 0);
}

static int set_up_mixed(void **state)
{
    (void)state;
    return set_up_table(MIXED, -1);
}

static int tear_down(void **state)
{
    (void)state;
    question_clear(&question);
    buffer_clear(&answer);
    buffer_clear(&plan);
    snapshot_unref(snapshot);
    place_close(&place);
    return 0;
}

static void set(const char *field, const char *value)
{
    for (int i = 0; i < QUESTION_FIELDS; i++)
        if (strcmp(question_fields[i], field) == 0) {
            assert_int_equal(question_set(&question, i, value, strlen(value), NULL), 0);
            return;
        }
    fail_msg("%s", field);
}

static int make(int format)
{
    answer.size = plan.size = 0;
    int rc = answer_make(&search, snapshot, &question, &(struct answer_way){.format = format},
                         &answer, &plan, &error);
    assert_int_equal(buffer_append_byte(&answer, '\0'), 0);
    assert_int_equal(buffer_append_byte(&plan, '\0'), 0);
    return rc;
}

static void assert_answer(int format, const char *expected)
{
    if (make(format) != 0)
        fail_msg("%s", error.text);
    assert_string_equal((const char *)answer.data, expected);
}

static void assert_refused(int rc, const char *reason)
{
    error.text[0] = '\0';
    assert_int_equal(make(CSV), rc);
    assert_string_equal((const char *)answer.data, "");
    if (strstr(error.text, reason) == NULL)
        fail_msg("\"%s\" is not \"%s\"", error.text, reason);
    assert_non_null(strstr((const char *)plan.data, "\"error\": "));
}

/* All odd rows are equally near; rows 4, 9, 14, … have mixed numbers, negative ones too. */
static void test_ties_go_by_key(void **state)
{
    (void)state;
    set("vector", "[1,3.1415927]");
    set("k", "3");
    int32_t least[3] = {INT32_MAX, INT32_MAX, INT32_MAX};
    for (uint32_t row = 1; row < ROWS; row += 2) {
        int32_t key = row % 5 == 4 ? (int32_t)(row * 2654435761U) : (int32_t)row;
        for (int i = 0; i < 3; i++)
            if (key < least[i]) {
                int32_t other = least[i];
                least[i] = key;
                key = other;
            }
    }
    char expected[128];
    snprintf(expected, sizeof expected,
             "\"c,0\",distance\n%" PRId32 ",0\n%" PRId32 ",0\n%" PRId32 ",0\n", least[0], least[1],
             least[2]);
    assert_answer(CSV, expected);
    assert_non_null(strstr((const char *)plan.data, "\"method\": \"exact\""));
    assert_non_null(strstr((const char *)plan.data, "\"returned\": 3,"));
}

static void test_batch(void **state)
{
    (void)state;
    set("vector", "[1,3.1415927]\n[-0.3,3.1415927]\n");
    set("k", "1");
    set("metric", "l1");
    set("columns", "\"c,1\"");
    assert_answer(JSONL, "{\"query\":0,\"c,1\":[1,3.1415927],\"distance\":0}\n"
                         "{\"query\":1,\"c,1\":[-0.3,3.1415927],\"distance\":0}\n");
}

static void test_near(void **state)
{
    (void)state;
    question.key = place_copy("2");
    set("k", "1000");
    assert_int_equal(make(CSV), 0);
    int lines = 0;
    for (const char *at = (const char *)answer.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, ROWS); /* the head, and all rows but the one */
    assert_null(strstr((const char *)answer.data, "\n2,"));
    free(question.key);
    question.key = place_copy("1000");
    assert_refused(-ENOENT, "no row with this key");
}

static void test_refused(void **state)
{
    (void)state;
    assert_refused(-EINVAL, "no vector to search for");
    set("vector", "[1]");
    assert_refused(-EINVAL, "row 0 has 2 dimensions, the query has 1");
    set("vector", "[0,0]");
    set("metric", "cosine");
    assert_refused(-EINVAL, "");
    set("vector", "[1,1]\n[0,0]");
    assert_refused(-EINVAL, "vector 2: ");
    set("vector", "[1,1]");
    set("columns", "none");
    assert_refused(-EINVAL, "no column \"none\"");
    set("columns", "");
    set("column", "c,0");
    assert_refused(-EINVAL, "is of type int4, which is no vector");
    set("column", "");
    set("metric", "jaccard");
    assert_refused(-EINVAL, "use l2, ip, cosine or l1");
}

static void test_too_large(void **state)
{
    (void)state;
    struct buffer many = {0};
    for (int i = 0; i < 40000; i++)
        assert_int_equal(buffer_append_text(&many, "[1,2]\n"), 0);
    assert_int_equal(buffer_append_byte(&many, '\0'), 0);
    set("vector", (const char *)many.data);
    set("k", "100");
    assert_refused(-EINVAL, "are too many");
    set("mode", "server"); /* before the server is asked */
    assert_refused(-EINVAL, "are too many");
    buffer_clear(&many);
}

/* Values rendered by the server, and one that it has given as JSON only. */
static void test_parts(void **state)
{
    (void)state;
    set("vector", "[1,3.1415927]");
    set("k", "2");
    assert_answer(
        CSV,
        "\"c,0\",\"c,1\",\"c,3\",distance\n1,\"\",\"a,b\",0\n3,\"q\"\"q\",\"line\nbreak\",0\n");
    assert_answer(
        JSONL,
        "{\"c,0\":1,\"c,1\":\"\",\"c,3\":{\"a\": [1,2]},\"c,4\":{\"a\": [1,2]},\"distance\":0}\n"
        "{\"c,0\":3,\"c,1\":\"q\\\"q\",\"c,3\":{\"a\": [1,2]},\"c,4\":{\"a\": "
        "[1,2]},\"distance\":0}\n");
    set("columns", "\"c,4\"");
    assert_refused(-EINVAL, "column \"c,4\" cannot be had as csv");
}

static void test_stopped(void **state)
{
    (void)state;
    atomic_bool stop = true;
    set("vector", "[1,1]");
    assert_int_equal(answer_make(&search, snapshot, &question,
                                 &(struct answer_way){CSV, &stop, false}, &answer, NULL, &error),
                     -EINTR);
    assert_int_equal(answer.size, 0);
}

/* The first attempt reads zeroes; the second finds that the file is gone, and the server, too. */
static void test_cut_short(void **state)
{
    (void)state;
    char path[128];
    set("vector", "[1,1]");
    assert_int_equal(make(CSV), 0);
    const struct group *group = snapshot->groups[1];
    snprintf(path, sizeof path, "%s/%u/%016" PRIx64 ".rows", store_path(place.store),
             group->relation, group->id);
    assert_int_equal(truncate(path, 0), 0);
    assert_refused(-ENOTCONN, "");
}

/* ---- from an index; the Makefile wraps what asks for it ---- */

struct vector_index *__real_vector_index_get(struct vector_indexes *indexes, struct corpus *corpus,
                                             int column, const struct space *space, bool begin);
void __real_vector_index_unref(struct vector_index *index);
int __real_query_within(const struct query *query, const struct value *values, uint32_t count,
                        double most, struct query_found *out);
struct vector_index *__wrap_vector_index_get(struct vector_indexes *indexes, struct corpus *corpus,
                                             int column, const struct space *space, bool begin);
void __wrap_vector_index_unref(struct vector_index *index);
bool __wrap_vector_index_intact(const struct vector_index *index);
int __wrap_vector_index_searcher(struct vector_index *index, struct hnsw_searcher **out);
void __wrap_vector_index_done(struct vector_index *index, struct hnsw_searcher *searcher);
int __wrap_query_within(const struct query *query, const struct value *values, uint32_t count,
                        double most, struct query_found *out);

static struct vector_index *ready; /* NULL: none is */
static uint32_t compared, kept;    /* rows, for their distances */

struct vector_index *__wrap_vector_index_get(struct vector_indexes *of, struct corpus *corpus,
                                             int column, const struct space *space, bool begin)
{
    return ready != NULL ? ready : __real_vector_index_get(of, corpus, column, space, begin);
}

void __wrap_vector_index_unref(struct vector_index *index)
{
    if (index == NULL || index != ready)
        __real_vector_index_unref(index);
}

bool __wrap_vector_index_intact(const struct vector_index *index) { return index == ready; }

int __wrap_vector_index_searcher(struct vector_index *index, struct hnsw_searcher **out)
{
    return hnsw_searcher_new(index->hnsw, out);
}

void __wrap_vector_index_done(struct vector_index *index, struct hnsw_searcher *searcher)
{
    (void)index;
    hnsw_searcher_free(searcher);
}

int __wrap_query_within(const struct query *query, const struct value *values, uint32_t count,
                        double most, struct query_found *out)
{
    int rc = __real_query_within(query, values, count, most, out);
    compared += count;
    kept += rc == 0 ? out->count : 0;
    return rc;
}

/* Of the odd rows, or of the even ones; the others have come since. */
static struct vector_index index_of(bool odd)
{
    static const uint8_t values[2][12] = {
        {0, 2, 0, 0, 0xbe, 0x99, 0x99, 0x9a, 0x40, 0x49, 0x0f, 0xdb},
        {0, 2, 0, 0, 0x3f, 0x80, 0, 0, 0x40, 0x49, 0x0f, 0xdb}};
    static uint8_t bytes[ROWS / 2][12];
    static uint32_t row_of_slot[ROWS / 2], fresh[ROWS / 2];
    struct row_key keys[ROWS / 2];
    for (uint32_t i = 0; i < ROWS / 2; i++) {
        memcpy(bytes[i], values[odd], sizeof bytes[i]);
        keys[i] = (struct row_key){i, 1};
        fresh[i] = 2 * i + !odd;
    }
    const struct hnsw_options how = {.space = {ELEMENT_FLOAT32, METRIC_L2, 2},
                                     .m = 8,
                                     .ef_construction = 40,
                                     .seed = 1,
                                     .threads = 1};
    struct hnsw *hnsw;
    assert_int_equal(
        hnsw_build(&how, &(struct hnsw_rows){&(struct span){bytes[0], ROWS / 2, 12, NULL}, 1, keys},
                   &hnsw, NULL),
        0);
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot++) {
        struct row_key key;
        assert_true(hnsw_key(hnsw, slot, &key));
        row_of_slot[slot] = (uint32_t)(2 * key.place + odd);
    }
    return (struct vector_index){.hnsw = hnsw,
                                 .row_of_slot = row_of_slot,
                                 .live_count = ROWS / 2,
                                 .fresh = fresh,
                                 .fresh_count = ROWS / 2};
}

/* Rows that the index does not have are found; those that are too far away are not put in order. */
static void test_fresh_rows(void **state)
{
    (void)state;
    char *exactly;
    set("vector", "[1,3.1415927]");
    set("k", "3");
    assert_int_equal(make(CSV), 0);
    exactly = place_copy((const char *)answer.data);
    set("mode", "hnsw");
    set("ef_search", "20");
    for (int odd = 0; odd < 2; odd++) {
        struct vector_index index = index_of(odd);
        ready = &index;
        compared = kept = 0;
        assert_answer(CSV, exactly);
        assert_non_null(strstr((const char *)plan.data, "\"method\": \"hnsw\""));
        assert_int_equal(compared, ROWS);
        assert_int_equal(kept, odd ? ROWS / 2 : ROWS);
        ready = NULL;
        hnsw_free((struct hnsw *)index.hnsw);
    }
    free(exactly);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ties_go_by_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_near, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts, set_up_mixed, tear_down),
        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fresh_rows, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
