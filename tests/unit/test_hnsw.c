/* Building and searching; see test_hnsw_update.c and test_hnsw_file.c for the rest. */
#include "index/hnsw.h"

#include "codec/isa.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

static const struct space clustered = {ELEMENT_FLOAT32, METRIC_L2, 32};

static void assert_recall(const struct hnsw *hnsw, const struct vectors *v, uint32_t k, uint32_t ef,
                          double floor)
{
    struct vectors queries;
    vectors_make(&queries, v->space, 60, 4242);
    double recall = graph_recall(hnsw, v, &queries, k, ef, NULL, NULL);
    if (recall < floor)
        fail_msg("element %d %s: recall@%u with ef %u is %.4f, less than %.4f", v->space.element,
                 metric_name(v->space.metric), k, ef, recall, floor);
    vectors_clear(&queries);
}

/* What is found has nearly the distance that it is said to have; `scale` is that of distances. */
static void assert_distances(const struct hnsw *hnsw, const struct vectors *v, double scale)
{
    for (uint32_t q = 0; q < v->rows; q += v->rows / 20 + 1) {
        struct query *query = vectors_query(v, q);
        struct answer answer = graph_search(hnsw, query, 10, 100, NULL);
        for (uint32_t i = 0; i < answer.count; i++) {
            double exact = graph_distance(v, query, graph_row(hnsw, answer.found[i].slot));
            if (fabs(exact - (double)answer.found[i].distance) > 0.05 * scale)
                fail_msg("element %d %s: %g said, %g is", v->space.element,
                         metric_name(v->space.metric), (double)answer.found[i].distance, exact);
        }
        free(answer.found);
        query_free(query);
    }
}

static double farthest(const struct vectors *v)
{
    struct query *query = vectors_query(v, 0);
    double most = 0;
    for (uint32_t row = 0; row < v->rows; row++)
        most = fmax(most, fabs(graph_distance(v, query, row)));
    query_free(query);
    return most;
}

static void test_every_space(void **state)
{
    (void)state;
    static const uint32_t dims[ELEMENT_COUNT] = {[ELEMENT_FLOAT32] = 24,
                                                 [ELEMENT_FLOAT16] = 21,
                                                 [ELEMENT_SPARSE] = 5000,
                                                 [ELEMENT_BIT] = 250};
    int spaces = 0;
    for (int element = 0; element < ELEMENT_COUNT; element++)
        for (int metric = 0; metric < METRIC_COUNT; metric++) {
            struct space space = {(enum element)element, (enum metric)metric, dims[element]};
            struct vectors v;
            if (!metric_fits(space.metric, space.element))
                continue;
            vectors_make(&v, space, 700, 7);
            struct hnsw *hnsw = graph_of(&v);
            assert_int_equal(hnsw_rows(hnsw), 700);
            assert_true(hnsw_slots(hnsw) >= 700 && hnsw_slots(hnsw) <= 1 << 20);
            assert_memory_equal(hnsw_space(hnsw), &space, sizeof space);
            assert_true(hnsw_bytes(hnsw) > 0 && hnsw_churn(hnsw) == 0);
            assert_recall(hnsw, &v, 10, 100, metric == METRIC_IP ? 0.93 : 0.97);
            assert_distances(hnsw, &v, farthest(&v));
            hnsw_free(hnsw);
            vectors_clear(&v);
            spaces++;
        }
    assert_int_equal(spaces, 3 * 4 + 2);
}

/* Each row once, and no other. */
static void assert_finds_all(const struct hnsw *hnsw, const struct vectors *v, uint32_t expected)
{
    struct query *query = vectors_query(v, 0);
    struct answer answer = graph_search(hnsw, query, v->rows + 5, v->rows + 5, NULL);
    assert_int_equal(answer.count, expected);
    free(answer.found);
    query_free(query);
}

