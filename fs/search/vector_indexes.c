#include "fs/search/vector_indexes.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"

#include <errno.h>
#include <stdlib.h>

enum { ENTRIES_MOST = 4096 };
/* A larger file is opened in the background. */
enum { BYTES_AT_ONCE = 64 << 20 };

/* ---- entries ---- */

static bool same_space(const struct space *a, const struct space *b)
{
    return a->element == b->element && a->metric == b->metric && a->dims == b->dims;
}

static bool is_empty(const struct vector_entry *entry)
{
    return entry->users == 0 && !entry->building && entry->wanted == NULL &&
           entry->unread == NULL && entry->graph == NULL && entry->bound == NULL;
}

static void remove_entry(struct vector_indexes *indexes, struct vector_entry **at)
{
    struct vector_entry *entry = *at;
    *at = entry->next;
    indexes->entry_count--;
    pthread_mutex_destroy(&entry->making);
    free(entry);
}

/* Removes, of the entries that have nothing, the one that was made first. */
static bool remove_one(struct vector_indexes *indexes)
{
    struct vector_entry **empty = NULL;
    for (struct vector_entry **at = &indexes->entries; *at != NULL; at = &(*at)->next)
        if (is_empty(*at))
            empty = at;
    if (empty != NULL)
        remove_entry(indexes, empty);
    return empty != NULL;
}

static struct vector_entry *find_or_make(struct vector_indexes *indexes, uint32_t relation,
                                         int column, const struct space *space)
{
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next)
        if (entry->relation == relation && entry->column == column &&
            same_space(&entry->space, space))
            return entry;
    if (indexes->entry_count >= ENTRIES_MOST && !remove_one(indexes)) {
        if (!indexes->said_full)
            log_say(LOG_SAY_ERROR,
                    "there are %d indexes in use already: no other is opened or built meanwhile",
                    ENTRIES_MOST);
        indexes->said_full = true;
        return NULL;
    }
    struct vector_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->relation = relation;
    entry->column = column;
    entry->space = *space;
    pthread_mutex_init(&entry->making, NULL);
    entry->next = indexes->entries;
    indexes->entries = entry;
    indexes->entry_count++;
    return entry;
}

struct vector_entry *vector_entry_find(struct vector_indexes *indexes, uint32_t relation,
                                       int column, const struct space *space)
{
    pthread_mutex_lock(&indexes->lock);
    struct vector_entry *entry = find_or_make(indexes, relation, column, space);
    if (entry != NULL)
        entry->users++;
    pthread_mutex_unlock(&indexes->lock);
    return entry;
}

void vector_entry_leave(struct vector_indexes *indexes, struct vector_entry *entry)
{
    pthread_mutex_lock(&indexes->lock);
    entry->users--;
    pthread_mutex_unlock(&indexes->lock);
}

/* What is to be released once no lock is held. */
struct leftovers {
    struct vector_graph *graph;
    struct vector_binding *bound;
    struct corpus *wanted;
    struct snapshot *unread;
};

static void release(struct leftovers *leftovers)
{
    if (leftovers->bound != NULL)
        vector_index_unref(&leftovers->bound->index);
    vector_graph_unref(leftovers->graph);
    if (leftovers->wanted != NULL)
        corpus_unref(leftovers->wanted);
    snapshot_unref(leftovers->unread);
}

static struct leftovers empty_graph(struct vector_entry *entry)
{
    struct leftovers leftovers = {.graph = entry->graph, .bound = entry->bound};
    entry->graph = NULL;
    entry->bound = NULL;
    return leftovers;
}

static struct leftovers empty_entry(struct vector_entry *entry)
{
    struct leftovers leftovers = empty_graph(entry);
    leftovers.wanted = entry->wanted;
    leftovers.unread = entry->unread;
    entry->wanted = NULL;
    entry->judged = false;
    entry->unread = NULL;
    return leftovers;
}

