#include "pgclient/session.h"

#include "pgclient/connection.h"
#include "pgclient/departing.h"
#include "pgclient/helper.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    IDLE_MS = 30000,
    SPARE_MS = 3000, /* of idle ones beyond the first */
    PING_MS = 3000,
    TICK_MS = 100,
    SOON_MS = 10,     /* the same while connections depart, which takes a moment */
    SHORT_MS = 1000,  /* whoever waits longer makes room, or has room made */
    SMALL_MS = 30000, /* for so long after a refusal no more connections are tried */
    JUST_MS = 3000    /* a server may not have noticed yet what went less than so long ago */
};

struct session {
    struct session_pool *pool;
    struct connection *connection; /* NULL while connecting, and of a place; set under the lock */
    atomic_bool stop;
    struct holding holding;
    struct session *next; /* the rest is guarded by the pool's lock */
    enum session_purpose purpose;
    bool lent;
    int backend;
    char why[256];                        /* it is wanted (pgclient/lock.h) */
    int64_t idle_since, connecting_since; /* ms; the second 0: it is not connecting */
};

/* In line for a session. */
struct waiter {
    struct waiter *next;
    enum session_purpose purpose;
    uint64_t ticket;
    struct session *session; /* once it is its turn */
    int rc;
};

struct session_pool {
    const struct server *server;
    struct departing *departing;
    int limit;
    void (*make_room)(void *context, bool of_users);
    void *context;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct session *sessions; /* lent, connecting and idle ones; most recently used first */
    int count;
    int lent[SESSION_PURPOSES], lent_in_all;
    int most;               /* that the server has room for, as far as is known */
    int64_t more_at;        /* ms: then one more is tried */
    int64_t join_at;        /* ms: until then nobody joins */
    struct waiter *waiters; /* by ticket */
    uint64_t tickets;
    bool stopped;
    _Atomic int64_t looked_at; /* ms: at the locks that others wait for; not guarded */
};

int session_pool_new(const struct server *server, int limit, struct session_pool **out)
{
    struct session_pool *pool = calloc(1, sizeof *pool);
    pthread_condattr_t monotonic;
    if (pool == NULL || (pool->departing = departing_new()) == NULL) {
        free(pool);
        return -ENOMEM;
    }
    pool->server = server;
    pool->limit = pool->most = limit < 1 ? 1 : limit;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = pool;
    return 0;
}

void session_pool_when_short(struct session_pool *pool,
                             void (*make_room)(void *context, bool of_users), void *context)
{
    pool->make_room = make_room;
    pool->context = context;
}

/* ---- the list; all under the lock ---- */

static void link_first(struct session_pool *pool, struct session *session)
{
    session->next = pool->sessions;
    pool->sessions = session;
    pool->count++;
}

static void unlink_session(struct session_pool *pool, struct session *session)
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

static void take_back(struct session_pool *pool, struct session *session)
{
    session->lent = false;
    pool->lent[session->purpose]--;
    pool->lent_in_all--;
}

/* ---- whose turn it is; all under the lock ---- */

static int room(const struct session_pool *pool)
{
    bool more = pool->most < pool->limit && helper_now_ms() >= pool->more_at;
    return pool->most + more;
}

/* How many of SESSION_USER there may be. */
static int users(const struct session_pool *pool)
{
    int most = room(pool);
    return most > 3 ? most - 2 : 1;
}

/* Whether one more may be lent, `less` fewer of SESSION_JOIN or SESSION_FETCH being so. What departs
 * has its place still. */
static bool fits(const struct session_pool *pool, enum session_purpose purpose, int less)
{
    int most = room(pool), lent = pool->lent_in_all - less + departing_count(pool->departing);
    int long_ones = lent - pool->lent[SESSION_SHORT];
    if (lent >= most || (purpose == SESSION_USER && pool->lent[SESSION_USER] >= users(pool)))
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

/* The most recently used idle session, or a place for a new one; NULL: it has to wait. */
static struct session *claim(struct session_pool *pool, enum session_purpose purpose, int *rc)
{
    if (!fits(pool, purpose, 0))
        return NULL;
    struct session *session = find_idle(pool);
    int there = pool->count + departing_count(pool->departing);
    if (session == NULL || (purpose == SESSION_PLACE && there < room(pool))) {
        session = calloc(1, sizeof *session);
        if (session == NULL) {
            *rc = -ENOMEM;
            return NULL;
        }
        session->pool = pool;
        link_first(pool, session);
    }
    lend(pool, session, purpose);
    return session;
}

/* Whom something is in the way of that does not concern those behind him is passed over. */
static void serve(struct session_pool *pool)
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
    /* At a pooler the line is the pooler's. */
    int64_t before = helper_now_ms() - SHORT_MS;
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

static void wait_a_tick(struct session_pool *pool)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (departing_count(pool->departing) > 0 ? SOON_MS : TICK_MS) * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
}

