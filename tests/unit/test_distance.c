#include "codec/isa.h"
#include "index/distance.h"
#include "vectors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

/* The bytes of a value, with memory behind (or in front of) them that nobody may read. */
static uint8_t *room;
enum { ROOM = 256 << 10 };

static int set_up(void **state)
{
    (void)state;
    room = mmap(NULL, ROOM + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return -1;
    room += 4096;
    return mprotect(room, ROOM, PROT_READ | PROT_WRITE);
}

static int tear_down(void **state)
{
    (void)state;
    return munmap(room - 4096, ROOM + 8192);
}

static struct query *query_of(struct space space, const struct vector *vector)
{
    size_t size;
    uint8_t *value = vector_value(vector, space.element, &size);
    struct query *query = NULL;
    struct error error = {""};
    int rc = query_new(&space, value, size, &query, &error);
    free(value);
    if (rc != 0)
        fail_msg("query_new: %d %s", rc, error.text);
    return query;
}

static double distance_to(const struct query *query, const struct vector *vector)
{
    size_t size;
    uint8_t *value = vector_value(vector, query_space(query)->element, &size);
    memcpy(room, value, size);
    memcpy(room + ROOM - size, value, size);
    double first = 12345, last = 54321;
    assert_int_equal(query_distance(query, room, size, &first), 0);
    assert_int_equal(query_distance(query, room + ROOM - size, size, &last), 0);
    assert_memory_equal(&first, &last, sizeof first);
    free(value);
    return first;
}

static void check_pair(struct space space, const struct vector *x, const struct vector *y)
{
    double slack, expected = vector_distance(x, y, space.metric, &slack);
    for (int level = ISA_SCALAR; level <= (int)ISA_AVX512; level++) {
        if ((int)isa_force((enum isa)level) != level)
            continue;
        struct query *query = query_of(space, x);
        double found = distance_to(query, y);
        bool good = isnan(expected) ? isnan(found) : fabs(found - expected) <= slack;
        if (!good)
            fail_msg("%s, element %d, %s, %u dims: %.9g, not %.9g", isa_name((enum isa)level),
                     (int)space.element, metric_name(space.metric), space.dims, found, expected);
        double self = distance_to(query, x), most = slack;
        double to_itself = vector_distance(x, x, space.metric, &most);
        if (space.metric == METRIC_IP)
            assert_true(fabs(self - to_itself) <= most);
        else
            assert_true(self == to_itself || (space.metric == METRIC_COSINE && self == 0));
        query_free(query);
    }
    isa_force(ISA_AVX512);
}

static void check_dims(enum element element, uint32_t dims, uint32_t most)
{
    uint64_t random = 88172645463325252U + dims;
    for (int metric = 0; metric < METRIC_COUNT; metric++) {
        struct space space = {element, (enum metric)metric, dims};
        if (!metric_fits(space.metric, element))
            continue;
        for (int i = 0; i < 6; i++) {
            struct vector x, y;
            vector_random(&x, element, dims, most, &random);
            vector_random(&y, element, dims, most, &random);
            double square = 0;
            for (uint32_t j = 0; j < x.n; j++)
                square += x.numbers[j] * x.numbers[j];
            if (metric != METRIC_COSINE || square > 0)
                check_pair(space, &x, &y);
            vector_clear(&x);
            vector_clear(&y);
        }
    }
}

static const uint32_t all_dims[] = {1,  2,  3,  7,  8,   15,  16,  17,  31,  32,   33,
                                    63, 64, 65, 96, 100, 112, 127, 128, 300, 1536, 16000};
enum { ALL_DIMS = sizeof all_dims / sizeof *all_dims };

static void test_dense(void **state)
{
    (void)state;
    for (int i = 0; i < ALL_DIMS; i++) {
        check_dims(ELEMENT_FLOAT32, all_dims[i], 0);
        check_dims(ELEMENT_FLOAT16, all_dims[i], 0);
    }
}

static void test_bits(void **state)
{
    (void)state;
    for (uint32_t bits = 1; bits <= 130; bits++)
        check_dims(ELEMENT_BIT, bits, 0);
    static const uint32_t more[] = {300, 511, 512, 513, 1024, 1536, 16001, 64000, 1000001};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        check_dims(ELEMENT_BIT, more[i], 0);
}

static void test_sparse(void **state)
{
    (void)state;
    for (int i = 0; i < ALL_DIMS; i++)
        for (uint32_t most = 1; most <= 300; most = 3 * most + 1)
            check_dims(ELEMENT_SPARSE, all_dims[i], most);
    static const uint32_t more[] = {30000, 1 << 22, (1 << 22) + 1, 1000000000};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        for (uint32_t most = 1; most <= 16000; most = 3 * most + 1)
            check_dims(ELEMENT_SPARSE, more[i], most);
}

/* A difference far smaller than what the vectors have in common. */
static void test_sparse_close(void **state)
{
    (void)state;
    struct vector x, y;
    vector_init(&x, 1000, 40);
    vector_init(&y, 1000, 39);
    for (uint32_t i = 0; i < 40; i++)
        x.numbers[i] = i == 39 ? (double)1e-7F : 1 + i;
    memcpy(y.numbers, x.numbers, 39 * sizeof *y.numbers);
    check_pair((struct space){ELEMENT_SPARSE, METRIC_L2, 1000}, &x, &y);
    check_pair((struct space){ELEMENT_SPARSE, METRIC_L2, 1000}, &y, &x);
    x.numbers[39] = (double)1e-12F;
    check_pair((struct space){ELEMENT_SPARSE, METRIC_L1, 1000}, &x, &y);
    check_pair((struct space){ELEMENT_SPARSE, METRIC_L1, 1000}, &y, &x);
    vector_clear(&x);
    vector_clear(&y);
}

/* As pgvector answers, on every level: x METRIC y is `distance`, bit for bit. */
static void expect(enum element element, enum metric metric, const char *x, const char *y,
                   double distance)
{
    struct vector vectors[2];
    const char *texts[] = {x, y};
    for (int i = 0; i < 2; i++) {
        struct vector *vector = &vectors[i];
        vector_init(vector, 0, 8);
        char *at = (char *)texts[i];
        for (uint32_t dim = 0; *at != 0; dim++, vector->dims++) {
            double number = strtod(at, &at);
            vector->at[dim] = dim;
            vector->numbers[dim] = number;
        }
        vector->n = vector->dims;
        for (uint32_t j = vector->n; element == ELEMENT_SPARSE && j-- > 0;)
            if (vector->numbers[j] == 0) {
                vector->n--;
                for (uint32_t l = j; l < vector->n; l++) {
                    vector->numbers[l] = vector->numbers[l + 1];
                    vector->at[l] = vector->at[l + 1];
                }
            }
    }
    struct space space = {element, metric, vectors[0].dims};
    for (int level = ISA_SCALAR; level <= (int)ISA_AVX512; level++) {
        isa_force((enum isa)level);
        struct query *query = query_of(space, &vectors[0]);
        double found = distance_to(query, &vectors[1]);
        if (isnan(distance) ? !isnan(found) : memcmp(&found, &distance, sizeof found) != 0)
            fail_msg("[%s] %s [%s], level %d: %.17g, not %.17g", x, metric_operator(metric), y,
                     level, found, distance);
        query_free(query);
    }
    vector_clear(&vectors[0]);
    vector_clear(&vectors[1]);
}

static void test_meaning(void **state)
{
    (void)state;
    for (int i = ELEMENT_FLOAT32; i <= (int)ELEMENT_SPARSE; i++) {
        enum element element = (enum element)i;
        expect(element, METRIC_L2, "0 0", "3 4", 5);
        expect(element, METRIC_L2, "0 0", "0 1", 1);
        expect(element, METRIC_L2, "1 2", "1 2", 0);
        expect(element, METRIC_IP, "1 2", "3 4", -11);
        expect(element, METRIC_IP, "1 2", "-3 -4", 11);
        expect(element, METRIC_IP, "1 0", "0 1", -0.0);
        expect(element, METRIC_IP, "0 0", "0 0", -0.0);
        expect(element, METRIC_COSINE, "1 2", "2 4", 0);
        expect(element, METRIC_COSINE, "1 2", "0 0", NAN);
        expect(element, METRIC_COSINE, "1 1", "1 1", 0);
        expect(element, METRIC_COSINE, "1 0", "0 2", 1);
        expect(element, METRIC_COSINE, "1 1", "-1 -1", 2);
        expect(element, METRIC_L1, "0 0", "3 4", 7);
        expect(element, METRIC_L1, "0 0", "0 1", 1);
        expect(element, METRIC_L1, "1 -2 0", "-1 2 1", 7);
    }
    for (int i = ELEMENT_FLOAT32; i <= (int)ELEMENT_SPARSE; i += 2) {
        enum element element = (enum element)i;
        expect(element, METRIC_L2, "3e38 3e38", "-3e38 0", INFINITY);
        expect(element, METRIC_IP, "3e38 1", "3e38 1", -INFINITY);
        expect(element, METRIC_IP, "3e38 1", "-3e38 1", INFINITY);
        expect(element, METRIC_L1, "3e38 1", "-3e38 1", INFINITY);
        expect(element, METRIC_COSINE, "1 1", "3e38 1", 1);
        expect(element, METRIC_COSINE, "1e30 1", "3e38 1", NAN);
        expect(element, METRIC_COSINE, "1 1", "1e-30 1e-30", 0); /* over a norm of 0 */
    }
    expect(ELEMENT_BIT, METRIC_HAMMING, "1 1 1", "1 1 0", 1);
    expect(ELEMENT_BIT, METRIC_HAMMING, "1 1 1", "0 0 0", 3);
    expect(ELEMENT_BIT, METRIC_HAMMING, "0 1 0", "0 1 0", 0);
    expect(ELEMENT_BIT, METRIC_JACCARD, "1 1 1 1", "1 1 0 0", 0.5);
    expect(ELEMENT_BIT, METRIC_JACCARD, "1 1 1 0", "1 1 0 0", 1 - 2.0 / 3.0);
    expect(ELEMENT_BIT, METRIC_JACCARD, "1 1 1 1", "0 0 0 0", 1);
    expect(ELEMENT_BIT, METRIC_JACCARD, "0 0 0 0", "0 0 0 0", 1);
    expect(ELEMENT_BIT, METRIC_JACCARD, "1 1 1 1", "1 1 1 1", 0);
    isa_force(ISA_AVX512);
}

static void expect_refusal(struct space space, const void *value, size_t size, const char *why)
{
    struct query *query = NULL;
    struct error error = {""};
    assert_int_equal(query_new(&space, value, size, &query, &error), -EINVAL);
    assert_null(query);
    if (strstr(error.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", error.text, why);
}

static void test_bad_queries(void **state)
{
    (void)state;
    static const char inf[] = "\0\2\0\0\0\0\0\0\x7f\x80\0\0", nan[] = "\0\1\0\0\x7e\0";
    static const char zero[] = "\0\2\0\0\0\0\0\0\x80\0\0\0";
    static const char sparse_nan[] = "\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\1\x7f\xc0\0\0";
    static const uint8_t many[4 + ((1 << 24) + 1 + 7) / 8] = {1, 0, 0, 1};
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_L2, 2}, inf, 12, "number 2");
    expect_refusal((struct space){ELEMENT_FLOAT16, METRIC_L2, 1}, nan, 6, "number 1");
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_L2, 3}, zero, 12,
                   "has 2 dimensions; the column's values have 3");
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_L2, 2}, zero, 11, "not a value");
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_L2, 2}, zero, 0, "not a value");
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_COSINE, 2}, zero, 12, "zero vector");
    expect_refusal((struct space){ELEMENT_FLOAT32, METRIC_HAMMING, 2}, zero, 12, "hamming");
    expect_refusal((struct space){ELEMENT_SPARSE, METRIC_L2, 2}, sparse_nan, 20, "dimension 2");
    expect_refusal((struct space){ELEMENT_SPARSE, METRIC_COSINE, 2}, "\0\0\0\2\0\0\0\0\0\0\0\0", 12,
                   "zero vector");
    expect_refusal((struct space){ELEMENT_BIT, METRIC_HAMMING, 0}, "\0\0\0\0", 4, "0 bits");
    expect_refusal((struct space){ELEMENT_BIT, METRIC_HAMMING, 9}, "\0\0\0\x9\xff\x40", 6,
                   "not a value");
    expect_refusal((struct space){ELEMENT_BIT, METRIC_HAMMING, (1 << 24) + 1}, many, sizeof many,
                   "too many");
}

