/* Rows that are hard on an index: far longer than the others, of one or two dimensions, equal ones
 * of which the first goes, lists as long as they can be. */
#include "index/hnsw.h"

#include "codec/isa.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

static double recall(const struct hnsw *hnsw, const struct vectors *v, uint32_t pace)
{
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t row = 0; row < v->rows; row += pace, count++) {
        struct query *query = vectors_query(v, row);
        sum += graph_recall_of(hnsw, v, query, 10, 64, NULL, NULL);
        query_free(query);
    }
    return sum / count;
}

/* A table that was loaded cluster by cluster: rows of one batch do not see each other. */
static void test_sorted_rows(void **state)
{
    (void)state;
    enum { CLUSTERS = 120, EACH = 60, DIMS = 32 };
    struct vectors v;
    float centre[DIMS], row[DIMS];
    vectors_init(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, DIMS}, 11);
    for (int cluster = 0; cluster < CLUSTERS; cluster++) {
        for (int d = 0; d < DIMS; d++)
            centre[d] = 5 * vectors_noise(&v.random);
        for (int i = 0; i < EACH; i++) {
            for (int d = 0; d < DIMS; d++)
                row[d] = centre[d] + vectors_noise(&v.random);
            vectors_add(&v, row);
        }
    }
    struct hnsw *hnsw = graph_of(&v);
    double is = recall(hnsw, &v, 20);
    if (is < 0.97)
        fail_msg("recall %.4f of sorted rows", is);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* One row must not take the digits of all others. */
static void test_long_rows(void **state)
{
    (void)state;
    static const enum metric metrics[] = {METRIC_L2, METRIC_COSINE, METRIC_L1, METRIC_IP};
    static const double lengths[] = {1e4, 1e6, 1e12, 1e30};
    for (int m = 0; m < 4; m++)
        for (int length = 0; length < 4; length++)
            for (uint32_t all = 0; all < 2; all++) {
                struct space space = {ELEMENT_FLOAT32, metrics[m], 24};
                struct vectors v;
                float row[24] = {0};
                vectors_make(&v, space, 1500, 3);
                for (int i = 0; i < 24; i++)
                    row[i] = all || i == 5 ? (float)lengths[length] : 0;
                vectors_add(&v, row);
                struct hnsw *hnsw = graph_of(&v);
                double is = recall(hnsw, &v, 15);
                if (is < (metrics[m] == METRIC_IP ? 0.85 : 0.97))
                    fail_msg("%s, a row of %g: recall %.3f", metric_name(metrics[m]),
                             lengths[length], is);
                hnsw_free(hnsw);
                vectors_clear(&v);
            }
}

static void test_long_sparse_row(void **state)
{
    (void)state;
    struct vectors v;
    static const uint32_t dims[] = {3, 70};
    static const float numbers[] = {1e15F, -1e15F};
    vectors_make(&v, (struct space){ELEMENT_SPARSE, METRIC_IP, 3000}, 1500, 3);
    vectors_add_sparse(&v, dims, numbers, 2);
    struct hnsw *hnsw = graph_of(&v);
    assert_true(recall(hnsw, &v, 15) > 0.9);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* Neighbours are nearer to each other than what is left of two long squares can tell. */
static void test_short_vectors(void **state)
{
    (void)state;
    static const enum metric metrics[] = {METRIC_L2, METRIC_L1, METRIC_COSINE, METRIC_IP};
    for (int m = 0; m < 4; m++)
        for (uint32_t dims = 1; dims <= 5; dims++)
            for (int bits = 4; bits <= 8; bits += 4) {
                struct vectors v;
                float row[8];
                vectors_init(&v, (struct space){ELEMENT_FLOAT32, metrics[m], dims}, dims);
                for (int r = 0; r < 5000; r++) {
                    for (uint32_t i = 0; i < dims; i++)
                        row[i] =
                            1000 * ((float)(vectors_random(&v.random) >> 40) * 0x1p-24F - 0.5F);
                    vectors_add(&v, row);
                }
                struct hnsw_options options = graph_options(v.space);
                options.code_bits = bits;
                struct hnsw *hnsw = graph_of_options(&v, &options);
                double is = recall(hnsw, &v, 50);
                if (is < 0.95)
                    fail_msg("%s, %u dimensions: recall %.3f", metric_name(metrics[m]), dims, is);
                hnsw_free(hnsw);
                vectors_clear(&v);
            }
}

static void test_short_instructions(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, (struct space){ELEMENT_FLOAT16, METRIC_IP, 3}, 900, 5);
    isa_force(ISA_SCALAR);
    struct hnsw *scalar = graph_of(&v);
    for (int level = ISA_AVX2; level <= ISA_AVX512; level++) {
        isa_force((enum isa)level);
        struct hnsw *hnsw = graph_of(&v);
        assert_same_graph(scalar, hnsw);
        hnsw_free(hnsw);
    }
    hnsw_free(scalar);
    vectors_clear(&v);
}

/* ---- what goes ---- */