/* Whether one that is given back would do. *of_users: only one of SESSION_USER. */
static bool needs_one_back(const struct session_pool *pool, enum session_purpose purpose,
                           bool *of_users)
{
    *of_users = purpose == SESSION_USER && !fits(pool, purpose, 1);
    return fits(pool, *of_users ? SESSION_FETCH : purpose, 1);
}

/* Under the lock, which it gives up. */
static void wait_for_turn(struct session_pool *pool, struct waiter *waiter, const atomic_bool *stop)
{
    int64_t began = helper_now_ms();
    stand_in_line(pool, waiter);
    serve(pool);
    while (waiter->session == NULL && waiter->rc == 0) {
        if (pool->stopped || (stop != NULL && atomic_load(stop))) {
            leave_line(pool, waiter);
            waiter->rc = -EINTR;
            break;
        }
        bool of_users;
        if (helper_now_ms() - began >= SHORT_MS && pool->make_room != NULL &&
            needs_one_back(pool, waiter->purpose, &of_users)) {
            began = helper_now_ms();
            pthread_mutex_unlock(&pool->lock);
            pool->make_room(pool->context, of_users);
            pthread_mutex_lock(&pool->lock);
        } else {
            wait_a_tick(pool);
        }
        serve(pool); /* the time may have come for one more */
    }
}

static int get_turn(struct session_pool *pool, struct waiter *waiter, bool wait,
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
    else if (!join || (pool->waiters == NULL && helper_now_ms() >= pool->join_at))
        waiter->session = claim(pool, waiter->purpose, &waiter->rc);
    if (waiter->session == NULL && waiter->rc == 0)
        waiter->rc = -EAGAIN;
    pthread_mutex_unlock(&pool->lock);
    return waiter->rc;
}

/* ---- connecting ---- */

static void set_connection(struct session *session, struct connection *connection)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    struct connection *before = session->connection;
    if (before != NULL)
        connection_show(before, NULL);
    if (connection != NULL)
        connection_show(connection, &session->holding);
    session->connection = connection;
    session->backend = connection != NULL ? connection_backend(connection) : 0;
    session->connecting_since = 0;
    if (connection != NULL && pool->count > pool->most)
        pool->most = pool->count <= pool->limit ? pool->count : pool->limit;
    pthread_mutex_unlock(&pool->lock);
    connection_close(before);
}

/* Closes it and lets somebody else have its place: once that is free. */
static void discard(struct session *session)
{
    struct session_pool *pool = session->pool;
    set_connection(session, NULL);
    pthread_mutex_lock(&pool->lock);
    take_back(pool, session);
    unlink_session(pool, session);
    serve(pool);
    pthread_mutex_unlock(&pool->lock);
    free(session);
}

/* Under the lock. The server has refused one more than there are. */
static void shrink(struct session_pool *pool, int connections)
{
    pool->most = connections < 1 ? 1 : connections < pool->limit ? connections : pool->limit;
    pool->more_at = helper_now_ms() + SMALL_MS;
}

/* Closes the connection of a session that keeps its place, which is to be had once that connection
 * has gone. It waits for nobody who has a session, or wants one. */
static int replace_connection(struct session *session, const atomic_bool *stop)
{
    struct session_pool *pool = session->pool;
    bool stopped = false;
    int away;
    set_connection(session, NULL);
    pthread_mutex_lock(&pool->lock);
    while ((away = departing_count(pool->departing)) > 0 && pool->lent_in_all + away > room(pool) &&
           !stopped) {
        wait_a_tick(pool);
        stopped = pool->stopped || (stop != NULL && atomic_load(stop));
    }
    pthread_mutex_unlock(&pool->lock);
    return stopped ? -EINTR : 0;
}

/* `waits` false: one that joins is not waited for, since it may stand in a pooler's line behind the
 * very session that it is to join. */
static int connect_session(struct session *session, bool waits, const atomic_bool *stop,
                           struct error *error)
{
    struct session_pool *pool = session->pool;
    struct connection *connection = NULL;
    pthread_mutex_lock(&pool->lock);
    session->connecting_since = helper_now_ms();
    pthread_mutex_unlock(&pool->lock);
    int rc = connection_open(pool->server, pool->departing, &session->stop, stop,
                             waits ? -1 : SHORT_MS, &connection, error);
    set_connection(session, connection);
    if (rc == -ETIMEDOUT && session->purpose == SESSION_JOIN) {
        pthread_mutex_lock(&pool->lock);
        pool->join_at = helper_now_ms() + SMALL_MS;
        pthread_mutex_unlock(&pool->lock);
        rc = -EAGAIN;
    }
    return rc;
}

