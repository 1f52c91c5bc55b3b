#include "fs/rows/group_rows.h"

#include "fs/base/log.h"
#include "fs/base/patience.h"

#include <errno.h>
#include <stdlib.h>

enum { BUCKETS = 4096 };

/* Readers of parts take no lock: they pin the group, then look for the part. The thread that frees
 * a part takes it out first, and then looks for pins; if there are any, it puts the part back. */
struct group_rows {
    struct group_cache *cache;
    struct group_rows *next; /* in its bucket */
    unsigned refs;           /* guarded by cache->lock, as is `next` */
    struct group *group;
    int runs; /* number of parts before the row ids */
    atomic_uint pins;
    _Atomic uint64_t used; /* time of the last use, by the cache's clock */
    /* guards what follows, except the reading of parts; a thread that waits for the server may hold
     * it: see patience.h */
    pthread_mutex_t lock;
    bool opened;
    struct mapping *_Atomic mapping;
    struct rowgroup_head head;
    struct rowgroup *memory; /* set if the cache does not have the file, or has it damaged */
    struct part *_Atomic parts[];
};

struct group_cache {
    uint64_t budget;
    _Atomic uint64_t used, held; /* bytes */
    _Atomic uint64_t clock;
    pthread_mutex_t lock;
    struct group_rows *buckets[BUCKETS];
    size_t count;
};

int group_cache_new(uint64_t memory, struct group_cache **out)
{
    struct group_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    cache->budget = memory;
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return 0;
}

