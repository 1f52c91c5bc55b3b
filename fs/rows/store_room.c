/* What the files of the store take, and which of them go to make room for others. */
#include "fs/rows/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- counting ---- */

int store_count(struct store *store, struct file_key key, uint64_t size)
{
    uint64_t before = 0;
    pthread_mutex_lock(&store->counting);
    int rc = file_sizes_set(&store->sizes, key, size, &before);
    pthread_mutex_unlock(&store->counting);
    store->used -= before;
    return rc;
}

static void path_of(const struct file_key *key, char path[2 * STORE_NAME_SIZE])
{
    char name[STORE_NAME_SIZE];
    if (key->index)
        store_index_name(key->id, "", name);
    else
        snprintf(name, sizeof name, "%016" PRIx64 ".rows", key->id);
    snprintf(path, (size_t)2 * STORE_NAME_SIZE, "%" PRIu32 "/%s", key->relation, name);
}

void store_drop(struct store *store, struct file_key key)
{
    char path[2 * STORE_NAME_SIZE];
    path_of(&key, path);
    pthread_mutex_lock(&store->counting);
    /* A folder may be in its place now, which is not ours. */
    bool gone = unlinkat(store->dir, path, 0) == 0 || errno == ENOENT || errno == ENOTDIR ||
                errno == EISDIR || errno == EPERM;
    if (gone)
        store->used -= file_sizes_remove(&store->sizes, key);
    pthread_mutex_unlock(&store->counting);
}

/* Takes files off the count that another program, or a user, has deleted to make room. */
static void forget_gone(struct store *store)
{
    struct file_key *keys;
    size_t count;
    pthread_mutex_lock(&store->counting);
    int rc = file_sizes_list(&store->sizes, &keys, &count);
    pthread_mutex_unlock(&store->counting);
    if (rc < 0)
        return;
    for (size_t i = 0; i < count; i++) {
        char path[2 * STORE_NAME_SIZE];
        path_of(&keys[i], path);
        /* a file that is put back now is counted afterwards */
        pthread_mutex_lock(&store->counting);
        if (faccessat(store->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
            (errno == ENOENT || errno == ENOTDIR))
            store->used -= file_sizes_remove(&store->sizes, keys[i]);
        pthread_mutex_unlock(&store->counting);
    }
    free(keys);
}

/* ---- making room ---- */

/* A file that may go. */
struct candidate {
    struct timespec used; /* the later of its own last use and its relation's, */
    struct timespec read; /* and its own */
    struct file_key key;
};

struct candidates {
    struct store *store;
    bool (*in_use)(void *, uint32_t);
    void *context;
    struct candidate *list;
    size_t count, room;
};

static int compare_times(struct timespec a, struct timespec b)
{
    if (a.tv_sec != b.tv_sec)
        return a.tv_sec < b.tv_sec ? -1 : 1;
    return a.tv_nsec < b.tv_nsec ? -1 : a.tv_nsec > b.tv_nsec;
}

static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    int order = compare_times(x->used, y->used);
    if (order == 0)
        order = compare_times(x->read, y->read);
    return order != 0 ? order : x->key.id < y->key.id ? -1 : x->key.id > y->key.id;
}

/* Adds a candidate; without memory for it there is one fewer. */
static void add_candidate(struct candidates *candidates, const struct candidate *one)
{
    if (candidates->count == candidates->room) {
        size_t room = 2 * candidates->room + 64;
        struct candidate *grown = realloc(candidates->list, room * sizeof *grown);
        if (grown == NULL)
            return;
        candidates->list = grown;
        candidates->room = room;
    }
    candidates->list[candidates->count++] = *one;
}

static void collect(void *context, uint32_t relation)
{
    struct candidates *candidates = context;
    char name[STORE_NAME_SIZE];
    struct stat whole, st;
    if (candidates->in_use(candidates->context, relation))
        return;
    snprintf(name, sizeof name, "%" PRIu32, relation);
    DIR *folder = store_open_folder(candidates->store->dir, name);
    if (folder == NULL)
        return;
    bool known = fstat(dirfd(folder), &whole) == 0;
    struct dirent *entry;
    while (known && (entry = readdir(folder)) != NULL) {
        uint64_t id;
        bool index = store_parse_index_name(entry->d_name, "", &id);
        if ((!index && !store_parse_group_name(entry->d_name, &id)) ||
            fstatat(dirfd(folder), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        bool lately = compare_times(st.st_mtim, whole.st_mtim) > 0;
        add_candidate(candidates, &(struct candidate){lately ? st.st_mtim : whole.st_mtim,
                                                      st.st_mtim,
                                                      {id, relation, index}});
    }
    closedir(folder);
}

bool store_disk_is_full(const struct store *store, uint64_t bytes)
{
    return store->used + bytes <= store->limit;
}

static void drop_unused(struct candidates *candidates, struct file_key key)
{
    struct store *store = candidates->store;
    pthread_mutex_lock(&store->dropping);
    if (!candidates->in_use(candidates->context, key.relation)) /* again: collecting takes time */
        store_drop(store, key);
    pthread_mutex_unlock(&store->dropping);
}

void store_await_drops(struct store *store)
{
    pthread_mutex_lock(&store->dropping);
    pthread_mutex_unlock(&store->dropping);
}

bool store_make_room(struct store *store, uint64_t bytes, bool disk_full,
                     bool (*in_use)(void *, uint32_t), void *context)
{
    struct candidates candidates = {.store = store, .in_use = in_use, .context = context};
    pthread_mutex_lock(&store->making_room);
    if (disk_full || store->used + bytes > store->limit)
        forget_gone(store);
    /* It is not known what fits on a full disk: as many bytes go as are to come. */
    uint64_t used = store->used, limit = store->limit;
    if (disk_full && used < limit)
        limit = used;
    if (used + bytes > limit)
        store_each(store, collect, &candidates);
    if (candidates.count > 0)
        qsort(candidates.list, candidates.count, sizeof *candidates.list, compare_candidates);
    for (size_t i = 0; i < candidates.count && store->used + bytes > limit; i++)
        drop_unused(&candidates, candidates.list[i].key);
    pthread_mutex_unlock(&store->making_room);
    free(candidates.list);
    return store->used + bytes <= limit;
}
