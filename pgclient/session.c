#include "codec/clock.h"
#include "pgclient/session_parts.h"

#include "pgclient/connection.h"
#include "pgclient/departing.h"
#include "pgclient/helper.h"
#include "pgclient/verdicts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    IDLE_MS = 30000,
    SPARE_MS = 3000, /* how long idle sessions beyond the first are kept */
    PING_MS = 3000,
    SMALL_MS = 30000, /* for this long after a refusal no more connections, or locks, are tried */
    /* a server may not have noticed yet that a connection went less than this ago */
    JUST_MS = 3000
};

int session_pool_new(const struct server *server, int limit, struct session_pool **out)
{
    struct session_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL || (pool->departing = departing_new()) == NULL ||
        (pool->verdicts = verdicts_new()) == NULL) {
        if (pool != NULL)
            departing_unref(pool->departing);
        free(pool);
        return -ENOMEM;
    }
    pool->server = server;
    pool->limit = pool->most = limit < 1 ? 1 : limit;
    pthread_mutex_init(&pool->lock, NULL);
    clock_cond_init(&pool->changed);
    *out = pool;
    return 0;
}

void session_pool_when_short(struct session_pool *pool,
                             void (*make_room)(void *context, enum session_lack lack),
                             void *context)
{
    pool->make_room = make_room;
    pool->context = context;
}

/* ---- connecting ---- */

/* Under the lock. Whether the connection is not to be lent again: the role's or the database's
 * settings, which it got when it began, are others now, or it is so old that they may be. */
static bool is_outdated(const struct session *session)
{
    return clock_ms() - session->connected_at >= POOL_AGE_MS ||
           connection_settings(session->connection) != session->pool->settings;
}

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
    session->connecting_since = 0;
    session->connected_at = clock_ms();
    if (connection != NULL)
        pool->settings = connection_settings(connection);
    if (connection != NULL && pool->count > pool->most)
        pool->most = pool->count <= pool->limit ? pool->count : pool->limit;
    pthread_mutex_unlock(&pool->lock);
    connection_close(before);
}

/* Closes the session. A waiting thread gets its place, once the server has let go of the
 * connection. */
static void discard(struct session *session)
{
    struct session_pool *pool = session->pool;
    set_connection(session, NULL);
    pthread_mutex_lock(&pool->lock);
    pool_take_back(pool, session);
    pool_unlink(pool, session);
    pool_serve(pool);
    pthread_mutex_unlock(&pool->lock);
    free(session);
}

/* Under the lock. The server has refused one more than these `connections`. */
static void shrink(struct session_pool *pool, int connections)
{
    pool->most = connections < 1 ? 1 : connections < pool->limit ? connections : pool->limit;
    pool->more_at = clock_ms() + SMALL_MS;
}

/* Closes the connection of a session that keeps its place, and waits until there is room for
 * another one: until that connection has gone, or idle ones, which are closed by and by. It waits
 * for no thread that has a session, or wants one. */
static int replace_connection(struct session *session, const atomic_bool *stop)
{
    struct session_pool *pool = session->pool;
    bool stopped = false;
    int away;
    set_connection(session, NULL);
    pthread_mutex_lock(&pool->lock);
    while ((away = departing_count(pool->departing)) > 0 && pool->count + away > pool_room(pool) &&
           !stopped) {
        pool_wait_a_tick(pool);
        stopped = pool->stopped || (stop != NULL && atomic_load(stop));
    }
    pthread_mutex_unlock(&pool->lock);
    return stopped ? -EINTR : 0;
}

/* `waits` false: does not wait long. A session that joins may stand in a pooler's line behind the
 * very session that it is to join. */
static int connect_session(struct session *session, bool waits, const atomic_bool *stop,
                           struct error *error)
{
    struct session_pool *pool = session->pool;
    struct connection *connection = NULL;
    pthread_mutex_lock(&pool->lock);
    session->connecting_since = clock_ms();
    pthread_mutex_unlock(&pool->lock);
    int rc = connection_open(pool->server, pool->departing, &session->stop, stop,
                             waits ? -1 : POOL_SHORT_MS, &connection, error);
    if (rc == 0)
        connection_set_mounted(connection, &pool->mounted);
    set_connection(session, connection);
    if (rc == 0)
        session_pool_tend(pool); /* with other settings, older connections are outdated */
    if (rc == -ETIMEDOUT && session->purpose == SESSION_JOIN) {
        pthread_mutex_lock(&pool->lock);
        pool->join_at = clock_ms() + SMALL_MS;
        pthread_mutex_unlock(&pool->lock);
        rc = -EAGAIN;
    }
    return rc;
}

static int verify(struct session *session, bool waits, const atomic_bool *stop, struct error *error)
{
    int rc = 0;
    if (session->connection != NULL && !connection_ping(session->connection, stop, PING_MS))
        rc = replace_connection(session, stop);
    if (rc == 0 && session->connection == NULL)
        rc = connect_session(session, waits, stop, error);
    else if (rc == 0)
        connection_lend(session->connection);
    return rc == -EINTR || (rc == 0 && atomic_load(&session->stop))
               ? error_set(error, -EINTR, "stopped")
               : rc;
}

/* The server has refused a connection. Whether the pool has one to wait for; *gone: one has just
 * gone. */
static bool refused(struct session *session, bool *gone)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    int64_t last = departing_last(pool->departing);
    int away = departing_count(pool->departing);
    bool others = pool->count + away > 1;
    *gone = !others && last != 0 && clock_ms() - last < JUST_MS;
    shrink(pool, pool->count + away - 1);
    pthread_mutex_unlock(&pool->lock);
    return others || *gone;
}

