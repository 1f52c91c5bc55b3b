#include "fs/crew.h"

#include "fs/log.h"
#include "fs/patience.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SESSIONS_AT_MOST = 64 };

struct member {
    struct session *session; /* NULL: joining, or there is none */
    bool busy;
    bool broken; /* it is good for nothing but to be given back */
};

struct crew {
    atomic_uint refs;
    struct session_pool *pool;
    struct waiters *enders;
    struct waiters_task ending;
    int most;
    struct readpoint *readpoint;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t given;
    bool stopped;
    bool open;     /* there is a read point to work under */
    bool complete; /* no more sessions can join: so many it stays */
    int count;     /* members; the leader is the first */
    struct member members[SESSIONS_AT_MOST];
};

int crew_new(struct session_pool *pool, int sessions, struct waiters *enders, struct crew **out)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return -ENOMEM;
    crew->refs = 1;
    crew->pool = pool;
    crew->enders = enders;
    crew->most = sessions < SESSIONS_AT_MOST ? sessions : SESSIONS_AT_MOST;
    pthread_mutex_init(&crew->lock, NULL);
    patience_cond_init(&crew->given);
    *out = crew;
    return 0;
}

struct crew *crew_ref(struct crew *crew)
{
    atomic_fetch_add(&crew->refs, 1);
    return crew;
}

