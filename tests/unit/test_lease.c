#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/tables/lease.h"

/* ---- all states ---- */

enum { SHOWS = 4, HOLDS = 3, ASKED = 3, NAMED = 3, CACHES = 3, FACES = 5 };
enum { STATES = SHOWS * HOLDS * ASKED * NAMED * CACHES * FACES * 16 };

static int digit(int *number, int base)
{
    int digit = *number % base;
    *number /= base;
    return digit;
}

static struct lease_state state_number(int number)
{
    return (struct lease_state){.shows = digit(&number, SHOWS),
                                .hold = digit(&number, HOLDS),
                                .asked = digit(&number, ASKED),
                                .named = digit(&number, NAMED),
                                .cache = digit(&number, CACHES),
                                .face = digit(&number, FACES),
                                .opens = digit(&number, 2),
                                .is_open = digit(&number, 2),
                                .reads = digit(&number, 2),
                                .along = digit(&number, 2)};
}

static bool is_measured(const struct lease_state *state)
{
    return state->face == LEASE_FACE_READABLE || (state->face == LEASE_FACE_SIZED && !state->opens);
}

static bool is_superseded(const struct lease_state *state)
{
    return state->shows == LEASE_SHOWS_PAST;
}

/* It could be the fstat of somebody who has the file open. */
static bool may_be_fstat(const struct lease_state *state)
{
    return !state->opens && state->is_open && state->named != LEASE_IN_DOUBT;
}

/* Goes through all states with what is to hold of each; the number of those that it was about. */
static int each_state(bool (*rule)(const struct lease_state *state, enum lease_verdict verdict))
{
    int about = 0;
    for (int i = 0; i < STATES; i++) {
        const struct lease_state state = state_number(i);
        about += rule(&state, lease_decide(&state));
    }
    return about;
}

static bool has_its_size(const struct lease_state *state, enum lease_verdict verdict)
{
    if (verdict != LEASE_ANSWER)
        return false;
    assert_true(is_measured(state));
    assert_int_not_equal(state->shows, LEASE_SHOWS_NOTHING);
    assert_int_equal(state->cache, LEASE_CLEAN);
    return true;
}

static void test_nothing_is_answered_without_its_size(void **unused)
{
    (void)unused;
    assert_true(each_state(has_its_size) > 0);
}

/* What is neither kept, nor leased, nor was asked for, is answered only as what is open, or to who
 * has come by another way than the name. */
static bool was_asked_for(const struct lease_state *state, enum lease_verdict verdict)
{
    bool holds =
        !is_superseded(state) && (state->hold == LEASE_LEASED || state->asked == LEASE_REFRESHED);
    if (verdict != LEASE_ANSWER || state->hold == LEASE_KEPT || holds)
        return false;
    bool held = state->named == LEASE_BY_NODE && (state->is_open || is_superseded(state));
    assert_true(held || may_be_fstat(state));
    return true;
}

static void test_nothing_unleased_is_answered_to_who_has_not_asked(void **unused)
{
    (void)unused;
    assert_true(each_state(was_asked_for) > 0);
}

static bool tells_what_is_open(const struct lease_state *state, enum lease_verdict verdict)
{
    if (!may_be_fstat(state) || state->cache != LEASE_CLEAN || !is_measured(state) ||
        state->shows == LEASE_SHOWS_NOTHING)
        return false;
    assert_int_equal(verdict, LEASE_ANSWER);
    return true;
}

static void test_fstat_of_what_is_open_is_answered(void **unused)
{
    (void)unused;
    assert_true(each_state(tells_what_is_open) > 0);
}

static bool is_kept(const struct lease_state *state, enum lease_verdict verdict)
{
    if (state->hold != LEASE_KEPT || state->cache != LEASE_CLEAN ||
        state->shows == LEASE_SHOWS_NOTHING || state->face == LEASE_FACE_LACKS)
        return false;
    assert_true(verdict == LEASE_ANSWER || verdict == LEASE_FAIL || verdict == LEASE_MEASURE ||
                verdict == LEASE_READ_ROWS);
    assert_int_equal(verdict == LEASE_ANSWER, is_measured(state));
    return true;
}

static void test_a_promise_is_kept(void **unused)
{
    (void)unused;
    assert_true(each_state(is_kept) > 0);
}

/* The kernel looks the name up again: that is of use only where another node can come of it. */
static bool can_be_looked_up(const struct lease_state *state, enum lease_verdict verdict)
{
    if (verdict != LEASE_STALE)
        return false;
    assert_true(state->cache == LEASE_SPOILED || is_superseded(state) ||
                (state->shows == LEASE_SHOWS_SAME && !is_measured(state)));
    assert_false(state->cache == LEASE_SPOILED && state->reads);
    return true;
}

static void test_only_what_can_be_another_is_looked_up_again(void **unused)
{
    (void)unused;
    assert_true(each_state(can_be_looked_up) > 0);
}