static void test_no_rows(void **state)
{
    (void)state;
    struct vectors v, none;
    vectors_make(&v, clustered, 1, 1);
    vectors_init(&none, clustered, 1);
    struct hnsw_options options = graph_options(clustered);
    struct span empty = vectors_span(&none, 0, 0);
    for (size_t spans = 0; spans <= 1; spans++) {
        struct hnsw *hnsw = NULL;
        struct hnsw_recall curve[HNSW_RECALLS];
        assert_int_equal(
            hnsw_build(&options, &(struct hnsw_rows){&empty, spans, none.keys}, &hnsw, NULL), 0);
        assert_int_equal(hnsw_rows(hnsw), 0);
        assert_int_equal(hnsw_check(hnsw, NULL), 0);
        assert_int_equal(hnsw_recall(hnsw, curve), 0);
        assert_finds_all(hnsw, &v, 0);
        hnsw_free(hnsw);
    }
    vectors_clear(&v);
    vectors_clear(&none);
}

static void test_few_rows(void **state)
{
    (void)state;
    for (uint32_t rows = 1; rows < 40; rows += rows < 5 ? 1 : 7) {
        struct vectors v;
        vectors_make(&v, clustered, rows, rows);
        struct hnsw *hnsw = graph_of(&v);
        assert_int_equal(hnsw_rows(hnsw), rows);
        assert_finds_all(hnsw, &v, rows);
        hnsw_free(hnsw);
        vectors_clear(&v);
    }
}

static void test_all_equal(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 1, 3);
    while (v.rows < 600)
        vectors_add_copy(&v, 0);
    struct hnsw *hnsw = graph_of(&v);
    assert_finds_all(hnsw, &v, 600);
    struct query *query = vectors_query(&v, 0);
    struct answer answer = graph_search(hnsw, query, 10, 10, NULL);
    assert_int_equal(answer.count, 10);
    free(answer.found);
    query_free(query);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* A thousand copies of one row among others: all are found, and do not hide the others. */
static void test_duplicates(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 500, 3);
    for (int i = 0; i < 999; i++)
        vectors_add_copy(&v, 123);
    while (v.rows < 2000)
        vectors_add_some(&v);
    struct hnsw *hnsw = graph_of(&v);
    struct query *query = vectors_query(&v, 123);
    struct answer answer = graph_search(hnsw, query, 1000, 1000, NULL);
    assert_int_equal(answer.count, 1000);
    for (uint32_t i = 0; i < answer.count; i++) {
        uint32_t row = graph_row(hnsw, answer.found[i].slot);
        assert_true(row == 123 || (row >= 500 && row < 1499));
    }
    free(answer.found);
    query_free(query);
    assert_recall(hnsw, &v, 10, 100, 0.97);
    assert_true(graph_recall_of(hnsw, &v, query = vectors_query(&v, 123), 1100, 1200, NULL, NULL) >
                0.97);
    query_free(query);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

static void test_dimensions(void **state)
{
    (void)state;
    static const struct {
        struct space space;
        uint32_t rows;
    } cases[] = {{{ELEMENT_FLOAT32, METRIC_L2, 1}, 400},
                 {{ELEMENT_FLOAT32, METRIC_L1, 1}, 400},
                 {{ELEMENT_FLOAT32, METRIC_L2, 2}, 400},
                 {{ELEMENT_FLOAT32, METRIC_COSINE, 3}, 400},
                 {{ELEMENT_FLOAT32, METRIC_L2, 16000}, 60},
                 {{ELEMENT_FLOAT32, METRIC_COSINE, 16000}, 60},
                 {{ELEMENT_FLOAT16, METRIC_L1, 16000}, 60},
                 {{ELEMENT_BIT, METRIC_HAMMING, 64000}, 60},
                 {{ELEMENT_BIT, METRIC_JACCARD, 1}, 60},
                 {{ELEMENT_BIT, METRIC_HAMMING, 9}, 400},
                 {{ELEMENT_SPARSE, METRIC_L2, 1}, 60},
                 {{ELEMENT_SPARSE, METRIC_IP, 1000000000}, 200},
                 {{ELEMENT_SPARSE, METRIC_COSINE, 30000}, 400}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct vectors v;
        vectors_make(&v, cases[i].space, cases[i].rows, i);
        struct hnsw *hnsw = graph_of(&v);
        assert_int_equal(hnsw_rows(hnsw), cases[i].rows);
        assert_finds_all(hnsw, &v, cases[i].rows);
        /* Of one dimension, rows are nearer to each other than their short forms tell. */
        assert_recall(hnsw, &v, 10, 100, cases[i].space.dims == 1 ? 0.8 : 0.95);
        hnsw_free(hnsw);
        vectors_clear(&v);
    }
}

