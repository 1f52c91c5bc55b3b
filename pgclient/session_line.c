/* The line for sessions: whose turn it is. All functions but session_pool_wanted and pool_get_turn
 * are called under the pool's lock. */
#include "codec/clock.h"
#include "pgclient/session_parts.h"

#include "pgclient/connection.h"
#include "pgclient/departing.h"
#include "pgclient/helper.h"

#include <errno.h>
#include <stdlib.h>

enum { SOON_MS = 10 }; /* a tick while connections depart, which takes a moment */

/* ---- the list ---- */

void pool_link(struct session_pool *pool, struct session *session)
{
    session->next = pool->sessions;
    pool->sessions = session;
    pool->count++;
}

void pool_unlink(struct session_pool *pool, struct session *session)
{
    struct session **at = &pool->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    pool->count--;
}

static void lend(struct session_pool *pool, struct session *session, enum session_purpose purpose)
{
    session->lent = true;
    session->purpose = purpose;
    atomic_store(&session->stop, pool->stopped);
    pool->lent[purpose]++;
    pool->lent_in_all++;
}

void pool_take_back(struct session_pool *pool, struct session *session)
{
    session->lent = false;
    pool->locks.taken -= session->locks;
    session->locks = 0;
    session->lacks_room = false;
    pool->lent[session->purpose]--;
    pool->lent_in_all--;
}

/* ---- whose turn it is ---- */

int pool_room(const struct session_pool *pool)
{
    bool more = pool->most < pool->limit && clock_ms() >= pool->more_at;
    return pool->most + more;
}

/* How many sessions of SESSION_USER there may be. */
int pool_users(const struct session_pool *pool)
{
    int most = pool_room(pool);
    return most > 3 ? most - 2 : 1;
}

/* Whether one more session may be lent, if `less` sessions of SESSION_JOIN or SESSION_FETCH were
 * given back. A departing connection still has its place. */
static bool fits(const struct session_pool *pool, enum session_purpose purpose, int less)
{
    int most = pool_room(pool), lent = pool->lent_in_all - less + departing_count(pool->departing);
    int long_ones = lent - pool->lent[SESSION_SHORT];
    if (lent >= most || (purpose == SESSION_USER && pool->lent[SESSION_USER] >= pool_users(pool)))
        return false;
    return purpose == SESSION_SHORT || most < 3 || long_ones < most - 1;
}

static struct session *find_idle(const struct session_pool *pool)
{
    struct session *session = pool->sessions;
    while (session != NULL && session->lent)
        session = session->next;
    return session;
}

/* The most recently used idle session, or a place for a new one; NULL: the caller has to wait. */
static struct session *claim(struct session_pool *pool, enum session_purpose purpose, int *rc)
{
    if (!fits(pool, purpose, 0))
        return NULL;
    struct session *session = find_idle(pool);
    int there = pool->count + departing_count(pool->departing);
    if (session == NULL || (purpose == SESSION_PLACE && there < pool_room(pool))) {
        session = calloc(1, sizeof *session);
        if (session == NULL) {
            *rc = -ENOMEM;
            return NULL;
        }
        session->pool = pool;
        pool_link(pool, session);
    }
    lend(pool, session, purpose);
    return session;
}

/* A waiter that cannot be served yet is passed over: those behind it may not need what it lacks. */
void pool_serve(struct session_pool *pool)
{
    bool served = false;
    for (struct waiter **at = &pool->waiters; *at != NULL;) {
        struct waiter *waiter = *at;
        waiter->session = claim(pool, waiter->purpose, &waiter->rc);
        if (waiter->session != NULL || waiter->rc < 0) {
            *at = waiter->next;
            served = true;
        } else {
            at = &waiter->next;
        }
    }
    if (served)
        pthread_cond_broadcast(&pool->changed);
}

static void stand_in_line(struct session_pool *pool, struct waiter *waiter)
{
    struct waiter **at = &pool->waiters;
    while (*at != NULL && (*at)->ticket < waiter->ticket)
        at = &(*at)->next;
    waiter->next = *at;
    *at = waiter;
}

static void leave_line(struct session_pool *pool, const struct waiter *waiter)
{
    for (struct waiter **at = &pool->waiters; *at != NULL; at = &(*at)->next)
        if (*at == waiter) {
            *at = waiter->next;
            return;
        }
}

bool session_pool_wanted(struct session_pool *pool)
{
    bool wanted = false;
    pthread_mutex_lock(&pool->lock);
    for (const struct waiter *waiter = pool->waiters; waiter != NULL && !wanted;
         waiter = waiter->next)
        wanted = fits(pool, waiter->purpose, 1);
    /* Behind a pooler, sessions stand in the pooler's own line. */
    int64_t before = clock_ms() - POOL_SHORT_MS;
    for (const struct session *session = pool->sessions; session != NULL && !wanted;
         session = session->next) {
        int64_t since = session->connection != NULL ? connection_waits_since(session->connection)
                                                    : session->connecting_since;
        wanted = session->lent && session->purpose != SESSION_JOIN && since != 0 && since < before;
    }
    pthread_mutex_unlock(&pool->lock);
    return wanted;
}

/* ---- waiting ---- */

void pool_wait_a_tick(struct session_pool *pool)
{
    (void)clock_wait(&pool->changed, &pool->lock,
                     departing_count(pool->departing) > 0 ? SOON_MS : POOL_TICK_MS);
}

/* Whether one session given back would be enough. *of_users: only one of SESSION_USER would. */
static bool needs_one_back(const struct session_pool *pool, enum session_purpose purpose,
                           bool *of_users)
{
    *of_users = purpose == SESSION_USER && !fits(pool, purpose, 1);
    return fits(pool, *of_users ? SESSION_FETCH : purpose, 1);
}

/* Under the lock, which it gives up. */
static void wait_for_turn(struct session_pool *pool, struct waiter *waiter, const atomic_bool *stop)
{
    int64_t began = clock_ms();
    stand_in_line(pool, waiter);
    pool_serve(pool);
    while (waiter->session == NULL && waiter->rc == 0) {
        if (pool->stopped || (stop != NULL && atomic_load(stop))) {
            leave_line(pool, waiter);
            waiter->rc = -EINTR;
            break;
        }
        bool of_users;
        if (clock_ms() - began >= POOL_SHORT_MS && pool->make_room != NULL &&
            needs_one_back(pool, waiter->purpose, &of_users)) {
            began = clock_ms();
            pthread_mutex_unlock(&pool->lock);
            pool->make_room(pool->context, of_users ? LACK_OF_USERS : LACK_OF_ANY);
            pthread_mutex_lock(&pool->lock);
        } else {
            pool_wait_a_tick(pool);
        }
        pool_serve(pool); /* the pool may have grown by one */
    }
}

int pool_get_turn(struct session_pool *pool, struct waiter *waiter, bool wait,
                  const atomic_bool *stop)
{
    waiter->session = NULL;
    waiter->rc = 0;
    pthread_mutex_lock(&pool->lock);
    if (waiter->ticket == 0)
        waiter->ticket = ++pool->tickets;
    bool join = waiter->purpose == SESSION_JOIN;
    if (pool->stopped)
        waiter->rc = -EINTR;
    else if (wait && !join)
        wait_for_turn(pool, waiter, stop);
    else if (!join || (pool->waiters == NULL && clock_ms() >= pool->join_at))
        waiter->session = claim(pool, waiter->purpose, &waiter->rc);
    if (waiter->session == NULL && waiter->rc == 0)
        waiter->rc = -EAGAIN;
    pthread_mutex_unlock(&pool->lock);
    return waiter->rc;
}