static void end_crew(void *argument)
{
    struct crew *crew = argument;
    crew_dismiss(crew);
    pthread_cond_destroy(&crew->given);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

void crew_unref(struct crew *crew)
{
    if (crew == NULL || atomic_fetch_sub(&crew->refs, 1) != 1)
        return;
    if (crew->enders != NULL)
        waiters_put(crew->enders, &crew->ending, end_crew, crew);
    else
        end_crew(crew);
}

/* From now on crew_stop reaches the member's session. */
static int enlist(struct crew *crew, struct member *member, struct session *session)
{
    pthread_mutex_lock(&crew->lock);
    member->session = session;
    int rc = crew->stopped ? -EINTR : 0;
    pthread_mutex_unlock(&crew->lock);
    return rc;
}

static void delist(struct crew *crew, struct member *member)
{
    pthread_mutex_lock(&crew->lock);
    struct session *session = member->session;
    member->session = NULL;
    pthread_mutex_unlock(&crew->lock);
    if (session != NULL)
        session_give(session);
}

int crew_lead(struct crew *crew, struct error *error)
{
    struct session *session;
    int rc = session_take(crew->pool, true, &session, error);
    if (rc < 0)
        return rc;
    crew->count = 1;
    crew->complete = false;
    crew->members[0] = (struct member){0};
    rc = enlist(crew, &crew->members[0], session);
    if (rc < 0)
        crew_dismiss(crew);
    return rc;
}

struct session *crew_leader(struct crew *crew) { return crew->members[0].session; }

int crew_open(struct crew *crew, const struct relation *relation, struct error *error)
{
    int rc = readpoint_open(crew->members[0].session, relation, &crew->readpoint, error);
    pthread_mutex_lock(&crew->lock);
    crew->open = rc == 0;
    pthread_mutex_unlock(&crew->lock);
    return rc;
}

struct readpoint *crew_readpoint(struct crew *crew) { return crew->readpoint; }

static bool is_anyone_busy(const struct crew *crew)
{
    for (int i = 0; i < crew->count; i++)
        if (crew->members[i].busy)
            return true;
    return false;
}

void crew_dismiss(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->open = false;
    pthread_cond_broadcast(&crew->given);
    while (is_anyone_busy(crew))
        pthread_cond_wait(&crew->given, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    for (int i = crew->count - 1; i > 0; i--) {
        if (crew->members[i].session != NULL)
            readpoint_leave(crew->readpoint, crew->members[i].session);
        delist(crew, &crew->members[i]);
    }
    readpoint_close(crew->readpoint);
    crew->readpoint = NULL;
    if (crew->count > 0)
        delist(crew, &crew->members[0]);
    crew->count = 0;
}

void crew_stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stopped = true;
    for (int i = 0; i < crew->count; i++)
        if (crew->members[i].session != NULL)
            session_stop(crew->members[i].session);
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- lending ---- */

static struct member *idle_member(struct crew *crew)
{
    for (int i = 0; i < crew->count; i++)
        if (crew->members[i].session != NULL && !crew->members[i].busy && !crew->members[i].broken)
            return &crew->members[i];
    return NULL;
}

/* Whoever cannot join is missed, not an error: those at hand do the work. */
static int join(struct crew *crew, struct member *member)
{
    struct session *session;
    struct error error = {""};
    int rc = session_take(crew->pool, false, &session, &error);
    if (rc < 0)
        return rc;
    rc = enlist(crew, member, session);
    if (rc == 0)
        rc = readpoint_join(crew->readpoint, session, &error);
    if (rc < 0) {
        log_say(LOG_SAY_DEBUG, "a further session could not join the read point: %s", error.text);
        delist(crew, member);
    }
    return rc;
}

/* `wait` false: NULL where no session is idle and none can join. True: as long as the thread's
 * patience lasts. */
static struct session *take(struct crew *crew, bool wait)
{
    struct session *session = NULL;
    bool patient = true;
    pthread_mutex_lock(&crew->lock);
    int most = crew->most + (wait && crew->most < SESSIONS_AT_MOST);
    while (session == NULL && !crew->stopped && crew->open && patient) {
        struct member *member = idle_member(crew);
        if (member != NULL) {
            member->busy = true;
            session = member->session;
        } else if (crew->count < most && !crew->complete) {
            member = &crew->members[crew->count++];
            *member = (struct member){.busy = true};
            pthread_mutex_unlock(&crew->lock);
            int rc = join(crew, member);
            pthread_mutex_lock(&crew->lock);
            crew->complete |= rc < 0;
            session = member->session;
            member->busy = session != NULL;
            pthread_cond_broadcast(&crew->given);
        } else if (wait) {
            patient = patience_wait(&crew->given, &crew->lock) == 0;
        } else {
            break;
        }
    }
    pthread_mutex_unlock(&crew->lock);
    return session;
}

int crew_take(struct crew *crew, struct session **out, struct error *error)
{
    *out = take(crew, true);
    if (*out != NULL)
        return 0;
    return crew->stopped || patience_stopped()
               ? error_set(error, -EINTR, "stopped")
               : error_set(error, -ENOTCONN, "its read point has ended");
}

/* Who joins needs the leader's transaction; those who have joined go on without it. */
static void note_broken(struct crew *crew, struct member *member)
{
    member->broken = true;
    crew->complete |= member == &crew->members[0];
    for (int i = 0; i < crew->count; i++)
        if (crew->members[i].busy || (crew->members[i].session != NULL && !crew->members[i].broken))
            return;
    crew->open &= !crew->complete;
}

void crew_give(struct crew *crew, struct session *session)
{
    bool usable = session_usable(session);
    pthread_mutex_lock(&crew->lock);
    for (int i = 0; i < crew->count; i++)
        if (crew->members[i].session == session) {
            crew->members[i].busy = false;
            if (!usable)
                note_broken(crew, &crew->members[i]);
        }
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- working together ---- */

struct run {
    struct crew *crew;
    crew_work *work;
    void *context;
    size_t count;
    pthread_mutex_t lock; /* guards what follows */
    size_t next;
    int rc;
    struct error error;
};

static bool next_number(struct run *run, size_t *number)
{
    pthread_mutex_lock(&run->lock);
    bool more = run->rc == 0 && run->next < run->count;
    if (more)
        *number = run->next++;
    pthread_mutex_unlock(&run->lock);
    return more;
}

/* Who gives up because another has failed does not know why. */
static void fail(struct run *run, int rc, const struct error *error)
{
    pthread_mutex_lock(&run->lock);
    if (run->rc == 0 || run->rc == -ECANCELED) {
        run->rc = rc;
        run->error = *error;
    }
    pthread_mutex_unlock(&run->lock);
}

static void work_off(struct run *run, struct session *session)
{
    size_t number;
    while (next_number(run, &number)) {
        struct error error = {""};
        int rc = run->work(run->context, number, session, &error);
        if (rc < 0)
            fail(run, rc, &error);
    }
    crew_give(run->crew, session);
}

static void *help(void *argument)
{
    struct run *run = argument;
    struct session *session = take(run->crew, false);
    if (session != NULL)
        work_off(run, session);
    return NULL;
}

int crew_run(struct crew *crew, size_t count, crew_work *work, void *context, struct error *error)
{
    struct run run = {.crew = crew,
                      .work = work,
                      .context = context,
                      .count = count,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    struct session *session;
    pthread_t helpers[SESSIONS_AT_MOST];
    int started = 0;
    int rc = crew_take(crew, &session, error);
    if (rc < 0)
        return rc;
    while (started + 1 < crew->most && (size_t)started + 1 < count &&
           pthread_create(&helpers[started], NULL, help, &run) == 0)
        started++;
    work_off(&run, session);
    for (int i = 0; i < started; i++)
        pthread_join(helpers[i], NULL);
    if (run.rc < 0 && error != NULL)
        *error = run.error;
    return run.rc;
}
