#include "fs/search/answer_room.h"

#include "codec/clock.h"
#include "fs/base/patience.h"
#include "fs/base/waiters.h"

#include <errno.h>

enum { GIVE_UP_MS = 10000 };

void answer_room_init(struct answer_room *room)
{
    *room = (struct answer_room){.taken = 0};
    pthread_mutex_init(&room->lock, NULL);
    clock_cond_init(&room->changed);
}

/* ---- the line; all under the lock ---- */

/* The places that have waited longest come first. */
static void join(struct answer_room *room, struct answer_place *place)
{
    struct answer_place **at = &room->first;
    while (*at != NULL && (*at)->since <= place->since)
        at = &(*at)->next;
    place->next = *at;
    *at = place;
    place->parked = true;
}

static void call(struct answer_room *room, struct answer_place *place, struct answer_place **called)
{
    struct answer_place **at = &room->first;
    while (*at != place)
        at = &(*at)->next;
    *at = place->next;
    place->parked = false;
    place->called = true;
    room->called++;
    place->next = *called;
    *called = place;
}

/* Calls as many as may wait with a thread; those called that have not come back count among
 * them. */
static void call_next(struct answer_room *room, struct answer_place **called)
{
    while (room->first != NULL && room->waiting + room->called < ANSWERS_WAIT_AT_ONCE)
        call(room, room->first, called);
}

static void come_back(struct answer_room *room, struct answer_place *place)
{
    room->called -= place->called;
    place->called = false;
}

/* Runs the places called, not under the lock. */
static void go(struct answer_place *called)
{
    while (called != NULL) {
        struct answer_place *place = called;
        called = place->next; /* read before `go`, after which the place may be gone */
        place->go(place->context);
    }
}

static void unlock_and_call_next(struct answer_room *room)
{
    struct answer_place *called = NULL;
    call_next(room, &called);
    pthread_mutex_unlock(&room->lock);
    go(called);
}

/* ---- waiting ---- */

/* Whether the answers in the room do not get on: they may wait for the server, for rows that the
 * cache has lost. */
static bool is_stuck(const struct answer_room *room, int64_t began)
{
    int64_t since = room->moved_ms > began ? room->moved_ms : began;
    return room->computing == 0 && clock_ms() - since > GIVE_UP_MS;
}

static int refuse(const struct answer_room *room, struct error *error)
{
    return error_set(
        error, -EBUSY,
        "%d other large answers are being made, and wait for the server: ask again, or "
        "for fewer rows (k) or columns",
        room->taken);
}

/* Under the lock. */
static int wait_here(struct answer_room *room, int64_t began, struct error *error)
{
    int rc = 0;
    waiters_away();
    room->waiting++;
    while (rc == 0 && room->taken >= ANSWERS_LARGE_AT_ONCE) {
        rc = patience_ask(error);
        if (rc == 0 && is_stuck(room, began))
            rc = refuse(room, error);
        if (rc == 0 && patience_wait(&room->changed, &room->lock) < 0)
            rc = error_set(error, -EINTR, "stopped");
    }
    room->waiting--;
    waiters_back();
    return rc;
}

/* Whether the answer keeps its thread. One that was called does, unless other calls have come late
 * as well. */
static bool may_wait(const struct answer_room *room, const struct answer_place *place, bool called)
{
    if (place == NULL)
        return true;
    if (!patience_waits())
        return false;
    return called ? room->waiting < 2 * ANSWERS_WAIT_AT_ONCE
                  : room->first == NULL && room->waiting + room->called < ANSWERS_WAIT_AT_ONCE;
}

/* Under the lock. */
static int enter(struct answer_room *room, struct answer_place *place, struct error *error)
{
    bool called = place != NULL && place->called, full = room->taken >= ANSWERS_LARGE_AT_ONCE;
    int64_t began = place != NULL && place->since != 0 ? place->since : clock_ms();
    if (place != NULL) {
        come_back(room, place);
        place->since = full ? began : 0;
    }
    if (!full)
        return 0;
    if (may_wait(room, place, called))
        return wait_here(room, began, error);
    if (patience_stopped())
        return error_set(error, -EINTR, "stopped");
    return is_stuck(room, began) ? refuse(room, error) : patience_park(error);
}

int answer_room_ask(struct answer_room *room, const struct answer_place *place, struct error *error)
{
    pthread_mutex_lock(&room->lock);
    bool stuck =
        place->since != 0 && room->taken >= ANSWERS_LARGE_AT_ONCE && is_stuck(room, place->since);
    int rc = stuck ? refuse(room, error) : 0;
    pthread_mutex_unlock(&room->lock);
    return rc;
}

int answer_room_enter(struct answer_room *room, struct error *error)
{
    pthread_mutex_lock(&room->lock);
    int rc = enter(room, patience_place(), error);
    if (rc == 0)
        room->taken++;
    unlock_and_call_next(room);
    return rc;
}

void answer_room_moves(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->moved_ms = clock_ms();
    pthread_mutex_unlock(&room->lock);
}

void answer_room_begin_computing(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->computing++;
    pthread_mutex_unlock(&room->lock);
}

void answer_room_end_computing(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->computing--;
    room->moved_ms = clock_ms();
    pthread_mutex_unlock(&room->lock);
}

void answer_room_leave(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->taken--;
    room->moved_ms = clock_ms();
    pthread_cond_signal(&room->changed);
    unlock_and_call_next(room);
}

/* ---- without a thread ---- */

void answer_room_park(struct answer_room *room, struct answer_place *place,
                      void (*resume)(void *context), void *context)
{
    pthread_mutex_lock(&room->lock);
    place->go = resume;
    place->context = context;
    join(room, place);
    unlock_and_call_next(room);
}

void answer_room_over(struct answer_room *room, struct answer_place *place)
{
    pthread_mutex_lock(&room->lock);
    come_back(room, place);
    place->since = 0;
    unlock_and_call_next(room);
}

void answer_room_call(struct answer_room *room, struct answer_place *place)
{
    struct answer_place *called = NULL;
    pthread_mutex_lock(&room->lock);
    if (place->parked)
        call(room, place, &called);
    pthread_mutex_unlock(&room->lock);
    go(called);
}

/* An answer that was called may have a question for the server before it comes back: the others
 * must not wait for that. Nor must an answer wait that is to be told that the others do not get
 * on. */
void answer_room_tend(struct answer_room *room)
{
    struct answer_place *called = NULL;
    pthread_mutex_lock(&room->lock);
    bool idle = room->taken < ANSWERS_LARGE_AT_ONCE && room->waiting == 0;
    if (room->first != NULL && (idle || is_stuck(room, room->first->since)))
        call(room, room->first, &called);
    pthread_mutex_unlock(&room->lock);
    go(called);
}