/* NULL is in no index, a zero vector not in that of cosine. */
static void test_nulls_and_zeros(void **state)
{
    (void)state;
    for (int element = 0; element <= ELEMENT_SPARSE; element++)
        for (int metric = METRIC_L2; metric <= METRIC_COSINE; metric++) {
            struct space space = {(enum element)element, (enum metric)metric, 40};
            bool zeros = metric != METRIC_COSINE;
            struct vectors v;
            vectors_init(&v, space, 9);
            vectors_add_some(&v);
            for (int i = 0; i < 200; i++) {
                if (i % 7 == 0)
                    vectors_add_null(&v);
                if (i % 50 == 0)
                    vectors_add_zero(&v);
                vectors_add_some(&v);
            }
            struct hnsw *hnsw = graph_of(&v);
            assert_int_equal(hnsw_rows(hnsw), zeros ? 205 : 201);
            assert_finds_all(hnsw, &v, zeros ? 205 : 201);
            assert_recall(hnsw, &v, 10, 100, 0.93);
            hnsw_free(hnsw);
            vectors_clear(&v);
        }
}

static void test_only_nulls(void **state)
{
    (void)state;
    struct vectors v, one;
    vectors_init(&v, clustered, 9);
    vectors_make(&one, clustered, 1, 9);
    for (int i = 0; i < 100; i++)
        vectors_add_null(&v);
    struct hnsw *hnsw = graph_of(&v);
    assert_int_equal(hnsw_rows(hnsw), 0);
    assert_finds_all(hnsw, &one, 0);
    hnsw_free(hnsw);
    vectors_clear(&v);
    vectors_clear(&one);
}

static void test_threads(void **state)
{
    (void)state;
    static const int threads[] = {1, 2, 5};
    struct hnsw *hnsw[3];
    struct vectors v;
    vectors_make(&v, clustered, 2500, 5);
    for (int i = 0; i < 100; i++)
        vectors_add_copy(&v, (uint32_t)i * 3);
    for (int i = 0; i < 3; i++) {
        struct hnsw_options options = graph_options(clustered);
        options.threads = threads[i];
        hnsw[i] = graph_of_options(&v, &options);
        assert_same_graph(hnsw[0], hnsw[i]);
    }
    for (int i = 0; i < 3; i++)
        hnsw_free(hnsw[i]);
    vectors_clear(&v);
}

/* However the rows are divided, and whether or not their sizes are listed. */
static void test_spans(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 1000, 5);
    struct hnsw *whole = graph_of(&v), *pieces = NULL;
    struct hnsw_options options = graph_options(clustered);
    size_t size = 4 + 4 * (size_t)clustered.dims;
    struct span spans[] = {
        vectors_span(&v, 0, 0),
        vectors_span(&v, 0, 1),
        vectors_span(&v, 1, 700),
        {.bytes = v.bytes.data + 701 * size, .rows = 299, .fixed = (uint32_t)size},
        vectors_span(&v, 1000, 0)};
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){spans, 5, v.keys}, &pieces, NULL), 0);
    assert_same_graph(whole, pieces);
    hnsw_free(whole);
    hnsw_free(pieces);
    vectors_clear(&v);
}

