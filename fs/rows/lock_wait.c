#include "fs/rows/lock_wait.h"

#include "codec/clock.h"
#include "fs/base/log.h"
#include "pgclient/session.h"

#include <errno.h>
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
    wait->since = wait->rests != 0 ? wait->rests : clock_ms();
    if (wait->rests == 0)
        wait->limit_from = wait->noted = wait->since;
    wait->rests = 0;
    *at = wait;
}

/* Under the lock. */
static void delist(struct lock_waits *waits, struct lock_wait *wait)
{
    struct lock_wait **at = &waits->first;
    while (*at != wait)
        at = &(*at)->next;
    *at = wait->next;
    wait->since = wait->until = 0;
}

static void say(const struct lock_wait *wait)
{
    char name[128];
    lock_party_name(&wait->holder, name, sizeof name);
    log_say(LOG_SAY_INFO, "%s.%s: waiting for a lock%s%s that %s has, or waits for",
            wait->relation->schema, wait->relation->name, wait->holder.relation[0] ? " on " : "",
            wait->holder.relation, name);
}

void lock_wait_seen(struct lock_waits *waits, struct lock_wait *wait,
                    const struct lock_party *holder)
{
    pthread_mutex_lock(&waits->lock);
    bool news = holder->pid != wait->holder.pid;
    wait->holder = *holder;
    pthread_mutex_unlock(&waits->lock);
    if (news)
        say(wait);
}

/* Sets the end, after which the next attempt is the last one. */
static void set_end(const struct lock_waits *waits, struct lock_wait *wait, int own_ms)
{
    int64_t limit_ms = waits->limit_ms;
    if (own_ms > 0 && (limit_ms < 0 || own_ms < limit_ms))
        limit_ms = own_ms;
    wait->until = limit_ms < 0 ? 0 : wait->limit_from + limit_ms;
}

void lock_wait_note_room(struct lock_waits *waits, struct lock_wait *wait)
{
    pthread_mutex_lock(&waits->lock);
    bool news = !wait->for_room;
    if (wait->since == 0)
        enlist(waits, wait);
    wait->for_room = true;
    wait->holder = (struct lock_party){.application = "other reads of this mount"};
    int64_t now = clock_ms();
    wait->limit_from += now - wait->noted;
    wait->noted = now;
    wait->until = 0;
    pthread_mutex_unlock(&waits->lock);
    if (news)
        log_say(
            LOG_SAY_INFO,
            "%s.%s: waiting for other reads of this mount, which have as many locks as they may",
            wait->relation->schema, wait->relation->name);
}

int lock_wait_note(struct lock_waits *waits, struct lock_wait *wait, struct session *session,
                   struct error *error)
{
    struct lock_party holder = {0};
    bool of_locks = false;
    if (session != NULL && session_lacks_room(session)) {
        lock_wait_note_room(waits, wait);
        return 0;
    }
    /* read before the session is used again */
    int own_ms = session != NULL ? session_own_limit(session, &of_locks) : 0;
    bool known = session != NULL &&
                 lock_find_holder(session, wait->relation->oid, &holder, NULL) == 0 &&
                 holder.application[0] + holder.pid != 0;
    pthread_mutex_lock(&waits->lock);
    bool first = wait->since == 0;
    if (first)
        enlist(waits, wait);
    if (wait->for_room)
        wait->holder = (struct lock_party){0};
    wait->for_room = false;
    wait->noted = clock_ms();
    pthread_mutex_unlock(&waits->lock);
    if (known)
        lock_wait_seen(waits, wait, &holder);
    set_end(waits, wait, own_ms);
    int64_t waited = wait->noted - wait->limit_from;
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

void lock_wait_rest(struct lock_waits *waits, struct lock_wait *wait)
{
    if (wait->since == 0)
        return;
    pthread_mutex_lock(&waits->lock);
    wait->rests = wait->since;
    delist(waits, wait);
    pthread_mutex_unlock(&waits->lock);
}

void lock_wait_over(struct lock_waits *waits, struct lock_wait *wait)
{
    pthread_mutex_lock(&waits->lock);
    if (wait->since != 0)
        delist(waits, wait);
    wait->rests = 0;
    wait->for_room = false;
    wait->holder = (struct lock_party){0};
    pthread_mutex_unlock(&waits->lock);
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

/* *out: the session that was asked, or NULL. */
static int ask_living(struct session_pool *pool, const struct lock_question *question,
                      const atomic_bool *stop, struct session **out, struct error *error)
{
    for (;;) {
        int rc = session_take(pool, SESSION_SHORT, stop, out, error);
        if (rc < 0)
            return rc;
        rc = question->ask(question->context, *out, error);
        if (rc != -ENOTCONN || !session_had_gone(*out))
            return rc;
        session_give(*out);
        *out = NULL;
    }
}

int lock_wait_ask(struct lock_waits *waits, struct session_pool *pool,
                  const struct lock_question *question, const atomic_bool *stop,
                  struct error *error)
{
    struct lock_wait wait = {.relation = question->relation, .what = question->what};
    bool again = true;
    int rc = 0;
    while (again) {
        struct session *session = NULL;
        rc = ask_living(pool, question, stop, &session, error);
        again = rc == -EBUSY && waits != NULL;
        bool usable = session != NULL && session_usable(session);
        if (again)
            rc = lock_wait_note(waits, &wait, usable ? session : NULL, error);
        session_give(session);
        again = again && rc == 0;
        if (again && (rc = lock_wait_pause(stop)) < 0)
            break;
    }
    if (waits != NULL)
        lock_wait_over(waits, &wait);
    return rc == -EINTR ? error_set(error, rc, "stopped") : rc;
}
