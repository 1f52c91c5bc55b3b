/* A crew, for fs/rows/crew*.c alone: crew.c has its sessions, and lends them; in crew_run.c they
 * work together.
 */
#ifndef FS_ROWS_CREW_PARTS_H
#define FS_ROWS_CREW_PARTS_H

#include "fs/rows/crew.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CREW_SESSIONS_AT_MOST = 64 };

struct member {
    struct session *session; /* NULL: joining or leaving, or there is none */
    bool busy;               /* the thread that has set it sets it back */
};

/* A caller of crew_take, in line for a session. */
struct taker {
    struct taker *next;
};

struct crew {
    atomic_uint refs;
    struct session_pool *pool;
    struct waiters *enders;
    struct waiters_task ending, leaving;
    int most;
    bool of_users; /* it reads what users wrote, as far as is known */
    int lock_patience_ms;
    struct readpoint *readpoint;
    atomic_bool stopped;  /* written under the lock */
    atomic_bool hurry;    /* the work is done: threads that are about to join need not */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    bool leaves;   /* crew_leave has been called */
    bool ends;     /* a thread is dismissing it */
    bool open;     /* there is a read point to work under */
    bool complete; /* no session can join: the read point, or the server, does not allow it */
    bool broken;   /* the leader's session can only be given back */
    int64_t join_at;
    struct taker *takers;                         /* the first is served first */
    struct member members[CREW_SESSIONS_AT_MOST]; /* the leader is the first */
};

/* A session for a thread that helps, which joins the read point; NULL: there is none now. */
struct session *crew_join_in(struct crew *crew);

/* The working session asks itself who waits for locks, if no thread has asked for a while. -EAGAIN:
 * some session waits for a lock of this crew's. */
MUST_CHECK int crew_look_out(struct crew *crew, struct session *session, struct error *error);

#endif
