#include "fs/answer_room.h"

#include "codec/clock.h"
#include "fs/patience.h"
#include "fs/waiters.h"

#include <errno.h>

enum { GIVE_UP_MS = 10000 };

void answer_room_init(struct answer_room *room)
{
    *room = (struct answer_room){.taken = 0};
    pthread_mutex_init(&room->lock, NULL);
    clock_cond_init(&room->changed);
}

/* Those that have one may wait for the server, for rows that the cache has lost. */
static bool is_stuck(const struct answer_room *room, int64_t began)
{
    int64_t since = room->moved_ms > began ? room->moved_ms : began;
    return clock_ms() - since > GIVE_UP_MS;
}

/* Under the lock. */
static int wait_for_place(struct answer_room *room, struct error *error)
{
    int64_t began = clock_ms();
    int rc = 0;
    while (rc == 0 && room->taken >= ANSWERS_LARGE_AT_ONCE) {
        rc = patience_ask(error);
        if (rc == 0 && is_stuck(room, began))
            rc = error_set(error, -EBUSY,
                           "%d other large answers are being made, and wait for the server: ask "
                           "again, or for fewer rows (k) or columns",
                           room->taken);
        if (rc == 0 && patience_wait(&room->changed, &room->lock) < 0)
            rc = error_set(error, -EINTR, "stopped");
    }
    return rc;
}

int answer_room_enter(struct answer_room *room, struct error *error)
{
    waiters_away();
    pthread_mutex_lock(&room->lock);
    int rc = wait_for_place(room, error);
    if (rc == 0)
        room->taken++;
    pthread_mutex_unlock(&room->lock);
    waiters_back();
    return rc;
}

void answer_room_moves(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->moved_ms = clock_ms();
    pthread_mutex_unlock(&room->lock);
}

void answer_room_leave(struct answer_room *room)
{
    pthread_mutex_lock(&room->lock);
    room->taken--;
    room->moved_ms = clock_ms();
    pthread_cond_signal(&room->changed);
    pthread_mutex_unlock(&room->lock);
}
