/* Room for large answers while they are made. A few at once have it, and the others wait for their
 * turn: together they take no more memory than those few.
 *
 * A few answers wait with what they have made so far, and with their thread. All further ones keep
 * only their place: they are made anew once it is their turn to wait with a thread.
 *
 * This is no lock_line (fs/rows/lock_line.h), though both have callers that wait without a thread.
 * There the server says what is free, so turns come by the clock and by looking, and a turn may be
 * in vain. Here the room itself knows: a place is called because an answer has left, the one that
 * has waited longest first, and what is called may wait with its thread until it gets in.
 *
 * Threads: any; waiting is done without mount->lock. Lifetime: the mount's; a struct answer_place
 * is {0} at first, and belongs to its owner.
 */
#ifndef FS_SEARCH_ANSWER_ROOM_H
#define FS_SEARCH_ANSWER_ROOM_H

#include "codec/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { ANSWERS_LARGE_AT_ONCE = 2, ANSWERS_WAIT_AT_ONCE = 8 };

/* The place of one answer; guarded by the room's lock. */
struct answer_place {
    struct answer_place *next;
    void (*go)(void *context);
    void *context;
    int64_t since; /* clock_ms() when it was refused room for the first time; 0: it was not */
    bool parked;   /* it stands in line */
    bool called;   /* it was called, and has not come back yet */
};

struct answer_room {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int taken, waiting, called, computing;
    /* clock_ms() when an answer left the room, or one that is in it got on, for the last time */
    int64_t moved_ms;
    struct answer_place *first;
};

void answer_room_init(struct answer_room *room);

/* To be called before an answer is made, or made anew. -EBUSY: it has waited, and the answers in
 * the room do not get on. */
MUST_CHECK int answer_room_ask(struct answer_room *room, const struct answer_place *place,
                               struct error *error);
/* Enters the room, as far as the thread's patience goes (fs/base/patience.h); a thread whose
 * patience has a place may be told to park it. -EBUSY: the answers in the room do not get on. A
 * waiter's thread does not count while it waits (fs/base/waiters.h). */
MUST_CHECK int answer_room_enter(struct answer_room *room, struct error *error);
/* An answer in the room has got on. */
void answer_room_moves(struct answer_room *room);
/* An answer in the room computes: it counts as getting on, however long that takes. */
void answer_room_begin_computing(struct answer_room *room);
void answer_room_end_computing(struct answer_room *room);
void answer_room_leave(struct answer_room *room);

/* Puts the place in line. `go` is called once, by any thread, with any locks held: it may only hand
 * the work to another thread, which makes the answer anew. Until then the place belongs to the
 * room. */
void answer_room_park(struct answer_room *room, struct answer_place *place,
                      void (*go)(void *context), void *context);
/* The answer is made, or waits for something else. */
void answer_room_over(struct answer_room *room, struct answer_place *place);
/* Calls the place at once, if it is parked: its work is to end. */
void answer_room_call(struct answer_room *room, struct answer_place *place);
/* Calls parked places that need not wait any longer; to be called ten times a second. */
void answer_room_tend(struct answer_room *room);

#endif
