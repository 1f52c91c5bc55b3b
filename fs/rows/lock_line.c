#include "fs/rows/lock_line.h"

#include "codec/clock.h"
#include "fs/base/patience.h"
#include "fs/base/waiters.h"
#include "pgclient/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    PACE_MS = LOCK_PATIENCE_MS + LOCK_PAUSE_MS, /* milliseconds between two turns of one place */
    FREE_AT_ONCE = 16,                          /* turns to take a free lock, for each tick */
    LOOK_MOST = 512,                            /* relations in one look */
    FEW_CONNECTIONS = 4                         /* with fewer, only one stands at a time */
};

void lock_line_init(struct lock_line *line, struct lock_waits *waits, int connections)
{
    *line = (struct lock_line){.waits = waits,
                               .places = connections < FEW_CONNECTIONS ? 1 : STAND_AT_MOST};
    pthread_mutex_init(&line->lock, NULL);
    clock_cond_init(&line->given);
}

/* ---- the line; all under its lock ---- */

static void join(struct lock_line *line, struct lock_turn *turn)
{
    struct lock_turn **at = &line->first;
    while (*at != NULL)
        at = &(*at)->next;
    *at = turn;
    turn->next = NULL;
    turn->waits = true;
    line->count++;
}

static void leave(struct lock_line *line, struct lock_turn *turn)
{
    struct lock_turn **at = &line->first;
    while (*at != turn)
        at = &(*at)->next;
    *at = turn->next;
    turn->waits = false;
    line->count--;
}

/* Moves the turn from the line to `given`; if a thread waits for it, wakes the thread. */
static void give(struct lock_line *line, struct lock_turn *turn, struct lock_turn **given)
{
    leave(line, turn);
    if (turn->go == NULL) {
        pthread_cond_broadcast(&line->given);
        return;
    }
    turn->next = *given;
    *given = turn;
}

/* The next turn to stand in the server's line. */
static struct lock_turn *next_to_stand(const struct lock_line *line, int64_t now)
{
    struct lock_turn *next = NULL;
    for (struct lock_turn *turn = line->first; turn != NULL; turn = turn->next) {
        if (now < turn->after)
            continue;
        if (turn->moves)
            return turn;
        if (next == NULL)
            next = turn;
    }
    return next;
}

static void give_next(struct lock_line *line, int64_t now, struct lock_turn **given)
{
    struct lock_turn *turn = next_to_stand(line, now);
    if (turn == NULL)
        return;
    turn->may_stand = true;
    line->next_at = now + PACE_MS / line->places;
    give(line, turn, given);
}

/* Runs the turns given, not under the lock. */
static void call(struct lock_turn *given)
{
    while (given != NULL) {
        struct lock_turn *turn = given;
        given = turn->next; /* read before `go`, after which the turn may be gone */
        turn->go(turn->context);
    }
}

/* ---- a turn ---- */

static void take_place(struct lock_line *line, struct lock_turn *turn, int64_t now)
{
    for (int i = 0; i < line->places && turn->stands_until == 0; i++)
        if (line->stands[i] <= now)
            turn->stands_until = line->stands[i] = now + LOCK_PATIENCE_MS;
}

static void leave_place(struct lock_line *line, struct lock_turn *turn)
{
    for (int i = 0; i < line->places && turn->stands_until != 0; i++)
        if (line->stands[i] == turn->stands_until) {
            line->stands[i] = 0;
            break;
        }
    turn->stands_until = 0;
}

/* A place belongs to the turn for as long as the server's limit, whatever its owner does
 * meanwhile. */
int lock_turn_begin(struct lock_line *line, struct lock_turn *turn)
{
    pthread_mutex_lock(&line->lock);
    bool first = turn->wait.since == 0;
    if (turn->may_stand || (first && line->first == NULL))
        take_place(line, turn, clock_ms());
    int patience = turn->stands_until != 0 ? LOCK_PATIENCE_MS : 1;
    pthread_mutex_unlock(&line->lock);
    return patience;
}

void lock_turn_end(struct lock_line *line, struct lock_turn *turn, bool had)
{
    struct lock_turn *given = NULL;
    pthread_mutex_lock(&line->lock);
    bool stood = turn->stands_until != 0;
    leave_place(line, turn);
    if (stood || had)
        turn->may_stand = turn->moves = false; /* else the turn is still owed */
    if (had && turn->wait.since != 0)
        give_next(line, clock_ms(), &given);
    pthread_mutex_unlock(&line->lock);
    call(given);
}

/* Under the lock. A lock that was free, but could not be taken, goes from hand to hand. */
static void come_back(struct lock_line *line, struct lock_turn *turn)
{
    turn->moves = !turn->wait.for_room && (turn->moves || turn->free || turn->may_stand);
    turn->free = turn->may_stand = false;
    turn->after = clock_ms() + LOCK_PAUSE_MS;
    join(line, turn);
}

