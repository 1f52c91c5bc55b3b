#include "fs/rows/crew_parts.h"

#include "codec/clock.h"
#include "fs/base/patience.h"

#include <errno.h>

struct run {
    struct crew *crew;
    crew_work *work;
    void *context;
    size_t count;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t over;  /* nothing is left to begin */
    size_t next;
    int rc;
    struct error error;
};

static bool is_over(const struct run *run) { return run->rc != 0 || run->next >= run->count; }

static bool next_number(struct run *run, size_t *number)
{
    pthread_mutex_lock(&run->lock);
    bool more = !is_over(run);
    if (more)
        *number = run->next++;
    if (is_over(run))
        pthread_cond_broadcast(&run->over);
    pthread_mutex_unlock(&run->lock);
    return more;
}

/* Keeps the first failure: a worker that ends because another has failed does not know why. */
static void fail(struct run *run, int rc, const struct error *error)
{
    pthread_mutex_lock(&run->lock);
    if (run->rc == 0 || run->rc == -ECANCELED) {
        run->rc = rc;
        run->error = *error;
    }
    pthread_cond_broadcast(&run->over);
    pthread_mutex_unlock(&run->lock);
}

static bool has_takers(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool has = crew->takers != NULL;
    pthread_mutex_unlock(&crew->lock);
    return has;
}

/* Takes one number after another, until none is left or another thread is to have the session. */
static void work_off(struct run *run, struct session *session, bool leader)
{
    size_t number;
    while (next_number(run, &number)) {
        struct error error = {""};
        int rc = crew_look_out(run->crew, session, &error);
        if (rc == 0)
            rc = run->work(run->context, number, session, &error);
        if (rc < 0)
            fail(run, rc, &error);
        if (leader ? has_takers(run->crew) : session_pool_wanted(run->crew->pool))
            return;
    }
}

/* Waits for a while. Gives whether there is more to do. */
static bool rest(struct run *run)
{
    pthread_mutex_lock(&run->lock);
    if (!is_over(run))
        (void)!patience_wait(&run->over, &run->lock);
    bool more = !is_over(run);
    pthread_mutex_unlock(&run->lock);
    return more;
}

static void *help(void *argument)
{
    struct run *run = argument;
    do {
        struct session *session = crew_join_in(run->crew);
        if (session == NULL)
            continue;
        work_off(run, session, false);
        crew_give(run->crew, session);
    } while (rest(run));
    return NULL;
}

/* The leader's part: it gives its session away between two numbers, if a caller of crew_take waits
 * for one. */
static void lead(struct run *run)
{
    struct session *session;
    struct error error = {""};
    bool more = true;
    while (more) {
        int rc = crew_take(run->crew, &session, &error);
        if (rc < 0) {
            fail(run, rc, &error);
            return;
        }
        work_off(run, session, true);
        crew_give(run->crew, session);
        pthread_mutex_lock(&run->lock);
        more = !is_over(run);
        pthread_mutex_unlock(&run->lock);
    }
}

/* Does not wait for a session that is joining: it may stand in a line behind our own leader. */
static void end_joining(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->hurry = true;
    pthread_mutex_unlock(&crew->lock);
}

int crew_run(struct crew *crew, size_t count, crew_work *work, void *context, struct error *error)
{
    struct run run = {.crew = crew,
                      .work = work,
                      .context = context,
                      .count = count,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t helpers[CREW_SESSIONS_AT_MOST];
    int started = 0;
    clock_cond_init(&run.over);
    while (started + 1 < crew->most && (size_t)started + 1 < count &&
           pthread_create(&helpers[started], NULL, help, &run) == 0)
        started++;
    lead(&run);
    end_joining(crew);
    for (int i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
    pthread_mutex_lock(&crew->lock);
    crew->hurry = crew->stopped;
    pthread_mutex_unlock(&crew->lock);
    pthread_cond_destroy(&run.over);
    char why[256];
    if (run.rc < 0 && run.rc != -EINTR && crew_is_wanted(crew, why, sizeof why))
        run.rc = error_set(&run.error, -EAGAIN, "%s", why);
    if (run.rc < 0 && error != NULL)
        *error = run.error;
    return run.rc;
}
