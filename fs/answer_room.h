/* Room for large answers while they are made: a few at once have it, the others wait for their
 * turn, so that all that are being made take no more memory than these.
 *
 * Threads: any, without mount->lock. Lifetime: the mount's.
 */
#ifndef FS_ANSWER_ROOM_H
#define FS_ANSWER_ROOM_H

#include "codec/error.h"

#include <pthread.h>
#include <stdint.h>

enum { ANSWERS_LARGE_AT_ONCE = 2 };

struct answer_room {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int taken;
    int64_t moved_ms; /* clock_ms() when one was given back, or who has one had got on */
};

void answer_room_init(struct answer_room *room);

/* Takes one, as far as the thread's patience goes (fs/patience.h). -EBUSY: those that have one do
 * not get on. A waiter's thread does not count while it waits (fs/waiters.h). */
MUST_CHECK int answer_room_enter(struct answer_room *room, struct error *error);
/* Who has one has got on with its answer. */
void answer_room_moves(struct answer_room *room);
void answer_room_leave(struct answer_room *room);

#endif
