#include "codec/byte_planes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COUNT_MOST = 300, SIZE_MOST = 20 };

static void check(size_t count, size_t size)
{
    /* Of exactly that size, for who looks at what is read and written. */
    uint8_t *values = malloc(count * size + 1), *planes = malloc(count * size + 1);
    uint8_t *back = malloc(count * size + 1);
    assert_true(values != NULL && planes != NULL && back != NULL);
    uint32_t random = (uint32_t)(count * 31 + size);
    for (size_t i = 0; i < count * size; i++) {
        random = random * 1664525 + 1013904223;
        values[i] = (uint8_t)(random >> 24);
    }
    planes[count * size] = back[count * size] = 0xee;
    byte_planes_split(values, count, size, planes);
    for (size_t i = 0; i < count; i++)
        for (size_t plane = 0; plane < size; plane++)
            assert_int_equal(planes[plane * count + i], values[i * size + plane]);
    byte_planes_join(planes, count, size, back);
    assert_memory_equal(back, values, count * size);
    assert_int_equal(planes[count * size], 0xee);
    assert_int_equal(back[count * size], 0xee);
    free(values);
    free(planes);
    free(back);
}

static void test_each_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SIZE_MOST; size++)
        for (size_t count = 0; count <= COUNT_MOST; count++)
            check(count, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_size)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
