/* Whom a crew lends which session, where some have broken. The sessions, and what the server does
 * with them, are made here: the Makefile wraps what a crew calls. */
#include "fs/base/patience.h"
#include "fs/rows/crew.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>

enum { SESSIONS = 3 };

struct session {
    bool lent, broken;
};

static struct session sessions[SESSIONS];
static struct readpoint readpoint;
static sem_t waits; /* somebody waits for a session, and has the crew's lock */

int __wrap_session_take(struct session_pool *pool, enum session_purpose purpose,
                        const atomic_bool *stop, struct session **out, struct error *error);
void __wrap_session_give(struct session *session);
bool __wrap_session_usable(const struct session *session);
bool __wrap_session_pool_wanted(struct session_pool *pool);
bool __wrap_session_is_wanted(struct session *session, char *why, size_t size);
void __wrap_session_also_stop(struct session *session, const atomic_bool *stop);
void __wrap_session_lock_patience(struct session *session, int milliseconds);
int __wrap_readpoint_open(struct session *session, const struct relation *relation,
                          struct readpoint **out, struct error *error);
int __wrap_readpoint_join(struct readpoint *of, struct session *session, const atomic_bool *stop,
                          struct error *error);
void __wrap_readpoint_leave(struct session *session);
void __wrap_readpoint_close(struct readpoint *of);
int __real_patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock);
int __wrap_patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock);

/* One that was broken when it was given back is not there again. */
int __wrap_session_take(struct session_pool *pool, enum session_purpose purpose,
                        const atomic_bool *stop, struct session **out, struct error *error)
{
    (void)pool, (void)purpose, (void)stop;
    for (int i = 0; i < SESSIONS; i++)
        if (!sessions[i].lent && !sessions[i].broken) {
            sessions[i].lent = true;
            *out = &sessions[i];
            return 0;
        }
    return error_set(error, -EAGAIN, "all sessions are in use");
}

void __wrap_session_give(struct session *session)
{
    if (session != NULL)
        session->lent = false;
}

bool __wrap_session_usable(const struct session *session) { return !session->broken; }

bool __wrap_session_pool_wanted(struct session_pool *pool) { return (void)pool, false; }

bool __wrap_session_is_wanted(struct session *session, char *why, size_t size)
{
    (void)session, (void)why, (void)size;
    return false;
}

void __wrap_session_lock_patience(struct session *session, int milliseconds)
{
    (void)session, (void)milliseconds;
}

void __wrap_session_also_stop(struct session *session, const atomic_bool *stop)
{
    (void)session, (void)stop;
}

int __wrap_readpoint_open(struct session *session, const struct relation *relation,
                          struct readpoint **out, struct error *error)
{
    (void)session, (void)relation, (void)error;
    *out = &readpoint;
    return 0;
}

int __wrap_readpoint_join(struct readpoint *of, struct session *session, const atomic_bool *stop,
                          struct error *error)
{
    (void)of, (void)session, (void)stop, (void)error;
    return 0;
}

void __wrap_readpoint_leave(struct session *session) { (void)session; }

void __wrap_readpoint_close(struct readpoint *of) { (void)of; }

int __wrap_patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock)
{
    sem_post(&waits);
    return __real_patience_wait(changed, lock);
}

/* ---- a crew, with one session and another beside it ---- */

static struct crew *crew;
static struct session *leader, *member, *third;
static pthread_t taker;

static void *take(void *out)
{
    struct session *session = NULL;
    if (crew_take(crew, &session, NULL) == 0)
        *(struct session **)out = session;
    return NULL;
}

/* Both are lent, and somebody waits for a third. */
static int set_up(void **state)
{
    (void)state;
    static const struct relation relation = {.kind = RELATION_TABLE};
    memset(sessions, 0, sizeof sessions);
    readpoint = (struct readpoint){.snapshot = (char *)"1"};
    leader = member = third = NULL;
    sem_init(&waits, 0, 0);
    if (crew_new(NULL, 1, NULL, &crew) < 0 || crew_lead(crew, &relation, NULL) < 0 ||
        crew_open(crew, &relation, NULL) < 0)
        return -1;
    take(&leader);
    take(&member);
    if (leader != crew_leader(crew) || member == NULL || member == leader ||
        pthread_create(&taker, NULL, take, &third) != 0)
        return -1;
    return sem_wait(&waits);
}

/* All have been given back. */
static int tear_down(void **state)
{
    (void)state;
    crew_dismiss(crew);
    crew_unref(crew);
    sem_destroy(&waits);
    for (int i = 0; i < SESSIONS; i++)
        if (sessions[i].lent)
            return -1;
    return 0;
}

static void give(struct session *session, bool broken)
{
    session->broken = broken;
    crew_give(crew, session);
}

/* The third gets one. */
static struct session *third_of(void)
{
    pthread_join(taker, NULL);
    if (third != NULL)
        crew_give(crew, third);
    return third;
}

static void test_all_are_good(void **state)
{
    (void)state;
    give(leader, false);
    assert_ptr_equal(third_of(), leader);
    give(member, false);
    assert_true(crew_is_open(crew));
    assert_false(member->lent);
}

/* Who waits gets the one that is good, though the leader's is given back first. */
static void test_the_leaders_has_broken(void **state)
{
    (void)state;
    give(leader, true);
    bool open = crew_is_open(crew);
    give(member, false);
    assert_ptr_equal(third_of(), member);
    assert_true(open);
    assert_false(crew_is_open(crew)); /* nobody can join any more */
}

/* It goes alone: another one joins in its place. */
static void test_one_that_joined_has_broken(void **state)
{
    (void)state;
    give(member, true);
    struct session *got = third_of();
    give(leader, false);
    assert_ptr_equal(got, &sessions[2]);
    assert_true(crew_is_open(crew));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_all_are_good), TEST(test_the_leaders_has_broken),
                                       TEST(test_one_that_joined_has_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
