#include "index/exact.h"
#include "vectors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_SPANS = 8 };

/* Rows in several spans, some of them NULL; each value in memory of its own size. */
struct table {
    struct space space;
    uint64_t rows;
    struct vector *vectors;
    bool *nulls;
    struct span spans[MOST_SPANS];
    size_t span_count;
};

/* Values from few numbers, so that there are equal ones and equal distances. */
static void coarsen(struct vector *vector, enum element element)
{
    for (uint32_t i = 0; element != ELEMENT_BIT && i < vector->n; i++)
        vector->numbers[i] = vector->numbers[i] > 0 ? 1 : -1;
}

static void span_fill(struct span *span, const struct table *table, uint64_t first)
{
    uint64_t *starts = calloc(span->rows + 1U, sizeof *starts);
    uint8_t *bytes = malloc(1);
    bool equal = true;
    for (uint32_t i = 0; i < span->rows; i++) {
        size_t size = 0;
        uint8_t *value = table->nulls[first + i] ? NULL
                                                 : vector_value(&table->vectors[first + i],
                                                                table->space.element, &size);
        bytes = realloc(bytes, starts[i] + size + 1);
        if (size > 0)
            memcpy(bytes + starts[i], value, size);
        starts[i + 1] = starts[i] + size;
        equal = equal && size > 0 && size == starts[1];
        free(value);
    }
    span->bytes = realloc(bytes, starts[span->rows] + (starts[span->rows] == 0));
    span->starts = starts;
    span->fixed = equal && span->rows > 0 ? (uint32_t)starts[1] : 0;
    if (span->fixed != 0) {
        free(starts);
        span->starts = NULL;
    }
}

static void table_init(struct table *table, struct space space, const uint32_t *sizes,
                       size_t span_count, bool nulls, bool coarse)
{
    *table = (struct table){.space = space, .span_count = span_count};
    for (size_t i = 0; i < span_count; i++)
        table->rows += sizes[i];
    table->vectors = calloc(table->rows + 1, sizeof *table->vectors);
    table->nulls = calloc(table->rows + 1, sizeof *table->nulls);
    uint64_t random = 4711, row = 0;
    for (uint64_t i = 0; i < table->rows; i++) {
        vector_random(&table->vectors[i], space.element, space.dims, 12, &random);
        if (coarse)
            coarsen(&table->vectors[i], space.element);
        for (uint32_t j = 0; i % 50 == 9 && space.element != ELEMENT_SPARSE && j < space.dims; j++)
            table->vectors[i].numbers[j] = 0;
        table->nulls[i] = nulls && next_random(&random) >> 40 & 1;
    }
    for (size_t i = 0; i < span_count; i++) {
        table->spans[i].rows = sizes[i];
        span_fill(&table->spans[i], table, row);
        row += sizes[i];
    }
}

static void table_clear(struct table *table)
{
    for (uint64_t i = 0; i < table->rows; i++)
        vector_clear(&table->vectors[i]);
    for (size_t i = 0; i < table->span_count; i++) {
        free((void *)table->spans[i].bytes);
        free((void *)table->spans[i].starts);
    }
    free(table->vectors);
    free(table->nulls);
}

static struct query *query_for(struct space space, const struct vector *vector)
{
    size_t size;
    uint8_t *value = vector_value(vector, space.element, &size);
    struct query *query = NULL;
    assert_int_equal(query_new(&space, value, size, &query, NULL), 0);
    free(value);
    return query;
}

/* One that has a norm. */
static void query_random(struct space space, bool coarse, uint64_t *random, struct vector *vector,
                         struct query **query)
{
    for (;;) {
        vector_random(vector, space.element, space.dims, 12, random);
        if (coarse)
            coarsen(vector, space.element);
        for (uint32_t i = 0; i < vector->n; i++)
            if (vector->numbers[i] != 0) {
                *query = query_for(space, vector);
                return;
            }
        vector_clear(vector);
    }
}

static bool is_in(const uint64_t *filter, uint64_t row)
{
    return filter == NULL || (filter[row / 64] >> row % 64 & 1);
}