static int verify(struct session *session, bool waits, const atomic_bool *stop, struct error *error)
{
    int rc = 0;
    if (session->connection != NULL && !connection_ping(session->connection, PING_MS))
        rc = replace_connection(session, stop);
    if (rc == 0 && session->connection == NULL)
        rc = connect_session(session, waits, stop, error);
    return rc == -EINTR || (rc == 0 && atomic_load(&session->stop))
               ? error_set(error, -EINTR, "stopped")
               : rc;
}

/* Whether there is one of the pool's own to wait for; *gone: one that has just gone. */
static bool refused(struct session *session, bool *gone)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    int64_t last = departing_last(pool->departing);
    int away = departing_count(pool->departing);
    bool others = pool->count + away > 1;
    *gone = !others && last != 0 && helper_now_ms() - last < JUST_MS;
    shrink(pool, pool->count + away - 1);
    pthread_mutex_unlock(&pool->lock);
    return others || *gone;
}

static int take(struct session_pool *pool, enum session_purpose purpose, bool wait,
                const atomic_bool *stop, struct session **out, struct error *error)
{
    struct waiter waiter = {.purpose = purpose};
    for (;;) {
        int rc = get_turn(pool, &waiter, wait, stop);
        if (rc < 0)
            return error_set(error, rc, "%s",
                             rc == -EINTR    ? "stopped"
                             : rc == -EAGAIN ? "all sessions are in use"
                                             : "out of memory");
        if (purpose != SESSION_PLACE)
            rc = verify(waiter.session, wait && purpose != SESSION_JOIN, stop, error);
        else if (waiter.session->connection != NULL &&
                 (rc = replace_connection(waiter.session, stop)) < 0)
            error_set(error, rc, "stopped");
        if (rc == 0 && purpose != SESSION_PLACE && stop != NULL && atomic_load(stop)) {
            session_give(waiter.session); /* somebody else may need it */
            return error_set(error, -EINTR, "stopped");
        }
        if (rc == 0) {
            *out = waiter.session;
            return 0;
        }
        bool gone = false, others = rc == -EUSERS && refused(waiter.session, &gone);
        discard(waiter.session);
        if (gone)
            usleep(TICK_MS * 1000);
        if (rc == -EUSERS && others && (!wait || purpose == SESSION_JOIN))
            return -EAGAIN;
        if (rc == -EUSERS && !others)
            error_prefix(error, "the server takes no more connections, and this mount has none of "
                                "its own to wait for (end some that are idle, or let the role or "
                                "the server have more)");
        if (rc != -EUSERS || !others)
            return rc;
    }
}

int session_take(struct session_pool *pool, enum session_purpose purpose, const atomic_bool *stop,
                 struct session **out, struct error *error)
{
    return take(pool, purpose, true, stop, out, error);
}

int session_take_now(struct session_pool *pool, enum session_purpose purpose,
                     const atomic_bool *stop, struct session **out, struct error *error)
{
    return take(pool, purpose, false, stop, out, error);
}

/* ---- giving back ---- */

static bool clean(struct session *session)
{
    struct connection *connection = session->connection;
    if (atomic_load(&session->stop))
        return false;
    connection_end(connection);
    return connection_usable(connection) && !connection_in_transaction(connection);
}

void session_give(struct session *session)
{
    if (session == NULL)
        return;
    if (!clean(session)) {
        discard(session);
        return;
    }
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    take_back(pool, session);
    session->holding.wanted = 0;
    unlink_session(pool, session);
    link_first(pool, session);
    session->idle_since = helper_now_ms();
    serve(pool);
    pthread_mutex_unlock(&pool->lock);
}

bool session_usable(const struct session *session)
{
    return !session->stop && connection_usable(session->connection);
}

bool session_becomes_users(struct session *session)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    bool may = pool->lent[SESSION_USER] < users(pool);
    if (may) {
        pool->lent[session->purpose]--;
        session->purpose = SESSION_USER;
        pool->lent[SESSION_USER]++;
    }
    pthread_mutex_unlock(&pool->lock);
    return may;
}

void session_also_stop(struct session *session, const atomic_bool *stop)
{
    connection_also_stop(session->connection, stop);
}

int session_place_take(struct session_pool *pool, const atomic_bool *stop, struct session **out,
                       struct error *error)
{
    return take(pool, SESSION_PLACE, true, stop, out, error);
}

