#include "fs/rows/measures.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct columns *column(int number)
{
    struct columns *columns;
    assert_int_equal(columns_new(&number, 1, &columns), 0);
    return columns;
}

static void test_add_and_find(void **state)
{
    (void)state;
    struct measures measures = {NULL}, copy = {NULL};
    struct columns *first = column(1), *again = column(1);
    const struct rendition csv = {.format = &format_csv}, some = {&format_csv, first},
                           same = {&format_csv, again}, jsonl = {.format = &format_jsonl};
    static const uint8_t bytes[] = {1, 0, 2};
    assert_null(measures_find(&measures, &csv));
    assert_int_equal(measures_add(&measures, &csv, 10, NULL), 0);
    assert_int_equal(measures_add(&measures, &some, 0, &(struct note){bytes, 3}), 0);
    assert_null(measures_find(&measures, &jsonl));
    assert_int_equal(measures_find(&measures, &csv)->size, 10);
    assert_int_equal(measures_find(&measures, &csv)->note_size, 0);
    columns_unref(first); /* the list has its own reference */
    assert_int_equal(measures_add(&measures, &same, 7, NULL), 0);
    const struct measure *found = measures_find(&measures, &same);
    assert_int_equal(found->size, 0); /* it stays */
    assert_int_equal(found->note_size, 3);
    assert_memory_equal(found->note, bytes, 3);
    assert_int_equal(measures_add(&copy, &csv, 11, NULL), 0);
    assert_int_equal(measures_copy(&copy, &measures), 0);
    measures_clear(&measures);
    assert_null(measures_find(&measures, &csv));
    assert_int_equal(measures_find(&copy, &csv)->size, 11);
    assert_memory_equal(measures_find(&copy, &same)->note, bytes, 3);
    measures_clear(&copy);
    columns_unref(again);
}

enum { THREADS = 8, COLUMNS = 40 };

struct adder {
    struct measures *measures;
    struct columns **columns;
    unsigned seed;
};

/* The size of each is its column's number. */
static void *add_all(void *argument)
{
    struct adder *adder = argument;
    for (unsigned i = 0; i < 4 * COLUMNS; i++) {
        unsigned number = (i * 7 + adder->seed) % COLUMNS;
        const struct rendition rendition = {&format_bin, adder->columns[number]};
        if (measures_add(adder->measures, &rendition, number, NULL) < 0)
            return adder;
        const struct measure *found = measures_find(adder->measures, &rendition);
        if (found == NULL || found->size != number)
            return adder;
    }
    return NULL;
}

/* Each is in the list once. */
static void test_many_threads(void **state)
{
    (void)state;
    struct measures measures = {NULL};
    struct columns *columns[COLUMNS];
    struct adder adders[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < COLUMNS; i++)
        columns[i] = column(i);
    for (unsigned i = 0; i < THREADS; i++) {
        adders[i] = (struct adder){&measures, columns, i * 5};
        assert_int_equal(pthread_create(&threads[i], NULL, add_all, &adders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    int seen[COLUMNS] = {0};
    for (const struct measure *at = measures.first; at != NULL; at = at->next)
        seen[at->rendition.columns->numbers[0]]++;
    for (int i = 0; i < COLUMNS; i++) {
        assert_int_equal(seen[i], 1);
        columns_unref(columns[i]);
    }
    measures_clear(&measures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_add_and_find),
                                       cmocka_unit_test(test_many_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
