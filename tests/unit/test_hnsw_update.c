/* Rows come and go. */
#include "index/hnsw.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

static const struct space clustered = {ELEMENT_FLOAT32, METRIC_L2, 32};

/* The index of an ever-growing list of rows, some of them deleted. */
struct history {
    struct vectors v;
    uint64_t *alive; /* by row */
    struct hnsw *hnsw;
    uint32_t rows; /* alive */
    uint32_t round;
};

enum { ROWS_MOST = 64000 };

static void history_begin(struct history *history, struct space space, uint32_t rows)
{
    vectors_make(&history->v, space, rows, 11);
    history->alive = calloc(ROWS_MOST / 64, sizeof *history->alive);
    assert_non_null(history->alive);
    for (uint32_t row = 0; row < rows; row++)
        history->alive[row / 64] |= UINT64_C(1) << row % 64;
    history->rows = rows;
    history->hnsw = graph_of(&history->v);
}

static void history_end(struct history *history)
{
    vectors_clear(&history->v);
    free(history->alive);
    hnsw_free(history->hnsw);
}

/* The bits of the slots whose rows `goes` says yes to; these are then not alive. */
static uint64_t *take_away(struct history *history, bool (*goes)(struct history *, uint32_t))
{
    uint32_t slots = hnsw_slots(history->hnsw);
    uint64_t *dead = calloc(slots / 64 + 1, sizeof *dead);
    assert_non_null(dead);
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct row_key key;
        if (!hnsw_key(history->hnsw, slot, &key) || !goes(history, vectors_row(key)))
            continue;
        uint32_t row = vectors_row(key);
        dead[slot / 64] |= UINT64_C(1) << slot % 64;
        history->alive[row / 64] &= ~(UINT64_C(1) << row % 64);
        history->rows--;
    }
    return dead;
}

/* Who stays, stays where he is. */
static void assert_slots_stay(const struct hnsw *old, const struct hnsw *new, const uint64_t *dead)
{
    for (uint32_t slot = 0; slot < hnsw_slots(old); slot++) {
        struct row_key was, is;
        if (!hnsw_key(old, slot, &was) || (dead != NULL && vectors_bit(dead, slot)))
            continue;
        assert_true(hnsw_key(new, slot, &is));
        assert_true(was.place == is.place && was.xmin == is.xmin);
    }
}

static void step(struct history *history, bool (*goes)(struct history *, uint32_t), uint32_t added)
{
    struct hnsw_options options = graph_options(history->v.space);
    uint64_t *dead = goes != NULL ? take_away(history, goes) : NULL;
    uint32_t first = history->v.rows;
    history->round++;
    uint64_t churn = hnsw_churn(history->hnsw) + (hnsw_rows(history->hnsw) - history->rows) + added;
    assert_true(first + added <= ROWS_MOST);
    for (uint32_t i = 0; i < added; i++, history->rows++) {
        history->alive[history->v.rows / 64] |= UINT64_C(1) << history->v.rows % 64;
        vectors_add_some(&history->v);
    }
    struct span span = vectors_span(&history->v, first, added);
    struct hnsw *new = NULL;
    struct error error = {""};
    int rc =
        hnsw_update(history->hnsw, &options, dead,
                    &(struct hnsw_rows){&span, added > 0, history->v.keys + first}, &new, &error);
    if (rc == 0)
        rc = hnsw_check(new, &error);
    if (rc < 0)
        fail_msg("%d %s", rc, error.text);
    assert_int_equal(hnsw_rows(new), history->rows);
    assert_true(hnsw_churn(new) == churn || hnsw_churn(new) == 0); /* or it is built whole */
    assert_slots_stay(history->hnsw, new, dead);
    hnsw_free(history->hnsw);
    history->hnsw = new;
    free(dead);
}

static double recall(struct history *history, const struct hnsw *hnsw, uint32_t ef)
{
    struct vectors queries;
    vectors_make(&queries, history->v.space, 200, 99);
    double value = graph_recall(hnsw, &history->v, &queries, 10, ef, history->alive, NULL);
    vectors_clear(&queries);
    return value;
}