void group_cache_free(struct group_cache *cache)
{
    if (cache == NULL)
        return;
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

uint64_t group_cache_used(const struct group_cache *cache) { return cache->used; }

uint64_t group_cache_budget(const struct group_cache *cache) { return cache->budget; }

/* ---- groups ---- */

static struct group_rows **bucket_of(struct group_cache *cache, uint64_t id)
{
    return &cache->buckets[id % BUCKETS];
}

static int make_rows(struct group_cache *cache, struct group *group, int runs,
                     struct group_rows **out)
{
    struct group_rows *rows = calloc(1, sizeof *rows + ((size_t)runs + 2) * sizeof *rows->parts);
    if (rows == NULL)
        return -ENOMEM;
    rows->cache = cache;
    rows->refs = 1;
    rows->group = group_ref(group);
    rows->runs = runs;
    pthread_mutex_init(&rows->lock, NULL);
    *out = rows;
    return 0;
}

int group_rows_get(struct group_cache *cache, struct group *group, const struct schema *schema,
                   struct group_rows **out)
{
    int runs = schema_parts(schema), rc = 0;
    pthread_mutex_lock(&cache->lock);
    struct group_rows **bucket = bucket_of(cache, group->id), *rows = *bucket;
    while (rows != NULL && (rows->group != group || rows->runs != runs || !group_rows_intact(rows)))
        rows = rows->next;
    if (rows != NULL) {
        rows->refs++;
    } else if ((rc = make_rows(cache, group, runs, &rows)) == 0) {
        rows->next = *bucket;
        *bucket = rows;
        cache->count++;
    }
    pthread_mutex_unlock(&cache->lock);
    if (rc == 0)
        *out = rows;
    return rc;
}

static void part_free(struct group_cache *cache, struct part *part)
{
    if (part == NULL)
        return;
    cache->used -= part->bytes;
    cache->held -= part->held_bytes;
    for (int i = 0; i < 3; i++)
        buffer_clear(&part->memory[i]);
    free(part);
}

static void free_memory(struct group_rows *rows)
{
    if (rows->memory == NULL)
        return;
    rows->cache->used -= rows->group->bytes;
    rowgroup_free(rows->memory);
    rows->memory = NULL;
}

void group_rows_unref(struct group_rows *rows)
{
    if (rows == NULL)
        return;
    struct group_cache *cache = rows->cache;
    pthread_mutex_lock(&cache->lock);
    bool last = --rows->refs == 0;
    if (last) {
        struct group_rows **link = bucket_of(cache, rows->group->id);
        while (*link != rows)
            link = &(*link)->next;
        *link = rows->next;
        cache->count--;
    }
    pthread_mutex_unlock(&cache->lock);
    if (!last)
        return;
    for (int i = 0; i < rows->runs + 2; i++)
        part_free(cache, rows->parts[i]);
    free_memory(rows);
    mapping_close(rows->mapping);
    group_unref(rows->group);
    pthread_mutex_destroy(&rows->lock);
    free(rows);
}

void group_rows_pin(struct group_rows *rows) { rows->pins++; }

void group_rows_unpin(struct group_rows *rows)
{
    rows->used = rows->cache->clock++;
    rows->pins--;
}

bool group_rows_intact(const struct group_rows *rows)
{
    const struct mapping *mapping = rows->mapping;
    return mapping == NULL || mapping_is_intact(mapping);
}

/* ---- making room ---- */

/* Frees parts that nobody uses; under rows->lock. */
static void shed(struct group_rows *rows, bool made)
{
    bool needed = false; /* whether a part needs the rows in memory */
    for (int i = 0; i < rows->runs + 1 + made && rows->pins == 0; i++) {
        struct part *part = rows->parts[i];
        if (part == NULL || part->held || part->bytes + part->of_memory == 0)
            continue;
        rows->parts[i] = NULL;
        if (rows->pins == 0)
            part_free(rows->cache, part);
        else
            rows->parts[i] = part;
    }
    for (int i = 0; i < rows->runs + 2; i++) {
        struct part *part = rows->parts[i];
        needed |= part != NULL && part->of_memory;
    }
    if (!needed && rows->memory != NULL) {
        free_memory(rows);
        rows->opened = false;
    }
}

struct candidate {
    struct group_rows *rows;
    uint64_t used;
};

static int by_use(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

/* Lists the groups, a reference each, the least recently used first. */
static size_t list_groups(struct group_cache *cache, struct candidate **out)
{
    size_t count = 0;
    pthread_mutex_lock(&cache->lock);
    struct candidate *list = malloc((cache->count + 1) * sizeof *list);
    for (int i = 0; list != NULL && i < BUCKETS; i++)
        for (struct group_rows *rows = cache->buckets[i]; rows != NULL; rows = rows->next) {
            rows->refs++;
            list[count++] = (struct candidate){rows, rows->used};
        }
    pthread_mutex_unlock(&cache->lock);
    if (list != NULL)
        qsort(list, count, sizeof *list, by_use);
    *out = list;
    return count;
}

/* Goes down to three quarters, so that not every part makes it run. A made part goes last: it is
 * small, and costs the most. */
static void make_room(struct group_cache *cache)
{
    struct candidate *list;
    if (cache->used <= cache->budget)
        return;
    size_t count = list_groups(cache, &list);
    for (int made = 0; made < 2; made++)
        for (size_t i = 0; i < count && cache->used > cache->budget / 4 * 3; i++)
            if (pthread_mutex_trylock(&list[i].rows->lock) == 0) {
                shed(list[i].rows, made);
                pthread_mutex_unlock(&list[i].rows->lock);
            }
    for (size_t i = 0; i < count; i++)
        group_rows_unref(list[i].rows);
    free(list);
}

/* ---- reading ---- */

static int open_map(struct group_rows *rows, const struct group_origin *origin)
{
    const struct group *group = rows->group;
    struct mapping *mapping;
    const struct schema *schema = origin->snapshot->schema;
    uint64_t most = rowgroup_file_most(schema, group->rows, group->bytes);
    int rc = store_map_group(origin->place->store, group->relation, group->id, most, &mapping);
    if (rc < 0)
        return rc;
    size_t size;
    const uint8_t *file = mapping_bytes(mapping, &size);
    rc = rowgroup_file_head(file, size, schema, &rows->head);
    if (rc == 0 &&
        (rows->head.rows != group->rows || !hash128_equal(rows->head.content, group->content)))
        rc = -EBADMSG;
    if (rc < 0)
        mapping_close(mapping);
    else
        rows->mapping = mapping;
    return rc;
}

static int fetch_rows(struct group_rows *rows, const struct group_origin *origin,
                      struct error *error)
{
    struct rowgroup *fetched;
    if (rows->memory != NULL)
        return 0;
    int rc = fetch_group(origin->place, origin->snapshot, origin->number, &fetched, error);
    if (rc < 0)
        return rc;
    if (fetched->run_count != rows->runs) {
        rowgroup_free(fetched);
        return error_set(error, -EIO, "a row group does not have the table's columns");
    }
    rows->memory = fetched;
    rows->cache->used += rows->group->bytes;
    return 0;
}

/* Opens the rows from the cache, else from the server; that fills the cache again if there is
 * room. */
static int open_rows(struct group_rows *rows, const struct group_origin *origin,
                     struct error *error)
{
    if (rows->opened)
        return 0;
    int rc = rows->mapping != NULL ? 0 : open_map(rows, origin);
    if (rc == -ENOMEM)
        return error_set(error, rc, "no memory to map the cache");
    if (rc < 0)
        rc = fetch_rows(rows, origin, error);
    if (rc == 0 && rows->mapping == NULL && open_map(rows, origin) == 0)
        free_memory(rows);
    rows->opened = rc == 0;
    return rc;
}

static int find_starts(struct part *part, uint32_t rows)
{
    const struct run *run = &part->run;
    if (run->fixed != RUN_VARIABLE)
        return 0;
    struct buffer *memory = &part->memory[2];
    int rc = buffer_reserve(memory, ((size_t)rows + 1) * sizeof(uint64_t));
    if (rc < 0)
        return rc;
    uint64_t *starts = (void *)memory->data, at = 0;
    for (uint32_t i = 0; i < rows; i++) {
        starts[i] = at;
        at += run->sizes[i] > 0 ? (uint64_t)run->sizes[i] : 0;
    }
    starts[rows] = at;
    part->starts = starts;
    return 0;
}

static int read_run(struct group_rows *rows, int number, struct part *part)
{
    const struct rowgroup *memory = rows->memory;
    if (memory != NULL) {
        part->run = number < rows->runs ? memory->runs[number] : memory->row_ids;
        part->of_memory = true;
        return 0;
    }
    size_t size;
    const uint8_t *file = mapping_bytes(rows->mapping, &size);
    int rc = rowgroup_file_run(file, size, &rows->head, number, part->memory, &part->run);
    return rc == 0 && !group_rows_intact(rows) ? -EBADMSG : rc;
}

static void count_part(struct group_rows *rows, struct part *part)
{
    for (int i = 0; i < 3; i++)
        part->bytes += part->memory[i].capacity;
    rows->cache->used += part->bytes;
}

/* Under rows->lock. */
static int load(struct group_rows *rows, const struct group_origin *origin, int number,
                struct error *error)
{
    struct part *part = calloc(1, sizeof *part);
    if (part == NULL)
        return error_set(error, -ENOMEM, "no memory to read with");
    int rc = open_rows(rows, origin, error);
    if (rc == 0) {
        rc = read_run(rows, number, part);
        if (rc == -EBADMSG && rows->memory == NULL) {
            log_say(LOG_SAY_ERROR, "%s.%s: row group %zu in the cache is damaged",
                    origin->snapshot->relation.schema, origin->snapshot->relation.name,
                    origin->number);
            rc = fetch_rows(rows, origin, error);
            if (rc == 0)
                rc = read_run(rows, number, part);
        }
        if (rc == 0)
            rc = find_starts(part, rows->group->rows);
        if (rc == -ENOMEM)
            error_set(error, rc, "no memory to read with");
    }
    count_part(rows, part);
    if (rc < 0)
        part_free(rows->cache, part);
    else
        rows->parts[number] = part;
    return rc;
}

int group_rows_part(struct group_rows *rows, const struct group_origin *origin, int number,
                    const struct part **out, struct error *error)
{
    const struct part *part = rows->parts[number];
    int rc = 0;
    if (part == NULL) {
        rc = patience_lock(&rows->lock, error);
        if (rc < 0)
            return rc;
        if (rows->parts[number] == NULL)
            rc = load(rows, origin, number, error);
        part = rows->parts[number];
        pthread_mutex_unlock(&rows->lock);
        make_room(rows->cache);
    }
    *out = part;
    return rc;
}

int group_rows_hold(struct group_rows *rows, const struct group_origin *origin, int number,
                    const struct part **out, struct error *error)
{
    struct group_cache *cache = rows->cache;
    int rc = patience_lock(&rows->lock, error);
    if (rc < 0)
        return rc;
    group_rows_pin(rows);
    rc = rows->parts[number] == NULL ? load(rows, origin, number, error) : 0;
    struct part *part = rows->parts[number];
    if (rc == 0 && !part->held) {
        size_t bytes = part->bytes + (part->of_memory ? rows->group->bytes : 0);
        if (cache->held + bytes > cache->budget / 2) {
            rc = error_set(error, -ENOSPC,
                           "the vectors fit neither into the cache nor into memory; mount with a "
                           "larger cache_size or memory");
        } else {
            part->held = true;
            part->held_bytes = bytes;
            cache->held += bytes;
        }
    }
    pthread_mutex_unlock(&rows->lock);
    group_rows_unpin(rows);
    if (rc == 0)
        *out = part;
    make_room(cache);
    return rc;
}

int group_rows_made(struct group_rows *rows, make_part *make, void *context,
                    const struct part **out, struct error *error)
{
    int number = rows->runs + 1, rc = 0;
    const struct part *made = rows->parts[number];
    if (made == NULL) {
        struct part *part = calloc(1, sizeof *part);
        rc = part == NULL ? error_set(error, -ENOMEM, "no memory to look up rows")
                          : make(context, &part->memory[0], error);
        int locked = rc == 0 ? patience_lock(&rows->lock, error) : rc;
        rc = locked;
        if (rc == 0 && rows->parts[number] == NULL) {
            part->run = (struct run){.bytes = part->memory[0].data, .size = part->memory[0].size};
            count_part(rows, part);
            rows->parts[number] = part;
            part = NULL;
        }
        made = rows->parts[number];
        if (locked == 0)
            pthread_mutex_unlock(&rows->lock);
        if (part != NULL) {
            buffer_clear(&part->memory[0]);
            free(part);
        }
        make_room(rows->cache);
    }
    *out = made;
    return rc;
}