/* One of at least so many numbers. */
static void random_with(struct vector *vector, enum element element, uint32_t dims, uint32_t most,
                        uint32_t least, uint64_t *random)
{
    vector_random(vector, element, dims, most, random);
    while (vector->n < least) {
        vector_clear(vector);
        vector_random(vector, element, dims, most, random);
    }
}

static void expect_bad(const struct query *query, const void *value, size_t size)
{
    double distance = 12345;
    assert_int_equal(query_distance(query, value, size, &distance), -EBADMSG);
    assert_true(distance == 12345);
}

static void test_bad_values(void **state)
{
    (void)state;
    uint64_t random = 7;
    for (int level = ISA_SCALAR; level <= (int)ISA_AVX512; level++) {
        isa_force((enum isa)level);
        for (int element = 0; element < ELEMENT_COUNT; element++) {
            struct space space = {(enum element)element,
                                  element == ELEMENT_BIT ? METRIC_HAMMING : METRIC_L2, 67};
            struct vector x;
            random_with(&x, space.element, 67, 40, 19, &random);
            struct query *query = query_of(space, &x);
            size_t size;
            uint8_t *value = vector_value(&x, space.element, &size);
            double distance = 1;
            assert_int_equal(query_distance(query, value, size, &distance), 0);
            assert_true(distance == 0);
            assert_int_equal(query_distance(query, value, 0, &distance), 0);
            assert_true(isnan(distance));
            for (size_t cut = 1; cut < size; cut++)
                expect_bad(query, value, cut);
            for (size_t i = 0; i < (element == ELEMENT_SPARSE ? 12 : 4); i++) {
                value[i] ^= 1;
                expect_bad(query, value, size);
                value[i] ^= 1;
            }
            if (element == ELEMENT_BIT) {
                value[size - 1] ^= 0x10;
                expect_bad(query, value, size);
            }
            /* each dimension in turn: as the one before, beyond the last, negative */
            for (uint32_t i = 0; element == ELEMENT_SPARSE && i < x.n; i++) {
                uint8_t *dim = value + 12 + 4 * (size_t)i;
                store_be32(dim, i > 0 ? x.at[i - 1] : 67);
                expect_bad(query, value, size);
                store_be32(dim, 67);
                expect_bad(query, value, size);
                store_be32(dim, 0x80000000);
                expect_bad(query, value, size);
                store_be32(dim, x.at[i]);
            }
            free(value);
            query_free(query);
            vector_clear(&x);
        }
    }
    isa_force(ISA_AVX512);
}

