#include "fs/rows/crew_parts.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "fs/base/patience.h"
#include "pgclient/lock.h"

#include <errno.h>
#include <stdlib.h>

enum { AGAIN_MS = 250 }; /* after this the pool may have a session that it had not before */

int crew_new(struct session_pool *pool, int sessions, struct waiters *enders, struct crew **out)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (crew == NULL)
        return -ENOMEM;
    crew->refs = 1;
    crew->pool = pool;
    crew->enders = enders;
    crew->most = sessions < CREW_SESSIONS_AT_MOST ? sessions : CREW_SESSIONS_AT_MOST;
    pthread_mutex_init(&crew->lock, NULL);
    clock_cond_init(&crew->given);
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

/* If it has something, its end waits for the server: to give a session back, or to close the read
 * point. */
bool crew_has_something(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool has = crew->readpoint != NULL;
    for (int i = 0; i < CREW_SESSIONS_AT_MOST; i++)
        has |= crew->members[i].session != NULL;
    pthread_mutex_unlock(&crew->lock);
    return has;
}

void crew_unref(struct crew *crew)
{
    if (crew == NULL || atomic_fetch_sub(&crew->refs, 1) != 1)
        return;
    if (crew->enders != NULL && crew_has_something(crew))
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
    session_give(session);
}

/* A view or a foreign server may take any time. */
static enum session_purpose purpose_of(const struct relation *relation)
{
    return relation->kind == RELATION_VIEW || relation->kind == RELATION_FOREIGN ||
                   relation->kind == RELATION_STATEMENT
               ? SESSION_USER
               : SESSION_FETCH;
}

/* Takes the leader's session. */
static int lead_with(struct crew *crew, enum session_purpose purpose, struct error *error)
{
    struct session *session;
    const atomic_bool *stop = patience_stop() != NULL ? patience_stop() : &crew->stopped;
    int rc = session_take(crew->pool, purpose, stop, &session, error);
    return rc < 0 ? rc : enlist(crew, &crew->members[0], session);
}

int crew_lead(struct crew *crew, const struct relation *relation, struct error *error)
{
    pthread_mutex_lock(&crew->lock);
    crew->complete = crew->broken = false;
    crew->join_at = 0;
    pthread_mutex_unlock(&crew->lock);
    crew->of_users |= purpose_of(relation) == SESSION_USER;
    crew->lock_patience_ms = LOCK_PATIENCE_MS;
    int rc = lead_with(crew, crew->of_users ? SESSION_USER : SESSION_FETCH, error);
    if (rc < 0)
        crew_dismiss(crew);
    return rc;
}

bool crew_is_of_users(const struct crew *crew) { return crew->of_users; }

bool crew_has_locks(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool has = crew->members[0].session != NULL && session_has_locks(crew->members[0].session);
    pthread_mutex_unlock(&crew->lock);
    return has;
}

struct session *crew_leader(struct crew *crew) { return crew->members[0].session; }

void crew_lock_patience(struct crew *crew, int milliseconds)
{
    crew->lock_patience_ms = milliseconds;
}

static int open_readpoint(struct crew *crew, const struct relation *relation, struct error *error)
{
    struct session *leader = crew->members[0].session;
    session_also_stop(leader, patience_stop());
    session_lock_patience(leader, crew->lock_patience_ms);
    int rc = readpoint_open(leader, relation, &crew->readpoint, error);
    session_also_stop(leader, NULL);
    return rc;
}

/* The read point turns out to read what users wrote. If the sessions for that are all in use, gives
 * the leader's back and waits for one of those. */
static int change_lines(struct crew *crew, const struct relation *relation, struct error *error)
{
    crew->of_users = true;
    if (session_becomes_users(crew->members[0].session))
        return 0;
    readpoint_close(crew->readpoint);
    crew->readpoint = NULL;
    delist(crew, &crew->members[0]);
    int rc = lead_with(crew, SESSION_USER, error);
    return rc == 0 ? open_readpoint(crew, relation, error) : rc;
}

int crew_open(struct crew *crew, const struct relation *relation, struct error *error)
{
    int rc = open_readpoint(crew, relation, error);
    if (rc == 0 && crew->readpoint->of_users && !crew->of_users)
        rc = change_lines(crew, relation, error);
    pthread_mutex_lock(&crew->lock);
    crew->open = rc == 0;
    crew->complete |= rc == 0 && crew->readpoint->snapshot == NULL;
    pthread_mutex_unlock(&crew->lock);
    return rc;
}

