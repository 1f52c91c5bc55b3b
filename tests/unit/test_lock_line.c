#include "fs/rows/lock_line.h"

#include "fs/tables/mount.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* The Makefile has clock_ms called here. */
static int64_t now = 1000000;
int64_t __wrap_clock_ms(void);
int64_t __wrap_clock_ms(void) { return now; }

enum { MOST = 40 };

static const struct relation table = {.oid = 1, .schema = "public", .name = "t"};

struct place {
    struct lock_waits waits;
    struct lock_line line;
    struct lock_turn turns[MOST];
    int went[MOST]; /* how often each has had its turn, but for the first */
    int order[1000];
    int count;
};

struct one {
    struct place *place;
    int number;
};
static struct one ones[MOST];

static void note(void *context)
{
    struct one *one = context;
    one->place->went[one->number]++;
    one->place->order[one->place->count++] = one->number;
}

static void begin(struct place *place, int connections, int64_t limit_ms)
{
    *place = (struct place){.count = 0};
    lock_waits_init(&place->waits, limit_ms);
    lock_line_init(&place->line, &place->waits, connections);
    for (int i = 0; i < MOST; i++) {
        place->turns[i].wait = (struct lock_wait){.relation = &table, .what = "rows"};
        ones[i] = (struct one){place, i};
    }
}

/* What somebody does who does not get the lock; for how long he may wait for it. */
static int try(struct place *place, int i)
{
    struct error error = {""};
    int patience = lock_turn_begin(&place->line, &place->turns[i]);
    lock_turn_end(&place->line, &place->turns[i], false);
    assert_int_equal(lock_wait_note(&place->waits, &place->turns[i].wait, NULL, &error), 0);
    return patience;
}

static void park(struct place *place, int i)
{
    lock_turn_park(&place->line, &place->turns[i], note, &ones[i]);
}

static void tick(struct place *place)
{
    now += 100;
    lock_line_tend(&place->line);
}

/* Ticks until somebody has his turn. */
static int next(struct place *place)
{
    int before = place->count;
    for (int i = 0; i < 100 && place->count == before; i++)
        tick(place);
    assert_int_equal(place->count, before + 1);
    return place->order[before];
}

static void one_alone_stands_each_time(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    assert_int_equal(try(&place, 0), LOCK_PATIENCE_MS);
    for (int i = 0; i < 5; i++) {
        park(&place, 0);
        lock_line_tend(&place.line);
        assert_int_equal(place.count, i); /* after a pause */
        assert_int_equal(next(&place), 0);
        assert_int_equal(try(&place, 0), LOCK_PATIENCE_MS);
    }
}

static void two_stand_at_once(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[0]), LOCK_PATIENCE_MS);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[1]), LOCK_PATIENCE_MS);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[2]), 1);
    lock_turn_end(&place.line, &place.turns[1], true);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[3]), LOCK_PATIENCE_MS);
    now += LOCK_PATIENCE_MS; /* whoever is still at work does not stand any more */
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[4]), LOCK_PATIENCE_MS);
    lock_turn_end(&place.line, &place.turns[0], true);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[5]), LOCK_PATIENCE_MS);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[6]), 1);
}

static void with_few_connections_one_does(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 2, -1);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[0]), LOCK_PATIENCE_MS);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[1]), 1);
}

static void many_have_their_turns_one_after_the_other(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(try(&place, i), i == 0 ? LOCK_PATIENCE_MS : 1);
        park(&place, i);
    }
    int64_t began = now;
    for (int i = 0; i < 3 * MOST; i++) {
        assert_int_equal(next(&place), i % MOST);
        assert_int_equal(try(&place, i % MOST), LOCK_PATIENCE_MS);
        park(&place, i % MOST);
    }
    assert_true(now - began >= 3 * MOST * (LOCK_PATIENCE_MS + LOCK_PAUSE_MS) / 2 - 1000);
}

/* Whoever had its lock may have had all others, too. */
static void who_gets_his_lock_lets_the_next_try(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    for (int i = 0; i < MOST; i++) {
        (void)try(&place, i);
        park(&place, i);
    }
    assert_int_equal(next(&place), 0);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(place.count, i + 1);
        (void)lock_turn_begin(&place.line, &place.turns[i]);
        lock_turn_end(&place.line, &place.turns[i], true);
        lock_wait_over(&place.waits, &place.turns[i].wait);
    }
    assert_null(place.line.first);
    assert_null(place.waits.first);
}

