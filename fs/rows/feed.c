#include "fs/rows/feed.h"

#include "codec/array.h"
#include "codec/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct feed_run {
    struct group **groups;
    size_t count;
    bool done;
};

struct feed {
    atomic_uint refs;
    uint64_t id;
    struct snapshot *basis;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t came;
    struct feed_run *runs;
    size_t run_count;
    bool ended;
    int rc;
    struct error error;
    struct feed *successor;
};

int feed_new(struct snapshot *basis, struct feed **out)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (feed == NULL) {
        snapshot_unref(basis);
        return -ENOMEM;
    }
    static _Atomic uint64_t last_id;
    feed->refs = 1;
    feed->id = ++last_id;
    feed->basis = basis;
    pthread_mutex_init(&feed->lock, NULL);
    clock_cond_init(&feed->came);
    *out = feed;
    return 0;
}

struct feed *feed_ref(struct feed *feed)
{
    atomic_fetch_add(&feed->refs, 1);
    return feed;
}

void feed_unref(struct feed *feed)
{
    if (feed == NULL || atomic_fetch_sub(&feed->refs, 1) != 1)
        return;
    for (size_t i = 0; i < feed->run_count; i++) {
        for (size_t k = 0; k < feed->runs[i].count; k++)
            group_unref(feed->runs[i].groups[k]);
        free(feed->runs[i].groups);
    }
    free(feed->runs);
    feed_unref(feed->successor);
    snapshot_unref(feed->basis);
    pthread_cond_destroy(&feed->came);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

uint64_t feed_id(const struct feed *feed) { return feed->id; }

const struct snapshot *feed_basis(const struct feed *feed) { return feed->basis; }

/* The run of this number. Those before it that do not exist yet are made, empty. */
static struct feed_run *find_run(struct feed *feed, size_t number)
{
    if (number >= feed->run_count) {
        size_t room = 2 * number + 16;
        struct feed_run *grown = realloc(feed->runs, room * sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset(grown + feed->run_count, 0, (room - feed->run_count) * sizeof *grown);
        feed->runs = grown;
        feed->run_count = room;
    }
    return &feed->runs[number];
}

int feed_put(struct feed *feed, size_t run_number, struct group *group)
{
    int rc = -ENOMEM;
    pthread_mutex_lock(&feed->lock);
    struct feed_run *run = find_run(feed, run_number);
    if (run != NULL) {
        struct group **grown = array_room(run->groups, run->count, sizeof *grown);
        rc = grown == NULL ? -ENOMEM : 0;
        run->groups = grown != NULL ? grown : run->groups;
        if (rc == 0)
            run->groups[run->count++] = group_ref(group);
    }
    pthread_cond_broadcast(&feed->came);
    pthread_mutex_unlock(&feed->lock);
    return rc;
}

static void end(struct feed *feed, int rc, const char *reason)
{
    if (!feed->ended) {
        feed->ended = true;
        feed->rc = rc;
        error_set(&feed->error, rc, "%s", reason);
    }
    pthread_cond_broadcast(&feed->came);
}

void feed_run_done(struct feed *feed, size_t number)
{
    pthread_mutex_lock(&feed->lock);
    struct feed_run *run = find_run(feed, number);
    if (run != NULL)
        run->done = true;
    else
        end(feed, -ENOMEM, "no memory");
    pthread_cond_broadcast(&feed->came);
    pthread_mutex_unlock(&feed->lock);
}

void feed_end(struct feed *feed, int rc, const char *reason)
{
    pthread_mutex_lock(&feed->lock);
    end(feed, rc, reason);
    pthread_mutex_unlock(&feed->lock);
}

void feed_hand_over(struct feed *feed, struct feed *next)
{
    pthread_mutex_lock(&feed->lock);
    if (!feed->ended)
        feed->successor = feed_ref(next);
    end(feed, -ESTALE, "the rows have changed while they were read");
    pthread_mutex_unlock(&feed->lock);
}

struct feed *feed_successor(struct feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    struct feed *successor = feed->successor != NULL ? feed_ref(feed->successor) : NULL;
    pthread_mutex_unlock(&feed->lock);
    return successor;
}

/* 0: the group is there (NULL: the end). -EAGAIN: it has not come yet. */
static int look(struct feed *feed, struct feed_place *place, struct group **out,
                struct error *error)
{
    *out = NULL;
    for (; place->run < feed->run_count; place->run++, place->group = 0) {
        struct feed_run *run = &feed->runs[place->run];
        if (place->group < run->count) {
            *out = group_ref(run->groups[place->group++]);
            return 0;
        }
        if (!run->done)
            break;
    }
    if (!feed->ended)
        return -EAGAIN;
    if (feed->rc < 0 && error != NULL)
        *error = feed->error;
    return feed->rc;
}

int feed_of_snapshot(struct snapshot *snapshot, struct feed **out)
{
    struct snapshot *basis;
    int rc = snapshot_copy_basis(snapshot, &basis);
    if (rc == 0)
        rc = feed_new(basis, out);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++)
        rc = feed_put(*out, 0, snapshot->groups[i]);
    if (rc < 0) {
        feed_unref(*out);
        return rc;
    }
    feed_run_done(*out, 0);
    feed_end(*out, 0, "");
    return 0;
}

int feed_next(struct feed *feed, struct feed_place *place, int patience_ms, struct group **out,
              struct error *error)
{
    struct timespec until = clock_after_ms(patience_ms);
    pthread_mutex_lock(&feed->lock);
    int rc = look(feed, place, out, error), waited = 0;
    while (rc == -EAGAIN && waited == 0) {
        waited = pthread_cond_timedwait(&feed->came, &feed->lock, &until);
        rc = look(feed, place, out, error);
    }
    pthread_mutex_unlock(&feed->lock);
    return rc;
}

bool feed_goes_on(struct feed *feed, struct feed *next)
{
    struct feed_place here = {0}, there = {0};
    struct group *group, *other = NULL;
    bool same = schema_same(feed->basis->schema, next->basis->schema);
    while (same && feed_next(feed, &here, 0, &group, NULL) == 0 && group != NULL) {
        same = feed_next(next, &there, 0, &other, NULL) == 0 && other != NULL &&
               group_same(group, other);
        group_unref(other);
        group_unref(group);
    }
    return same;
}
