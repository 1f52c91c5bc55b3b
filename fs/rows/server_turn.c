#include "fs/rows/server_turn.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"

#include <errno.h>

enum { TIMES = 5 };

struct turns {
    struct lock_turn *turn, own;
    bool parked; /* it goes on without this thread */
    int gave_way, failed;
};

static void begin(struct turns *turns, const struct server_work *work)
{
    *turns = (struct turns){.turn = patience_turn()};
    if (turns->turn == NULL)
        turns->turn = &turns->own;
    if (turns->turn->wait.since != 0)
        return; /* the wait goes on: others see what it waits for */
    turns->turn->wait.relation = work->relation;
    turns->turn->wait.what = work->what;
}

/* Another session has a lock. Gives whether this thread waits for it. */
static bool is_to_wait(const struct server_work *work, struct turns *turns, struct session *session,
                       int *rc, struct error *error)
{
    struct error reason = {""};
    *rc = lock_wait_note(work->place->waits, &turns->turn->wait, session, &reason);
    turns->parked = *rc == 0 && patience_turn() != NULL;
    if (turns->parked)
        *rc = patience_leave(error);
    else if (*rc < 0 && error != NULL)
        *error = reason;
    return *rc == 0;
}

/* The server had no room for its locks: the next time those that need many run alone. */
static bool after_shortage(const struct server_work *work, struct turns *turns, int *rc)
{
    enum { ATTEMPTS = 3 };
    const struct relation *relation = turns->turn->wait.relation;
    bool more = ++turns->failed < ATTEMPTS;
    if (!more)
        *rc = -EIO;
    log_say(LOG_SAY_INFO, "%s.%s: the server has no room for a %s's locks; %s", relation->schema,
            relation->name, work->what, more ? "it is asked again" : "it ends");
    return more;
}

/* Whether there is to be another turn. */
static bool again(const struct server_work *work, struct turns *turns, struct session *session,
                  int *rc, struct error *error)
{
    const struct relation *relation = turns->turn->wait.relation;
    char why[256];
    if (*rc == -EBUSY)
        return is_to_wait(work, turns, session, rc, error);
    if (*rc == -EAGAIN && session != NULL && session_lacks_locks(session))
        return after_shortage(work, turns, rc);
    if (*rc >= 0 || *rc == -EINTR || session == NULL ||
        !session_is_wanted(session, why, sizeof why))
        return false;
    bool enough = ++turns->gave_way >= TIMES;
    log_say(LOG_SAY_INFO, "%s.%s: a %s lets go of its locks, since %s; %s", relation->schema,
            relation->name, work->what, why, enough ? "it ends" : "it is asked again");
    if (enough)
        *rc = error_set(error, -EBUSY,
                        "it could not be answered, %d times in a row, because others wanted to "
                        "lock what it reads: %s",
                        TIMES, why);
    return !enough;
}

/* For a lock, waits for the turn; else for a moment. */
static int pause_before(struct lock_line *line, struct lock_turn *turn, bool locked,
                        const atomic_bool *stop)
{
    return locked ? lock_turn_wait(line, turn, stop) : lock_wait_pause(stop);
}

int server_turn_do(const struct server_work *work, struct error *error)
{
    struct lock_line *line = work->place->line;
    struct turns turns;
    bool more = true;
    int rc = 0;
    begin(&turns, work);
    while (more) {
        struct session *session = NULL;
        rc = patience_ask(error);
        if (rc == 0)
            rc = session_take(work->place->pool, SESSION_USER, work->stop, &session, error);
        if (rc < 0 && rc != -EBUSY)
            break;
        if (rc == 0) {
            session_lock_patience(session, lock_turn_begin(line, turns.turn));
            rc = work->work(work->context, session, error);
        }
        lock_turn_end(line, turns.turn, rc == 0);
        if (rc == -ENOTCONN && session_had_gone(session)) {
            session_give(session);
            continue;
        }
        more = again(work, &turns, session, &rc, error);
        bool locked = rc == 0;
        session_give(session);
        if (more && pause_before(line, turns.turn, locked, work->stop) < 0) {
            rc = error_set(error, -EINTR, "stopped");
            more = false;
        }
    }
    if (!turns.parked)
        lock_wait_over(line->waits, &turns.turn->wait);
    return rc;
}