static bool larger_first(void *context, uint64_t a, uint64_t b)
{
    (void)context;
    return a > b;
}

/* The answer by looking at all pairs: the distances are query_distance's, whose own test compares
 * them with a reference, so that ties are the same. */
static uint32_t find(const struct table *table, const struct exact_search *search,
                     const struct query *query, struct neighbour *out)
{
    uint32_t count = 0;
    uint64_t row = 0;
    for (size_t s = 0; s < table->span_count; s++)
        for (uint32_t i = 0; i < table->spans[s].rows; i++, row++) {
            size_t size;
            const uint8_t *value = span_value(&table->spans[s], i, &size);
            double distance;
            if (!is_in(search->filter, row) || table->nulls[row])
                continue;
            assert_int_equal(query_distance(query, value, size, &distance), 0);
            if (isnan(distance))
                continue;
            uint32_t at = count++;
            for (; at > 0; at--) {
                double other = out[at - 1].distance;
                if (other < distance || (other == distance && search->before == NULL))
                    break;
                out[at] = out[at - 1];
            }
            out[at] = (struct neighbour){distance, row};
        }
    return count < search->k ? count : search->k;
}

/* The order of `found` by the reference in double, within its precision, and no row left out that
 * is clearly nearer than the last. */
static void check_against_reference(const struct table *table, const struct exact_search *search,
                                    const struct vector *query, const struct neighbour *found,
                                    uint32_t count)
{
    bool *in = calloc(table->rows + 1, sizeof *in);
    double slack, last = -INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        double distance =
            vector_distance(query, &table->vectors[found[i].row], table->space.metric, &slack);
        assert_true(fabs(distance - found[i].distance) <= slack);
        assert_false(in[found[i].row]);
        in[found[i].row] = true;
        last = found[i].distance;
    }
    for (uint64_t row = 0; row < table->rows; row++) {
        double distance = vector_distance(query, &table->vectors[row], table->space.metric, &slack);
        if (in[row] || table->nulls[row] || !is_in(search->filter, row) || isnan(distance))
            continue;
        assert_int_equal(count, search->k);
        assert_true(distance >= last - slack);
    }
    free(in);
}

enum { QUERIES = 3 };

static void check(const struct table *table, bool coarse, uint32_t k, const uint64_t *filter,
                  bool (*before)(void *, uint64_t, uint64_t))
{
    struct exact_search search = {.spans = table->spans,
                                  .span_count = table->span_count,
                                  .filter = filter,
                                  .k = k,
                                  .before = before};
    struct vector vectors[QUERIES];
    struct query *queries[QUERIES];
    struct neighbour *expected = calloc(table->rows + 1, sizeof *expected);
    struct neighbour *found = calloc((size_t)k * QUERIES, sizeof *found);
    uint64_t random = 99 + k;
    for (int i = 0; i < QUERIES; i++)
        query_random(table->space, coarse, &random, &vectors[i], &queries[i]);
    static const int threads[] = {1, 2, 3, 7};
    for (int t = 0; t < 4; t++) {
        uint32_t counts[QUERIES] = {999, 999, 999};
        struct error error = {""};
        search.threads = threads[t];
        assert_int_equal(exact_search(&search, (const struct query *const *)queries, QUERIES, found,
                                      counts, &error),
                         0);
        for (int i = 0; i < QUERIES; i++) {
            uint32_t count = find(table, &search, queries[i], expected);
            assert_int_equal(counts[i], count);
            for (uint32_t j = 0; j < count; j++) {
                assert_int_equal(found[(size_t)i * k + j].row, expected[j].row);
                assert_true(found[(size_t)i * k + j].distance == expected[j].distance);
            }
            check_against_reference(table, &search, &vectors[i], found + (size_t)i * k, count);
        }
    }
    for (int i = 0; i < QUERIES; i++) {
        query_free(queries[i]);
        vector_clear(&vectors[i]);
    }
    free(found);
    free(expected);
}