/* The entry in memory whose graph goes first: the least recently used, but one with a file before
 * one without. Not `keep`. */
static struct vector_entry *find_idle(const struct vector_indexes *indexes,
                                      const struct vector_entry *keep, uint64_t *sum)
{
    struct vector_entry *idle = NULL;
    *sum = 0;
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next) {
        if (entry->graph == NULL)
            continue;
        *sum += hnsw_bytes(entry->graph->hnsw);
        if (entry == keep)
            continue;
        if (idle == NULL || entry->graph->saved > idle->graph->saved ||
            (entry->graph->saved == idle->graph->saved && entry->used < idle->used))
            idle = entry;
    }
    return idle;
}

static void make_room(struct vector_indexes *indexes, const struct vector_entry *keep)
{
    for (;;) {
        uint64_t sum;
        struct leftovers leftovers = {0};
        pthread_mutex_lock(&indexes->lock);
        struct vector_entry *idle = find_idle(indexes, keep, &sum);
        if (idle != NULL && sum > indexes->memory)
            leftovers = empty_graph(idle);
        pthread_mutex_unlock(&indexes->lock);
        if (leftovers.graph == NULL)
            return;
        release(&leftovers);
    }
}

void vector_entry_publish(struct vector_indexes *indexes, struct vector_entry *entry,
                          struct vector_graph *graph)
{
    pthread_mutex_lock(&indexes->lock);
    struct leftovers leftovers = empty_graph(entry);
    entry->graph = graph;
    entry->used = ++indexes->turn;
    pthread_mutex_unlock(&indexes->lock);
    release(&leftovers);
    make_room(indexes, entry);
}

/* Puts the copies in place of the graph and its binding, if both are still the same. Gives whether
 * it did. */
static bool replace(struct vector_indexes *indexes, struct vector_entry *entry,
                    const struct vector_graph *graph, struct vector_graph *copy,
                    const struct vector_binding *bound, struct vector_binding *moved)
{
    struct leftovers leftovers = {0};
    pthread_mutex_lock(&indexes->lock);
    bool same = entry->graph == graph && entry->bound == bound;
    if (same) {
        leftovers = empty_graph(entry);
        entry->graph = copy;
        entry->bound = moved;
    }
    pthread_mutex_unlock(&indexes->lock);
    release(&leftovers);
    return same;
}

void vector_entry_replace(struct vector_indexes *indexes, struct vector_entry *entry,
                          const struct vector_graph *graph, struct vector_graph *copy)
{
    bool done = false, there = true;
    while (!done && there) { /* again, if it was bound anew meanwhile */
        struct vector_binding *bound = NULL, *moved = NULL;
        pthread_mutex_lock(&indexes->lock);
        there = entry->graph == graph;
        if (there && entry->bound != NULL) {
            bound = entry->bound;
            atomic_fetch_add(&bound->index.refs, 1);
        }
        pthread_mutex_unlock(&indexes->lock);
        there = there && (bound == NULL || vector_binding_move(bound, copy, &moved) == 0);
        done = there && replace(indexes, entry, graph, copy, bound, moved);
        if (!done && moved != NULL)
            vector_index_unref(&moved->index);
        if (bound != NULL)
            vector_index_unref(&bound->index);
    }
    if (!done)
        vector_graph_unref(copy);
}

/* ---- the mount's ---- */

int vector_indexes_new(const struct fetch_place *place, uint64_t memory,
                       struct vector_indexes **out)
{
    struct vector_indexes *indexes = calloc(1, sizeof *indexes);
    if (indexes == NULL)
        return -ENOMEM;
    indexes->place = place;
    indexes->memory = memory / 4;
    indexes->alone = memory;
    indexes->at_once = BYTES_AT_ONCE;
    pthread_mutex_init(&indexes->lock, NULL);
    pthread_cond_init(&indexes->changed, NULL);
    *out = indexes;
    return 0;
}