static struct hnsw *without(const struct hnsw *old, const struct vectors *v, uint32_t first,
                            bool (*goes)(uint32_t slot))
{
    struct hnsw_options options = graph_options(v->space);
    uint64_t *dead = calloc((size_t)hnsw_slots(old) / 64 + 1, sizeof *dead);
    assert_non_null(dead);
    uint32_t rows = hnsw_rows(old) + v->rows - first;
    for (uint32_t slot = 0; slot < hnsw_slots(old); slot++)
        if (goes(slot)) {
            dead[slot / 64] |= UINT64_C(1) << slot % 64;
            rows--;
        }
    struct span span = vectors_span(v, first, v->rows - first);
    struct hnsw *new = NULL;
    struct error error = {""};
    int rc = hnsw_update(old, &options, dead, &(struct hnsw_rows){&span, 1, v->keys + first}, &new,
                         &error);
    if (rc == 0)
        rc = hnsw_check(new, &error);
    if (rc < 0)
        fail_msg("%d %s", rc, error.text);
    assert_int_equal(hnsw_rows(new), rows);
    free(dead);
    return new;
}

static void assert_finds_all(const struct hnsw *hnsw, const struct vectors *v)
{
    struct query *query = vectors_query(v, 0);
    struct answer answer = graph_search(hnsw, query, v->rows, v->rows, NULL);
    assert_int_equal(answer.count, hnsw_rows(hnsw));
    free(answer.found);
    query_free(query);
}

static bool first_slot(uint32_t slot) { return slot == 0; }
static bool even_slot(uint32_t slot) { return slot % 2 == 0; }

/* All that is left are its equals: none of them has been in a list. */
static void test_first_of_equals_goes(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, 8}, 1, 3);
    while (v.rows < 600)
        vectors_add_copy(&v, 0);
    struct hnsw *hnsw = graph_of(&v);
    for (int round = 0; round < 3; round++) { /* slot 0 has the first of them again */
        struct hnsw *new = without(hnsw, &v, v.rows, first_slot);
        assert_finds_all(new, &v);
        hnsw_free(hnsw);
        hnsw = new;
        vectors_add_copy(&v, 0);
        struct hnsw_options options = graph_options(v.space);
        struct span span = vectors_span(&v, v.rows - 1, 1);
        assert_int_equal(hnsw_update(hnsw, &options, NULL,
                                     &(struct hnsw_rows){&span, 1, v.keys + v.rows - 1}, &new,
                                     NULL),
                         0);
        assert_int_equal(hnsw_check(new, NULL), 0);
        hnsw_free(hnsw);
        hnsw = new;
    }
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* Each row has an equal one, and the one of both that is in the lists goes. */
static void test_first_of_all_pairs_goes(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, 8}, 500, 3);
    for (uint32_t row = 0; row < 500; row++)
        vectors_add_copy(&v, row);
    struct hnsw_options options = graph_options(v.space);
    struct span span = vectors_span(&v, 0, 1000);
    struct hnsw *hnsw = graph_of_options(&v, &options), *new = NULL;
    uint64_t *dead = calloc(hnsw_slots(hnsw) / 64 + 1, sizeof *dead);
    uint8_t *seen = calloc(500, 1);
    assert_true(dead != NULL && seen != NULL);
    for (uint32_t slot = 0; slot < hnsw_slots(hnsw); slot++) {
        uint32_t row = graph_row(hnsw, slot) % 500;
        if (seen[row]++ == 0)
            dead[slot / 64] |= UINT64_C(1) << slot % 64;
    }
    assert_int_equal(
        hnsw_update(hnsw, &options, dead, &(struct hnsw_rows){&span, 0, v.keys}, &new, NULL), 0);
    assert_int_equal(hnsw_check(new, NULL), 0);
    assert_int_equal(hnsw_rows(new), 500);
    assert_finds_all(new, &v);
    free(dead);
    free(seen);
    hnsw_free(hnsw);
    hnsw_free(new);
    vectors_clear(&v);
}

/* Rows that come into the slots of the upper layers, equal to some that are below only. */
static void test_equals_come(void **state)
{
    (void)state;
    struct vectors v;
    vectors_make(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, 8}, 1500, 3);
    struct hnsw *hnsw = graph_of(&v);
    for (uint32_t row = 0; row < 500; row++)
        vectors_add_copy(&v, row);
    struct hnsw *new = without(hnsw, &v, 1500, even_slot);
    assert_finds_all(new, &v);
    hnsw_free(new);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

/* Half of lists of 200, each of which leads to as many. */
static void test_long_lists(void **state)
{
    (void)state;
    struct vectors v;
    float row[512];
    vectors_init(&v, (struct space){ELEMENT_FLOAT32, METRIC_L2, 512}, 3);
    while (v.rows < 600) {
        for (int i = 0; i < 512; i++)
            row[i] = vectors_noise(&v.random);
        vectors_add(&v, row);
    }
    struct hnsw_options options = graph_options(v.space);
    options.m = 100;
    options.ef_construction = 1000;
    struct hnsw *hnsw = graph_of_options(&v, &options);
    struct hnsw *new = without(hnsw, &v, v.rows, even_slot);
    assert_finds_all(new, &v);
    hnsw_free(new);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorted_rows),
        cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_long_sparse_row),
        cmocka_unit_test(test_short_vectors),
        cmocka_unit_test(test_short_instructions),
        cmocka_unit_test(test_first_of_equals_goes),
        cmocka_unit_test(test_first_of_all_pairs_goes),
        cmocka_unit_test(test_equals_come),
        cmocka_unit_test(test_long_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
