/* Work on a session of the server that is done again, from its beginning, while other sessions have
 * a lock that it needs, or want one that it has.
 *
 * Threads: any. The thread waits as far as its patience goes (fs/base/patience.h): if it has a turn
 * there, the work goes on later without it. Errors: those of the work; -EBUSY: locks were not free
 * for as long as lock_wait says, or others have wanted its locks five times in a row; -EINTR: it was
 * stopped.
 */
#ifndef FS_ROWS_SERVER_TURN_H
#define FS_ROWS_SERVER_TURN_H

#include "fs/rows/fetch.h"

struct server_work {
    const struct fetch_place *place;
    const struct relation *relation; /* what it reads; lives until the turn's wait is over */
    const char *what;                /* its purpose, as status.json shows it: a question, a row */
    const atomic_bool *stop;         /* or NULL */
    /* Begins its transaction itself, which session_give ends. */
    int (*work)(void *context, struct session *session, struct error *error);
    void *context;
};

MUST_CHECK int server_turn_do(const struct server_work *work, struct error *error);

#endif
