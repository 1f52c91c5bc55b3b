#include "fs/search/answer_room.h"

#include "fs/base/patience.h"
#include "fs/base/waiters.h"
#include "fs/tables/mount.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The clock that the room goes by, and how often it was asked. */
static _Atomic int64_t now = 1000;
static atomic_int looks;

int64_t __wrap_clock_ms(void);

int64_t __wrap_clock_ms(void)
{
    int64_t at = now;
    looks++;
    return at;
}

/* All of the room is taken, and one more wants some. */
struct crowd {
    struct answer_room room;
    struct error error;
    atomic_int rc; /* 1: he still waits */
};

static void enter(void *argument)
{
    struct crowd *crowd = argument;
    crowd->rc = answer_room_enter(&crowd->room, &crowd->error);
}

static void *enter_by_thread(void *argument)
{
    enter(argument);
    return NULL;
}

static void fill(struct crowd *crowd)
{
    *crowd = (struct crowd){.rc = 1};
    answer_room_init(&crowd->room);
    for (int i = 0; i < ANSWERS_LARGE_AT_ONCE; i++)
        assert_int_equal(answer_room_enter(&crowd->room, NULL), 0);
}

/* He who waits has asked the clock again, from now on. */
static void let_look(const struct crowd *crowd)
{
    int seen = looks;
    while (crowd->rc == 1 && looks < seen + 2)
        usleep(1000);
}

static void test_waits_as_long_as_others_get_on(void **state)
{
    (void)state;
    struct crowd crowd;
    pthread_t thread;
    fill(&crowd);
    assert_int_equal(pthread_create(&thread, NULL, enter_by_thread, &crowd), 0);
    let_look(&crowd);
    for (int i = 0; i < 5; i++) {
        now += 6000;
        answer_room_moves(&crowd.room);
        let_look(&crowd);
        assert_int_equal(crowd.rc, 1);
    }
    answer_room_leave(&crowd.room);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(crowd.rc, 0);
    assert_int_equal(crowd.room.taken, ANSWERS_LARGE_AT_ONCE);
}

static void test_gives_up_when_they_do_not(void **state)
{
    (void)state;
    struct crowd crowd;
    pthread_t thread;
    fill(&crowd);
    assert_int_equal(pthread_create(&thread, NULL, enter_by_thread, &crowd), 0);
    let_look(&crowd);
    now += 10001;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(crowd.rc, -EBUSY);
    assert_non_null(strstr(crowd.error.text, "large answers are being made"));
}

static void leave(void *argument)
{
    struct crowd *crowd = argument;
    answer_room_leave(&crowd->room);
}

/* There is one thread, and whoever gives room back needs it, too. */
static void test_takes_no_waiter(void **state)
{
    (void)state;
    struct crowd crowd;
    struct waiters *waiters;
    fill(&crowd);
    assert_int_equal(waiters_new(1, &waiters), 0);
    assert_int_equal(waiters_add(waiters, enter, &crowd), 0);
    let_look(&crowd);
    assert_int_equal(waiters_add(waiters, leave, &crowd), 0);
    for (int i = 0; i < 60000 && crowd.rc == 1; i++)
        usleep(1000);
    assert_int_equal(crowd.rc, 0);
    waiters_free(waiters);
}

/* ---- places ---- */

/* One of many that want room in vain. */
struct one {
    struct crowd *crowd;
    struct answer_place place;
    pthread_t thread;
    int rc;
    atomic_bool called, stop;
};

static void note_call(void *argument)
{
    struct one *one = argument;
    one->called = true;
}

/* False: it has been refused, and is to be parked. */
static bool try_room(struct one *one, bool waits, int *rc)
{
    struct patience patience = {.waits = waits, .stop = &one->stop, .place = &one->place};
    patience_begin(&patience);
    *rc = answer_room_enter(&one->crowd->room, NULL);
    patience_end(&patience);
    return !patience.parked;
}

static void *wait_by_thread(void *argument)
{
    struct one *one = argument;
    assert_true(try_room(one, true, &one->rc));
    return NULL;
}

static void park(struct one *one)
{
    int rc;
    assert_false(try_room(one, true, &rc));
    assert_int_equal(rc, -EAGAIN);
    answer_room_park(&one->crowd->room, &one->place, note_call, one);
}

enum { FURTHER = 3 };

/* All that may wait with their threads do so, and further ones are parked. */
static void queue(struct crowd *crowd, struct one *waiting, struct one *further)
{
    fill(crowd);
    for (int i = 0; i < ANSWERS_WAIT_AT_ONCE; i++) {
        waiting[i] = (struct one){.crowd = crowd};
        assert_int_equal(pthread_create(&waiting[i].thread, NULL, wait_by_thread, &waiting[i]), 0);
    }
    for (int there = 0; there < ANSWERS_WAIT_AT_ONCE; usleep(1000)) {
        pthread_mutex_lock(&crowd->room.lock);
        there = crowd->room.waiting;
        pthread_mutex_unlock(&crowd->room.lock);
    }
    for (int i = 0; i < FURTHER; i++) {
        further[i] = (struct one){.crowd = crowd};
        park(&further[i]);
        assert_false(further[i].called);
        now++;
    }
}

