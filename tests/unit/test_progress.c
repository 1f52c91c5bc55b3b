#include "codec/clock.h"
#include "fs/base/progress.h"
#include "fs/tables/mount.h"
#include "fs/tables/refreshes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_nobody_knows(void **state)
{
    (void)state;
    struct progress progress = {.rows = 5, .groups_kept = 2};
    progress_begin(&progress);
    assert_int_equal(progress.rows, 0);
    assert_int_equal(progress.groups_kept, 0);
    assert_true(progress.began <= clock_ms() && progress.began > clock_ms() - 60000);
    assert_string_equal(progress_stage_name(&progress), "waiting");
    assert_true(progress_percent(&progress) < 0);
    assert_true(progress_seconds_left(&progress, clock_ms() + 5000) < 0);
}

static void test_stage(void **state)
{
    (void)state;
    struct progress progress = {0};
    progress_begin(&progress);
    progress.rows = 7;
    progress_stage(&progress, STAGE_COPYING, 200);
    assert_string_equal(progress_stage_name(&progress), "copying");
    assert_int_equal(progress.rows, 7); /* a stage does not take back what came before */
    int64_t began = progress.stage_began;
    assert_true(progress_percent(&progress) == 0);
    assert_true(progress_seconds_left(&progress, began + 5000) < 0); /* nothing done yet */
    progress.done = 50;
    assert_true(progress_percent(&progress) == 25);
    assert_true(progress_seconds_left(&progress, began + 999) < 0); /* too early */
    assert_true(progress_seconds_left(&progress, began + 2000) == 6);
    progress.done = 200;
    assert_true(progress_percent(&progress) == 100);
    assert_true(progress_seconds_left(&progress, began + 2000) == 0);
    progress.done = 300; /* the table has grown meanwhile */
    assert_true(progress_percent(&progress) == 100);
    assert_true(progress_seconds_left(&progress, began + 2000) == 0);
    progress_stage(&progress, STAGE_MEASURING, 10);
    assert_true(progress_percent(&progress) == 0);
}

static void test_ring(void **state)
{
    (void)state;
    struct refreshes refreshes = {0};
    assert_int_equal(refreshes_first(&refreshes), refreshes.count);
    for (int i = 0; i < 2 * REFRESHES_KEPT + 3; i++) {
        char name[20];
        snprintf(name, sizeof name, "t%d", i);
        const struct refresh refresh = {
            .schema = (char[]){"s"}, .name = name, .rows = (uint64_t)i, .result = REFRESH_CHANGED};
        refreshes_add(&refreshes, &refresh);
        size_t first = refreshes_first(&refreshes);
        assert_int_equal(refreshes.count, i + 1);
        assert_int_equal(first, i < REFRESHES_KEPT ? 0 : i + 1 - REFRESHES_KEPT);
        for (size_t k = first; k < refreshes.count; k++)
            assert_int_equal(refreshes.kept[k % REFRESHES_KEPT].rows, k);
        assert_string_equal(refreshes.kept[i % REFRESHES_KEPT].name, name);
    }
    refreshes_clear(&refreshes);
    assert_int_equal(refreshes.count, 0);
    for (int i = REFRESH_NEW; i <= REFRESH_STOPPED; i++)
        assert_non_null(refresh_result_name(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_knows),
        cmocka_unit_test(test_stage),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
