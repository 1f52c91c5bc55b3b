#include "fs/answer_room.h"

#include "fs/mount.h"
#include "fs/waiters.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_as_long_as_others_get_on),
        cmocka_unit_test(test_gives_up_when_they_do_not),
        cmocka_unit_test(test_takes_no_waiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
