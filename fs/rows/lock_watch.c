#include "fs/rows/lock_watch.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct lock_watch {
    struct session_pool *pool;
    struct held *held;
    struct lock_line *line;
    int64_t line_ms;  /* clock_ms() of the next look for the line (lock_line.h) */
    int64_t again_ms; /* clock_ms() until which it does not look itself */
    atomic_bool stop;
    pthread_t thread;
};

/* If it has had no answer, fetches and held read points, which have a session that answers, look
 * for a while. */
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

/* If there is no session, or no answer, those in line get their turns one after the other. */
static void look_at_line(struct lock_watch *watch)
{
    enum { LOOK_MS = 1000, AGAIN_MS = 10000, PATIENCE_MS = 3000 };
    struct session *session;
    struct error error = {""};
    if (clock_ms() < watch->line_ms || !lock_line_wants_look(watch->line))
        return;
    watch->line_ms = clock_ms() + LOOK_MS;
    int rc = session_take_now(watch->pool, SESSION_SHORT, &watch->stop, &session, &error);
    if (rc < 0)
        return;
    rc = lock_line_look(watch->line, session, PATIENCE_MS, &error);
    session_give(session);
    if (rc == -ETIMEDOUT)
        watch->line_ms = clock_ms() + AGAIN_MS;
    if (rc < 0 && rc != -EINTR)
        log_say(LOG_SAY_DEBUG, "cannot see which locks are free: %s", error.text);
}

static void *run(void *argument)
{
    enum { TICK_MS = 100, LOOK_MS = 900 };
    struct lock_watch *watch = argument;
    while (!watch->stop) {
        usleep(TICK_MS * 1000);
        if (clock_ms() >= watch->again_ms && session_pool_unwatched(watch->pool, LOOK_MS))
            look(watch);
        look_at_line(watch);
        held_tend(watch->held, watch->pool);
    }
    return NULL;
}

int lock_watch_start(struct session_pool *pool, struct held *held, struct lock_line *line,
                     struct lock_watch **out)
{
    struct lock_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    watch->pool = pool;
    watch->held = held;
    watch->line = line;
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
