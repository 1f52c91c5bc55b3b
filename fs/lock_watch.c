#include "fs/lock_watch.h"

#include "fs/log.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct lock_watch {
    struct session_pool *pool;
    struct held *held;
    atomic_bool stop;
    pthread_t thread;
};

static void look(struct lock_watch *watch)
{
    struct session *session;
    struct error error = {""};
    int rc = session_take_now(watch->pool, SESSION_SHORT, &watch->stop, &session, &error);
    if (rc < 0)
        return;
    rc = lock_look(watch->pool, session, &error);
    session_give(session);
    if (rc < 0 && rc != -EINTR)
        log_say(LOG_SAY_DEBUG, "cannot see who waits for locks: %s", error.text);
}

static void *run(void *argument)
{
    enum { TICK_MS = 100, LOOK_MS = 900 };
    struct lock_watch *watch = argument;
    while (!watch->stop) {
        usleep(TICK_MS * 1000);
        if (session_pool_unwatched(watch->pool, LOOK_MS))
            look(watch);
        held_tend(watch->held, watch->pool);
    }
    return NULL;
}

int lock_watch_start(struct session_pool *pool, struct held *held, struct lock_watch **out)
{
    struct lock_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    watch->pool = pool;
    watch->held = held;
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