/* The relations of all entries; NULL: no memory. */
static uint32_t *relations_of(struct vector_indexes *indexes, size_t *count)
{
    size_t n = 0;
    pthread_mutex_lock(&indexes->lock);
    uint32_t *relations = malloc((indexes->entry_count + 1) * sizeof *relations);
    for (struct vector_entry *entry = indexes->entries; relations != NULL && entry != NULL;
         entry = entry->next)
        relations[n++] = entry->relation;
    pthread_mutex_unlock(&indexes->lock);
    *count = n;
    return relations;
}

/* Frees what one entry of the relation has in memory, and removes the entry, if it is not in use.
 * False: none of them has anything. */
static bool empty_one(struct vector_indexes *indexes, uint32_t relation)
{
    struct leftovers leftovers = {0};
    bool found = false;
    pthread_mutex_lock(&indexes->lock);
    for (struct vector_entry **at = &indexes->entries; *at != NULL && !found;) {
        struct vector_entry *entry = *at;
        if (entry->relation != relation) {
            at = &entry->next;
            continue;
        }
        entry->stop = true;
        entry->failed = 0;
        bool had = entry->used > 0;
        entry->used = 0;
        leftovers = empty_entry(entry);
        found = had || leftovers.graph != NULL || leftovers.bound != NULL ||
                leftovers.wanted != NULL || leftovers.unread != NULL;
        if (is_empty(entry))
            remove_entry(indexes, at);
        else
            at = &entry->next;
    }
    pthread_mutex_unlock(&indexes->lock);
    release(&leftovers);
    return found;
}

void vector_indexes_tend(struct vector_indexes *indexes,
                         size_t (*keep_gone)(void *context, uint32_t *relations, size_t count),
                         void *context)
{
    if (indexes == NULL)
        return;
    size_t count;
    uint32_t *gone = relations_of(indexes, &count);
    if (count > 0)
        count = keep_gone(context, gone, count);
    for (size_t i = 0; i < count; i++)
        while (empty_one(indexes, gone[i]))
            ;
    free(gone);
}

void vector_indexes_stop(struct vector_indexes *indexes)
{
    if (indexes == NULL)
        return;
    pthread_mutex_lock(&indexes->lock);
    indexes->ending = true;
    for (struct vector_entry *entry = indexes->entries; entry != NULL; entry = entry->next)
        entry->stop = true;
    pthread_cond_broadcast(&indexes->changed);
    pthread_mutex_unlock(&indexes->lock);
}

void vector_indexes_join(struct vector_indexes *indexes)
{
    if (indexes == NULL)
        return;
    pthread_mutex_lock(&indexes->lock);
    struct vector_worker workers[] = {indexes->opener, indexes->builder};
    indexes->opener.running = indexes->builder.running = false;
    pthread_mutex_unlock(&indexes->lock);
    for (size_t i = 0; i < sizeof workers / sizeof *workers; i++)
        if (workers[i].running)
            pthread_join(workers[i].thread, NULL);
    for (bool more = true; more;) {
        struct leftovers leftovers = {0};
        pthread_mutex_lock(&indexes->lock);
        struct vector_entry *entry = indexes->entries;
        while (entry != NULL && entry->graph == NULL && entry->bound == NULL &&
               entry->wanted == NULL && entry->unread == NULL)
            entry = entry->next;
        more = entry != NULL;
        if (more)
            leftovers = empty_entry(entry);
        pthread_mutex_unlock(&indexes->lock);
        release(&leftovers);
    }
}

void vector_indexes_free(struct vector_indexes *indexes)
{
    if (indexes == NULL)
        return;
    while (indexes->entries != NULL) {
        struct vector_entry *entry = indexes->entries;
        indexes->entries = entry->next;
        struct leftovers leftovers = empty_graph(entry);
        release(&leftovers);
        pthread_mutex_destroy(&entry->making);
        free(entry);
    }
    pthread_cond_destroy(&indexes->changed);
    pthread_mutex_destroy(&indexes->lock);
    free(indexes);
}
