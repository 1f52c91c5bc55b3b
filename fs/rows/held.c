#include "fs/rows/held.h"

#include "fs/base/log.h"

void held_init(struct held *held, int connections)
{
    int spare = connections - 2; /* one for short questions, one to fetch with */
    *held = (struct held){.most = spare < 1 ? 1 : spare < HELD_AT_MOST ? spare : HELD_AT_MOST};
    pthread_mutex_init(&held->lock, NULL);
}

void held_clear(struct held *held)
{
    crew_unref(held->leaving);
    pthread_mutex_destroy(&held->lock);
}

bool held_add(struct held *held, struct crew *crew)
{
    pthread_mutex_lock(&held->lock);
    bool room = held->count < held->most;
    if (room)
        held->crews[held->count++] = crew_ref(crew);
    pthread_mutex_unlock(&held->lock);
    return room;
}

/* Under the lock. Takes the crew out; NULL: it is not there. */
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

static bool has(struct crew *crew, enum session_lack lack)
{
    return lack == LACK_OF_ANY || (lack == LACK_OF_USERS && crew_is_of_users(crew)) ||
           (lack == LACK_OF_LOCKS && crew_has_locks(crew));
}

/* Under the lock. Takes out the oldest that has what is lacked; NULL: there is none, or one that
 * has it is ending already. */
static struct crew *take_oldest(struct held *held, enum session_lack lack)
{
    struct crew *oldest = NULL;
    bool comes =
        held->leaving != NULL && crew_has_something(held->leaving) && has(held->leaving, lack);
    for (int i = 0; i < held->count && oldest == NULL && !comes; i++)
        if (has(held->crews[i], lack))
            oldest = take_out(held, held->crews[i]);
    return oldest;
}

void held_give_way(struct held *held, enum session_lack lack)
{
    pthread_mutex_lock(&held->lock);
    struct crew *oldest = take_oldest(held, lack), *before = NULL;
    if (oldest != NULL) {
        before = held->leaving;
        held->leaving = crew_ref(oldest);
    }
    pthread_mutex_unlock(&held->lock);
    crew_unref(before);
    if (oldest == NULL)
        return;
    log_say(LOG_SAY_INFO, "a read point that was held ends: others wait for %s",
            lack == LACK_OF_LOCKS ? "the locks that it has" : "a connection");
    crew_leave(oldest);
    crew_unref(oldest);
}

/* Takes the reference. */
static void end_if_wanted(struct held *held, struct crew *crew)
{
    char why[256];
    if (crew_is_open(crew) && crew_is_wanted(crew, why, sizeof why)) {
        log_say(LOG_SAY_INFO, "a read point that was held for open files has ended: %s", why);
        held_remove(held, crew);
        crew_leave(crew);
    }
    crew_unref(crew);
}

void held_tend(struct held *held, struct session_pool *pool)
{
    enum { PATIENCE_MS = 1000 };
    struct crew *crews[HELD_AT_MOST];
    pthread_mutex_lock(&held->lock);
    int count = held->count;
    for (int i = 0; i < count; i++)
        crews[i] = crew_ref(held->crews[i]);
    pthread_mutex_unlock(&held->lock);
    for (int i = 0; i < count; i++)
        if (session_pool_unwatched(pool, PATIENCE_MS))
            crew_look(crews[i]);
    for (int i = 0; i < count; i++)
        end_if_wanted(held, crews[i]);
}

int held_count(struct held *held)
{
    pthread_mutex_lock(&held->lock);
    int count = held->count;
    pthread_mutex_unlock(&held->lock);
    return count;
}
