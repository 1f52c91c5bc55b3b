/* Where the columns of a Parquet file's bodies lie. */
#include "codec/parquet_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { COLUMNS_MOST = 4 };

static void test_cases(void **state)
{
    (void)state;
    static const struct {
        int count;
        uint64_t sizes[COLUMNS_MOST];
        uint64_t offsets[COLUMNS_MOST];
        uint64_t size;
    } cases[] = {
        {0, {0}, {0}, 0},
        {1, {10}, {0}, 10},
        {3, {10, 20, 30}, {0, 10, 30}, 60},
        /* 4 bytes are in front: the second column is at 4096 in the first group of a file */
        {2, {10, 1000000}, {0, 4092}, 1007616},
        /* a column that fills its page, or just does not */
        {2, {4092, 1000000}, {0, 4092}, 1007616},
        {2, {4093, 1000000}, {0, 8188}, 1011712},
        /* the last page is full */
        {2, {10, 999424}, {0, 4092}, 1003520},
        {2, {10, 999425}, {0, 4092}, 1007616},
        /* a 32nd of the columns' bytes, and one byte more than that */
        {1, {126980}, {0}, 126980},
        {1, {127008}, {0}, 127008},
        {1, {131072 - 3971}, {0}, 131072},
        {1, {131072 - 3972}, {0}, 131072 - 3972},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t offsets[COLUMNS_MOST] = {0};
        assert_int_equal(parquet_layout(cases[i].sizes, cases[i].count, offsets), cases[i].size);
        for (int column = 0; column < cases[i].count; column++)
            assert_int_equal(offsets[column], cases[i].offsets[column]);
    }
}

static void test_next(void **state)
{
    (void)state;
    assert_int_equal(parquet_layout_next(0), 4092);
    assert_int_equal(parquet_layout_next(4092), 4092);
    assert_int_equal(parquet_layout_next(4093), 8188);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_next)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