/* Of the rows that are alive, by the same keys. */
static struct hnsw *fresh_build(struct history *history)
{
    struct vectors *v = &history->v;
    struct span *spans = calloc(history->rows + 1, sizeof *spans);
    struct row_key *keys = calloc(history->rows + 1, sizeof *keys);
    assert_true(spans != NULL && keys != NULL);
    uint32_t n = 0;
    for (uint32_t row = 0; row < v->rows; row++)
        if (vectors_bit(history->alive, row)) {
            spans[n] = vectors_span(v, row, 1);
            keys[n++] = v->keys[row];
        }
    struct hnsw_options options = graph_options(v->space);
    struct hnsw *hnsw = NULL;
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){spans, n, keys}, &hnsw, NULL), 0);
    free(spans);
    free(keys);
    return hnsw;
}

static bool tenth(struct history *history, uint32_t row)
{
    uint64_t random = (uint64_t)history->round << 32 | row;
    return vectors_random(&random) % 1000 < 100;
}

static void assert_as_good_as_fresh(struct history *history)
{
    struct hnsw *fresh = fresh_build(history);
    for (uint32_t ef = 20; ef <= 80; ef *= 2) {
        double of_fresh = recall(history, fresh, ef), of_old = recall(history, history->hnsw, ef);
        if (of_old < of_fresh - 0.005)
            fail_msg("ef %u: recall %.4f, of a fresh build %.4f", ef, of_old, of_fresh);
    }
    hnsw_free(fresh);
}

/* graph_recall asserts that nothing that was deleted is found, and that all can be. */
static void test_churn(void **state)
{
    (void)state;
    struct history history;
    history_begin(&history, clustered, 4000);
    for (int round = 0; round < 20; round++)
        step(&history, tenth, 400);
    assert_true(hnsw_slots(history.hnsw) >= history.rows);
    assert_true(hnsw_slots(history.hnsw) <= 5000); /* slots are used again */
    assert_as_good_as_fresh(&history);
    history_end(&history);
}

static void test_churn_of_other_spaces(void **state)
{
    (void)state;
    static const struct space spaces[] = {{ELEMENT_BIT, METRIC_HAMMING, 256},
                                          {ELEMENT_SPARSE, METRIC_COSINE, 3000},
                                          {ELEMENT_FLOAT16, METRIC_IP, 20}};
    for (size_t i = 0; i < 3; i++) {
        struct history history;
        history_begin(&history, spaces[i], 800);
        for (int round = 0; round < 5; round++)
            step(&history, tenth, 80);
        assert_true(recall(&history, history.hnsw, 100) > 0.93);
        history_end(&history);
    }
}

static bool all(struct history *history, uint32_t row) { return row < history->v.rows; }
static bool all_but_one(struct history *history, uint32_t row)
{
    return row != history->v.rows - 1;
}

static void test_growing(void **state)
{
    (void)state;
    struct history history;
    history_begin(&history, clustered, 0);
    static const uint32_t added[] = {1, 1, 2, 0, 50, 500, 1500};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        step(&history, NULL, added[i]);
        assert_true(recall(&history, history.hnsw, 100) > 0.97);
    }
    history_end(&history);
}

static void test_shrinking(void **state)
{
    (void)state;
    struct history history;
    history_begin(&history, clustered, 1500);
    while (history.rows > 30)
        step(&history, tenth, 0);
    assert_true(recall(&history, history.hnsw, 100) > 0.97);
    step(&history, all_but_one, 0);
    assert_true(recall(&history, history.hnsw, 100) > 0.97);
    step(&history, all, 0);
    assert_int_equal(hnsw_rows(history.hnsw), 0);
    recall(&history, history.hnsw, 100);
    step(&history, NULL, 500);
    assert_true(recall(&history, history.hnsw, 100) > 0.97);
    step(&history, all, 700);
    assert_true(recall(&history, history.hnsw, 100) > 0.97);
    history_end(&history);
}

