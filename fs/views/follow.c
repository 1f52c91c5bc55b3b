#include "fs/views/follow.h"

#include "fs/base/patience.h"
#include "fs/views/strips.h"
#include "fs/views/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRAILS = 16,
    PAGE = 4096,
    STRIP_MOST = 64 << 10,
    LEAD = 8,
    GROUPS_FIRST = 8,
    GROUPS_MOST = 64
};

/* A column that is being read in a file. */
struct trail {
    uint64_t nodeid; /* 0: none */
    int column;      /* its place among the strips */
    size_t reached;  /* the group behind those that have been read, or stored */
    size_t read;     /* the group behind those that have been read */
    size_t ahead;    /* how many are stored the next time; 0: it was read once */
    uint64_t used;
    bool stores;
};

struct follow {
    struct body_cache *cache;
    const struct kernel *kernel;
    struct workers *thread;
    _Atomic uint64_t stored;
    atomic_bool stopped;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t clock;
    struct trail trails[TRAILS];
};

int follow_new(struct body_cache *cache, const struct kernel *kernel, struct follow **out)
{
    struct follow *follow = calloc(1, sizeof *follow);
    int rc = follow == NULL ? -ENOMEM : workers_new(1, &follow->thread);
    if (rc < 0) {
        free(follow);
        return rc;
    }
    follow->cache = cache;
    follow->kernel = kernel;
    pthread_mutex_init(&follow->lock, NULL);
    *out = follow;
    return 0;
}

void follow_stop(struct follow *follow)
{
    if (follow == NULL)
        return;
    follow->stopped = true;
    workers_stop(follow->thread);
    workers_join(follow->thread);
}

void follow_free(struct follow *follow)
{
    if (follow == NULL)
        return;
    workers_free(follow->thread);
    pthread_mutex_destroy(&follow->lock);
    free(follow);
}

uint64_t follow_stored(const struct follow *follow) { return follow->stored; }

/* ---- storing ---- */

/* Some strips to be stored. */
struct stretch {
    struct follow *follow;
    struct view view; /* with references of its own */
    uint64_t nodeid;
    int column;
    size_t first, end; /* their groups, counted from the view's first */
};

/* Stores the pages of `size` bytes at `offset`, whole: of one that is not the kernel keeps nothing. */
static int store(const struct stretch *stretch, uint64_t offset, uint64_t size)
{
    struct follow *follow = stretch->follow;
    struct view_bytes bytes = {0};
    struct buffer pages = {0};
    uint64_t begin = offset / PAGE * PAGE, end = (offset + size + PAGE - 1) / PAGE * PAGE;
    int rc = view_read(follow->cache, &stretch->view, begin, end - begin, true, &bytes, NULL);
    for (int i = 0; rc == 0 && i < bytes.count; i++)
        rc = buffer_append(&pages, bytes.pieces[i].iov_base, bytes.pieces[i].iov_len);
    view_bytes_clear(follow->cache, &bytes);
    if (rc == 0)
        rc = kernel_store(follow->kernel, stretch->nodeid, begin, pages.data, pages.size);
    buffer_clear(&pages);
    return rc;
}

static int store_strip(const struct stretch *stretch, size_t group)
{
    const struct face *face = view_face(&stretch->view);
    struct format_strip place;
    int rc = strip_place(&stretch->view, stretch->view.first + group, stretch->column, &place);
    if (rc < 0 || place.size == 0 || place.size > STRIP_MOST)
        return rc < 0 ? rc : -EFBIG;
    strip_ahead(stretch->follow->cache, &stretch->view, stretch->view.first + group + 1,
                stretch->column);
    rc = store(stretch, face->offsets[group] + place.offset, place.size);
    stretch->follow->stored += rc == 0;
    return rc;
}

static struct trail *find(struct follow *follow, uint64_t nodeid, int column)
{
    for (int i = 0; i < TRAILS; i++)
        if (follow->trails[i].nodeid == nodeid && follow->trails[i].column == column)
            return &follow->trails[i];
    return NULL;
}

static void end(struct stretch *stretch)
{
    struct follow *follow = stretch->follow;
    pthread_mutex_lock(&follow->lock);
    struct trail *trail = find(follow, stretch->nodeid, stretch->column);
    if (trail != NULL)
        trail->stores = false;
    pthread_mutex_unlock(&follow->lock);
    view_unref(&stretch->view);
    free(stretch);
}

