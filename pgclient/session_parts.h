/* What session.c and session_line.c share: the pool's inside. */
#ifndef PGCLIENT_SESSION_PARTS_H
#define PGCLIENT_SESSION_PARTS_H

#include "pgclient/cluster.h"
#include "pgclient/lock_share.h"
#include "pgclient/session.h"

#include <pthread.h>

enum {
    POOL_TICK_MS = 100,
    POOL_AGE_MS = 60000, /* a connection that is older is closed as soon as it is not in use */
    POOL_SHORT_MS = 1000 /* a thread that waits longer makes room, or has room made */
};

struct session {
    struct session_pool *pool;
    struct connection *connection; /* NULL while connecting, and of a place; set under the lock */
    atomic_bool stop;
    struct holding holding;
    struct session *next; /* the rest is guarded by the pool's lock */
    enum session_purpose purpose;
    bool lent;
    bool lacks_room;                      /* it was refused room for locks of its own */
    int64_t locks;                        /* of the server's, reserved; few are not counted */
    char why[256];                        /* why it is wanted (pgclient/lock.h) */
    int64_t idle_since, connecting_since; /* ms; the second 0: it is not connecting */
    int64_t connected_at;                 /* ms */
};

/* A thread in line for a session. */
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
    struct verdicts *verdicts;
    struct mounted mounted;
    int limit;
    void (*make_room)(void *context, enum session_lack lack);
    void *context;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct session *sessions; /* lent, connecting and idle ones; most recently used first */
    int count;
    int lent[SESSION_PURPOSES], lent_in_all;
    int most;               /* connections that the server has room for, as far as known */
    int64_t more_at;        /* ms: then one more is tried */
    int64_t join_at;        /* ms: until then no session joins */
    uint64_t settings;      /* connection_settings of the newest connection */
    struct waiter *waiters; /* by ticket */
    uint64_t tickets;
    struct lock_share locks;
    int64_t locks_back_at; /* ms: when some were last asked back */
    bool stopped;
    _Atomic int64_t looked_at; /* ms: last look at the locks that others wait for; not guarded */
};

/* Under the lock: pool_link puts the session into the list as the most recently used one,
 * pool_unlink takes it out, pool_take_back marks it as not lent. */
void pool_link(struct session_pool *pool, struct session *session);
void pool_unlink(struct session_pool *pool, struct session *session);
void pool_take_back(struct session_pool *pool, struct session *session);

/* Under the lock: how many connections there may be now, and how many of SESSION_USER. */
int pool_room(const struct session_pool *pool);
int pool_users(const struct session_pool *pool);

/* Under the lock: gives waiting threads what they may have. */
void pool_serve(struct session_pool *pool);

/* Under the lock, which it gives up: waits until something has changed, or for a moment. */
void pool_wait_a_tick(struct session_pool *pool);

/* Gets the waiter a session, idle or without a connection. The waiter keeps its place in the line
 * from one call to the next. With `wait` false, or for SESSION_JOIN: only if there is one now, else
 * -EAGAIN. */
MUST_CHECK int pool_get_turn(struct session_pool *pool, struct waiter *waiter, bool wait,
                             const atomic_bool *stop);

#endif
