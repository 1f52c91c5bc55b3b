#include "fs/base/waiters.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Where tasks wait until as many as are expected have come, or the gate is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting, expected, ran;
    bool open;
};

static const struct gate closed = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                   .changed = PTHREAD_COND_INITIALIZER};

static void wait_at_gate(void *argument)
{
    struct gate *gate = argument;
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open && (gate->expected == 0 || gate->waiting < gate->expected))
        pthread_cond_wait(&gate->changed, &gate->lock);
    gate->ran++;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void open_gate(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

static void await(struct gate *gate, const int *number, int value)
{
    pthread_mutex_lock(&gate->lock);
    while (*number < value)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* A hundred that wait for each other: with a thread fewer none would end. */
static void test_each_has_a_thread(void **state)
{
    (void)state;
    struct gate gate = closed;
    struct waiters *waiters;
    gate.expected = 100;
    assert_int_equal(waiters_new(100, &waiters), 0);
    for (int i = 0; i < gate.expected; i++)
        assert_int_equal(waiters_add(waiters, wait_at_gate, &gate), 0);
    await(&gate, &gate.ran, gate.expected);
    waiters_free(waiters);
    assert_int_equal(gate.ran, 100);
}

/* What is beyond the bound is run once a thread is free. */
static void test_bound(void **state)
{
    (void)state;
    struct gate gate = closed;
    struct waiters *waiters;
    assert_int_equal(waiters_new(3, &waiters), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(waiters_add(waiters, wait_at_gate, &gate), 0);
    await(&gate, &gate.waiting, 3);
    assert_int_equal(gate.waiting, 3);
    open_gate(&gate);
    waiters_free(waiters);
    assert_int_equal(gate.ran, 10);
}

static void wait_away(void *gate)
{
    waiters_away();
    wait_at_gate(gate);
    waiters_back();
}

/* Those who wait without needing a thread keep none from the others. */
static void test_who_is_away_does_not_count(void **state)
{
    (void)state;
    struct gate away = closed, gate = closed;
    struct waiters *waiters;
    waiters_away(); /* nothing, here */
    waiters_back();
    assert_int_equal(waiters_new(2, &waiters), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(waiters_add(waiters, wait_away, &away), 0);
    await(&away, &away.waiting, 20);
    gate.expected = 2;
    for (int i = 0; i < 2; i++)
        assert_int_equal(waiters_add(waiters, wait_at_gate, &gate), 0);
    await(&gate, &gate.ran, 2);
    open_gate(&away);
    await(&away, &away.ran, 20);
    gate = closed; /* and when they are back they do */
    for (int i = 0; i < 10; i++)
        assert_int_equal(waiters_add(waiters, wait_at_gate, &gate), 0);
    await(&gate, &gate.waiting, 2);
    open_gate(&gate);
    waiters_free(waiters);
    assert_int_equal(gate.ran, 10);
}

static atomic_int done;

static void count(void *argument) { atomic_fetch_add(&done, *(int *)argument); }

/* After the stop nothing is taken but what must not be refused; what was queued is run. */
static void test_stop(void **state)
{
    (void)state;
    int one = 1, hundred = 100;
    struct waiters_task task;
    struct gate gate = closed;
    struct waiters *waiters;
    done = 0;
    waiters_stop(NULL);
    assert_int_equal(waiters_new(1, &waiters), 0);
    assert_int_equal(waiters_add(waiters, wait_at_gate, &gate), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(waiters_add(waiters, count, &one), 0);
    waiters_stop(waiters);
    assert_int_equal(waiters_add(waiters, count, &one), -ESHUTDOWN);
    waiters_put(waiters, &task, count, &hundred);
    open_gate(&gate);
    waiters_free(waiters);
    assert_int_equal(done, 105);
    waiters_free(NULL);
}

struct chain {
    struct waiters *waiters;
    struct waiters_task task;
    int left;
};

static void put_another(void *argument)
{
    struct chain *chain = argument;
    atomic_fetch_add(&done, 1);
    if (--chain->left > 0)
        waiters_put(chain->waiters, &chain->task, put_another, chain);
}

/* A task may put itself again, while the end waits for it, too. */
static void test_tasks_put_tasks(void **state)
{
    (void)state;
    struct chain chain = {.left = 500};
    done = 0;
    assert_int_equal(waiters_new(4, &chain.waiters), 0);
    waiters_put(chain.waiters, &chain.task, put_another, &chain);
    waiters_free(chain.waiters);
    assert_int_equal(done, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_a_thread),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_who_is_away_does_not_count),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_tasks_put_tasks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
