#include "codec/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* The variable is read by the first call, and names the most that is chosen. */
static void test_environment(void **state)
{
    (void)state;
    setenv("PGVECFS_ISA", "scalar", 1);
    assert_int_equal(isa_level(), ISA_SCALAR);
    setenv("PGVECFS_ISA", "avx512", 1);
    assert_int_equal(isa_level(), ISA_SCALAR);
}

static void test_force(void **state)
{
    (void)state;
    for (int level = ISA_SCALAR; level <= ISA_AVX512; level++) {
        enum isa got = isa_force((enum isa)level);
        assert_true((int)got <= level);
        assert_int_equal(isa_level(), got);
        assert_int_equal(isa_force(got), got);
    }
}

static void test_name(void **state)
{
    (void)state;
    assert_string_equal(isa_name(ISA_SCALAR), "scalar");
    assert_string_equal(isa_name(ISA_AVX2), "avx2");
    assert_string_equal(isa_name(ISA_AVX512), "avx512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