static bool binds_once(const struct lease_state *state, enum lease_verdict verdict)
{
    if (verdict != LEASE_BIND)
        return false;
    struct lease_state bound = *state;
    assert_int_equal(state->shows, LEASE_SHOWS_NOTHING);
    bound.shows = LEASE_SHOWS_CURRENT;
    verdict = lease_decide(&bound);
    assert_true(verdict == LEASE_ANSWER || verdict == LEASE_FAIL || verdict == LEASE_MEASURE ||
                verdict == LEASE_READ_ROWS ||
                (verdict == LEASE_GIVE_UP && state->asked == LEASE_REFRESHED &&
                 state->face == LEASE_FACE_LACKS));
    return true;
}

static void test_what_is_bound_goes_on_with_that(void **unused)
{
    (void)unused;
    assert_true(each_state(binds_once) > 0);
}

/* Whatever it waits for has come, and the table has not changed: then it is answered. */
static struct lease_state as_it_went_well(struct lease_state state, enum lease_verdict verdict)
{
    if (verdict == LEASE_BIND)
        state.shows = LEASE_SHOWS_CURRENT;
    else if (verdict == LEASE_WAIT)
        state.cache = LEASE_CLEAN;
    else if (verdict == LEASE_REFRESH || verdict == LEASE_READ_FETCH)
        state.asked = LEASE_REFRESHED;
    if (verdict == LEASE_MEASURE || verdict == LEASE_READ_ROWS ||
        (state.asked == LEASE_REFRESHED && state.face == LEASE_FACE_LACKS))
        state.face = state.opens ? LEASE_FACE_READABLE : LEASE_FACE_SIZED;
    return state;
}

static bool comes_to_an_end(const struct lease_state *state, enum lease_verdict verdict)
{
    enum { STEPS = 5 }; /* wait, refresh, bind, measure, answer */
    struct lease_state now = *state;
    int steps = 0;
    while (verdict != LEASE_ANSWER && verdict != LEASE_STALE && verdict != LEASE_FAIL &&
           verdict != LEASE_GIVE_UP) {
        assert_true(++steps < STEPS);
        now = as_it_went_well(now, verdict);
        verdict = lease_decide(&now);
    }
    return steps > 0;
}

static void test_what_waits_comes_to_an_end(void **unused)
{
    (void)unused;
    assert_true(each_state(comes_to_an_end) > 0);
}

static bool reads_along(const struct lease_state *state, enum lease_verdict verdict)
{
    if (verdict != LEASE_READ_FETCH && verdict != LEASE_READ_ROWS)
        return false;
    assert_true(state->along);
    assert_false(is_superseded(state));
    assert_int_equal(verdict == LEASE_READ_FETCH, state->shows == LEASE_SHOWS_NOTHING);
    struct lease_state patient = *state;
    patient.along = false;
    assert_int_equal(lease_decide(&patient),
                     verdict == LEASE_READ_FETCH ? LEASE_REFRESH : LEASE_MEASURE);
    return true;
}

static void test_who_reads_along_would_wait_else(void **unused)
{
    (void)unused;
    assert_true(each_state(reads_along) > 0);
}

/* ---- all ways of a path ---- */

/* One caller asks for a path while anything happens to the table: versions come, leases end, others
 * open and close the file. What it does is what the requests do (table_ready), and the kernel. */
enum { VERSIONS = 3, WAYS = (VERSIONS + 1) * VERSIONS * 2 * 3 * 2 * 2 * 2 * 2 * 8 };

struct way {
    int shows, current; /* versions; shows VERSIONS: nothing */
    bool leased, opens, is_open, keeps;
    bool told; /* ESTALE: the node is its own */
    enum lease_asked asked;
    unsigned measured; /* mask of versions */
};

static int way_number(const struct way *way)
{
    int number = way->shows;
    number = number * VERSIONS + way->current;
    number = number * 2 + way->leased;
    number = number * 3 + (int)way->asked;
    number = number * 2 + way->opens;
    number = number * 2 + way->is_open;
    number = number * 2 + way->keeps;
    number = number * 2 + way->told;
    return number * 8 + (int)way->measured;
}

static struct lease_state state_of(const struct way *way)
{
    int version = way->shows < VERSIONS ? way->shows : way->current;
    bool measured = way->measured & 1U << version;
    return (struct lease_state){.shows = way->shows == VERSIONS       ? LEASE_SHOWS_NOTHING
                                         : way->shows == way->current ? LEASE_SHOWS_CURRENT
                                                                      : LEASE_SHOWS_PAST,
                                .hold = way->keeps    ? LEASE_KEPT
                                        : way->leased ? LEASE_LEASED
                                                      : LEASE_EXPIRED,
                                .asked = way->asked,
                                .named = LEASE_BY_NAME,
                                .face = measured ? LEASE_FACE_READABLE : LEASE_FACE_UNKNOWN,
                                .opens = way->opens,
                                .is_open = way->is_open};
}

static bool been[WAYS];

static void go(struct way way);

static void end_refresh(struct way way)
{
    way.leased = true;
    if (way.asked == LEASE_ASKED)
        way.asked = LEASE_REFRESHED;
    go(way);
    if (way.current + 1 == VERSIONS)
        return;
    way.current++;
    go(way);
    way.measured |= 1U << way.current;
    go(way);
}

