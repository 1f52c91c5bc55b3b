#include "fs/request_life.h"

#include <errno.h>

bool request_must_end(enum caller_fate fate, int64_t interrupted_for)
{
    enum { UNKNOWN_MS = 900 };
    return interrupted_for >= 0 &&
           (fate == CALLER_DIES || (fate == CALLER_UNKNOWN && interrupted_for >= UNKNOWN_MS));
}

enum request_step request_next(const struct request_state *state)
{
    switch (state->event) {
    case REQUEST_COMES:
        return state->ending ? REQUEST_FAIL : REQUEST_TRY;
    case REQUEST_WAS_TRIED:
        return state->rc == -EAGAIN ? REQUEST_WAIT : REQUEST_ANSWER;
    default:
        return request_must_end(state->fate, state->interrupted_for) ? REQUEST_KILL
               : state->overdue                                      ? REQUEST_TRY
                                                                     : REQUEST_WAIT;
    }
}