struct readpoint *crew_readpoint(struct crew *crew) { return crew->readpoint; }

bool crew_is_open(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool open = crew->open;
    pthread_mutex_unlock(&crew->lock);
    return open;
}

/* Under the lock. */
static bool is_wanted(const struct crew *crew, char *why, size_t size)
{
    for (int i = 0; i < CREW_SESSIONS_AT_MOST; i++)
        if (crew->members[i].session != NULL &&
            session_is_wanted(crew->members[i].session, why, size))
            return true;
    return false;
}

bool crew_is_wanted(struct crew *crew, char *why, size_t size)
{
    pthread_mutex_lock(&crew->lock);
    bool wanted = is_wanted(crew, why, size);
    pthread_mutex_unlock(&crew->lock);
    return wanted;
}

static bool is_anyone_busy(const struct crew *crew)
{
    for (int i = 0; i < CREW_SESSIONS_AT_MOST; i++)
        if (crew->members[i].busy)
            return true;
    return false;
}

/* A session that joins needs the leader's transaction; those that have joined go on without it. */
static void look_after_leader(struct crew *crew)
{
    bool others = false;
    for (int i = 1; i < CREW_SESSIONS_AT_MOST; i++)
        others |= crew->members[i].session != NULL;
    crew->complete |= crew->broken;
    crew->open &= !crew->broken || others;
}

/* The member stays busy until its session is given back. */
static void leave(struct crew *crew, struct member *member)
{
    readpoint_leave(member->session);
    delist(crew, member);
    pthread_mutex_lock(&crew->lock);
    member->busy = false;
    look_after_leader(crew);
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

void crew_dismiss(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->open = false;
    pthread_cond_broadcast(&crew->given);
    while (crew->ends || is_anyone_busy(crew))
        pthread_cond_wait(&crew->given, &crew->lock);
    crew->ends = true;
    struct readpoint *readpoint = crew->readpoint;
    crew->readpoint = NULL;
    pthread_mutex_unlock(&crew->lock);
    for (int i = CREW_SESSIONS_AT_MOST - 1; i > 0; i--)
        if (crew->members[i].session != NULL) {
            readpoint_leave(crew->members[i].session);
            delist(crew, &crew->members[i]);
        }
    readpoint_close(readpoint);
    delist(crew, &crew->members[0]);
    pthread_mutex_lock(&crew->lock);
    crew->ends = false;
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

static void dismiss(void *argument)
{
    struct crew *crew = argument;
    crew_dismiss(crew);
    crew_unref(crew);
}

void crew_leave(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    bool first = !crew->leaves;
    crew->leaves = true;
    crew->open = false;
    pthread_mutex_unlock(&crew->lock);
    if (first && crew->enders != NULL)
        waiters_put(crew->enders, &crew->leaving, dismiss, crew_ref(crew));
    else if (first)
        crew_dismiss(crew);
}

void crew_stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->lock);
    crew->stopped = true;
    crew->hurry = true;
    for (int i = 0; i < CREW_SESSIONS_AT_MOST; i++)
        if (crew->members[i].session != NULL)
            session_stop(crew->members[i].session);
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
}

/* ---- lending; with the lock held ---- */

static struct member *idle_member(struct crew *crew)
{
    for (int i = crew->broken; i < CREW_SESSIONS_AT_MOST; i++)
        if (crew->members[i].session != NULL && !crew->members[i].busy)
            return &crew->members[i];
    return NULL;
}

/* A place for one more member; `beside`: one more than crew_run may have. */
static struct member *free_member(struct crew *crew, bool beside)
{
    int most = crew->most + (beside && crew->most < CREW_SESSIONS_AT_MOST);
    for (int i = 1; i < most; i++)
        if (crew->members[i].session == NULL && !crew->members[i].busy)
            return &crew->members[i];
    return NULL;
}

/* If the session cannot join, that is no error: the others do the work. Gives the lock up
 * meanwhile. */