/* All spaces, with and without NULLs, exact ties, filters of all densities, and k of all sizes. */
static void check_space(struct space space, bool coarse)
{
    static const uint32_t sizes[] = {0, 200, 1, 0, 337, 64, 90, 0};
    static const uint32_t ks[] = {1, 10, 300, 2000};
    struct table table;
    for (int nulls = 0; nulls < 2; nulls++) {
        table_init(&table, space, sizes, MOST_SPANS, nulls, coarse);
        uint64_t filter[11], random = 5;
        for (int density = 0; density <= 9; density++) {
            for (int word = 0; word < 11; word++) {
                filter[word] = density == 9 ? ~(uint64_t)0 : 0;
                for (int i = 0; density < 9 && i < 64; i++)
                    filter[word] |= (uint64_t)(next_random(&random) % 128 < (1U << density) / 2)
                                    << i;
            }
            filter[4] = density % 2 == 0 ? 0 : filter[4];
            check(&table, coarse, ks[density % 4], filter, density % 3 ? NULL : larger_first);
        }
        for (int i = 0; i < 4; i++)
            check(&table, coarse, ks[i], NULL, i % 2 ? larger_first : NULL);
        table_clear(&table);
    }
}

static void test_all_spaces(void **state)
{
    (void)state;
    for (int element = 0; element < ELEMENT_COUNT; element++)
        for (int metric = 0; metric < METRIC_COUNT; metric++)
            if (metric_fits((enum metric)metric, (enum element)element)) {
                check_space((struct space){(enum element)element, (enum metric)metric, 19}, false);
                check_space((struct space){(enum element)element, (enum metric)metric, 6}, true);
            }
}

/* Rows so long that a block has few, and so many short ones that a span has several blocks. */
static void test_sizes(void **state)
{
    (void)state;
    static const uint32_t few[] = {9, 14}, many[] = {9001, 4096, 4097};
    struct table table;
    table_init(&table, (struct space){ELEMENT_FLOAT32, METRIC_L2, 16000}, few, 2, false, false);
    check(&table, false, 5, NULL, NULL);
    table_clear(&table);
    table_init(&table, (struct space){ELEMENT_FLOAT32, METRIC_L1, 1}, many, 3, true, true);
    check(&table, true, 7, NULL, NULL);
    check(&table, true, 7, NULL, larger_first);
    table_clear(&table);
}

static void test_nothing(void **state)
{
    (void)state;
    struct space space = {ELEMENT_FLOAT32, METRIC_L2, 2};
    struct vector vector;
    vector_init(&vector, 2, 2);
    struct query *query = query_for(space, &vector);
    const struct query *queries[] = {query};
    struct neighbour found[1];
    const struct span empty = {(const uint8_t *)"", 0, 12, NULL};
    for (size_t spans = 0; spans < 2; spans++) {
        struct exact_search search = {.spans = &empty, .span_count = spans, .k = 1, .threads = 2};
        uint32_t count = 999;
        assert_int_equal(exact_search(&search, queries, 1, found, &count, NULL), 0);
        assert_int_equal(count, 0);
        assert_int_equal(exact_search(&search, NULL, 0, NULL, NULL, NULL), 0);
        search.k = 0;
        count = 999;
        assert_int_equal(exact_search(&search, queries, 1, NULL, &count, NULL), 0);
        assert_int_equal(count, 0);
    }
    query_free(query);
    vector_clear(&vector);
}

static void test_stop(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {100};
    atomic_bool stop = false;
    struct table table;
    table_init(&table, (struct space){ELEMENT_FLOAT32, METRIC_L2, 4}, sizes, 1, false, false);
    struct query *query = query_for(table.space, &table.vectors[0]);
    const struct query *queries[] = {query};
    struct neighbour found[3];
    uint32_t count = 999;
    struct exact_search search = {
        .spans = table.spans, .span_count = 1, .k = 3, .threads = 2, .stop = &stop};
    struct error error = {""};
    stop = true;
    assert_int_equal(exact_search(&search, queries, 1, found, &count, &error), -EINTR);
    assert_int_equal(count, 999);
    stop = false;
    assert_int_equal(exact_search(&search, queries, 1, found, &count, &error), 0);
    assert_int_equal(count, 3);
    assert_int_equal(found[0].row, 0);
    query_free(query);
    table_clear(&table);
}