static void test_recall_floor(void **state)
{
    (void)state;
    for (int bits = 0; bits <= 8; bits += 4) {
        struct vectors v;
        struct hnsw_options options = graph_options(clustered);
        options.code_bits = bits;
        vectors_make(&v, clustered, 3000, 5);
        struct hnsw *hnsw = graph_of_options(&v, &options);
        assert_recall(hnsw, &v, 10, 100, 0.98);
        assert_recall(hnsw, &v, 1, 100, 0.93); /* distances are a little off */
        assert_recall(hnsw, &v, 100, 200, 0.95);
        assert_recall(hnsw, &v, 10, 10, 0.5);
        hnsw_free(hnsw);
        vectors_clear(&v);
    }
}

static void test_recall_curve(void **state)
{
    (void)state;
    struct vectors v, queries;
    vectors_make(&v, clustered, 3000, 5);
    vectors_make(&queries, clustered, 100, 77);
    struct hnsw *hnsw = graph_of(&v);
    struct hnsw_recall curve[HNSW_RECALLS];
    int points = hnsw_recall(hnsw, curve);
    assert_true(points >= 2 && points <= HNSW_RECALLS);
    for (int i = 0; i < points; i++) {
        assert_true(curve[i].recall > 0 && curve[i].recall <= 1);
        assert_true(i == 0 || curve[i].ef > curve[i - 1].ef);
        double real = graph_recall(hnsw, &v, &queries, 10, curve[i].ef, NULL, NULL);
        if (fabs(real - (double)curve[i].recall) > 0.08)
            fail_msg("ef %u: measured %.3f, %.3f is", curve[i].ef, (double)curve[i].recall, real);
    }
    uint32_t before = 0;
    for (int percent = 50; percent <= 95; percent += 5) {
        uint32_t ef = hnsw_ef(hnsw, percent / 100.0, 10);
        assert_true(ef >= 10 && ef >= before);
        assert_true(hnsw_ef(hnsw, percent / 100.0, 50) >= 50);
        assert_true(graph_recall(hnsw, &v, &queries, 10, ef, NULL, NULL) > percent / 100.0 - 0.06);
        before = ef;
    }
    hnsw_free(hnsw);
    vectors_clear(&v);
    vectors_clear(&queries);
}

/* All levels of instructions find the same rows, or such as are as near. */
static void test_instructions(void **state)
{
    (void)state;
    static const struct space spaces[] = {
        {ELEMENT_FLOAT32, METRIC_L2, 67},     {ELEMENT_FLOAT32, METRIC_COSINE, 100},
        {ELEMENT_FLOAT32, METRIC_IP, 33},     {ELEMENT_FLOAT32, METRIC_L1, 19},
        {ELEMENT_FLOAT16, METRIC_COSINE, 65}, {ELEMENT_BIT, METRIC_HAMMING, 333},
        {ELEMENT_BIT, METRIC_JACCARD, 520},   {ELEMENT_SPARSE, METRIC_L2, 999}};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct vectors v;
        vectors_make(&v, spaces[i], 800, i);
        isa_force(ISA_SCALAR);
        struct hnsw *built = graph_of(&v);
        double scalar = 0;
        for (int level = ISA_SCALAR; level <= ISA_AVX512; level++) {
            if (isa_force((enum isa)level) != (enum isa)level)
                continue;
            struct hnsw *own = graph_of(&v);
            double recall = graph_recall(built, &v, &v, 10, 40, NULL, NULL);
            double of_own = graph_recall(own, &v, &v, 10, 40, NULL, NULL);
            if (level == ISA_SCALAR)
                scalar = recall;
            if (fabs(recall - scalar) > 0.005 || fabs(of_own - scalar) > 0.015)
                fail_msg("%s, element %d %s: recall %.4f, of its own graph %.4f, scalar %.4f",
                         isa_name((enum isa)level), spaces[i].element,
                         metric_name(spaces[i].metric), recall, of_own, scalar);
            hnsw_free(own);
        }
        isa_force(ISA_AVX512);
        hnsw_free(built);
        vectors_clear(&v);
    }
}