enum { MANY = 300, MANY_DIMS = 37 };

/* Values side by side, some of them NULL. */
static void make_many(enum element element, uint8_t *all, uint64_t *starts, struct value *values)
{
    uint64_t random = 11;
    starts[0] = 0;
    for (int i = 0; i < MANY; i++) {
        struct vector y;
        vector_random(&y, element, MANY_DIMS, 20, &random);
        size_t size;
        uint8_t *value = vector_value(&y, element, &size);
        size = i % 7 == 3 ? 0 : size;
        memcpy(all + starts[i], value, size);
        values[i] = (struct value){all + starts[i], size};
        starts[i + 1] = starts[i] + size;
        free(value);
        vector_clear(&y);
    }
}

/* Many at once are as one by one, up to each of the distances that there are. */
static void check_many(const struct query *query, const struct value *values)
{
    double distances[MANY], one[MANY];
    uint32_t numbers[MANY];
    struct query_found found = {.numbers = numbers, .distances = distances};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(query_distance(query, values[i].bytes, values[i].size, &one[i]), 0);
    assert_true(isnan(one[3]));
    for (int limit = -2; limit < MANY; limit++) {
        double most = limit == -2 ? INFINITY : limit == -1 ? -INFINITY : one[limit];
        if (isnan(most))
            continue;
        assert_int_equal(query_within(query, values, MANY, most, &found), 0);
        uint32_t next = 0;
        for (uint32_t i = 0; i < MANY; i++)
            if (one[i] <= most) {
                assert_true(next < found.count);
                assert_int_equal(numbers[next], i);
                assert_true(distances[next++] == one[i]);
            }
        assert_int_equal(next, found.count);
    }
}

