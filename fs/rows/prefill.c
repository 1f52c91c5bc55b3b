#include "fs/rows/prefill.h"

#include "fs/base/kernel.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A piece of a run whose turn has not come. */
struct piece {
    struct piece *next;
    size_t size;
    uint8_t bytes[];
};

struct waiting {
    struct waiting *next;
    size_t major;
    struct piece *first, **last;
    bool done;
};

struct prefill {
    const struct kernel *kernel;
    uint64_t nodeid, budget;
    struct prefill_room *room;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t offset;      /* offset of the first byte not stored: a multiple of the page size */
    struct buffer rest;   /* the beginning of a page whose rest has not come */
    size_t major;         /* the run whose turn it is */
    struct waiting *waiting;
    bool stored, stopped, spoiled;
};

int prefill_new(const struct kernel *kernel, uint64_t nodeid, struct prefill_room *room,
                struct prefill **out)
{
    struct prefill *prefill = calloc(1, sizeof *prefill);
    if (prefill == NULL)
        return -ENOMEM;
    prefill->kernel = kernel;
    prefill->nodeid = nodeid;
    prefill->room = room;
    pthread_mutex_init(&prefill->lock, NULL);
    *out = prefill;
    return 0;
}

static void free_waiting(struct prefill *prefill, struct waiting *waiting)
{
    while (waiting->first != NULL) {
        struct piece *piece = waiting->first;
        waiting->first = piece->next;
        prefill->room->used -= piece->size;
        free(piece);
    }
    free(waiting);
}

static void forget_waiting(struct prefill *prefill)
{
    while (prefill->waiting != NULL) {
        struct waiting *waiting = prefill->waiting;
        prefill->waiting = waiting->next;
        free_waiting(prefill, waiting);
    }
}

static void stop(struct prefill *prefill)
{
    prefill->stopped = true;
    forget_waiting(prefill);
}

static void send(struct prefill *prefill, const void *bytes, size_t size)
{
    prefill->stored = true;
    if (kernel_store(prefill->kernel, prefill->nodeid, prefill->offset, bytes, size) < 0)
        /* The kernel has forgotten the node, or has no memory: what is missing comes by READ. */
        stop(prefill);
    prefill->offset += size;
}

/* Stores whole pages only: if a page is filled up to the end of the file as known so far, the
 * kernel takes it for complete, with zeros behind. */
static void store(struct prefill *prefill, const uint8_t *bytes, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), missing = page - prefill->rest.size;
    if (prefill->offset + prefill->rest.size + size > prefill->budget)
        stop(prefill);
    if (prefill->stopped)
        return;
    if (prefill->rest.size > 0 && size >= missing) {
        if (buffer_append(&prefill->rest, bytes, missing) < 0) {
            stop(prefill);
            return;
        }
        send(prefill, prefill->rest.data, page);
        prefill->rest.size = 0;
        bytes += missing;
        size -= missing;
    }
    size_t whole = prefill->rest.size == 0 ? size / page * page : 0;
    if (whole > 0 && !prefill->stopped)
        send(prefill, bytes, whole);
    if (!prefill->stopped && buffer_append(&prefill->rest, bytes + whole, size - whole) < 0)
        stop(prefill);
}

static struct waiting **find(struct prefill *prefill, size_t major)
{
    struct waiting **at = &prefill->waiting;
    while (*at != NULL && (*at)->major != major)
        at = &(*at)->next;
    return at;
}

/* Stores the runs whose turn it is next, as far as they have come already. */
static void advance(struct prefill *prefill)
{
    for (;;) {
        struct waiting **at = find(prefill, prefill->major), *waiting = *at;
        if (waiting == NULL)
            return;
        *at = waiting->next;
        bool done = waiting->done;
        for (const struct piece *piece = waiting->first; piece != NULL; piece = piece->next)
            store(prefill, piece->bytes, piece->size);
        free_waiting(prefill, waiting);
        if (!done)
            return;
        prefill->major++;
    }
}

static struct waiting *wait_for_turn(struct prefill *prefill, size_t major)
{
    struct waiting **at = find(prefill, major);
    if (*at == NULL && (*at = calloc(1, sizeof **at)) != NULL) {
        (*at)->major = major;
        (*at)->last = &(*at)->first;
    }
    return *at;
}

static bool add_piece(struct prefill *prefill, struct waiting *waiting, const void *bytes,
                      size_t size)
{
    struct prefill_room *room = prefill->room;
    bool fits = atomic_fetch_add(&room->used, size) + size <= room->limit;
    struct piece *piece = fits ? malloc(sizeof *piece + size) : NULL;
    if (piece == NULL) {
        room->used -= size;
        return false;
    }
    piece->next = NULL;
    piece->size = size;
    if (size > 0)
        memcpy(piece->bytes, bytes, size);
    *waiting->last = piece;
    waiting->last = &piece->next;
    return true;
}

static uint64_t share_of_memory(void)
{
    unsigned long long available = 0;
    char line[128];
    FILE *info = fopen("/proc/meminfo", "re");
    while (info != NULL && fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "MemAvailable: %llu kB", &available) == 1)
            break;
    if (info != NULL)
        fclose(info);
    return available * 1024 / 4;
}

void prefill_head(struct prefill *prefill, const struct buffer *head)
{
    uint64_t budget = share_of_memory();
    pthread_mutex_lock(&prefill->lock);
    prefill->budget = budget;
    store(prefill, head->data, head->size);
    pthread_mutex_unlock(&prefill->lock);
}

void prefill_put(struct prefill *prefill, size_t major, const void *bytes, size_t size)
{
    pthread_mutex_lock(&prefill->lock);
    if (prefill->stopped) {
        /* nothing more is stored */
    } else if (major == prefill->major) {
        store(prefill, bytes, size);
    } else {
        struct waiting *waiting = wait_for_turn(prefill, major);
        if (waiting == NULL || !add_piece(prefill, waiting, bytes, size))
            stop(prefill);
    }
    pthread_mutex_unlock(&prefill->lock);
}

void prefill_run_done(struct prefill *prefill, size_t major)
{
    pthread_mutex_lock(&prefill->lock);
    if (prefill->stopped) {
        /* nothing more is stored */
    } else if (major == prefill->major) {
        prefill->major++;
        advance(prefill);
    } else {
        struct waiting *waiting = wait_for_turn(prefill, major);
        if (waiting == NULL)
            stop(prefill);
        else
            waiting->done = true;
    }
    pthread_mutex_unlock(&prefill->lock);
}

void prefill_spoil(struct prefill *prefill)
{
    pthread_mutex_lock(&prefill->lock);
    prefill->spoiled = true;
    stop(prefill);
    pthread_mutex_unlock(&prefill->lock);
}

enum prefill_result prefill_end(struct prefill *prefill, const struct buffer *tail, uint64_t size)
{
    if (prefill == NULL)
        return PREFILL_NOTHING;
    /* Not all was put, for example, if the version turned out to be the old one. */
    if (tail != NULL && prefill->offset + prefill->rest.size + tail->size == size) {
        store(prefill, tail->data, tail->size);
        if (!prefill->stopped && prefill->rest.size > 0)
            send(prefill, prefill->rest.data, prefill->rest.size);
    }
    stop(prefill);
    enum prefill_result result = !prefill->stored   ? PREFILL_NOTHING
                                 : prefill->spoiled ? PREFILL_SPOILED
                                                    : PREFILL_GOOD;
    buffer_clear(&prefill->rest);
    pthread_mutex_destroy(&prefill->lock);
    free(prefill);
    return result;
}
