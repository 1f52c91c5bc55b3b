#include "fs/views/body.h"

#include "codec/clock.h"
#include "fs/base/patience.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    BUCKETS = 1024,
    LARGE_KEPT = 2,     /* two, so that a reader can go from one to the next */
    LARGE_SECONDS = 10, /* a large body is kept for so long without a reader */
    FETCHED_AHEAD = 8
};

struct body {
    uint64_t group; /* its id, which is unique: whichever snapshot asks finds the body */
    struct rendition rendition; /* with a reference to its columns */
    int rc; /* 0 once rendered, -EINPROGRESS while it is rendered, else the failure */
    struct error error;
    struct buffer bytes;
    uint64_t served;    /* bytes of it that readers have got */
    unsigned borrowers; /* guarded by the cache's lock, as are all links */
    bool waits;         /* the thread that renders it may wait for the server */
    bool hidden;        /* it has failed: the next caller makes another */
    time_t used_at;
    struct body *next_in_bucket;
    struct body *newer, *older; /* by last use */
};

struct body_cache {
    const struct fetch_place *place;
    struct workers *workers;
    struct waiters *waiters;
    uint64_t limit;
    int depth;              /* number of groups rendered ahead of a reader */
    pthread_mutex_t lock;   /* guards what follows */
    pthread_cond_t changed; /* a rendering has ended */
    uint64_t used, rendered;
    int large;         /* bodies of more than half the limit */
    int ahead;         /* renderings queued for later */
    int fetched_ahead; /* those of them that wait for the server */
    struct body *buckets[BUCKETS];
    struct body *newest, *oldest;
};

int body_cache_new(const struct fetch_place *place, struct workers *workers, int threads,
                   struct waiters *waiters, uint64_t limit, struct body_cache **out)
{
    struct body_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    cache->place = place;
    cache->workers = workers;
    cache->waiters = waiters;
    cache->limit = limit;
    cache->depth = threads > 4 ? threads : 4;
    pthread_mutex_init(&cache->lock, NULL);
    clock_cond_init(&cache->changed);
    *out = cache;
    return 0;
}

static struct body **find(struct body_cache *cache, uint64_t group,
                          const struct rendition *rendition)
{
    uint64_t number = group * FORMAT_COUNT + rendition_hash(rendition);
    struct body **at = &cache->buckets[number % BUCKETS];
    while (*at != NULL && ((*at)->group != group || !rendition_same(&(*at)->rendition, rendition)))
        at = &(*at)->next_in_bucket;
    return at;
}

static void unlink_use(struct body_cache *cache, struct body *body)
{
    *(body->newer != NULL ? &body->newer->older : &cache->newest) = body->older;
    *(body->older != NULL ? &body->older->newer : &cache->oldest) = body->newer;
}

static void link_newest(struct body_cache *cache, struct body *body)
{
    body->newer = NULL;
    body->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = body;
    cache->newest = body;
}

static bool is_large(const struct body_cache *cache, const struct body *body)
{
    return body->bytes.capacity > cache->limit / 2;
}

static void hide(struct body_cache *cache, struct body *body)
{
    if (!body->hidden)
        *find(cache, body->group, &body->rendition) = body->next_in_bucket;
    body->hidden = true;
}

/* Sets the body's bytes, or none. */
static void set_bytes(struct body_cache *cache, struct body *body, struct buffer bytes)
{
    cache->used -= body->bytes.capacity;
    cache->large -= is_large(cache, body);
    body->bytes = bytes;
    cache->used += body->bytes.capacity;
    cache->large += is_large(cache, body);
}

static void drop(struct body_cache *cache, struct body *body)
{
    struct buffer bytes = body->bytes;
    hide(cache, body);
    unlink_use(cache, body);
    set_bytes(cache, body, (struct buffer){0});
    buffer_clear(&bytes);
    columns_unref(body->rendition.columns);
    free(body);
}

/* Whether the body was read once from one end to the other: then its bytes are in the kernel's page
 * cache. Only its memory is of use, which is there already and need not be cleared again. */
static bool is_served(const struct body *body)
{
    return body->borrowers == 0 && body->rc == 0 && body->served >= body->bytes.size;
}