/* Whoever matches `filter`: min(k, matching) are found, nearly the nearest ones. */
static void assert_filtered(const struct hnsw *hnsw, const struct vectors *v,
                            bool (*matches)(uint32_t))
{
    size_t words = (hnsw_slots(hnsw) + v->rows) / 64 + 2;
    uint64_t *slots = calloc(words, sizeof *slots), *rows = calloc(words, sizeof *rows);
    assert_true(slots != NULL && rows != NULL);
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot++) {
        struct row_key key;
        if (!hnsw_key(hnsw, slot, &key) || !matches(vectors_row(key)))
            continue;
        slots[slot / 64] |= UINT64_C(1) << slot % 64;
        rows[vectors_row(key) / 64] |= UINT64_C(1) << vectors_row(key) % 64;
    }
    struct vectors queries;
    vectors_make(&queries, v->space, 40, 31);
    /* graph_recall asserts the number. */
    double ten = graph_recall(hnsw, v, &queries, 10, 100, rows, slots);
    double hundred = graph_recall(hnsw, v, &queries, 100, 100, rows, slots);
    if (ten < 0.95 || hundred < 0.9)
        fail_msg("recall@10 %.4f, recall@100 %.4f", ten, hundred);
    vectors_clear(&queries);
    free(slots);
    free(rows);
}

static bool all(uint32_t row) { return row < UINT32_MAX; }
static bool half(uint32_t row) { return row % 2 == 0; }
static bool tenth(uint32_t row) { return row * UINT32_C(2654435761) >> 16 < 6554; }
static bool hundredth(uint32_t row) { return row % 100 == 17; }
static bool thousandth(uint32_t row) { return row % 1000 == 99; }
static bool one(uint32_t row) { return row == 2999; }
static bool none(uint32_t row) { return row == UINT32_MAX; }

static void test_filters(void **state)
{
    (void)state;
    bool (*const filters[])(uint32_t) = {all, half, tenth, hundredth, thousandth, one, none};
    struct vectors v;
    vectors_make(&v, clustered, 4000, 5);
    struct hnsw *hnsw = graph_of(&v);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        assert_filtered(hnsw, &v, filters[i]);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* A search of a table of which a row is gone takes hardly more than one of a whole table. */
static void test_one_is_gone(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 4000, 5);
    struct hnsw *hnsw = graph_of(&v);
    uint64_t *live = calloc(hnsw_slots(hnsw) / 64 + 1, sizeof *live);
    assert_non_null(live);
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot++)
        if (slot != 7)
            live[slot / 64] |= UINT64_C(1) << slot % 64;
    for (uint32_t ef = 10; ef <= 160; ef *= 4) {
        uint64_t visited = 0, of_all = 0;
        for (uint32_t row = 0; row < 20; row++) {
            struct query *query = vectors_query(&v, 100 * row);
            struct answer one = graph_search(hnsw, query, 10, ef, live);
            struct answer all_of_them = graph_search(hnsw, query, 10, ef, NULL);
            assert_false(one.effort.scanned);
            visited += one.effort.visited;
            of_all += all_of_them.effort.visited;
            free(one.found);
            free(all_of_them.found);
            query_free(query);
        }
        if (visited > of_all + of_all / 20)
            fail_msg("ef %u: %lu vectors looked at, %lu of a whole table", ef,
                     (unsigned long)visited, (unsigned long)of_all);
    }
    free(live);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

static uint32_t apart_from; /* the cluster around this row of apart_rows is not wanted */
static const struct vectors *apart_rows;

static bool apart(uint32_t row)
{
    struct query *query = vectors_query(apart_rows, apart_from);
    bool far = graph_distance(apart_rows, query, row) > 6;
    query_free(query);
    return far;
}

