#include "codec/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* What is in it stays, and it moves at powers of two alone. */
static void test_grows(void **state)
{
    (void)state;
    uint64_t *list = NULL;
    for (size_t n = 0; n < 1000; n++) {
        uint64_t *grown = array_room(list, n, sizeof *grown);
        assert_non_null(grown);
        if (n > 0 && (n & (n - 1)) != 0)
            assert_ptr_equal(grown, list);
        list = grown;
        list[n] = n * n;
    }
    for (size_t n = 0; n < 1000; n++)
        assert_int_equal(list[n], n * n);
    free(list);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