/* The group, or a later one if the reader has come near it. */
static size_t pass(const struct stretch *stretch, size_t group)
{
    struct follow *follow = stretch->follow;
    pthread_mutex_lock(&follow->lock);
    const struct trail *trail = find(follow, stretch->nodeid, stretch->column);
    size_t read = trail != NULL ? trail->read : 0;
    pthread_mutex_unlock(&follow->lock);
    return group > read ? group : read + LEAD;
}

/* What fails is left out: it comes by READ. */
static void run(void *argument)
{
    struct stretch *stretch = argument;
    struct patience none = {.waits = false};
    patience_begin(&none);
    for (size_t group = stretch->first; group < stretch->end; group++) {
        group = pass(stretch, group);
        if (group >= stretch->end)
            break;
        if (stretch->follow->stopped || store_strip(stretch, group) < 0)
            break;
    }
    patience_end(&none);
    end(stretch);
}

/* ---- following ---- */

static struct trail *begin_trail(struct follow *follow, uint64_t nodeid, int column)
{
    struct trail *oldest = NULL;
    for (int i = 0; i < TRAILS; i++)
        if (!follow->trails[i].stores && (oldest == NULL || follow->trails[i].used < oldest->used))
            oldest = &follow->trails[i];
    if (oldest != NULL)
        *oldest = (struct trail){.nodeid = nodeid, .column = column};
    return oldest;
}

/* Notes the READ of a strip. Gives whether others are to be stored, which *out says. */
static bool note(struct follow *follow, const struct view *view, size_t group, struct stretch *out)
{
    size_t count = view_end(view) - view->first;
    struct trail *trail = find(follow, out->nodeid, out->column);
    bool known = trail != NULL;
    if (!known && (trail = begin_trail(follow, out->nodeid, out->column)) == NULL)
        return false;
    trail->used = ++follow->clock;
    if (trail->read < group + 1)
        trail->read = group + 1;
    if (trail->reached < group + 1 + LEAD)
        trail->reached = group + 1 + LEAD;
    if (!known || trail->stores || trail->reached >= count)
        return false;
    trail->ahead = trail->ahead == 0                ? GROUPS_FIRST
                   : 2 * trail->ahead < GROUPS_MOST ? 2 * trail->ahead
                                                    : GROUPS_MOST;
    out->first = trail->reached;
    out->end = count - trail->reached < trail->ahead ? count : trail->reached + trail->ahead;
    trail->reached = out->end;
    trail->stores = true;
    return true;
}

static void begin_storing(struct follow *follow, const struct view *view,
                          const struct stretch *what)
{
    struct stretch *stretch = malloc(sizeof *stretch);
    if (stretch != NULL) {
        *stretch = *what;
        stretch->view = view_ref(view);
        if (workers_add(follow->thread, run, stretch, 0) == 0)
            return;
        view_unref(view);
        free(stretch);
    }
    pthread_mutex_lock(&follow->lock);
    struct trail *trail = find(follow, what->nodeid, what->column);
    if (trail != NULL)
        trail->stores = false;
    pthread_mutex_unlock(&follow->lock);
}

/* Whether the range is the pages of one strip, which is small. *group is counted from the view's
 * first. The page in which a body begins may begin with the end of the body before. */
static bool strip_at(const struct view *view, uint64_t offset, uint64_t size, size_t *group,
                     int *column)
{
    const struct face *face = view_face(view);
    size_t count = view_end(view) - view->first;
    if (view->rendition.format->strips == NULL || size == 0 || size > STRIP_MOST + PAGE)
        return false;
    *group = view_group_at(face, count, offset + (size < PAGE ? size : PAGE) - 1);
    if (*group == count)
        return false;
    uint64_t start = face->offsets[*group], from = offset > start ? offset - start : 0;
    return strip_alone(view, view->first + *group, from, offset + size - start - from, column);
}

void follow_read(struct follow *follow, uint64_t nodeid, const struct view *view, uint64_t offset,
                 uint64_t size)
{
    struct stretch what = {.follow = follow, .nodeid = nodeid};
    size_t group;
    if (!strip_at(view, offset, size, &group, &what.column))
        return;
    pthread_mutex_lock(&follow->lock);
    bool stores = note(follow, view, group, &what);
    pthread_mutex_unlock(&follow->lock);
    if (stores)
        begin_storing(follow, view, &what);
}
