/* Each step behind the rows looks by itself whether it is to stop, though a later one would, too. */
#include "index/hnsw_making.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/clusters.h"

enum { ROWS = 100 };

static void test_stopped_steps(void **state)
{
    (void)state;
    struct vectors v;
    atomic_bool stop = false;
    uint32_t slots[ROWS], twin_count = 0;
    uint64_t twins[ROWS / 64 + 1] = {0};
    struct hnsw *hnsw = NULL;
    struct hnsw_options options = {.space = {ELEMENT_FLOAT32, METRIC_L2, 8},
                                   .m = 4,
                                   .ef_construction = 8,
                                   .seed = 1,
                                   .threads = 1,
                                   .stop = &stop};
    vectors_make(&v, options.space, ROWS - 1, 5);
    vectors_add_copy(&v, 0);
    struct span span = vectors_span(&v, 0, v.rows);
    assert_int_equal(hnsw_build(&options, &(struct hnsw_rows){&span, 1, v.keys}, &hnsw, NULL), 0);
    assert_int_equal(hnsw->slots, ROWS);
    struct making making = {.options = &options, .hnsw = hnsw, .row_of_slot = slots, .twin = twins};
    for (uint32_t slot = 0; slot < ROWS; slot++)
        slots[slot] = slot;
    stop = true;
    assert_int_equal(making_link_twins(&making, slots, ROWS), -EINTR);
    stop = false;
    assert_int_equal(making_link_twins(&making, slots, ROWS), 0);
    for (uint32_t slot = 0; slot < ROWS; slot++)
        twin_count += making_is_twin(&making, slot);
    assert_int_equal(twin_count, 1);
    stop = true;
    assert_int_equal(hnsw_reorder(&making), -EINTR);
    hnsw_free(hnsw);
    vectors_clear(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stopped_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