static void wait_a_tick(struct lock_line *line)
{
    enum { TICK_MS = 100 };
    (void)clock_wait(&line->given, &line->lock, TICK_MS);
}

int lock_turn_wait(struct lock_line *line, struct lock_turn *turn, const atomic_bool *stop)
{
    waiters_away();
    pthread_mutex_lock(&line->lock);
    turn->go = NULL;
    come_back(line, turn);
    while (turn->waits && (stop == NULL || !atomic_load(stop)))
        wait_a_tick(line);
    bool stopped = turn->waits;
    if (stopped)
        leave(line, turn);
    pthread_mutex_unlock(&line->lock);
    waiters_back();
    return stopped ? -EINTR : 0;
}

void lock_turn_park(struct lock_line *line, struct lock_turn *turn, void (*go)(void *context),
                    void *context)
{
    pthread_mutex_lock(&line->lock);
    turn->go = go;
    turn->context = context;
    come_back(line, turn);
    pthread_mutex_unlock(&line->lock);
}

void lock_turn_call(struct lock_line *line, struct lock_turn *turn)
{
    struct lock_turn *given = NULL;
    pthread_mutex_lock(&line->lock);
    if (turn->waits)
        give(line, turn, &given);
    pthread_mutex_unlock(&line->lock);
    call(given);
}

void lock_line_tend(struct lock_line *line)
{
    struct lock_turn *given = NULL;
    int64_t now = clock_ms();
    int free = 0;
    pthread_mutex_lock(&line->lock);
    for (struct lock_turn *turn = line->first, *next; turn != NULL; turn = next) {
        next = turn->next;
        bool over = turn->wait.until != 0 && now >= turn->wait.until;
        if (over || (turn->free && free++ < FREE_AT_ONCE))
            give(line, turn, &given);
    }
    if (now >= line->next_at)
        give_next(line, now, &given);
    pthread_mutex_unlock(&line->lock);
    call(given);
}

/* ---- looking ---- */

bool lock_line_wants_look(struct lock_line *line)
{
    pthread_mutex_lock(&line->lock);
    bool more = line->count > (size_t)line->places;
    pthread_mutex_unlock(&line->lock);
    return more;
}

static int compare(const void *a, const void *b)
{
    const struct lock_held *x = a, *y = b;
    return x->relation < y->relation ? -1 : x->relation > y->relation;
}

/* Under the lock. Gathers the relations to look at, in rounds: those waited for longest come
 * first. */
static size_t gather(struct lock_line *line, struct lock_held *out)
{
    size_t count = 0;
    for (struct lock_turn *turn = line->first; turn != NULL && count < LOOK_MOST; turn = turn->next)
        if (!turn->looked_at) {
            turn->looked_at = true;
            out[count++] = (struct lock_held){.relation = turn->wait.relation->oid};
        }
    if (count < LOOK_MOST)
        for (struct lock_turn *turn = line->first; turn != NULL; turn = turn->next)
            turn->looked_at = false;
    return count;
}

static size_t sort(struct lock_held *relations, size_t count)
{
    size_t kept = 0;
    qsort(relations, count, sizeof *relations, compare);
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || relations[kept - 1].relation != relations[i].relation)
            relations[kept++] = relations[i];
    return kept;
}

/* Under the lock. Notes what a look has found. */
static void see(struct lock_line *line, struct lock_turn *turn, const struct lock_held *held)
{
    bool other = strcmp(turn->transaction, held->transaction) != 0;
    turn->free = held->holder.pid == 0 && held->holder.application[0] == '\0';
    turn->moves = other && turn->transaction[0] != '\0' && !turn->free;
    if (turn->free)
        return;
    memcpy(turn->transaction, held->transaction, sizeof turn->transaction);
    lock_wait_seen(line->waits, &turn->wait, &held->holder);
}

int lock_line_look(struct lock_line *line, struct session *session, int patience_ms,
                   struct error *error)
{
    struct lock_held *relations = calloc(LOOK_MOST, sizeof *relations);
    if (relations == NULL)
        return error_set(error, -ENOMEM, "no memory to look at locks");
    pthread_mutex_lock(&line->lock);
    size_t count = gather(line, relations);
    pthread_mutex_unlock(&line->lock);
    count = sort(relations, count);
    int rc = count > 0 ? lock_find_holders(session, relations, count, patience_ms, error) : 0;
    pthread_mutex_lock(&line->lock);
    for (struct lock_turn *turn = line->first; rc == 0 && turn != NULL; turn = turn->next) {
        const struct lock_held key = {.relation = turn->wait.relation->oid};
        const struct lock_held *held = bsearch(&key, relations, count, sizeof *relations, compare);
        if (held != NULL)
            see(line, turn, held);
    }
    pthread_mutex_unlock(&line->lock);
    free(relations);
    return rc;
}
