/* Room for large answers while they are made: a few at once have it, the others wait for their
 * turn, so that all that are being made take no more memory than these.
 *
 * A few wait with what they have made so far, and with their thread. All further ones keep nothing
 * but their place: they are made anew once it is their turn to wait so.
 *
 * Threads: any, to wait without mount->lock. Lifetime: the mount's; a struct answer_place is {0} at
 * first, and its owner's.
 */
#ifndef FS_SEARCH_ANSWER_ROOM_H
#define FS_SEARCH_ANSWER_ROOM_H

#include "codec/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { ANSWERS_LARGE_AT_ONCE = 2, ANSWERS_WAIT_AT_ONCE = 8 };

/* Of one answer; guarded by the room's lock. */
struct answer_place {
    struct answer_place *next;
    void (*go)(void *context);
    void *context;
    int64_t since; /* clock_ms() when it was refused room first; 0: it was not */
    bool parked;   /* in line */
    bool called;   /* and not back yet */
};

struct answer_room {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int taken, waiting, called, computing;
    int64_t moved_ms; /* clock_ms() when one was given back, or who has one had got on */
    struct answer_place *first;
};

void answer_room_init(struct answer_room *room);

/* Before an answer is made, or made anew: -EBUSY, if it has waited and those that have room do not
 * get on. */
MUST_CHECK int answer_room_ask(struct answer_room *room, const struct answer_place *place,
                               struct error *error);
/* Takes one, as far as the thread's patience goes (fs/base/patience.h); who has a place there may
 * be told to park it. -EBUSY: those that have one do not get on. A waiter's thread does not count
 * while it waits (fs/base/waiters.h). */
MUST_CHECK int answer_room_enter(struct answer_room *room, struct error *error);
/* Who has one has got on with its answer. */
void answer_room_moves(struct answer_room *room);
/* Who has one computes: it gets on, however long that takes. */
void answer_room_begin_computing(struct answer_room *room);
void answer_room_end_computing(struct answer_room *room);
void answer_room_leave(struct answer_room *room);

/* Stands in line: `go` is called once, by any thread, with any locks: all it may do is to hand the
 * work to another one, which makes the answer anew. Until then the place belongs to the room. */
void answer_room_park(struct answer_room *room, struct answer_place *place,
                      void (*go)(void *context), void *context);
/* The answer is made, or waits for something else. */
void answer_room_over(struct answer_room *room, struct answer_place *place);
/* It is called at once, if it is parked: its work is to end. */
void answer_room_call(struct answer_room *room, struct answer_place *place);
/* Calls those who would wait for nothing; to be called ten times a second. */
void answer_room_tend(struct answer_room *room);

#endif