/* Those with threads have room one after another. */
static void let_all_in(struct one *waiting)
{
    for (int i = 0; i < ANSWERS_WAIT_AT_ONCE; i++)
        answer_room_leave(&waiting[i].crowd->room);
    for (int i = 0; i < ANSWERS_WAIT_AT_ONCE; i++) {
        assert_int_equal(pthread_join(waiting[i].thread, NULL), 0);
        assert_int_equal(waiting[i].rc, 0);
    }
}

static void test_further_ones_wait_without_a_thread(void **state)
{
    (void)state;
    struct crowd crowd;
    struct one waiting[ANSWERS_WAIT_AT_ONCE], further[FURTHER];
    int rc;
    queue(&crowd, waiting, further);
    /* One that has come to nothing for something else is no longer on the way. */
    answer_room_call(&crowd.room, &further[1].place);
    assert_true(further[1].called && !further[0].called && !further[2].called);
    answer_room_over(&crowd.room, &further[1].place);
    let_all_in(waiting);
    assert_true(further[0].called && further[2].called);
    /* Who comes back keeps his place among those with threads, and nobody is counted twice. */
    answer_room_leave(&crowd.room);
    assert_true(try_room(&further[2], true, &rc));
    assert_int_equal(rc, 0);
    answer_room_over(&crowd.room, &further[0].place);
    assert_int_equal(crowd.room.called, 0);
    assert_int_equal(crowd.room.waiting, 0);
    assert_null(crowd.room.first);
}

static void test_who_was_refused_comes_before_later_ones(void **state)
{
    (void)state;
    struct crowd crowd;
    struct one waiting[ANSWERS_WAIT_AT_ONCE], further[FURTHER];
    int rc;
    queue(&crowd, waiting, further);
    answer_room_call(&crowd.room, &further[0].place);
    assert_false(try_room(&further[0], false, &rc));
    further[0].called = false;
    answer_room_park(&crowd.room, &further[0].place, note_call, &further[0]);
    assert_ptr_equal(crowd.room.first, &further[0].place);
    /* What ends does so at once, and a stopped one is not parked again. */
    further[2].stop = true;
    answer_room_call(&crowd.room, &further[2].place);
    assert_true(further[2].called);
    assert_true(try_room(&further[2], true, &rc));
    assert_int_equal(rc, -EINTR);
    let_all_in(waiting);
    assert_true(further[0].called && further[1].called);
}

static void test_tells_those_without_a_thread_that_others_do_not_get_on(void **state)
{
    (void)state;
    struct crowd crowd;
    struct one waiting[ANSWERS_WAIT_AT_ONCE], further[FURTHER];
    int rc;
    queue(&crowd, waiting, further);
    answer_room_tend(&crowd.room);
    assert_false(further[0].called);
    now += 10001;
    for (int i = 0; i < FURTHER; i++) {
        answer_room_tend(&crowd.room);
        assert_true(further[i].called);
        assert_true(try_room(&further[i], true, &rc));
        assert_int_equal(rc, -EBUSY);
        answer_room_over(&crowd.room, &further[i].place);
    }
    for (int i = 0; i < ANSWERS_WAIT_AT_ONCE; i++) {
        assert_int_equal(pthread_join(waiting[i].thread, NULL), 0);
        assert_int_equal(waiting[i].rc, -EBUSY);
    }
}

/* Those who were called take long before they come. */
static void test_nobody_waits_behind_those_who_do_not_come(void **state)
{
    (void)state;
    struct crowd crowd;
    struct one all[ANSWERS_WAIT_AT_ONCE + FURTHER];
    int rc;
    fill(&crowd);
    for (int i = 0; i < ANSWERS_WAIT_AT_ONCE + FURTHER; i++) {
        all[i] = (struct one){.crowd = &crowd};
        assert_false(try_room(&all[i], false, &rc));
        answer_room_park(&crowd.room, &all[i].place, note_call, &all[i]);
        assert_int_equal(all[i].called, i < ANSWERS_WAIT_AT_ONCE);
        now++;
    }
    for (int i = 0; i < ANSWERS_LARGE_AT_ONCE; i++)
        answer_room_leave(&crowd.room);
    assert_false(all[ANSWERS_WAIT_AT_ONCE].called);
    answer_room_tend(&crowd.room);
    assert_true(all[ANSWERS_WAIT_AT_ONCE].called);
    assert_false(all[ANSWERS_WAIT_AT_ONCE + 1].called);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_as_long_as_others_get_on),
        cmocka_unit_test(test_gives_up_when_they_do_not),
        cmocka_unit_test(test_takes_no_waiter),
        cmocka_unit_test(test_further_ones_wait_without_a_thread),
        cmocka_unit_test(test_who_was_refused_comes_before_later_ones),
        cmocka_unit_test(test_tells_those_without_a_thread_that_others_do_not_get_on),
        cmocka_unit_test(test_nobody_waits_behind_those_who_do_not_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