/* Whether a body that does not fit beside others is kept beyond the limit: until it has been read
 * to its end, or is not read any more. If it were made anew for each READ, a reader would need
 * hours. Only a few are kept. */
static bool is_kept(const struct body_cache *cache, const struct body *body)
{
    int newer = 0;
    if (!is_large(cache, body) || is_served(body))
        return false;
    for (const struct body *at = cache->newest; at != body; at = at->older)
        newer += is_large(cache, at);
    return newer < LARGE_KEPT;
}

/* The bytes in use, without those bodies. */
static uint64_t counted(const struct body_cache *cache)
{
    uint64_t used = cache->used;
    int left = cache->large < LARGE_KEPT ? cache->large : LARGE_KEPT;
    for (const struct body *at = cache->newest; left > 0 && at != NULL; at = at->older)
        if (is_large(cache, at)) {
            used -= at->bytes.capacity;
            left--;
        }
    return used;
}

/* The memory of the body that is needed least, if it is not needed any more or room gets short, and
 * if it is large enough for `size`; else none. */
static struct buffer recycle(struct body_cache *cache, uint64_t size)
{
    struct buffer bytes = {0};
    struct body *body = cache->oldest;
    bool is_short = counted(cache) > cache->limit / 4 * 3;
    while (body != NULL && !is_served(body))
        body = body->newer;
    for (struct body *at = cache->oldest; body == NULL && at != NULL && is_short; at = at->newer)
        if (at->borrowers == 0 && at->rc == 0 && !is_kept(cache, at))
            body = at;
    if (body == NULL)
        return bytes;
    bytes = body->bytes;
    cache->used -= bytes.capacity;
    cache->large -= is_large(cache, body);
    body->bytes = (struct buffer){0};
    bytes.size = 0;
    drop(cache, body);
    if (bytes.capacity < size) /* to grow would copy what it held */
        buffer_clear(&bytes);
    return bytes;
}

static void shrink(struct body_cache *cache)
{
    for (struct body *body = cache->oldest, *newer; body != NULL && counted(cache) > cache->limit;
         body = newer) {
        newer = body->newer;
        if (is_served(body))
            drop(cache, body);
    }
    for (struct body *body = cache->oldest, *newer; body != NULL && counted(cache) > cache->limit;
         body = newer) {
        newer = body->newer;
        if (body->borrowers == 0 && body->rc == 0 && !is_kept(cache, body))
            drop(cache, body);
    }
}

static void shed_large(struct body_cache *cache, time_t before)
{
    for (struct body *body = cache->oldest, *newer; body != NULL && cache->large > 0;
         body = newer) {
        newer = body->newer;
        if (is_large(cache, body) && body->borrowers == 0 &&
            (is_served(body) || body->used_at < before))
            drop(cache, body);
    }
}

void body_cache_tend(struct body_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    shed_large(cache, clock_ms() / 1000 - LARGE_SECONDS);
    pthread_mutex_unlock(&cache->lock);
}

void body_cache_free(struct body_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->oldest != NULL)
        drop(cache, cache->oldest);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

struct rendering {
    const struct view *view;
    uint64_t size; /* of the body, if it is known */
    struct buffer *bytes;
};

static int render_rows(void *context, const struct rowgroup *rows)
{
    const struct rendering *rendering = context;
    const struct view *view = rendering->view;
    rendering->bytes->size = 0;
    int rc =
        rendering->size == SIZE_UNKNOWN ? 0 : buffer_reserve(rendering->bytes, rendering->size);
    return rc < 0 ? rc
                  : view->rendition.format->body(view_schema(view), rows, NULL, rendering->bytes);
}

static int render(struct body_cache *cache, const struct view *view, size_t number,
                  struct buffer *bytes, struct error *error)
{
    const struct format *format = view->rendition.format;
    uint64_t size = group_size(view->snapshot->groups[number], &view->rendition);
    struct rendering rendering = {view, size, bytes};
    int rc = fetch_use(cache->place, view, number, render_rows, &rendering, error);
    if (rc == 0 && size != SIZE_UNKNOWN && bytes->size != size)
        rc = error_set(error, -EIO, "row group %zu came out as %zu bytes of %s instead of %llu",
                       number, bytes->size, format->name, (unsigned long long)size);
    return rc;
}