/* Of rows that share a place in the graph, some go; others come. */
static void test_duplicates(void **state)
{
    (void)state;
    struct vectors v;
    struct hnsw_options options = graph_options(clustered);
    vectors_make(&v, clustered, 300, 3);
    for (int i = 0; i < 300; i++)
        vectors_add_copy(&v, 7);
    struct hnsw *old = graph_of(&v), *new = NULL;
    uint64_t *dead = calloc(hnsw_slots(old) / 64 + 1, sizeof *dead);
    assert_non_null(dead);
    uint32_t gone = 0;
    for (uint32_t slot = 0; slot < hnsw_slots(old); slot++) {
        struct row_key key;
        uint32_t row = hnsw_key(old, slot, &key) ? vectors_row(key) : 0;
        if (row == 7 || (row >= 300 && row % 2 == 0)) {
            dead[slot / 64] |= UINT64_C(1) << slot % 64;
            gone++;
        }
    }
    assert_int_equal(gone, 151);
    for (int i = 0; i < 40; i++)
        vectors_add_copy(&v, 7);
    struct span span = vectors_span(&v, 600, 40);
    assert_int_equal(
        hnsw_update(old, &options, dead, &(struct hnsw_rows){&span, 1, v.keys + 600}, &new, NULL),
        0);
    assert_int_equal(hnsw_check(new, NULL), 0);
    assert_int_equal(hnsw_rows(new), 600 - 151 + 40);
    struct query *query = vectors_query(&v, 7);
    struct answer answer = graph_search(new, query, 190, 200, NULL);
    assert_int_equal(answer.count, 190);
    for (uint32_t i = 0; i < answer.count; i++) {
        uint32_t row = graph_row(new, answer.found[i].slot);
        assert_true(row >= 600 || (row >= 300 && row % 2 == 1));
    }
    /* The old one is what it was. */
    struct answer before = graph_search(old, query, 301, 400, NULL);
    for (uint32_t i = 0; i < before.count; i++)
        assert_true(graph_row(old, before.found[i].slot) == 7 ||
                    graph_row(old, before.found[i].slot) >= 300);
    free(answer.found);
    free(before.found);
    free(dead);
    query_free(query);
    hnsw_free(old);
    hnsw_free(new);
    vectors_clear(&v);
}

static void test_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 5};
    struct history history;
    struct hnsw *new[3];
    history_begin(&history, clustered, 2000);
    uint64_t *dead = take_away(&history, tenth);
    for (int i = 0; i < 300; i++)
        vectors_add_some(&history.v);
    struct span span = vectors_span(&history.v, 2000, 300);
    for (int i = 0; i < 3; i++) {
        struct hnsw_options options = graph_options(clustered);
        options.threads = threads[i];
        assert_int_equal(hnsw_update(history.hnsw, &options, dead,
                                     &(struct hnsw_rows){&span, 1, history.v.keys + 2000}, &new[i],
                                     NULL),
                         0);
        assert_same_graph(new[0], new[i]);
    }
    for (int i = 0; i < 3; i++)
        hnsw_free(new[i]);
    free(dead);
    history_end(&history);
}

static void test_nulls(void **state)
{
    (void)state;
    struct vectors v;
    struct hnsw_options options = graph_options((struct space){ELEMENT_FLOAT32, METRIC_COSINE, 8});
    vectors_make(&v, options.space, 100, 3);
    struct hnsw *old = graph_of(&v), *new = NULL;
    vectors_add_null(&v);
    vectors_add_some(&v);
    vectors_add_zero(&v);
    struct span span = vectors_span(&v, 100, 3);
    assert_int_equal(
        hnsw_update(old, &options, NULL, &(struct hnsw_rows){&span, 1, v.keys + 100}, &new, NULL),
        0);
    assert_int_equal(hnsw_rows(new), 101);
    assert_int_equal(hnsw_check(new, NULL), 0);
    hnsw_free(old);
    hnsw_free(new);
    vectors_clear(&v);
}

static void test_refused(void **state)
{
    (void)state;
    struct vectors v;
    atomic_bool stop = true;
    struct hnsw_options options = graph_options(clustered);
    vectors_make(&v, clustered, 1100, 3);
    struct span first = vectors_span(&v, 0, 100), rest = vectors_span(&v, 100, 1000);
    struct hnsw *old = NULL, *new = NULL;
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&first, 1, v.keys}, &old, NULL), 0);
    options.stop = &stop;
    assert_int_equal(
        hnsw_update(old, &options, NULL, &(struct hnsw_rows){&rest, 1, v.keys + 100}, &new, NULL),
        -EINTR);
    options.stop = NULL;
    store_be16(v.bytes.data + v.starts[500], 7);
    assert_int_equal(
        hnsw_update(old, &options, NULL, &(struct hnsw_rows){&rest, 1, v.keys + 100}, &new, NULL),
        -EBADMSG);
    assert_null(new);
    assert_int_equal(hnsw_check(old, NULL), 0);
    hnsw_free(old);
    vectors_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_churn),      cmocka_unit_test(test_churn_of_other_spaces),
        cmocka_unit_test(test_growing),    cmocka_unit_test(test_shrinking),
        cmocka_unit_test(test_duplicates), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_nulls),      cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
