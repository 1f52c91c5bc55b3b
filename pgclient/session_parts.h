/* What session.c and session_line.c share: the pool's inside. */
#ifndef PGCLIENT_SESSION_PARTS_H
#define PGCLIENT_SESSION_PARTS_H

#include "pgclient/connection.h"
#include "pgclient/lock_share.h"
#include "pgclient/session.h"

#include <pthread.h>

enum {
    POOL_TICK_MS = 100,
    POOL_SHORT_MS = 1000 /* whoever waits longer makes room, or has room made */
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
    bool lacks_room;                      /* for locks of its own: it was refused them */
    int64_t locks;                        /* of the server's, reserved; few are not counted */
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
    void (*make_room)(void *context, enum session_lack lack);
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
    struct lock_share locks;
    int64_t locks_back_at; /* ms: when it was last asked that some be given back */
    bool stopped;
    _Atomic int64_t looked_at; /* ms: at the locks that others wait for; not guarded */
};

/* Under the lock: the session is the most recently used one from now on; is in the list no more; is
 * not lent any more. */
void pool_link(struct session_pool *pool, struct session *session);
void pool_unlink(struct session_pool *pool, struct session *session);
void pool_take_back(struct session_pool *pool, struct session *session);

/* Under the lock: how many connections there may be now, and how many of SESSION_USER. */
int pool_room(const struct session_pool *pool);
int pool_users(const struct session_pool *pool);

/* Under the lock: gives those who wait what they may have. */
void pool_serve(struct session_pool *pool);

/* Under the lock, which it gives up: until something has changed, or for a moment. */
void pool_wait_a_tick(struct session_pool *pool);

/* Gets the waiter a session, idle or without a connection; his place in the line he keeps from one
 * call to the next. `wait` false, or one who joins: only if there is one now, else -EAGAIN. */
MUST_CHECK int pool_get_turn(struct session_pool *pool, struct waiter *waiter, bool wait,
                             const atomic_bool *stop);

#endif
