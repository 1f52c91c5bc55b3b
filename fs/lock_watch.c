#include "fs/lock_watch.h"

#include "fs/log.h"
#include "fs/mount.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct lock_watch {
    struct session_pool *pool;
    struct held *held;
    struct lock_waits *waits;
    int64_t again_ms;    /* until then it does not look itself, */
    int64_t question_ms; /* nor at questions */
    atomic_bool stop;
    pthread_t thread;
};

/* Where it has had no answer, those who have a session that answers look, for a while. */
static void look(struct lock_watch *watch)
{
    enum { AGAIN_MS = 10000, PATIENCE_MS = 3000 };
    struct session *session;
    struct error error = {""};
    int rc = session_take_now(watch->pool, SESSION_SHORT, &watch->stop, &session, &error);
    bool taken = rc == 0;
    if (taken) {
        rc = lock_look(watch->pool, session, PATIENCE_MS, &error);
        session_give(session);
    }
    if (rc < 0 && (taken || rc != -EAGAIN))
        watch->again_ms = clock_ms() + AGAIN_MS;
    if (rc < 0 && rc != -EINTR && rc != -EAGAIN)
        log_say(LOG_SAY_DEBUG, "cannot see who waits for locks: %s", error.text);
}

/* If the look runs into a lock itself the question waits for that one, too. If nothing answers
 * there are no more looks for a while: others wait for this thread. */
static void look_at_question(struct lock_watch *watch, int backend)
{
    enum { AGAIN_MS = 10000, PATIENCE_MS = 1000 };
    struct session *session;
    struct error error = {""};
    struct lock_party holder = {0};
    bool locked = false;
    int rc = session_take_now(watch->pool, SESSION_SHORT, &watch->stop, &session, &error);
    if (rc == 0) {
        rc = lock_find_blocker(session, backend, PATIENCE_MS, &locked, &holder, &error);
        session_give(session);
        if (rc == 0 || rc == -EBUSY)
            lock_question_seen(watch->waits, backend, locked || rc == -EBUSY,
                               rc == 0 && locked ? &holder : NULL);
    }
    if (rc == -ETIMEDOUT)
        watch->question_ms = clock_ms() + AGAIN_MS;
}

static void *run(void *argument)
{
    enum { TICK_MS = 100, LOOK_MS = 900 };
    struct lock_watch *watch = argument;
    while (!watch->stop) {
        usleep(TICK_MS * 1000);
        if (clock_ms() >= watch->again_ms && session_pool_unwatched(watch->pool, LOOK_MS))
            look(watch);
        held_tend(watch->held, watch->pool);
        int backend = clock_ms() >= watch->question_ms ? lock_question_due(watch->waits) : 0;
        if (backend != 0)
            look_at_question(watch, backend);
    }
    return NULL;
}

int lock_watch_start(struct session_pool *pool, struct held *held, struct lock_waits *waits,
                     struct lock_watch **out)
{
    struct lock_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    watch->pool = pool;
    watch->held = held;
    watch->waits = waits;
    int rc = -pthread_create(&watch->thread, NULL, run, watch);
    if (rc < 0)
        free(watch);
    else
        *out = watch;
    return rc;
}

void lock_watch_stop(struct lock_watch *watch)
{
    if (watch == NULL)
        return;
    watch->stop = true;
    pthread_join(watch->thread, NULL);
    free(watch);
}