/* Whatever may happen while it waits. */
static void let_happen(struct way way)
{
    struct way other = way;
    end_refresh(way);
    other.leased = false;
    go(other);
    other = way;
    other.is_open = !way.is_open;
    go(other);
    other = way;
    other.measured |= way.shows < VERSIONS ? 1U << way.shows : 0;
    go(other);
}

static void go(struct way way)
{
    const struct lease_state state = state_of(&way);
    enum lease_verdict verdict = lease_decide(&state);
    if (been[way_number(&way)])
        return;
    been[way_number(&way)] = true;
    if (verdict == LEASE_STALE) {
        assert_false(way.told); /* never twice in a row */
        go((struct way){.shows = VERSIONS,
                        .current = way.current,
                        .leased = way.leased,
                        .opens = way.opens,
                        .told = true,
                        .measured = way.measured});
    } else if (verdict == LEASE_BIND) {
        way.shows = way.current;
        way.keeps |= way.told;
        go(way);
    } else if (verdict == LEASE_REFRESH && way.asked == LEASE_NOT_ASKED) {
        way.asked = LEASE_ASKED;
        go(way);
    } else if (verdict != LEASE_ANSWER) {
        assert_true(verdict == LEASE_REFRESH || verdict == LEASE_MEASURE);
        let_happen(way);
    }
}

static void test_nobody_is_told_twice_to_look_again(void **unused)
{
    (void)unused;
    int stale = 0;
    for (int i = 0; i < 2 * 2 * 2 * 2; i++)
        for (int shows = 0; shows <= VERSIONS; shows += VERSIONS)
            for (int current = 0; current < VERSIONS; current++)
                go((struct way){.shows = shows,
                                .current = current,
                                .leased = i & 1,
                                .opens = i & 2,
                                .is_open = i & 4,
                                .measured = i & 8 ? 1 : 0});
    for (int i = 0; i < WAYS; i++)
        stale += been[i] && (i / 8) % 2;
    assert_true(stale > 0);
}

/* ---- all look-ups ---- */

enum { TITLES = 5, FOUNDS = 5, LOOKS = TITLES * FOUNDS * 32 };

static struct lease_look look_number(int number)
{
    return (struct lease_look){.title = digit(&number, TITLES),
                               .found = digit(&number, FOUNDS),
                               .over = digit(&number, 2),
                               .waited = digit(&number, 2),
                               .changed = digit(&number, 2),
                               .many = digit(&number, 2),
                               .opened = digit(&number, 2)};
}

/* One that is over does not wait; one that waits has somebody to wait for. */
static void check_wait(const struct lease_look *look, enum lease_sight sight)
{
    if (sight != LEASE_SIGHT_WAIT)
        return;
    assert_false(look->over);
    assert_true(look->found == LEASE_FOUND_MAKING ||
                (look->found == LEASE_FOUND_OPEN && look->title == LEASE_UNSURE));
}

/* What is open is given to nobody who could take it for what holds: to who knows, or to one process
 * that has waited, and asks next. */
static void check_open(const struct lease_look *look, enum lease_sight sight)
{
    if (look->found != LEASE_FOUND_OPEN || sight != LEASE_SIGHT_LATER)
        return;
    assert_int_equal(look->title, LEASE_UNSURE);
    assert_true(look->waited && !look->changed && !look->many && !look->opened);
}

static void test_each_look_up(void **unused)
{
    (void)unused;
    for (int i = 0; i < LOOKS; i++) {
        const struct lease_look look = look_number(i);
        enum lease_sight sight = lease_look(&look);
        check_wait(&look, sight);
        check_open(&look, sight);
        assert_int_equal(sight == LEASE_SIGHT_OWN, look.title == LEASE_OWN);
        /* What is sure is shown, whatever else is going on; what is not is never taken for it. */
        bool sure = look.title != LEASE_OWN && look.title != LEASE_UNSURE;
        if (sight == LEASE_SIGHT_SHOW)
            assert_true(sure);
        else if (sure)
            assert_int_equal(sight, LEASE_SIGHT_WAIT);
        if (look.found == LEASE_FOUND_NONE)
            assert_true(sight != LEASE_SIGHT_WAIT && sight != LEASE_SIGHT_LATER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_answered_without_its_size),
        cmocka_unit_test(test_nothing_unleased_is_answered_to_who_has_not_asked),
        cmocka_unit_test(test_fstat_of_what_is_open_is_answered),
        cmocka_unit_test(test_a_promise_is_kept),
        cmocka_unit_test(test_only_what_can_be_another_is_looked_up_again),
        cmocka_unit_test(test_what_is_bound_goes_on_with_that),
        cmocka_unit_test(test_what_waits_comes_to_an_end),
        cmocka_unit_test(test_who_reads_along_would_wait_else),
        cmocka_unit_test(test_nobody_is_told_twice_to_look_again),
        cmocka_unit_test(test_each_look_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