static bool counted_larger_first(void *calls, uint64_t a, uint64_t b)
{
    ++*(uint64_t *)calls;
    return a > b;
}

/* As many rows as a question may ask for do not make each row a walk over all that are kept. All
 * are equally near, and each comes before all that were there, which is the most work. */
static void test_work_for_many(void **state)
{
    (void)state;
    enum {
        ROWS = 20000,
        K = ROWS / 2,
        SIZE = 4 + 4 * 2,
        MOST = 100 /* comparisons for each row */
    };
    uint8_t *bytes = calloc(ROWS, SIZE);
    struct neighbour *found = calloc(K, sizeof *found);
    struct vector vector;
    uint64_t calls = 0;
    uint32_t count = 0;
    assert_true(bytes != NULL && found != NULL);
    for (size_t row = 0; row < ROWS; row++)
        store_be16(bytes + row * SIZE, 2);
    vector_init(&vector, 2, 2);
    struct query *query = query_for((struct space){ELEMENT_FLOAT32, METRIC_L2, 2}, &vector);
    const struct query *queries[] = {query};
    const struct span span = {bytes, ROWS, SIZE, NULL};
    struct exact_search search = {.spans = &span,
                                  .span_count = 1,
                                  .k = K,
                                  .threads = 1,
                                  .before = counted_larger_first,
                                  .context = &calls};
    assert_int_equal(exact_search(&search, queries, 1, found, &count, NULL), 0);
    assert_int_equal(count, K);
    for (uint32_t i = 0; i < K; i++)
        assert_int_equal(found[i].row, ROWS - 1 - i);
    assert_in_range(calls, ROWS, (uint64_t)MOST * ROWS);
    query_free(query);
    vector_clear(&vector);
    free(found);
    free(bytes);
}

/* A bad row is named; it does no harm where the filter leaves it out. */
static void test_bad_row(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {70, 0, 200};
    struct table table;
    table_init(&table, (struct space){ELEMENT_FLOAT32, METRIC_L2, 4}, sizes, 3, false, false);
    struct query *query = query_for(table.space, &table.vectors[0]);
    const struct query *queries[] = {query};
    struct neighbour found[300];
    uint32_t count = 999;
    uint64_t filter[5];
    memset(filter, 0xff, sizeof filter);
    filter[150 / 64] &= ~((uint64_t)1 << 150 % 64);
    for (int threads = 1; threads < 3; threads++) {
        struct exact_search search = {
            .spans = table.spans, .span_count = 3, .k = 300, .threads = threads};
        struct error error = {""};
        uint8_t *bad = (uint8_t *)table.spans[2].bytes + (150 - 70) * 20;
        bad[3] = 1;
        assert_int_equal(exact_search(&search, queries, 1, found, &count, &error), -EBADMSG);
        assert_string_equal(error.text, "row 150 is not a value of its type");
        assert_int_equal(count, 999);
        search.filter = filter;
        assert_int_equal(exact_search(&search, queries, 1, found, &count, &error), 0);
        assert_int_equal(count, 269);
        count = 999;
        bad[3] = 0;
    }
    query_free(query);
    /* rows of other dimensions, as a column without a number of dimensions may have */
    struct vector other;
    vector_init(&other, 3, 3);
    query = query_for((struct space){ELEMENT_FLOAT32, METRIC_L2, 3}, &other);
    queries[0] = query;
    struct exact_search search = {.spans = table.spans, .span_count = 1, .k = 1, .threads = 1};
    struct error error = {""};
    assert_int_equal(exact_search(&search, queries, 1, found, &count, &error), -EBADMSG);
    assert_string_equal(error.text, "row 0 has 4 dimensions, the query has 3");
    query_free(query);
    vector_clear(&other);
    table_clear(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_spaces), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_nothing),    cmocka_unit_test(test_stop),
        cmocka_unit_test(test_bad_row),    cmocka_unit_test(test_work_for_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