/* All that is near does not match. */
static void test_filter_against_the_query(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 2000, 5);
    struct hnsw *hnsw = graph_of(&v);
    apart_rows = &v;
    for (apart_from = 0; apart_from < 3; apart_from++) {
        uint64_t *slots = calloc(hnsw_slots(hnsw) / 64 + 1, sizeof *slots);
        uint64_t *rows = calloc(2000 / 64 + 1, sizeof *rows);
        for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot++) {
            struct row_key key;
            if (hnsw_key(hnsw, slot, &key) && apart(vectors_row(key))) {
                slots[slot / 64] |= UINT64_C(1) << slot % 64;
                rows[vectors_row(key) / 64] |= UINT64_C(1) << vectors_row(key) % 64;
            }
        }
        struct query *query = vectors_query(&v, apart_from);
        assert_true(graph_recall_of(hnsw, &v, query, 10, 40, rows, slots) >= 0.7);
        query_free(query);
        free(slots);
        free(rows);
    }
    hnsw_free(hnsw);
    vectors_clear(&v);
}

static void test_effort(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, clustered, 4000, 5);
    struct hnsw *hnsw = graph_of(&v);
    struct query *query = vectors_query(&v, 17);
    struct answer few = graph_search(hnsw, query, 10, 10, NULL);
    struct answer more = graph_search(hnsw, query, 10, 300, NULL);
    assert_false(few.effort.scanned);
    assert_true(few.effort.visited > 10 && few.effort.visited < more.effort.visited);
    assert_true(more.effort.visited <= 4100);
    free(few.found);
    free(more.found);
    query_free(query);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* ---- what is refused ---- */

static void test_bad_values(void **state)
{
    (void)state;
    struct hnsw_options options = graph_options(clustered);
    for (int kind = 0; kind < 4; kind++) {
        struct vectors v;
        struct error error = {""};
        struct hnsw *hnsw = NULL;
        vectors_make(&v, clustered, 300, 5);
        uint8_t *value = v.bytes.data + v.starts[211];
        if (kind == 0)
            store_be16(value, 31); /* other dimensions */
        else if (kind == 1)
            store_be16(value, 0);
        else if (kind == 2)
            v.starts[212] -= 4; /* torn */
        else
            v.starts[212] = v.starts[211] + 3; /* not even a head */
        struct span span = vectors_span(&v, 0, kind < 2 ? 300 : 212);
        assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&span, 1, v.keys}, &hnsw, &error),
                         -EBADMSG);
        assert_null(hnsw);
        vectors_clear(&v);
    }
}

static void test_query_of_another_space(void **state)
{
    (void)state;
    struct vectors v, other;
    struct hnsw_searcher *searcher;
    struct hnsw_found found[10];
    uint32_t count;
    vectors_make(&v, clustered, 300, 5);
    struct hnsw *hnsw = graph_of(&v);
    assert_int_equal(hnsw_searcher_new(hnsw, &searcher), 0);
    static const struct space others[] = {{ELEMENT_FLOAT32, METRIC_L2, 31},
                                          {ELEMENT_FLOAT32, METRIC_COSINE, 32},
                                          {ELEMENT_FLOAT16, METRIC_L2, 32}};
    for (size_t i = 0; i < 3; i++) {
        vectors_make(&other, others[i], 1, 5);
        struct query *query = vectors_query(&other, 0);
        const struct hnsw_question question = {.query = query, .k = 10, .ef = 10};
        assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, NULL), -EINVAL);
        query_free(query);
        vectors_clear(&other);
    }
    hnsw_searcher_free(searcher);
    hnsw_searcher_free(NULL);
    hnsw_free(hnsw);
    hnsw_free(NULL);
    vectors_clear(&v);
}

static void test_stop(void **state)
{
    (void)state;
    struct vectors v;
    atomic_bool stop = true;
    atomic_ulong done = 0;
    struct hnsw *hnsw = NULL;
    vectors_make(&v, clustered, 2000, 5);
    struct span span = vectors_span(&v, 0, v.rows);
    struct hnsw_options options = graph_options(clustered);
    options.stop = &stop;
    options.done = &done;
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&span, 1, v.keys}, &hnsw, NULL),
                     -EINTR);
    assert_null(hnsw);
    assert_true(done < 2000);
    stop = false;
    done = 0;
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&span, 1, v.keys}, &hnsw, NULL), 0);
    assert_int_equal(done, 2000);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* ---- many at once ---- */

