#include "fs/body.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS = 1024 };

struct body {
    uint64_t group; /* id: unique, so that a body is found whatever snapshot asks */
    int format;
    int rc; /* 0 once rendered, -EINPROGRESS while it is, else why not */
    struct error error;
    struct buffer bytes;
    uint64_t served;    /* bytes of it that readers have got */
    unsigned borrowers; /* guarded by the cache's lock, like all links */
    struct body *next_in_bucket;
    struct body *newer, *older; /* by use */
};

struct body_cache {
    const struct fetch_place *place;
    struct workers *workers;
    uint64_t limit;
    int depth;            /* groups rendered ahead of a reader */
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t rendered;
    uint64_t used;
    int ahead; /* renderings queued for later */
    struct body *buckets[BUCKETS];
    struct body *newest, *oldest;
};

int body_cache_new(const struct fetch_place *place, struct workers *workers, int threads,
                   uint64_t limit, struct body_cache **out)
{
    struct body_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    cache->place = place;
    cache->workers = workers;
    cache->limit = limit;
    cache->depth = threads > 4 ? threads : 4;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->rendered, NULL);
    *out = cache;
    return 0;
}

static struct body **find(struct body_cache *cache, uint64_t group, int format)
{
    struct body **at = &cache->buckets[(group * FORMAT_COUNT + (uint64_t)format) % BUCKETS];
    while (*at != NULL && ((*at)->group != group || (*at)->format != format))
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

static void drop(struct body_cache *cache, struct body *body)
{
    struct body **at = find(cache, body->group, body->format);
    *at = body->next_in_bucket;
    unlink_use(cache, body);
    cache->used -= body->bytes.capacity;
    buffer_clear(&body->bytes);
    free(body);
}

/* Read once from one end to the other, it is in the kernel's page cache: of no more use here than
 * its memory, which is there already and need not be cleared again. */
static bool is_served(const struct body *body)
{
    return body->borrowers == 0 && body->rc == 0 && body->served >= body->bytes.size;
}

/* The memory of the body that is needed least, if it is needed no more or room gets short, and if
 * it is enough for `size`; else none. */
static struct buffer recycle(struct body_cache *cache, uint64_t size)
{
    struct buffer bytes = {0};
    struct body *body = cache->oldest;
    while (body != NULL && !is_served(body))
        body = body->newer;
    for (struct body *at = cache->oldest;
         body == NULL && at != NULL && cache->used > cache->limit / 4 * 3; at = at->newer)
        if (at->borrowers == 0 && at->rc == 0)
            body = at;
    if (body == NULL)
        return bytes;
    bytes = body->bytes;
    cache->used -= bytes.capacity;
    body->bytes = (struct buffer){0};
    bytes.size = 0;
    drop(cache, body);
    if (bytes.capacity < size) /* to let it grow would mean to copy what it held */
        buffer_clear(&bytes);
    return bytes;
}

static void shrink(struct body_cache *cache)
{
    for (struct body *body = cache->oldest, *newer; body != NULL && cache->used > cache->limit;
         body = newer) {
        newer = body->newer;
        if (is_served(body))
            drop(cache, body);
    }
    for (struct body *body = cache->oldest, *newer; body != NULL && cache->used > cache->limit;
         body = newer) {
        newer = body->newer;
        if (body->borrowers == 0)
            drop(cache, body);
    }
}

void body_cache_free(struct body_cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->oldest != NULL)
        drop(cache, cache->oldest);
    pthread_cond_destroy(&cache->rendered);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

static int render(struct body_cache *cache, struct snapshot *snapshot, int format, size_t number,
                  struct buffer *bytes, struct error *error)
{
    struct rowgroup *rows;
    struct group *group = snapshot->groups[number];
    int rc = fetch_group(cache->place, snapshot, number, &rows, error);
    if (rc < 0)
        return rc;
    uint64_t size = group->sizes[format];
    rc = size == SIZE_UNKNOWN ? 0 : buffer_reserve(bytes, size);
    if (rc == 0)
        rc = formats[format]->body(snapshot->schema, rows, bytes);
    rowgroup_free(rows);
    if (rc == 0 && size != SIZE_UNKNOWN && bytes->size != size)
        rc = error_set(error, -EIO, "row group %zu came out as %zu bytes of %s instead of %llu",
                       number, bytes->size, formats[format]->name, (unsigned long long)size);
    return rc;
}

/* Called with the lock held; gives it up while it renders. */
static void render_into(struct body_cache *cache, struct snapshot *snapshot, size_t number,
                        struct body *body)
{
    uint64_t size = snapshot->groups[number]->sizes[body->format];
    struct buffer bytes = recycle(cache, size == SIZE_UNKNOWN ? 0 : size);
    pthread_mutex_unlock(&cache->lock);
    struct error error = {""};
    int rc = render(cache, snapshot, body->format, number, &bytes, &error);
    if (rc < 0)
        buffer_clear(&bytes);
    pthread_mutex_lock(&cache->lock);
    body->bytes = bytes;
    body->error = error;
    body->rc = rc;
    cache->used += bytes.capacity;
    pthread_cond_broadcast(&cache->rendered);
}

static struct body *add(struct body_cache *cache, uint64_t group, int format)
{
    struct body *body = calloc(1, sizeof *body);
    if (body == NULL)
        return NULL;
    body->group = group;
    body->format = format;
    body->rc = -EINPROGRESS;
    *find(cache, group, format) = body;
    link_newest(cache, body);
    return body;
}

static void release_locked(struct body_cache *cache, struct body *body)
{
    body->borrowers--;
    if (body->borrowers == 0 && body->rc < 0)
        drop(cache, body); /* the next one tries again */
    else
        shrink(cache);
}

int body_get(struct body_cache *cache, struct snapshot *snapshot, int format, size_t number,
             struct body **out, struct error *error)
{
    uint64_t group = snapshot->groups[number]->id;
    pthread_mutex_lock(&cache->lock);
    struct body *body = *find(cache, group, format);
    bool mine = body == NULL;
    if (mine)
        body = add(cache, group, format);
    if (body == NULL) {
        pthread_mutex_unlock(&cache->lock);
        return error_set(error, -ENOMEM, "no memory to render with");
    }
    body->borrowers++;
    unlink_use(cache, body);
    link_newest(cache, body);
    if (mine)
        render_into(cache, snapshot, number, body);
    while (body->rc == -EINPROGRESS)
        pthread_cond_wait(&cache->rendered, &cache->lock);
    int rc = body->rc;
    if (rc < 0) {
        if (error != NULL)
            *error = body->error;
        release_locked(cache, body);
    } else {
        shrink(cache);
        *out = body;
    }
    pthread_mutex_unlock(&cache->lock);
    return rc;
}

int body_try(struct body_cache *cache, struct snapshot *snapshot, int format, size_t number,
             struct body **out)
{
    int rc = -EAGAIN;
    pthread_mutex_lock(&cache->lock);
    struct body *body = *find(cache, snapshot->groups[number]->id, format);
    if (body != NULL && body->rc == 0) {
        body->borrowers++;
        unlink_use(cache, body);
        link_newest(cache, body);
        *out = body;
        rc = 0;
    }
    pthread_mutex_unlock(&cache->lock);
    return rc;
}

struct ahead {
    struct body_cache *cache;
    struct snapshot *snapshot;
    int format;
    size_t group;
};

static void render_ahead(void *argument)
{
    struct ahead *ahead = argument;
    struct body *body;
    if (body_get(ahead->cache, ahead->snapshot, ahead->format, ahead->group, &body, NULL) == 0)
        body_release(ahead->cache, body, 0);
    pthread_mutex_lock(&ahead->cache->lock);
    ahead->cache->ahead--;
    pthread_mutex_unlock(&ahead->cache->lock);
    snapshot_unref(ahead->snapshot);
    free(ahead);
}

static void begin_ahead(struct body_cache *cache, struct snapshot *snapshot, int format,
                        size_t number)
{
    pthread_mutex_lock(&cache->lock);
    bool wanted = cache->ahead < 2 * cache->depth && cache->used < cache->limit / 4 * 3 &&
                  *find(cache, snapshot->groups[number]->id, format) == NULL;
    cache->ahead += wanted;
    pthread_mutex_unlock(&cache->lock);
    if (!wanted)
        return;
    struct ahead *ahead = malloc(sizeof *ahead);
    if (ahead != NULL) {
        *ahead = (struct ahead){cache, snapshot_ref(snapshot), format, number};
        if (workers_add(cache->workers, render_ahead, ahead, 0) == 0)
            return;
        snapshot_unref(snapshot);
        free(ahead);
    }
    pthread_mutex_lock(&cache->lock);
    cache->ahead--;
    pthread_mutex_unlock(&cache->lock);
}

void body_ahead(struct body_cache *cache, struct snapshot *snapshot, int format, size_t number)
{
    for (size_t i = number; i < number + (size_t)cache->depth && i < snapshot->group_count; i++)
        begin_ahead(cache, snapshot, format, i);
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
