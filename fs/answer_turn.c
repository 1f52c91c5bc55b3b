/* A part of an answer that the server does: a turn on one of its sessions. */
#include "fs/answer_parts.h"

#include "fs/log.h"
#include "fs/patience.h"

#include <errno.h>

enum { TIMES = 5 };

struct turns {
    struct lock_wait wait;
    int gave_way;
};

/* Whether there is to be another turn. */
static bool again(struct answer *answer, struct turns *turns, struct session *session, int *rc)
{
    const struct relation *relation = turns->wait.relation;
    struct lock_waits *waits = answer->mount->place.waits;
    char why[256];
    if (*rc == -EBUSY) {
        struct error reason = {""};
        *rc = lock_wait_note(waits, &turns->wait, session, &reason);
        if (*rc < 0)
            *answer->error = reason;
        return *rc == 0;
    }
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

int answer_on_server(struct answer *answer, answer_work *work, void *context)
{
    struct turns turns = {.wait = {.relation = &answer->snapshot->relation, .what = "question"}};
    bool more = true;
    int rc = 0;
    while (more) {
        struct session *session = NULL;
        struct version_key now = {0};
        rc = patience_ask(answer->error);
        if (rc == 0)
            rc = session_take(answer->mount->pool, SESSION_USER, answer->stop, &session,
                              answer->error);
        if (rc < 0 && rc != -EBUSY)
            break;
        if (rc == 0)
            rc = answer_begin(answer, session, &now);
        if (rc == 0)
            rc = work(answer, session, &now, context);
        version_key_clear(&now);
        more = again(answer, &turns, session, &rc);
        session_give(session);
        if (more && lock_wait_pause(answer->stop) < 0) {
            rc = error_set(answer->error, -EINTR, "stopped");
            more = false;
        }
    }
    lock_wait_over(answer->mount->place.waits, &turns.wait);
    return rc;
}