/* Called with the lock held; gives the lock up while it renders. */
static void render_into(struct body_cache *cache, const struct view *view, size_t number,
                        struct body *body)
{
    uint64_t size = group_size(view->snapshot->groups[number], &view->rendition);
    struct buffer bytes = recycle(cache, size == SIZE_UNKNOWN ? 0 : size);
    pthread_mutex_unlock(&cache->lock);
    struct error error = {""};
    int rc = render(cache, view, number, &bytes, &error);
    if (rc < 0)
        buffer_clear(&bytes);
    pthread_mutex_lock(&cache->lock);
    set_bytes(cache, body, bytes);
    body->error = error;
    body->rc = rc;
    if (rc < 0)
        hide(cache, body);
    cache->rendered++;
    pthread_cond_broadcast(&cache->changed);
}

static struct body *add(struct body_cache *cache, uint64_t group, const struct rendition *rendition)
{
    struct body *body = calloc(1, sizeof *body);
    if (body == NULL)
        return NULL;
    body->group = group;
    body->rendition = (struct rendition){rendition->format, columns_ref(rendition->columns)};
    body->rc = -EINPROGRESS;
    *find(cache, group, rendition) = body;
    link_newest(cache, body);
    return body;
}

static void use(struct body_cache *cache, struct body *body)
{
    body->borrowers++;
    body->used_at = clock_ms() / 1000;
    unlink_use(cache, body);
    link_newest(cache, body);
}

static void release_locked(struct body_cache *cache, struct body *body)
{
    body->borrowers--;
    if (body->borrowers == 0 && body->rc < 0)
        drop(cache, body);
    else
        shrink(cache);
    shed_large(cache, 0);
}

/* Waits for a body that another thread makes. A thread that computes does not wait for a thread
 * that waits. */
static int await(struct body_cache *cache, struct body *body, struct error *error)
{
    int rc = 0;
    while (rc == 0 && body->rc == -EINPROGRESS) {
        rc = body->waits ? patience_ask(error) : 0;
        if (rc == 0)
            rc = patience_wait(&cache->changed, &cache->lock);
    }
    if (rc == 0 && body->rc < 0 && error != NULL)
        *error = body->error;
    return rc == 0 ? body->rc : rc;
}

/* -ECANCELED: the thread that made it could not wait, or was stopped, which need not be true of
 * this caller. */
static int get_once(struct body_cache *cache, const struct view *view, size_t number,
                    struct body **out, struct error *error)
{
    uint64_t group = view->snapshot->groups[number]->id;
    struct body *body = *find(cache, group, &view->rendition);
    bool mine = body == NULL;
    if (mine)
        body = add(cache, group, &view->rendition);
    if (body == NULL)
        return error_set(error, -ENOMEM, "no memory to render with");
    use(cache, body);
    if (mine) {
        body->waits = patience_waits();
        render_into(cache, view, number, body);
    }
    int rc = await(cache, body, error);
    bool anothers = !mine && (body->rc == -EAGAIN || body->rc == -EINTR);
    if (rc < 0) {
        release_locked(cache, body);
        return anothers ? -ECANCELED : rc;
    }
    shrink(cache);
    *out = body;
    return 0;
}

int body_get(struct body_cache *cache, const struct view *view, size_t number, struct body **out,
             struct error *error)
{
    int rc = -ECANCELED;
    pthread_mutex_lock(&cache->lock);
    while (rc == -ECANCELED)
        rc = get_once(cache, view, number, out, error);
    pthread_mutex_unlock(&cache->lock);
    return rc;
}

int body_try(struct body_cache *cache, const struct view *view, size_t number, struct body **out)
{
    int rc = -EAGAIN;
    pthread_mutex_lock(&cache->lock);
    struct body *body = *find(cache, view->snapshot->groups[number]->id, &view->rendition);
    if (body != NULL && body->rc == 0) {
        use(cache, body);
        *out = body;
        rc = 0;
    }
    pthread_mutex_unlock(&cache->lock);
    return rc;
}

