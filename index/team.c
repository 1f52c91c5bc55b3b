#include "index/team.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct member {
    struct team *team;
    pthread_t thread;
    int number;
};

struct team {
    int size;
    struct member *members; /* all but the caller: size - 1 */
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    unsigned round; /* guarded by lock, as busy and ending */
    int busy;       /* members that have not ended the round yet */
    bool ending;
    size_t count, chunk; /* of the round, as are work and context */
    void (*work)(void *context, int thread, size_t i);
    void *context;
    atomic_size_t next;
};

static void take_part(struct team *team, int number)
{
    for (;;) {
        size_t first = atomic_fetch_add(&team->next, team->chunk);
        if (first >= team->count)
            return;
        size_t end = team->count - first < team->chunk ? team->count : first + team->chunk;
        for (size_t i = first; i < end; i++)
            team->work(team->context, number, i);
    }
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct team *team = member->team;
    unsigned seen = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->round == seen && !team->ending)
            pthread_cond_wait(&team->begin, &team->lock);
        if (team->ending)
            break;
        seen = team->round;
        pthread_mutex_unlock(&team->lock);
        take_part(team, member->number);
        pthread_mutex_lock(&team->lock);
        if (--team->busy == 0)
            pthread_cond_signal(&team->end);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

int team_new(int threads, struct team **out)
{
    struct team *team = calloc(1, sizeof *team);
    struct member *members = calloc(threads > 1 ? (size_t)threads - 1 : 1, sizeof *members);
    if (team == NULL || members == NULL) {
        free(team);
        free(members);
        return -ENOMEM;
    }
    team->members = members;
    team->size = 1;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begin, NULL);
    pthread_cond_init(&team->end, NULL);
    while (team->size < threads) {
        struct member *member = &members[team->size - 1];
        *member = (struct member){.team = team, .number = team->size};
        if (pthread_create(&member->thread, NULL, member_main, member) != 0)
            break;
        team->size++;
    }
    *out = team;
    return 0;
}

void team_free(struct team *team)
{
    if (team == NULL)
        return;
    pthread_mutex_lock(&team->lock);
    team->ending = true;
    pthread_cond_broadcast(&team->begin);
    pthread_mutex_unlock(&team->lock);
    for (int i = 0; i < team->size - 1; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_mutex_destroy(&team->lock);
    pthread_cond_destroy(&team->begin);
    pthread_cond_destroy(&team->end);
    free(team->members);
    free(team);
}

int team_size(const struct team *team) { return team->size; }

void team_run(struct team *team, size_t count, size_t chunk,
              void (*work)(void *context, int thread, size_t i), void *context)
{
    bool alone = count <= chunk || team->size == 1;
    pthread_mutex_lock(&team->lock);
    team->count = count;
    team->chunk = chunk;
    team->work = work;
    team->context = context;
    team->next = 0;
    if (!alone) {
        team->busy = team->size - 1;
        team->round++;
        pthread_cond_broadcast(&team->begin);
    }
    pthread_mutex_unlock(&team->lock);
    take_part(team, 0);
    if (alone)
        return;
    pthread_mutex_lock(&team->lock);
    while (team->busy > 0)
        pthread_cond_wait(&team->end, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
