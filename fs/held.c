#include "fs/held.h"

#include "fs/log.h"

void held_init(struct held *held, int connections)
{
    int spare = connections - 2; /* one for short questions, one to fetch with */
    *held = (struct held){.most = spare < 1 ? 1 : spare < HELD_AT_MOST ? spare : HELD_AT_MOST};
    pthread_mutex_init(&held->lock, NULL);
}

void held_clear(struct held *held) { pthread_mutex_destroy(&held->lock); }

bool held_add(struct held *held, struct crew *crew)
{
    pthread_mutex_lock(&held->lock);
    bool room = held->count < held->most;
    if (room)
        held->crews[held->count++] = crew_ref(crew);
    pthread_mutex_unlock(&held->lock);
    return room;
}

/* Under the lock. NULL: it is not there. */
static struct crew *take_out(struct held *held, const struct crew *crew)
{
    for (int i = 0; i < held->count; i++) {
        struct crew *found = held->crews[i];
        if (found != crew)
            continue;
        held->count--;
        for (; i < held->count; i++)
            held->crews[i] = held->crews[i + 1];
        return found;
    }
    return NULL;
}

void held_remove(struct held *held, struct crew *crew)
{
    pthread_mutex_lock(&held->lock);
    struct crew *found = take_out(held, crew);
    pthread_mutex_unlock(&held->lock);
    crew_unref(found);
}

void held_give_way(struct held *held)
{
    pthread_mutex_lock(&held->lock);
    struct crew *oldest = held->count > 0 ? take_out(held, held->crews[0]) : NULL;
    pthread_mutex_unlock(&held->lock);
    if (oldest == NULL)
        return;
    log_say(LOG_SAY_INFO, "a read point that was held has ended: others wait for a connection");
    crew_dismiss(oldest);
    crew_unref(oldest);
}

int held_count(struct held *held)
{
    pthread_mutex_lock(&held->lock);
    int count = held->count;
    pthread_mutex_unlock(&held->lock);
    return count;
}