static void test_many(void **state)
{
    (void)state;
    uint64_t random = 12;
    uint8_t *all = malloc((size_t)MANY * 400);
    for (int i = 0; i < (ISA_AVX512 + 1) * ELEMENT_COUNT * METRIC_COUNT; i++) {
        struct space space = {i % ELEMENT_COUNT, i / ELEMENT_COUNT % METRIC_COUNT, MANY_DIMS};
        if (!metric_fits(space.metric, space.element))
            continue;
        isa_force(i / ELEMENT_COUNT / METRIC_COUNT);
        struct vector x;
        random_with(&x, space.element, MANY_DIMS, 20, 1, &random);
        struct query *query = query_of(space, &x);
        struct value values[MANY];
        uint64_t starts[MANY + 1];
        make_many(space.element, all, starts, values);
        check_many(query, values);
        double distances[MANY];
        uint32_t numbers[MANY];
        struct query_found found = {numbers, distances, 999, 999};
        all[starts[200] + 3] ^= 1;
        all[starts[222] + 3] ^= 1;
        assert_int_equal(query_within(query, values, MANY, 0, &found), -EBADMSG);
        assert_int_equal(found.bad, 200);
        assert_int_equal(found.count, 999);
        query_free(query);
        vector_clear(&x);
    }
    free(all);
    isa_force(ISA_AVX512);
}