struct crowd {
    const struct hnsw *hnsw;
    const struct vectors *v;
    uint32_t expected[200][10];
    atomic_int wrong;
};

static void *search_along(void *argument)
{
    struct crowd *crowd = argument;
    struct hnsw_searcher *searcher;
    struct hnsw_found found[10];
    uint32_t count = 0;
    if (hnsw_searcher_new(crowd->hnsw, &searcher) < 0) {
        crowd->wrong++;
        return NULL;
    }
    for (uint32_t q = 0; q < 200; q++) {
        struct query *query = vectors_query(crowd->v, q);
        const struct hnsw_question question = {.query = query, .k = 10, .ef = 30};
        if (hnsw_search(crowd->hnsw, searcher, &question, found, &count, NULL) < 0 || count != 10)
            crowd->wrong++;
        for (int i = 0; i < 10; i++)
            crowd->wrong += found[i].slot != crowd->expected[q][i];
        query_free(query);
    }
    hnsw_searcher_free(searcher);
    return NULL;
}

static void test_many_searchers(void **state)
{
    (void)state;
    enum { CROWD = 5 };
    struct vectors v;
    pthread_t threads[CROWD];
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    vectors_make(&v, clustered, 2000, 5);
    struct hnsw *hnsw = graph_of(&v);
    crowd->hnsw = hnsw;
    crowd->v = &v;
    for (uint32_t q = 0; q < 200; q++) {
        struct query *query = vectors_query(&v, q);
        struct answer answer = graph_search(hnsw, query, 10, 30, NULL);
        for (int i = 0; i < 10; i++)
            crowd->expected[q][i] = answer.found[i].slot;
        free(answer.found);
        query_free(query);
    }
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_along, crowd), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(crowd->wrong, 0);
    free(crowd);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* ---- rows that are equal ---- */

/* 600 rows, and row 5 a hundred times more. */
struct equal {
    struct vectors v;
    struct hnsw *hnsw;
    struct hnsw_searcher *searcher;
    struct query *query; /* row 5 */
    struct hnsw_found found[800];
    struct hnsw_effort effort;
};

static struct equal *equal_new(struct space space)
{
    struct equal *equal = calloc(1, sizeof *equal);
    assert_non_null(equal);
    vectors_make(&equal->v, space, 600, 3);
    for (int i = 0; i < 100; i++)
        vectors_add_copy(&equal->v, 5);
    equal->hnsw = graph_of(&equal->v);
    assert_int_equal(hnsw_searcher_new(equal->hnsw, &equal->searcher), 0);
    equal->query = vectors_query(&equal->v, 5);
    return equal;
}

static void equal_free(struct equal *equal)
{
    hnsw_searcher_free(equal->searcher);
    hnsw_free(equal->hnsw);
    query_free(equal->query);
    vectors_clear(&equal->v);
    free(equal);
}

/* How many of what is found are equal to row 5; each comes once, and counts. */
static uint32_t count_equal(struct equal *equal, const struct hnsw_question *question)
{
    bool seen[800] = {false};
    uint32_t count = 0, same = 0;
    assert_int_equal(
        hnsw_search(equal->hnsw, equal->searcher, question, equal->found, &count, &equal->effort),
        0);
    assert_true(count >= question->k &&
                count <= (question->room > question->k ? question->room : question->k));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = equal->found[i].slot, row = graph_row(equal->hnsw, slot);
        assert_false(seen[row]);
        seen[row] = true;
        assert_true(vectors_bit(question->filter, slot));
        assert_true(i == 0 || equal->found[i].distance >= equal->found[i - 1].distance);
        same += row == 5 || row >= 600;
    }
    return same;
}