void session_place_give(struct session *place)
{
    if (place == NULL)
        return;
    departing_gone(place->pool->departing);
    discard(place);
}

/* ---- the pool ---- */

/* Takes those out of the list that have been idle for longer than that, the first one perhaps for
 * longer than the others. */
static void close_idle(struct session_pool *pool, int64_t first_ms, int64_t others_ms)
{
    struct session *old = NULL;
    int64_t patience = first_ms, now = helper_now_ms();
    pthread_mutex_lock(&pool->lock);
    for (struct session *session = pool->sessions, *next; session != NULL; session = next) {
        next = session->next;
        if (session->lent)
            continue;
        if (now - session->idle_since >= patience) {
            unlink_session(pool, session);
            session->next = old;
            old = session;
            departing_begin(pool->departing);
        }
        patience = others_ms;
    }
    pthread_mutex_unlock(&pool->lock);
    while (old != NULL) {
        struct session *session = old;
        old = session->next;
        connection_close(session->connection);
        departing_end(pool->departing);
        free(session);
    }
}

void session_place_refused(struct session *place)
{
    struct session_pool *pool = place->pool;
    close_idle(pool, 0, 0);
    pthread_mutex_lock(&pool->lock);
    shrink(pool, pool->count + departing_count(pool->departing) - 1);
    pthread_mutex_unlock(&pool->lock);
}

void session_pool_tend(struct session_pool *pool) { close_idle(pool, IDLE_MS, SPARE_MS); }

void session_pool_see_off(struct session_pool *pool) { (void)departing_count(pool->departing); }

int session_pool_limit(const struct session_pool *pool) { return pool->limit; }

void session_pool_free(struct session_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->sessions != NULL) {
        struct session *session = pool->sessions;
        unlink_session(pool, session);
        connection_close(session->connection);
        free(session);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    departing_unref(pool->departing);
    free(pool);
}

struct departing *session_pool_departing(const struct session_pool *pool)
{
    return pool->departing;
}

bool session_helpers_ended(int milliseconds) { return helpers_ended(milliseconds); }

void session_stop(struct session *session) { atomic_store(&session->stop, true); }

void session_pool_stop(struct session_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopped = true;
    for (struct session *session = pool->sessions; session != NULL; session = session->next)
        atomic_store(&session->stop, true);
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
}

int session_pool_backends(struct session_pool *pool, int *pids, int most)
{
    int n = 0;
    pthread_mutex_lock(&pool->lock);
    for (struct session *session = pool->sessions; session != NULL; session = session->next)
        if (session->lent && session->backend != 0 && n < most)
            pids[n++] = session->backend;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

/* ---- locks that others wait for ---- */

bool session_pool_unwatched(struct session_pool *pool, int milliseconds)
{
    enum { LONG_MS = 1000 };
    int64_t now = helper_now_ms();
    bool any = false;
    if (now - pool->looked_at < milliseconds)
        return false;
    pthread_mutex_lock(&pool->lock);
    for (const struct session *session = pool->sessions; session != NULL && !any;
         session = session->next)
        any = session->holding.backend != 0 && now - session->holding.since >= LONG_MS;
    pthread_mutex_unlock(&pool->lock);
    return any;
}

int session_pool_holders(struct session_pool *pool, int *pids, int most)
{
    int n = 0;
    pool->looked_at = helper_now_ms();
    pthread_mutex_lock(&pool->lock);
    for (const struct session *session = pool->sessions; session != NULL && n < most;
         session = session->next)
        if (session->holding.backend != 0)
            pids[n++] = session->holding.backend;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

void session_pool_not_looked(struct session_pool *pool) { pool->looked_at = 0; }

void session_pool_want_back(struct session_pool *pool, int backend, const char *why)
{
    pthread_mutex_lock(&pool->lock);
    for (struct session *session = pool->sessions; session != NULL; session = session->next)
        if (session->holding.backend == backend && session->holding.wanted == 0) {
            snprintf(session->why, sizeof session->why, "%s", why);
            session->holding.wanted = helper_now_ms();
        }
    pthread_mutex_unlock(&pool->lock);
}

bool session_is_wanted(struct session *session, char *why, size_t size)
{
    bool wanted = session->holding.wanted != 0;
    if (wanted && why != NULL) {
        pthread_mutex_lock(&session->pool->lock);
        snprintf(why, size, "%s", session->why);
        pthread_mutex_unlock(&session->pool->lock);
    }
    return wanted;
}

int session_own_limit(const struct session *session, bool *of_locks)
{
    return connection_own_limit(session->connection, of_locks);
}

struct connection *session_connection(struct session *session) { return session->connection; }
