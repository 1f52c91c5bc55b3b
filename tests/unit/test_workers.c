#include "fs/base/workers.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static atomic_int done;

static void count(void *argument) { atomic_fetch_add(&done, *(int *)argument); }

/* Every task is run once, also those still queued when it ends. */
static void test_all_are_run(void **state)
{
    (void)state;
    int one = 1;
    for (int threads = 1; threads <= 8; threads++) {
        struct workers *workers;
        done = 0;
        assert_int_equal(workers_new(threads, &workers), 0);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(workers_add(workers, count, &one, i % 3 == 0), 0);
        workers_free(workers);
        assert_int_equal(done, 1000);
    }
    workers_free(NULL);
}

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open, waiting;
    int order[20];
    int ran;
};

struct numbered {
    struct gate *gate;
    int number;
};

static void wait_at_gate(void *argument)
{
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->lock);
    gate->waiting = true;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

static void note(void *argument)
{
    const struct numbered *numbered = argument;
    pthread_mutex_lock(&numbered->gate->lock);
    numbered->gate->order[numbered->gate->ran++] = numbered->number;
    pthread_mutex_unlock(&numbered->gate->lock);
}

/* Urgent ones overtake the others; each kind keeps its order. */
static void test_urgent_first(void **state)
{
    (void)state;
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct numbered tasks[20];
    struct workers *workers;
    assert_int_equal(workers_new(1, &workers), 0);
    assert_int_equal(workers_add(workers, wait_at_gate, &gate, 0), 0);
    pthread_mutex_lock(&gate.lock);
    while (!gate.waiting)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    for (int i = 0; i < 20; i++) {
        tasks[i] = (struct numbered){&gate, i};
        assert_int_equal(workers_add(workers, note, &tasks[i], i % 2), 0);
    }
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    workers_free(workers);
    assert_int_equal(gate.ran, 20);
    for (int i = 0; i < 20; i++)
        assert_int_equal(gate.order[i], i < 10 ? 2 * i + 1 : 2 * (i - 10));
}

struct chain {
    struct workers *workers;
    int left;
};

static void add_another(void *argument)
{
    struct chain *chain = argument;
    atomic_fetch_add(&done, 1);
    if (--chain->left > 0 && workers_add(chain->workers, add_another, chain, 0) < 0)
        chain->left = -1;
}

/* A task may add tasks. */
static void test_tasks_add_tasks(void **state)
{
    (void)state;
    struct workers *workers;
    done = 0;
    assert_int_equal(workers_new(2, &workers), 0);
    struct chain chain = {workers, 500};
    assert_int_equal(workers_add(workers, add_another, &chain, 1), 0);
    workers_free(workers);
    assert_int_equal(done, 500);
}

/* After the stop nothing is taken; what was queued is run. */
static void test_stop(void **state)
{
    (void)state;
    int one = 1;
    struct workers *workers;
    done = 0;
    workers_stop(NULL);
    assert_int_equal(workers_new(1, &workers), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(workers_add(workers, count, &one, 0), 0);
    workers_stop(workers);
    assert_int_equal(workers_add(workers, count, &one, 0), -ESHUTDOWN);
    assert_int_equal(workers_add(workers, count, &one, 1), -ESHUTDOWN);
    workers_free(workers);
    assert_int_equal(done, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_run),
        cmocka_unit_test(test_urgent_first),
        cmocka_unit_test(test_tasks_add_tasks),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
