/* Equal rows of which a look at all those that count keeps some only. */
#include "index/hnsw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/graphs.h"

enum { DIMS = 16, OTHERS = 300, ONES = 60, TWOS = 36, ROWS = OTHERS + ONES + TWOS, K = 10 };

/* Two values that are near each other, many times, and queries near to both. */
static void make_rows(struct vectors *v, struct vectors *queries, uint64_t seed)
{
    const struct space space = {ELEMENT_FLOAT32, METRIC_L2, DIMS};
    float one[DIMS], two[DIMS], asked[DIMS];
    vectors_make(v, space, OTHERS, seed);
    vectors_init(queries, space, 0);
    for (int d = 0; d < DIMS; d++) {
        one[d] = vectors_noise(&v->random);
        two[d] = one[d] + 0.15F * vectors_noise(&v->random);
    }
    for (int i = 0; i < ONES; i++)
        vectors_add(v, one);
    for (int i = 0; i < TWOS; i++)
        vectors_add(v, two);
    for (int q = 0; q < 20; q++) {
        for (int d = 0; d < DIMS; d++)
            asked[d] = one[d] + 0.15F * vectors_noise(&v->random);
        vectors_add(queries, asked);
    }
}

/* How often some of the first value were kept and others not, one of the second being the last. */
static int ask(const struct hnsw *hnsw, const struct vectors *queries)
{
    static struct hnsw_found found[ROWS];
    uint64_t filter[ROWS / 64 + 1] = {0};
    struct hnsw_searcher *searcher;
    int parted = 0;
    for (uint32_t slot = 0; slot < ROWS; slot++)
        if (graph_row(hnsw, slot) >= OTHERS)
            filter[slot / 64] |= UINT64_C(1) << slot % 64;
    assert_int_equal(hnsw_searcher_new(hnsw, &searcher), 0);
    for (uint32_t q = 0; q < queries->rows; q++) {
        struct query *query = vectors_query(queries, q);
        const struct hnsw_question question = {
            .query = query, .k = K, .ef = K, .room = ROWS, .filter = filter};
        struct hnsw_effort effort;
        uint32_t count = 0, ones = 0, last = 0;
        assert_int_equal(hnsw_search(hnsw, searcher, &question, found, &count, &effort), 0);
        assert_true(effort.scanned && count >= K);
        for (uint32_t i = 0; i < count; i++) {
            last = graph_row(hnsw, found[i].slot);
            ones += last < OTHERS + ONES;
        }
        assert_true(ones == 0 || ones == ONES || effort.cut);
        assert_true(count - ones == 0 || count - ones == TWOS || effort.cut);
        parted += ones > 0 && ones < ONES && last >= OTHERS + ONES;
        query_free(query);
    }
    hnsw_searcher_free(searcher);
    return parted;
}

/* Those left out may be equal to any of those that are given out: the finer order is another. */
static void test_equal_to_one_before_the_last(void **state)
{
    (void)state;
    int parted = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct vectors v, queries;
        make_rows(&v, &queries, seed);
        struct hnsw_options options = graph_options(v.space);
        options.code_bits = 4;
        struct hnsw *hnsw = graph_of_options(&v, &options);
        assert_int_equal(hnsw_slots(hnsw), ROWS);
        parted += ask(hnsw, &queries);
        hnsw_free(hnsw);
        vectors_clear(&v);
        vectors_clear(&queries);
    }
    assert_true(parted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_to_one_before_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
