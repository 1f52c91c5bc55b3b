#include "index/metric.h"
#include "index/span.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"l2", "ip", "cosine", "l1", "hamming", "jaccard"};
    static const char *const operators[] = {"<->", "<#>", "<=>", "<+>", "<~>", "<%>"};
    for (int i = 0; i < METRIC_COUNT; i++) {
        assert_string_equal(metric_name((enum metric)i), names[i]);
        assert_string_equal(metric_operator((enum metric)i), operators[i]);
        assert_int_equal(metric_find(names[i], strlen(names[i])), i);
        assert_int_equal(metric_find(names[i], strlen(names[i]) - 1), -1);
    }
    assert_int_equal(metric_find("l2x", 2), METRIC_L2);
    assert_int_equal(metric_find("l2x", 3), -1);
    assert_int_equal(metric_find("L2", 2), -1);
    assert_int_equal(metric_find("", 0), -1);
}

static void test_fits(void **state)
{
    (void)state;
    for (int metric = 0; metric < METRIC_COUNT; metric++)
        for (int element = 0; element < ELEMENT_COUNT; element++)
            assert_int_equal(metric_fits((enum metric)metric, (enum element)element),
                             (metric >= METRIC_HAMMING) == (element == ELEMENT_BIT));
}

static void test_elements(void **state)
{
    (void)state;
    assert_int_equal(element_find("vector"), ELEMENT_FLOAT32);
    assert_int_equal(element_find("halfvec"), ELEMENT_FLOAT16);
    assert_int_equal(element_find("sparsevec"), ELEMENT_SPARSE);
    assert_int_equal(element_find("bit"), ELEMENT_BIT);
    assert_int_equal(element_find("varbit"), ELEMENT_BIT);
    assert_int_equal(element_find("bits"), -1);
    assert_int_equal(element_find("int4"), -1);
    assert_int_equal(element_find(""), -1);
}

/* -1: none of the element. */
static int64_t dims_of(enum element element, const void *value, size_t size)
{
    uint32_t dims = 12345;
    int rc = value_dims(element, value, size, &dims);
    if (rc == 0)
        return dims;
    assert_int_equal(rc, -EBADMSG);
    assert_int_equal(dims, 12345);
    return -1;
}

static void test_dense_dims(void **state)
{
    (void)state;
    static uint8_t value[4 + 4 * 16001];
    value[1] = 3;
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 16), 3);
    assert_int_equal(dims_of(ELEMENT_FLOAT16, value, 10), 3);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 15), -1);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 17), -1);
    assert_int_equal(dims_of(ELEMENT_FLOAT16, value, 16), -1);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 3), -1);
    value[3] = 1;
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 16), -1);
    memcpy(value, "\0\0\0\0", 4);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 4), -1);
    memcpy(value, "\x3e\x80\0\0", 4);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 4 + 4 * 16000), 16000);
    assert_int_equal(dims_of(ELEMENT_FLOAT16, value, 4 + 2 * 16000), 16000);
    memcpy(value, "\x3e\x81\0\0", 4);
    assert_int_equal(dims_of(ELEMENT_FLOAT32, value, 4 + 4 * 16001), -1);
}

static void test_sparse_dims(void **state)
{
    (void)state;
    uint8_t value[28] = "\x3b\x9a\xca\x00\0\0\0\2\0\0\0\0\0\0\0\0\x3b\x9a\xc9\xff";
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 28), 1000000000);
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 27), -1);
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 12), -1);
    value[19] = 0; /* the second dimension after the first, but no other matters */
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 28), 1000000000);
    memcpy(value + 16, "\0\0\0\0", 4); /* twice the first */
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 28), -1);
    memcpy(value + 16, "\x3b\x9a\xca\x00", 4); /* beyond the last */
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 28), -1);
    value[3] = 1; /* a dimension more than there may be */
    assert_int_equal(dims_of(ELEMENT_SPARSE, value, 28), -1);
    uint8_t empty[12] = {0, 0, 0, 1};
    assert_int_equal(dims_of(ELEMENT_SPARSE, empty, 12), 1);
    empty[11] = 1;
    assert_int_equal(dims_of(ELEMENT_SPARSE, empty, 12), -1);
    assert_int_equal(dims_of(ELEMENT_SPARSE, "\0\0\0\0\0\0\0\0\0\0\0\0", 12), -1);
}

static void test_bit_dims(void **state)
{
    (void)state;
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0\x9\xff\x80", 6), 9);
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0\x9\xff\x40", 6), -1);
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0\x8\xff", 5), 8);
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0\x8\xff", 4), -1);
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0\0", 4), 0);
    assert_int_equal(dims_of(ELEMENT_BIT, "\xff\xff\xff\xff", 4), -1);
    assert_int_equal(dims_of(ELEMENT_BIT, "\0\0\0", 3), -1);
}

static void test_span(void **state)
{
    (void)state;
    const uint8_t bytes[] = "aabbcc";
    const uint64_t starts[] = {0, 1, 1, 6};
    struct span fixed = {bytes, 3, 2, NULL}, runs = {bytes, 3, 0, starts};
    size_t size;
    assert_ptr_equal(span_value(&fixed, 2, &size), bytes + 4);
    assert_int_equal(size, 2);
    assert_ptr_equal(span_value(&runs, 2, &size), bytes + 1);
    assert_int_equal(size, 5);
    span_value(&runs, 1, &size);
    assert_int_equal(size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),       cmocka_unit_test(test_fits),
        cmocka_unit_test(test_elements),    cmocka_unit_test(test_dense_dims),
        cmocka_unit_test(test_sparse_dims), cmocka_unit_test(test_bit_dims),
        cmocka_unit_test(test_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