/* Distances at the ends of what there is are found up to themselves. */
static void test_within_extremes(void **state)
{
    (void)state;
    static const char *const texts[] = {"3e38", "-3e38", "1e-45", "-1e-45", "1e-23", "-1e-22",
                                        "1",    "-1",    "1e30",  "-1e19",  "0",     "1.0000001"};
    enum { COUNT = sizeof texts / sizeof *texts };
    uint8_t bytes[COUNT][12];
    struct value values[COUNT];
    for (int i = 0; i < COUNT; i++) {
        float number = strtof(texts[i], NULL);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        store_be32(bytes[i], 2 << 16);
        store_be32(bytes[i] + 4, bits);
        store_be32(bytes[i] + 8, i % 2 == 0 ? bits : 0);
        values[i] = (struct value){bytes[i], 12};
    }
    for (int i = 0; i < COUNT * METRIC_HAMMING; i++) {
        struct space space = {ELEMENT_FLOAT32, i % METRIC_HAMMING, 2};
        struct query *query;
        struct error error;
        if (query_new(&space, bytes[i / METRIC_HAMMING], 12, &query, &error) != 0)
            continue;
        for (int j = 0; j < COUNT; j++) {
            double most, distances[COUNT], one;
            uint32_t numbers[COUNT], next = 0;
            struct query_found found = {.numbers = numbers, .distances = distances};
            assert_int_equal(query_distance(query, bytes[j], 12, &most), 0);
            if (isnan(most))
                continue;
            assert_int_equal(query_within(query, values, COUNT, most, &found), 0);
            for (uint32_t l = 0; l < COUNT; l++) {
                assert_int_equal(query_distance(query, bytes[l], 12, &one), 0);
                if (one <= most) {
                    assert_true(next < found.count);
                    assert_int_equal(numbers[next++], l);
                }
            }
            assert_int_equal(next, found.count);
        }
        query_free(query);
    }
}

/* Zeros in a sparse query, which pgvector would not store, are as if they were left out. */
static void test_sparse_zero(void **state)
{
    (void)state;
    static const uint8_t query_bytes[] =
        "\0\0\0\5\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\3\0\0\0\0\x40\0\0\0";
    static const uint8_t value[] = "\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\1\x3f\x80\0\0";
    struct space space = {ELEMENT_SPARSE, METRIC_L1, 5};
    struct query *query;
    assert_int_equal(query_new(&space, query_bytes, 28, &query, NULL), 0);
    double distance;
    assert_int_equal(query_distance(query, value, 20, &distance), 0);
    assert_true(distance == 3);
    query_free(query);
    query_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dense),           cmocka_unit_test(test_bits),
        cmocka_unit_test(test_sparse),          cmocka_unit_test(test_sparse_close),
        cmocka_unit_test(test_meaning),         cmocka_unit_test(test_bad_queries),
        cmocka_unit_test(test_bad_values),      cmocka_unit_test(test_many),
        cmocka_unit_test(test_within_extremes), cmocka_unit_test(test_sparse_zero),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