/* ---- ahead of a reader ---- */

struct ahead {
    struct body_cache *cache;
    struct view view; /* with references of its own */
    size_t group;
};

static void end_ahead(struct ahead *ahead)
{
    pthread_mutex_lock(&ahead->cache->lock);
    ahead->cache->ahead--;
    pthread_mutex_unlock(&ahead->cache->lock);
    view_unref(&ahead->view);
    free(ahead);
}

static void render_ahead(struct ahead *ahead)
{
    struct body *body;
    if (body_get(ahead->cache, &ahead->view, ahead->group, &body, NULL) == 0)
        body_release(ahead->cache, body, 0);
}

/* Releases the last reference to a snapshot, perhaps, and so ends it: on waiters that is
 * allowed. */
static void fetch_ahead(void *argument)
{
    struct ahead *ahead = argument;
    render_ahead(ahead);
    pthread_mutex_lock(&ahead->cache->lock);
    ahead->cache->fetched_ahead--;
    pthread_mutex_unlock(&ahead->cache->lock);
    end_ahead(ahead);
}

/* Begins to fetch a group that the cache has lost. A few are fetched at once; more would be in the
 * way of others. */
static bool begin_fetch(struct ahead *ahead)
{
    struct body_cache *cache = ahead->cache;
    pthread_mutex_lock(&cache->lock);
    bool begins = cache->waiters != NULL && cache->fetched_ahead < FETCHED_AHEAD;
    cache->fetched_ahead += begins;
    pthread_mutex_unlock(&cache->lock);
    if (!begins || waiters_add(cache->waiters, fetch_ahead, ahead) == 0)
        return begins;
    pthread_mutex_lock(&cache->lock);
    cache->fetched_ahead--;
    pthread_mutex_unlock(&cache->lock);
    return false;
}

static void work_ahead(void *argument)
{
    struct ahead *ahead = argument;
    struct patience none = {.waits = false};
    patience_begin(&none);
    render_ahead(ahead);
    patience_end(&none);
    if (!none.refused || !begin_fetch(ahead))
        end_ahead(ahead);
}

static void begin_ahead(struct body_cache *cache, const struct view *view, size_t number)
{
    const struct group *group = view->snapshot->groups[number];
    uint64_t size = group_size(group, &view->rendition);
    if (size == SIZE_UNKNOWN)
        size = group->bytes;
    pthread_mutex_lock(&cache->lock);
    bool wanted = cache->ahead < 2 * cache->depth && size <= cache->limit / 2 &&
                  counted(cache) < cache->limit / 4 * 3 &&
                  *find(cache, group->id, &view->rendition) == NULL;
    cache->ahead += wanted;
    pthread_mutex_unlock(&cache->lock);
    if (!wanted)
        return;
    struct ahead *ahead = malloc(sizeof *ahead);
    if (ahead != NULL) {
        *ahead = (struct ahead){cache, view_ref(view), number};
        if (workers_add(cache->workers, work_ahead, ahead, 0) == 0)
            return;
        view_unref(view);
        free(ahead);
    }
    pthread_mutex_lock(&cache->lock);
    cache->ahead--;
    pthread_mutex_unlock(&cache->lock);
}

void body_ahead(struct body_cache *cache, const struct view *view, size_t number)
{
    size_t end = view_end(view);
    for (size_t i = number; i < number + (size_t)cache->depth && i < end; i++)
        begin_ahead(cache, view, i);
}

const struct buffer *body_bytes(const struct body *body) { return &body->bytes; }

void body_release(struct body_cache *cache, struct body *body, uint64_t served)
{
    pthread_mutex_lock(&cache->lock);
    body->served += served;
    release_locked(cache, body);
    pthread_mutex_unlock(&cache->lock);
}

uint64_t body_cache_used(struct body_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t used = cache->used;
    pthread_mutex_unlock(&cache->lock);
    return used;
}

uint64_t body_cache_rendered(struct body_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    uint64_t rendered = cache->rendered;
    pthread_mutex_unlock(&cache->lock);
    return rendered;
}
