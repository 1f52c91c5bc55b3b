/* Held read points that give way, under a pool and a server that are played. */
#include "fs/rows/held.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- what is played; a session is its number ---- */

static char sessions[HELD_AT_MOST];
static int taken;
static atomic_int given;

int session_take(struct session_pool *pool, enum session_purpose purpose, const atomic_bool *stop,
                 struct session **out, struct error *error)
{
    (void)pool, (void)purpose, (void)stop, (void)error;
    *out = (struct session *)&sessions[taken++];
    return 0;
}

void session_give(struct session *session) { given += session != NULL; }

bool session_usable(const struct session *session) { return session != NULL; }

bool session_is_wanted(struct session *session, char *why, size_t size)
{
    (void)session, (void)why, (void)size;
    return false;
}

bool session_pool_wanted(struct session_pool *pool)
{
    (void)pool;
    return true;
}

void session_also_stop(struct session *session, const atomic_bool *stop)
{
    (void)session, (void)stop;
}

void session_lock_patience(struct session *session, int milliseconds)
{
    (void)session, (void)milliseconds;
}

bool session_has_locks(const struct session *session) { return session == (void *)&sessions[1]; }

int readpoint_open(struct session *leader, const struct relation *relation, struct readpoint **out,
                   struct error *error)
{
    (void)leader, (void)relation, (void)error;
    *out = calloc(1, sizeof **out);
    assert_non_null(*out);
    return 0;
}

void readpoint_close(struct readpoint *readpoint) { free(readpoint); }

/* ---- tests ---- */

enum { CREWS = 2 };

static void hold(struct held *held, struct waiters *enders, struct crew *crews[CREWS])
{
    static const struct relation relation = {.kind = RELATION_TABLE};
    taken = 0;
    given = 0;
    held_init(held, 8);
    for (int i = 0; i < CREWS; i++) {
        assert_int_equal(crew_new(NULL, 1, enders, &crews[i]), 0);
        assert_int_equal(crew_lead(crews[i], &relation, NULL), 0);
        assert_int_equal(crew_open(crews[i], &relation, NULL), 0);
        assert_true(held_add(held, crews[i]));
    }
}

/* Whoever wants something may have a session: he does not wait until one that is read from ends. */
static void test_nobody_waits_for_who_reads(void **state)
{
    (void)state;
    struct held held;
    struct waiters *enders;
    struct crew *crews[CREWS];
    struct session *session;
    assert_int_equal(waiters_new(4, &enders), 0);
    hold(&held, enders, crews);
    assert_int_equal(crew_take(crews[1], &session, NULL), 0);
    alarm(30); /* it stands still otherwise */
    held_give_way(&held, LACK_OF_LOCKS);
    assert_false(crew_is_open(crews[1]));
    assert_int_equal(held_count(&held), 1);
    assert_int_equal(given, 0);
    held_give_way(&held, LACK_OF_ANY); /* one is on its way */
    assert_int_equal(held_count(&held), 1);
    crew_give(crews[1], session);
    while (crew_has_something(crews[1]))
        usleep(1000);
    held_give_way(&held, LACK_OF_ANY);
    assert_int_equal(held_count(&held), 0);
    for (int i = 0; i < CREWS; i++)
        crew_unref(crews[i]);
    waiters_free(enders);
    alarm(0);
    assert_int_equal(given, 2);
    held_clear(&held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nobody_waits_for_who_reads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