static int take(struct session_pool *pool, enum session_purpose purpose, bool wait,
                const atomic_bool *stop, struct session **out, struct error *error)
{
    struct waiter waiter = {.purpose = purpose};
    for (;;) {
        int rc = pool_get_turn(pool, &waiter, wait, stop);
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
            session_give(waiter.session); /* another thread may need it */
            return error_set(error, -EINTR, "stopped");
        }
        if (rc == 0) {
            *out = waiter.session;
            return 0;
        }
        bool gone = false, others = rc == -EUSERS && refused(waiter.session, &gone);
        discard(waiter.session);
        if (gone)
            usleep(POOL_TICK_MS * 1000);
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
    connection_lock_patience(connection, LOCK_PATIENCE_MS);
    return connection_usable(connection) && !connection_in_transaction(connection);
}

/* A session that is clean: whether the pool keeps it. */
static bool put_back(struct session *session)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    if (session_lacks_locks(session))
        pool->locks.alone_until = clock_ms() + SMALL_MS;
    bool keep = !is_outdated(session);
    if (keep) {
        pool_take_back(pool, session);
        session->holding.wanted = 0;
        pool_unlink(pool, session);
        pool_link(pool, session);
        session->idle_since = clock_ms();
        pool_serve(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return keep;
}

void session_give(struct session *session)
{
    if (session != NULL && (!clean(session) || !put_back(session)))
        discard(session);
}

bool session_usable(const struct session *session)
{
    return !session->stop && connection_usable(session->connection);
}

bool session_had_gone(const struct session *session)
{
    return !session->stop && connection_had_gone(session->connection);
}

bool session_becomes_users(struct session *session)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    bool may = pool->lent[SESSION_USER] < pool_users(pool);
    if (may) {
        pool->lent[session->purpose]--;
        session->purpose = SESSION_USER;
        pool->lent[SESSION_USER]++;
    }
    pthread_mutex_unlock(&pool->lock);
    return may;
}

void session_lock_patience(struct session *session, int milliseconds)
{
    connection_lock_patience(session->connection, milliseconds);
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

int session_place_take_now(struct session_pool *pool, const atomic_bool *stop, struct session **out,
                           struct error *error)
{
    return take(pool, SESSION_PLACE, false, stop, out, error);
}

void session_place_give(struct session *place)
{
    if (place == NULL)
        return;
    departing_gone(place->pool->departing);
    discard(place);
}

/* ---- the pool ---- */

/* Removes idle sessions from the list that are outdated, or have been idle for longer than this; the
 * limit of the first one may be longer than that of the others. */
static void close_idle(struct session_pool *pool, int64_t first_ms, int64_t others_ms)
{
    struct session *old = NULL;
    int64_t patience = first_ms, now = clock_ms();
    pthread_mutex_lock(&pool->lock);
    for (struct session *session = pool->sessions, *next; session != NULL; session = next) {
        next = session->next;
        if (session->lent)
            continue;
        if (now - session->idle_since >= patience || is_outdated(session)) {
            pool_unlink(pool, session);
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
    pthread_mutex_lock(&pool->lock);
    /* Shrink before idle connections are closed: they were in the program's way. */
    shrink(pool, pool->count + departing_count(pool->departing) - 1);
    pthread_mutex_unlock(&pool->lock);
    close_idle(pool, 0, 0);
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
        pool_unlink(pool, session);
        connection_close(session->connection);
        free(session);
    }
    pthread_cond_destroy(&pool->changed);
    pthread_mutex_destroy(&pool->lock);
    departing_unref(pool->departing);
    verdicts_free(pool->verdicts);
    free(pool);
}

struct mounted *session_pool_mounted(struct session_pool *pool) { return &pool->mounted; }

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

/* ---- locks that others wait for ---- */

bool session_pool_unwatched(struct session_pool *pool, int milliseconds)
{
    enum { LONG_MS = 1000 };
    int64_t now = clock_ms();
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
    pool->looked_at = clock_ms();
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
            session->holding.wanted = clock_ms();
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

bool session_reserve_locks(struct session *session, int64_t locks, int64_t most)
{
    struct session_pool *pool = session->pool;
    int64_t now = clock_ms(), short_for = 0;
    pthread_mutex_lock(&pool->lock);
    bool fits = lock_share_take(&pool->locks, session->locks, locks, most, now, &short_for);
    if (fits)
        session->locks = locks;
    session->lacks_room = !fits;
    bool back = !fits && pool->make_room != NULL && short_for >= POOL_SHORT_MS &&
                now - pool->locks_back_at >= POOL_SHORT_MS;
    if (back)
        pool->locks_back_at = now;
    pthread_mutex_unlock(&pool->lock);
    if (back)
        pool->make_room(pool->context, LACK_OF_LOCKS);
    return fits;
}

bool session_has_locks(const struct session *session)
{
    pthread_mutex_lock(&session->pool->lock);
    bool has = session->locks > 0;
    pthread_mutex_unlock(&session->pool->lock);
    return has;
}

bool session_lacks_room(const struct session *session)
{
    pthread_mutex_lock(&session->pool->lock);
    bool lacks = session->lacks_room;
    pthread_mutex_unlock(&session->pool->lock);
    return lacks;
}

bool session_lacks_locks(const struct session *session)
{
    return connection_lacks_locks(session->connection);
}

int session_own_limit(const struct session *session, bool *of_locks)
{
    return connection_own_limit(session->connection, of_locks);
}

struct connection *session_connection(struct session *session) { return session->connection; }

struct verdicts *session_verdicts(struct session *session) { return session->pool->verdicts; }