static void what_comes_too_late_to_stand_is_owed_its_place(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 2, -1);
    for (int i = 0; i < 3; i++) {
        (void)try(&place, i);
        park(&place, i);
    }
    assert_int_equal(next(&place), 0);
    assert_int_equal(next(&place), 1);
    assert_int_equal(lock_turn_begin(&place.line, &place.turns[1]), LOCK_PATIENCE_MS);
    assert_int_equal(try(&place, 0), 1);
    park(&place, 0);
    lock_turn_end(&place.line, &place.turns[1], false);
    assert_int_equal(next(&place), 0); /* before the one who has waited longer */
    assert_int_equal(next(&place), 2);
}

static void all_whose_time_is_over_have_a_last_turn(void **state)
{
    (void)state;
    struct place place;
    struct error error = {""};
    begin(&place, 8, 60000);
    for (int i = 0; i < MOST; i++) {
        (void)try(&place, i);
        park(&place, i);
    }
    now += 59999;
    lock_line_tend(&place.line);
    assert_true(place.count <= 1);
    now += 1;
    lock_line_tend(&place.line);
    assert_int_equal(place.count, MOST);
    for (int i = 0; i < MOST; i++) {
        assert_int_equal(place.went[i], 1);
        assert_int_equal(lock_wait_note(&place.waits, &place.turns[i].wait, NULL, &error), -EBUSY);
    }
}

static void who_is_called_comes_at_once(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    for (int i = 0; i < 3; i++) {
        (void)try(&place, i);
        park(&place, i);
    }
    lock_turn_call(&place.line, &place.turns[1]);
    lock_turn_call(&place.line, &place.turns[1]);
    assert_int_equal(place.count, 1);
    assert_int_equal(place.order[0], 1);
    assert_int_equal(next(&place), 0);
}

/* What is free and could not be had goes from hand to hand, unless it is room that was lacking. */
static void who_waits_for_room_is_not_before_others(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, -1);
    struct lock_turn *turn = &place.turns[0];
    for (int i = 0; i < 2; i++) {
        (void)try(&place, 0);
        turn->wait.for_room = i == 0;
        turn->free = true;
        park(&place, 0);
        assert_int_equal(turn->moves, i == 1);
        lock_turn_call(&place.line, turn);
    }
}

static void a_thread_that_waits_can_be_stopped(void **state)
{
    (void)state;
    struct place place;
    atomic_bool stop = true;
    begin(&place, 8, -1);
    (void)try(&place, 0);
    assert_int_equal(lock_turn_wait(&place.line, &place.turns[0], &stop), -EINTR);
    assert_null(place.line.first);
}

/* Also where one lock is had again and again, and another is not. */
static void a_wait_that_rests_goes_on(void **state)
{
    (void)state;
    struct place place;
    begin(&place, 8, 2000);
    struct lock_wait *wait = &place.turns[0].wait;
    assert_int_equal(lock_wait_note(&place.waits, wait, NULL, NULL), 0);
    now += 1500;
    lock_wait_rest(&place.waits, wait);
    assert_null(place.waits.first);
    now += 1000;
    assert_int_equal(lock_wait_note(&place.waits, wait, NULL, NULL), -EBUSY);
    lock_wait_rest(&place.waits, wait);
    lock_wait_over(&place.waits, wait);
    assert_int_equal(lock_wait_note(&place.waits, wait, NULL, NULL), 0);
    lock_wait_over(&place.waits, wait);
    assert_null(place.waits.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_alone_stands_each_time),
        cmocka_unit_test(two_stand_at_once),
        cmocka_unit_test(with_few_connections_one_does),
        cmocka_unit_test(many_have_their_turns_one_after_the_other),
        cmocka_unit_test(who_gets_his_lock_lets_the_next_try),
        cmocka_unit_test(what_comes_too_late_to_stand_is_owed_its_place),
        cmocka_unit_test(all_whose_time_is_over_have_a_last_turn),
        cmocka_unit_test(who_is_called_comes_at_once),
        cmocka_unit_test(who_waits_for_room_is_not_before_others),
        cmocka_unit_test(a_thread_that_waits_can_be_stopped),
        cmocka_unit_test(a_wait_that_rests_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
