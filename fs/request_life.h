/* The life of a request, as a function of what is known of it:
 *
 *   comes ──► is tried ──► is answered
 *               │  ▲
 *               ▼  │ what it waits for has happened, or it is overdue
 *             waits ──► is interrupted, and its caller dies: it is answered with EINTR
 *
 * and at the end of the mount everything is answered with EIO. request.c does what this says.
 *
 * Threads: pure.
 */
#ifndef FS_REQUEST_LIFE_H
#define FS_REQUEST_LIFE_H

#include "fs/tables/caller.h"

#include <stdbool.h>
#include <stdint.h>

enum request_event {
    REQUEST_COMES,
    REQUEST_WAS_TRIED, /* with this `rc` */
    REQUEST_IS_TENDED  /* it waits, and is looked at */
};

enum request_step { REQUEST_TRY, REQUEST_ANSWER, REQUEST_WAIT, REQUEST_KILL, REQUEST_FAIL };

struct request_state {
    enum request_event event;
    bool ending;             /* the mount ends */
    int rc;                  /* 0, the errno to answer, or -EAGAIN: it cannot be answered yet */
    int64_t interrupted_for; /* ms since its thread was interrupted; negative: it was not */
    enum caller_fate fate;   /* of the thread that was */
    bool overdue;
};

/* What is to be done now: try it; answer it with `rc`; let it wait; answer EINTR; answer EIO. */
enum request_step request_next(const struct request_state *state);

/* Whether a thread that was interrupted so long ago must get its answer now. If its signals cannot be
 * seen, one may be there that ends it: then it must not wait long. */
bool request_must_end(enum caller_fate fate, int64_t interrupted_for);

#endif
