/* A part of an answer that the server makes: a turn on one of its sessions. */
#include "fs/search/answer_parts.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"

#include <errno.h>

enum { TIMES = 5 };

struct turns {
    struct lock_turn *turn, own;
    bool parked; /* it goes on without this thread */
    int gave_way, failed;
};

static void begin(struct turns *turns, const struct answer *answer)
{
    *turns = (struct turns){.turn = patience_turn()};
    if (turns->turn == NULL)
        turns->turn = &turns->own;
    if (turns->turn->wait.since != 0)
        return; /* the wait goes on: others see what it waits for */
    turns->turn->wait.relation = &answer->snapshot->relation;
    turns->turn->wait.what = "question";
}

/* Another session has a lock. Gives whether this thread waits for it. */
static bool is_to_wait(struct answer *answer, struct turns *turns, struct session *session, int *rc)
{
    struct error reason = {""};
    *rc = lock_wait_note(answer->search->place->waits, &turns->turn->wait, session, &reason);
    turns->parked = *rc == 0 && patience_turn() != NULL;
    if (turns->parked)
        *rc = patience_leave(answer->error);
    else if (*rc < 0)
        *answer->error = reason;
    return *rc == 0;
}

/* The server had no room for its locks: the next time those that need many run alone. */
static bool after_shortage(struct turns *turns, int *rc)
{
    enum { ATTEMPTS = 3 };
    const struct relation *relation = turns->turn->wait.relation;
    bool more = ++turns->failed < ATTEMPTS;
    if (!more)
        *rc = -EIO;
    log_say(LOG_SAY_INFO, "%s.%s: the server has no room for a question's locks; %s",
            relation->schema, relation->name, more ? "it is asked again" : "it ends");
    return more;
}

/* Whether there is to be another turn. */
static bool again(struct answer *answer, struct turns *turns, struct session *session, int *rc)
{
    const struct relation *relation = turns->turn->wait.relation;
    char why[256];
    if (*rc == -EBUSY)
        return is_to_wait(answer, turns, session, rc);
    if (*rc == -EAGAIN && session != NULL && session_lacks_locks(session))
        return after_shortage(turns, rc);
    if (*rc >= 0 || *rc == -EINTR || session == NULL ||
        !session_is_wanted(session, why, sizeof why))
        return false;
    bool enough = ++turns->gave_way >= TIMES;
    log_say(LOG_SAY_INFO, "%s.%s: a question lets go of its locks, since %s; %s", relation->schema,
            relation->name, why, enough ? "it ends" : "it is asked again");
    if (enough)
        *rc = error_set(answer->error, -EBUSY,
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

int answer_on_server(struct answer *answer, answer_work *work, void *context)
{
    struct lock_line *line = answer->search->place->line;
    struct turns turns;
    bool more = true;
    int rc = 0;
    begin(&turns, answer);
    while (more) {
        struct session *session = NULL;
        struct version_key now = {0};
        rc = patience_ask(answer->error);
        if (rc == 0)
            rc = session_take(answer->search->place->pool, SESSION_USER, answer->stop, &session,
                              answer->error);
        if (rc < 0 && rc != -EBUSY)
            break;
        if (rc == 0) {
            session_lock_patience(session, lock_turn_begin(line, turns.turn));
            rc = answer_begin(answer, session, &now);
        }
        if (rc == 0)
            rc = work(answer, session, &now, context);
        version_key_clear(&now);
        lock_turn_end(line, turns.turn, rc == 0);
        more = again(answer, &turns, session, &rc);
        bool locked = rc == 0;
        session_give(session);
        if (more && pause_before(line, turns.turn, locked, answer->stop) < 0) {
            rc = error_set(answer->error, -EINTR, "stopped");
            more = false;
        }
    }
    if (!turns.parked)
        lock_wait_over(line->waits, &turns.turn->wait);
    return rc;
}