/* Those equal to the last one come along as far as there is room; if there is not, it is said. */
static void test_equal_rows(void **state)
{
    (void)state;
    static const struct space spaces[] = {{ELEMENT_FLOAT32, METRIC_L2, 32},
                                          {ELEMENT_FLOAT16, METRIC_IP, 40},
                                          {ELEMENT_SPARSE, METRIC_COSINE, 300},
                                          {ELEMENT_BIT, METRIC_HAMMING, 256}};
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        struct equal *equal = equal_new(spaces[i]);
        struct hnsw_question question = {
            .query = equal->query, .k = 10, .ef = 40, .room = 10 + 200};
        assert_int_equal(count_equal(equal, &question), 101);
        assert_false(equal->effort.scanned || equal->effort.cut);
        question.k = 101;
        assert_int_equal(count_equal(equal, &question), 101);
        assert_false(equal->effort.cut);
        question.k = 10;
        question.room = 50;
        assert_int_equal(count_equal(equal, &question), 50);
        assert_true(equal->effort.cut);
        question.room = 0;
        assert_int_equal(count_equal(equal, &question), 10);
        assert_true(equal->effort.cut);
        /* By looking at all that count. */
        uint64_t filter[12] = {0};
        uint32_t counting = 0;
        for (uint32_t slot = 0; slot < hnsw_slots(equal->hnsw); slot++) {
            uint32_t row = graph_row(equal->hnsw, slot);
            if (row % 3 == 0)
                filter[slot / 64] |= UINT64_C(1) << slot % 64;
            counting += row >= 600 && row % 3 == 0;
        }
        question.filter = filter;
        question.room = 300;
        uint32_t same = count_equal(equal, &question);
        assert_true(equal->effort.scanned && (equal->effort.cut || same == counting));
        question.ef = 300;
        same = count_equal(equal, &question);
        assert_true(equal->effort.scanned && (equal->effort.cut || same == counting));
        assert_true(i > 1 || !equal->effort.cut); /* not where nothing is finer */
        question.k = 5;
        question.room = 9;
        (void)count_equal(equal, &question);
        assert_true(equal->effort.scanned && equal->effort.cut);
        equal_free(equal);
    }
}

/* A flag that is set ends a walk and a look at all. */
static void test_stopped(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct vectors v;
    struct hnsw_searcher *searcher;
    struct hnsw_found *found = calloc(3000, sizeof *found);
    uint32_t count = 999;
    vectors_make(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, 8}, 3000, 3);
    struct hnsw *hnsw = graph_of(&v);
    struct query *query = vectors_query(&v, 5);
    assert_int_equal(hnsw_searcher_new(hnsw, &searcher), 0);
    struct hnsw_question question = {.query = query, .k = 10, .ef = 2000, .stop = &stop};
    assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, NULL), -EINTR);
    question.k = 3000;
    assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, NULL), -EINTR);
    assert_int_equal(count, 999);
    stop = false; /* and the next one goes as ever */
    assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, NULL), 0);
    assert_int_equal(count, 3000);
    question.k = 10;
    assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, NULL), 0);
    assert_int_equal(graph_row(hnsw, found[0].slot), 5);
    hnsw_searcher_free(searcher);
    query_free(query);
    hnsw_free(hnsw);
    vectors_clear(&v);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_space),
        cmocka_unit_test(test_no_rows),
        cmocka_unit_test(test_few_rows),
        cmocka_unit_test(test_all_equal),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_dimensions),
        cmocka_unit_test(test_nulls_and_zeros),
        cmocka_unit_test(test_only_nulls),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_recall_floor),
        cmocka_unit_test(test_recall_curve),
        cmocka_unit_test(test_instructions),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_one_is_gone),
        cmocka_unit_test(test_filter_against_the_query),
        cmocka_unit_test(test_effort),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_query_of_another_space),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_many_searchers),
        cmocka_unit_test(test_equal_rows),
        cmocka_unit_test(test_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
