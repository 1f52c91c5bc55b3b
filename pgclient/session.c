#include "pgclient/session.h"

#include "pgclient/connection.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { IDLE_SECONDS = 30, PING_MS = 3000 };

struct session {
    struct session_pool *pool;
    struct connection *connection; /* NULL while connecting; the borrower's own */
    atomic_bool stop;
    struct session *next; /* the rest is guarded by the pool's lock */
    bool lent;
    int backend;
    time_t idle_since;
};

struct session_pool {
    const struct server *server;
    int limit;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct session
        *sessions; /* guarded by lock: lent, connecting and idle ones; most recently used first */
    int count;     /* guarded by lock */
    bool stopped;  /* guarded by lock */
};

static time_t now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec;
}

int session_pool_new(const struct server *server, int limit, struct session_pool **out)
{
    struct session_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    pool->server = server;
    pool->limit = limit < 1 ? 1 : limit;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->freed, NULL);
    *out = pool;
    return 0;
}

/* Under the lock. */
static void link_first(struct session_pool *pool, struct session *session)
{
    session->next = pool->sessions;
    pool->sessions = session;
    pool->count++;
}

/* Under the lock. */
static void unlink_session(struct session_pool *pool, struct session *session)
{
    struct session **at = &pool->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    pool->count--;
}

static void session_free(struct session *session)
{
    connection_close(session->connection);
    free(session);
}

void session_pool_free(struct session_pool *pool)
{
    if (pool == NULL)
        return;
    while (pool->sessions != NULL) {
        struct session *session = pool->sessions;
        unlink_session(pool, session);
        session_free(session);
    }
    pthread_cond_destroy(&pool->freed);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Closes it and lets somebody else have its place. */
static void discard(struct session *session)
{
    struct session_pool *pool = session->pool;
    pthread_mutex_lock(&pool->lock);
    unlink_session(pool, session);
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
    session_free(session);
}

/* Under the lock: the most recently used idle session, or a place for a new one; NULL: none is
 * free. */
static struct session *claim(struct session_pool *pool, int *rc)
{
    struct session *session = pool->sessions;
    while (session != NULL && session->lent)
        session = session->next;
    if (session == NULL && pool->count < pool->limit) {
        session = calloc(1, sizeof *session);
        if (session == NULL) {
            *rc = -ENOMEM;
            return NULL;
        }
        session->pool = pool;
        link_first(pool, session);
    }
    if (session != NULL) {
        session->lent = true;
        atomic_store(&session->stop, false);
    }
    return session;
}

static int wait_for_place(struct session_pool *pool, bool wait, struct session **out)
{
    int rc = 0;
    struct session *session = NULL;
    pthread_mutex_lock(&pool->lock);
    while (rc == 0 && session == NULL) {
        if (pool->stopped)
            rc = -EINTR;
        else if ((session = claim(pool, &rc)) == NULL && rc == 0) {
            if (wait)
                pthread_cond_wait(&pool->freed, &pool->lock);
            else
                rc = -EAGAIN;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    *out = session;
    return rc;
}

int session_take(struct session_pool *pool, bool wait, struct session **out, struct error *error)
{
    struct session *session;
    int rc = wait_for_place(pool, wait, &session);
    if (rc != 0)
        return error_set(error, rc, "%s",
                         rc == -EINTR    ? "stopped"
                         : rc == -EAGAIN ? "all sessions are in use"
                                         : "out of memory");
    if (session->connection != NULL && !connection_ping(session->connection, PING_MS)) {
        connection_close(session->connection);
        session->connection = NULL;
    }
    if (session->connection == NULL)
        rc = connection_open(pool->server, &session->stop, &session->connection, error);
    if (rc == 0 && atomic_load(&session->stop))
        rc = error_set(error, -EINTR, "stopped");
    if (rc != 0) {
        discard(session);
        return rc;
    }
    pthread_mutex_lock(&pool->lock);
    session->backend = connection_backend(session->connection);
    pthread_mutex_unlock(&pool->lock);
    *out = session;
    return 0;
}

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
    unlink_session(pool, session);
    link_first(pool, session);
    session->lent = false;
    session->idle_since = now();
    pthread_cond_signal(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

bool session_usable(const struct session *session)
{
    return !session->stop && connection_usable(session->connection);
}

void session_also_stop(struct session *session, const atomic_bool *stop)
{
    connection_also_stop(session->connection, stop);
}

void session_stop(struct session *session) { atomic_store(&session->stop, true); }

void session_pool_stop(struct session_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stopped = true;
    for (struct session *session = pool->sessions; session != NULL; session = session->next)
        atomic_store(&session->stop, true);
    pthread_cond_broadcast(&pool->freed);
    pthread_mutex_unlock(&pool->lock);
}

bool session_helpers_ended(int milliseconds) { return connection_helpers_ended(milliseconds); }

void session_pool_tend(struct session_pool *pool)
{
    struct session *old = NULL;
    pthread_mutex_lock(&pool->lock);
    for (struct session *session = pool->sessions, *next; session != NULL; session = next) {
        next = session->next;
        if (!session->lent && now() - session->idle_since >= IDLE_SECONDS) {
            unlink_session(pool, session);
            session->next = old;
            old = session;
        }
    }
    pthread_mutex_unlock(&pool->lock);
    while (old != NULL) {
        struct session *session = old;
        old = session->next;
        session_free(session);
    }
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

struct connection *session_connection(struct session *session) { return session->connection; }