static bool join(struct crew *crew, struct member *member)
{
    struct session *session;
    struct error error = {""};
    member->busy = true;
    pthread_mutex_unlock(&crew->lock);
    int rc = session_take(crew->pool, SESSION_JOIN, &crew->hurry, &session, &error);
    bool taken = rc == 0;
    if (taken) {
        rc = enlist(crew, member, session);
        if (rc == 0)
            rc = crew->hurry ? -EINTR
                             : readpoint_join(crew->readpoint, session, &crew->hurry, &error);
        if (rc < 0)
            delist(crew, member);
    }
    if (rc < 0 && rc != -EAGAIN && !crew->hurry)
        log_say(LOG_SAY_DEBUG, "a further session could not join the read point: %s", error.text);
    pthread_mutex_lock(&crew->lock);
    crew->complete |= taken && rc < 0 && !crew->hurry;
    crew->join_at = rc < 0 ? clock_ms() + AGAIN_MS : 0;
    member->busy = rc == 0;
    pthread_cond_broadcast(&crew->given);
    return rc == 0;
}

static bool may_join(const struct crew *crew)
{
    return crew->open && !crew->stopped && !crew->hurry && !crew->complete &&
           clock_ms() >= crew->join_at && !is_wanted(crew, NULL, 0);
}

int crew_take(struct crew *crew, struct session **out, struct error *error)
{
    struct taker taker = {NULL}, **at = &crew->takers;
    *out = NULL;
    pthread_mutex_lock(&crew->lock);
    while (*at != NULL)
        at = &(*at)->next;
    *at = &taker;
    while (*out == NULL && crew->open && !crew->stopped && !patience_stopped() &&
           !is_wanted(crew, NULL, 0)) {
        struct member *member = crew->takers == &taker ? idle_member(crew) : NULL;
        if (member != NULL)
            member->busy = true;
        else if (crew->takers == &taker && may_join(crew) &&
                 (member = free_member(crew, true)) != NULL && !join(crew, member))
            member = NULL;
        if (member != NULL)
            *out = member->session;
        else
            (void)!patience_wait(&crew->given, &crew->lock);
    }
    for (at = &crew->takers; *at != &taker;)
        at = &(*at)->next;
    *at = taker.next;
    bool ended = !crew->stopped && !patience_stopped();
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
    if (*out != NULL)
        return 0;
    return ended ? error_set(error, -ENOTCONN, "its read point has ended")
                 : error_set(error, -EINTR, "stopped");
}

/* A member that has joined leaves if nobody is in line: it does not wait idly. */
void crew_give(struct crew *crew, struct session *session)
{
    bool wanted = session_pool_wanted(crew->pool), usable = session_usable(session);
    pthread_mutex_lock(&crew->lock);
    struct member *member = crew->members;
    while (member->session != session)
        member++;
    bool leader = member == crew->members;
    bool leaves =
        !leader && (wanted || !usable || crew->takers == NULL || !crew->open || crew->stopped);
    crew->broken |= leader && !usable;
    look_after_leader(crew);
    member->busy = leaves;
    pthread_cond_broadcast(&crew->given);
    pthread_mutex_unlock(&crew->lock);
    if (leaves)
        leave(crew, member);
}

struct session *crew_join_in(struct crew *crew)
{
    struct session *session = NULL;
    pthread_mutex_lock(&crew->lock);
    struct member *member = may_join(crew) ? free_member(crew, false) : NULL;
    if (member != NULL && join(crew, member))
        session = member->session;
    pthread_mutex_unlock(&crew->lock);
    return session;
}

/* ---- locks that others wait for ---- */

int crew_look_out(struct crew *crew, struct session *session, struct error *error)
{
    enum { PATIENCE_MS = 1500 };
    char why[256];
    if (session_pool_unwatched(crew->pool, PATIENCE_MS) &&
        lock_look(crew->pool, session, -1, error) < 0)
        log_say(LOG_SAY_DEBUG, "cannot see who waits for locks: %s", error->text);
    return crew_is_wanted(crew, why, sizeof why) ? error_set(error, -EAGAIN, "%s", why) : 0;
}

void crew_look(struct crew *crew)
{
    enum { PATIENCE_MS = 3000 };
    struct error error = {""};
    pthread_mutex_lock(&crew->lock);
    struct member *member = crew->open && !crew->stopped ? idle_member(crew) : NULL;
    struct session *session = member != NULL ? member->session : NULL;
    if (member != NULL)
        member->busy = true;
    pthread_mutex_unlock(&crew->lock);
    if (session == NULL)
        return;
    if (lock_look(crew->pool, session, PATIENCE_MS, &error) < 0)
        log_say(LOG_SAY_DEBUG, "cannot see who waits for locks: %s", error.text);
    crew_give(crew, session);
}
