#include "fs/lock_wait.h"

#include "fs/log.h"
#include "fs/mount.h"
#include "pgclient/session.h"

#include <unistd.h>

void lock_waits_init(struct lock_waits *waits, int64_t limit_ms)
{
    *waits = (struct lock_waits){.limit_ms = limit_ms};
    pthread_mutex_init(&waits->lock, NULL);
}

/* Under the lock. */
static void enlist(struct lock_waits *waits, struct lock_wait *wait)
{
    struct lock_wait **at = &waits->first;
    while (*at != NULL)
        at = &(*at)->next;
    wait->next = NULL;
    wait->since = clock_ms();
    *at = wait;
}

/* Under the lock. */
static void delist(struct lock_waits *waits, struct lock_wait *wait)
{
    struct lock_wait **at = &waits->first;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    wait->since = 0;
    wait->holder = (struct lock_party){0};
}

static void say(const struct lock_wait *wait)
{
    char name[128];
    lock_party_name(&wait->holder, name, sizeof name);
    log_say(LOG_SAY_INFO, "%s.%s: waiting for a lock%s%s that %s has, or waits for",
            wait->relation->schema, wait->relation->name, wait->holder.relation[0] ? " on " : "",
            wait->holder.relation, name);
}

int lock_wait_note(struct lock_waits *waits, struct lock_wait *wait, struct session *session,
                   struct error *error)
{
    struct lock_party holder = {0};
    bool of_locks = false;
    int own_ms =
        session != NULL ? session_own_limit(session, &of_locks) : 0; /* before it is used */
    bool known = session != NULL &&
                 lock_find_holder(session, wait->relation->oid, &holder, NULL) == 0 &&
                 holder.application[0] + holder.pid != 0;
    pthread_mutex_lock(&waits->lock);
    bool first = wait->since == 0;
    if (first)
        enlist(waits, wait);
    bool news = known && holder.pid != wait->holder.pid;
    if (known)
        wait->holder = holder;
    pthread_mutex_unlock(&waits->lock);
    if (news)
        say(wait);
    int64_t waited = clock_ms() - wait->since;
    bool over = waits->limit_ms >= 0 && waited >= waits->limit_ms;
    if (!over && own_ms > 0 && waited >= own_ms)
        return error_set(error, -EIO,
                         "canceling statement due to %s timeout: a lock was waited for as long as "
                         "the role's own limit says",
                         of_locks ? "lock" : "statement");
    if (!over)
        return 0;
    char name[128];
    lock_party_name(&wait->holder, name, sizeof name);
    return error_set(
        error, -EBUSY, "%s is locked by %s; it was waited for as long as the option lock_wait says",
        wait->holder.relation[0] != '\0' ? wait->holder.relation : "what is read", name);
}

void lock_wait_over(struct lock_waits *waits, struct lock_wait *wait)
{
    if (wait->since == 0)
        return;
    pthread_mutex_lock(&waits->lock);
    delist(waits, wait);
    pthread_mutex_unlock(&waits->lock);
}

/* ---- questions ---- */

void lock_question_begin(struct lock_waits *waits, struct lock_question *question,
                         const struct relation *relation, const char *what, struct session *session)
{
    int64_t now = clock_ms();
    *question = (struct lock_question){.wait = {.relation = relation, .what = what},
                                       .backend = session_backend(session),
                                       .asked = now,
                                       .looked = now};
    pthread_mutex_lock(&waits->lock);
    question->next = waits->questions;
    question->at = &waits->questions;
    if (question->next != NULL)
        question->next->at = &question->next;
    waits->questions = question;
    pthread_mutex_unlock(&waits->lock);
}

void lock_question_end(struct lock_waits *waits, struct lock_question *question)
{
    pthread_mutex_lock(&waits->lock);
    *question->at = question->next;
    if (question->next != NULL)
        question->next->at = question->at;
    if (question->wait.since != 0)
        delist(waits, &question->wait);
    pthread_mutex_unlock(&waits->lock);
}

int lock_question_due(struct lock_waits *waits)
{
    enum { LOOK_MS = 1000 };
    int64_t now = clock_ms();
    int backend = 0;
    pthread_mutex_lock(&waits->lock);
    for (struct lock_question *at = waits->questions; at != NULL && backend == 0; at = at->next)
        if (at->backend != 0 && now - at->looked >= LOOK_MS) {
            at->looked = now;
            backend = at->backend;
        }
    pthread_mutex_unlock(&waits->lock);
    return backend;
}

void lock_question_seen(struct lock_waits *waits, int backend, bool locked,
                        const struct lock_party *holder)
{
    struct lock_wait news = {0};
    pthread_mutex_lock(&waits->lock);
    struct lock_question *question = waits->questions;
    while (question != NULL && question->backend != backend)
        question = question->next;
    struct lock_wait *wait = question != NULL ? &question->wait : NULL;
    if (wait != NULL && locked && wait->since == 0) {
        enlist(waits, wait);
        wait->since = question->asked;
    } else if (wait != NULL && !locked && wait->since != 0) {
        delist(waits, wait);
    }
    if (wait != NULL && locked && holder != NULL && holder->pid != wait->holder.pid) {
        wait->holder = *holder;
        news = *wait;
    }
    pthread_mutex_unlock(&waits->lock);
    if (news.holder.pid != 0)
        log_say(LOG_SAY_INFO,
                "a question (%s) waits for a lock on %s that pid %d (%s) has, or waits for",
                news.what, news.holder.relation[0] != '\0' ? news.holder.relation : "a catalog",
                news.holder.pid, news.holder.application);
}

int lock_wait_pause(const atomic_bool *stop)
{
    enum { TICK_MS = 50 };
    for (int ms = 0; ms < LOCK_PAUSE_MS; ms += TICK_MS) {
        if (stop != NULL && atomic_load(stop))
            return -EINTR;
        usleep(TICK_MS * 1000);
    }
    return 0;
}
