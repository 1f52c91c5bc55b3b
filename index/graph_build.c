#include "index/graph_build.h"

#include "index/pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH_SHARE = 32, /* a batch is at most such a part of what is there: its members do not see
                         each other */
    BATCH_MOST = 4096,
    CHUNK = 8,
    REST = 256
};

/* A chosen one keeps another out that is nearer to it than to the slot itself. Where that leaves
 * room, those come in that are not so much nearer to it (as with DiskANN's alpha, on what is a
 * square where the distance is l2). The first ones lead out of a cluster, the others make up for a
 * narrower search while building. */
#define APART 1.2F

/* A neighbour and how far it is. */
struct link {
    float distance;
    uint32_t slot;
};

struct edge {
    uint32_t to, from;
    float distance;
};

struct builder_thread {
    struct walk walk;
    struct probe probe;  /* of the slot that is inserted */
    struct probe second; /* of a candidate */
    struct link *links;
    uint32_t room;
    struct link rest[REST];
    int rc; /* the first that failed */
};

/* What comes later, and goes well, does not undo it. */
static void note(struct builder_thread *thread, int rc)
{
    if (thread->rc == 0)
        thread->rc = rc;
}

/* Whether there is nothing more to be done for this thread: it has failed, or all is to stop. */
static bool is_over(const struct graph_builder *builder, struct builder_thread *thread)
{
    if (builder->stop != NULL && atomic_load_explicit(builder->stop, memory_order_relaxed))
        note(thread, -EINTR);
    return thread->rc < 0;
}

/* ---- choosing ---- */

static int compare_links(const void *a, const void *b)
{
    const struct link *one = a, *other = b; /* NaN has its place among candidates */
    candidate x = candidate_make(one->distance, one->slot);
    candidate y = candidate_make(other->distance, other->slot);
    return x < y ? -1 : x > y;
}

/* Orders them, each slot once, without `self`; how many remain. */
static uint32_t order_links(struct link *links, uint32_t n, uint32_t self)
{
    uint32_t kept = 0;
    qsort(links, n, sizeof *links, compare_links);
    for (uint32_t i = 0; i < n; i++)
        if (links[i].slot != self && (kept == 0 || links[i].slot != links[kept - 1].slot))
            links[kept++] = links[i];
    return kept;
}

/* How much nearer than `distance` it is to one of the chosen: 1 and more is kept out; more than
 * APART is not looked at closer. */
static float covered(const struct graph_builder *builder, struct probe *probe,
                     const uint32_t *chosen, uint32_t n, float distance)
{
    float scores[CHUNK], least = INFINITY;
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t part = n - i < CHUNK ? n - i : CHUNK;
        builder->field->score(builder->field, probe, chosen + i, part, scores);
        for (uint32_t j = 0; j < part; j++)
            least = scores[j] + probe->link_offset < least ? scores[j] + probe->link_offset : least;
        if (least * APART <= distance)
            return APART;
    }
    return least <= distance ? 1 : 0;
}

/* Of the first `n` links, which are in order, those chosen, at most `most`, come to the front;
 * their number. */
static uint32_t choose(const struct graph_builder *builder, struct builder_thread *thread,
                       struct link *links, uint32_t n, uint32_t most)
{
    uint32_t chosen[DEGREE_MOST], count = 0, left = 0;
    struct link *rest = thread->rest;
    for (int pass = 0; pass < 2; pass++) {
        const struct link *from = pass == 0 ? links : rest;
        uint32_t end = pass == 0 ? n : left;
        for (uint32_t i = 0; i < end && count < most; i++) {
            struct link link = from[i];
            int rc = probe_slot(builder->field, &thread->second, link.slot);
            if (rc < 0) {
                note(thread, rc);
                return count;
            }
            float cover =
                count > 0 ? covered(builder, &thread->second, chosen, count, link.distance) : 0;
            if (cover >= (pass == 0 ? 1 : APART)) {
                if (pass == 0 && cover < APART && left < REST)
                    rest[left++] = link;
                continue;
            }
            chosen[count] = link.slot;
            links[count++] = link;
        }
    }
    qsort(links, count, sizeof *links, compare_links);
    return count;
}

/* ---- a builder ---- */

int graph_builder_init(struct graph_builder *builder, const struct field *field, struct team *team,
                       uint32_t slots)
{
    builder->field = field;
    builder->team = team;
    builder->slots = slots;
    builder->threads = calloc((size_t)team_size(team), sizeof *builder->threads);
    if (builder->threads == NULL)
        return -ENOMEM;
    for (int i = 0; i < team_size(team); i++) {
        struct builder_thread *thread = &builder->threads[i];
        thread->room = builder->ef + 4 * DEGREE_MOST;
        thread->links = malloc(thread->room * sizeof *thread->links);
        int rc = thread->links == NULL ? -ENOMEM : walk_init(&thread->walk, slots, builder->ef);
        thread->walk.stop = builder->stop;
        if (rc == 0)
            rc = probe_init(field, &thread->probe);
        if (rc == 0)
            rc = probe_init(field, &thread->second);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void graph_builder_clear(struct graph_builder *builder)
{
    for (int i = 0; builder->threads != NULL && i < team_size(builder->team); i++) {
        struct builder_thread *thread = &builder->threads[i];
        walk_clear(&thread->walk);
        probe_clear(builder->field, &thread->probe);
        probe_clear(builder->field, &thread->second);
        free(thread->links);
    }
    free(builder->threads);
    builder->threads = NULL;
    if (builder->near != NULL) {
        const struct layer *layer = &builder->layers[builder->level];
        pages_free(builder->near, (size_t)layer->count * layer->degree * sizeof(float));
    }
    builder->near = NULL;
}

static int first_error(const struct graph_builder *builder)
{
    for (int i = 0; i < team_size(builder->team); i++)
        if (builder->threads[i].rc < 0)
            return builder->threads[i].rc;
    return 0;
}

int graph_begin(struct graph_builder *builder, int level, uint32_t count, uint32_t degree,
                uint32_t links)
{
    uint32_t room = degree + degree / 2;
    size_t entries = (size_t)count * room;
    uint32_t *lists = pages_new(entries * sizeof *lists);
    float *near = pages_new(entries * sizeof *near);
    if (lists == NULL || near == NULL) {
        pages_free(lists, entries * sizeof *lists);
        pages_free(near, entries * sizeof *near);
        return -ENOMEM;
    }
    memset(lists, 0xff, entries * sizeof *lists);
    builder->level = level;
    builder->degree = degree;
    builder->links = links;
    builder->near = near;
    builder->layers[level] = (struct layer){.count = count, .degree = room, .lists = lists};
    return 0;
}

static float *near_of(const struct graph_builder *builder, uint32_t slot)
{
    return builder->near + (size_t)builder->layers[builder->level].degree * slot;
}

static int set_near(struct graph_builder *builder, struct builder_thread *thread, uint32_t slot)
{
    const struct layer *layer = &builder->layers[builder->level];
    const uint32_t *list = layer_list(layer, slot);
    uint32_t n = list_length(list, layer->degree);
    float *near = near_of(builder, slot);
    int rc = n > 0 ? probe_slot(builder->field, &thread->probe, slot) : 0;
    if (rc < 0 || n == 0)
        return rc;
    builder->field->score(builder->field, &thread->probe, list, n, near);
    for (uint32_t i = 0; i < n; i++)
        near[i] += thread->probe.link_offset;
    return 0;
}

static void set_near_of(void *context, int thread, size_t slot)
{
    struct graph_builder *builder = context;
    if (!is_over(builder, &builder->threads[thread]))
        note(&builder->threads[thread],
             set_near(builder, &builder->threads[thread], (uint32_t)slot));
}

int graph_seed(struct graph_builder *builder, const struct layer *from)
{
    struct layer *layer = &builder->layers[builder->level];
    uint32_t degree = from->degree < layer->degree ? from->degree : layer->degree;
    for (uint32_t slot = 0; slot < from->count; slot++)
        memcpy(layer_list(layer, slot), layer_list(from, slot), degree * sizeof *layer->lists);
    team_run(builder->team, from->count, 256, set_near_of, builder);
    return first_error(builder);
}

/* ---- a batch ---- */

struct batch {
    struct graph_builder *builder;
    const uint32_t *slots;
    size_t count;
    uint32_t entry;
    bool empty;          /* nothing is in the layer yet */
    struct link *chosen; /* builder->links of each */
    uint32_t *chosen_count;
    struct edge *edges;
    size_t edge_count;
    uint32_t *starts; /* of the edges to one slot */
    size_t start_count;
};

static uint32_t entry_of(const struct graph_builder *builder, struct builder_thread *thread,
                         uint32_t entry)
{
    uint32_t slot = graph_descend(builder->layers, builder->top, builder->level + 1, builder->field,
                                  &thread->probe, entry, &thread->walk.visited);
    /* One that is on the layers above already, but not yet here, leads nowhere. */
    return *layer_list(&builder->layers[builder->level], slot) != NOBODY ? slot : entry;
}

/* The candidates of one slot: what a search finds, and the neighbours that it has. */
static int gather(const struct batch *batch, struct builder_thread *thread, uint32_t slot,
                  uint32_t *count)
{
    struct graph_builder *builder = batch->builder;
    const struct layer *layer = &builder->layers[builder->level];
    struct walk *walk = &thread->walk;
    uint32_t n = 0;
    int rc = graph_search(layer, builder->field, &thread->probe,
                          entry_of(builder, thread, batch->entry), builder->ef, walk);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < walk->size; i++)
        thread->links[n++] =
            (struct link){candidate_score(walk->pool[i]) + thread->probe.link_offset,
                          candidate_slot(walk->pool[i])};
    const uint32_t *list = layer_list(layer, slot);
    for (uint32_t i = 0; i < layer->degree && list[i] != NOBODY; i++)
        thread->links[n++] = (struct link){near_of(builder, slot)[i], list[i]};
    *count = order_links(thread->links, n, slot);
    return 0;
}

static void find_links(void *context, int number, size_t i)
{
    struct batch *batch = context;
    struct graph_builder *builder = batch->builder;
    struct builder_thread *thread = &builder->threads[number];
    uint32_t slot = batch->slots[i], n = 0;
    batch->chosen_count[i] = 0;
    if (batch->empty || is_over(builder, thread))
        return;
    int rc = probe_slot(builder->field, &thread->probe, slot);
    if (rc == 0)
        rc = gather(batch, thread, slot, &n);
    if (rc < 0) {
        note(thread, rc);
        return;
    }
    n = choose(builder, thread, thread->links, n, builder->links);
    memcpy(batch->chosen + i * builder->links, thread->links, n * sizeof *thread->links);
    batch->chosen_count[i] = n;
}

/* By `to`, in the order they have: a radix sort. `room` has room for as many. */
static void sort_edges(struct edge *edges, struct edge *room, size_t n, uint32_t slots)
{
    enum { DIGIT = 11 };
    struct edge *from = edges, *to = room;
    for (int shift = 0; shift < 32 && (slots - 1) >> shift != 0; shift += DIGIT) {
        size_t counts[1 << DIGIT] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            counts[from[i].to >> shift & ((1 << DIGIT) - 1)]++;
        for (size_t d = 0; d < 1 << DIGIT; d++) {
            size_t count = counts[d];
            counts[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[counts[from[i].to >> shift & ((1 << DIGIT) - 1)]++] = from[i];
        struct edge *swap = from;
        from = to;
        to = swap;
    }
    if (from != edges)
        memcpy(edges, from, n * sizeof *edges);
}

/* The chosen become the slots' lists, and edges the other way. */
static void turn_round(struct batch *batch)
{
    struct graph_builder *builder = batch->builder;
    const struct layer *layer = &builder->layers[builder->level];
    size_t n = 0;
    for (size_t i = 0; i < batch->count; i++) {
        uint32_t slot = batch->slots[i], *list = layer_list(layer, slot);
        const struct link *chosen = batch->chosen + i * builder->links;
        float *near = near_of(builder, slot);
        memset(list, 0xff, layer->degree * sizeof *list);
        for (uint32_t j = 0; j < batch->chosen_count[i]; j++) {
            list[j] = chosen[j].slot;
            near[j] = chosen[j].distance;
            batch->edges[n++] = (struct edge){chosen[j].slot, slot, chosen[j].distance};
        }
    }
    batch->edge_count = n;
    sort_edges(batch->edges, batch->edges + batch->count * builder->links, n, builder->slots);
    batch->start_count = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || batch->edges[i].to != batch->edges[i - 1].to)
            batch->starts[batch->start_count++] = (uint32_t)i;
}

static void write_list(const struct graph_builder *builder, uint32_t slot, const struct link *links,
                       uint32_t n)
{
    const struct layer *layer = &builder->layers[builder->level];
    uint32_t *list = layer_list(layer, slot);
    float *near = near_of(builder, slot);
    for (uint32_t i = 0; i < n; i++) {
        list[i] = links[i].slot;
        near[i] = links[i].distance;
    }
    memset(list + n, 0xff, (layer->degree - n) * sizeof *list);
}

static uint32_t read_list(const struct graph_builder *builder, uint32_t slot, struct link *links)
{
    const struct layer *layer = &builder->layers[builder->level];
    const uint32_t *list = layer_list(layer, slot);
    const float *near = near_of(builder, slot);
    uint32_t n = 0;
    for (; n < layer->degree && list[n] != NOBODY; n++)
        links[n] = (struct link){near[n], list[n]};
    return n;
}

static bool has(const struct link *links, uint32_t n, uint32_t slot)
{
    uint32_t i = 0;
    while (i < n && links[i].slot != slot)
        i++;
    return i < n;
}

static int links_reserve(struct builder_thread *thread, size_t n)
{
    if (n <= thread->room)
        return 0;
    struct link *links = n <= UINT32_MAX / 2 ? realloc(thread->links, 2 * n * sizeof *links) : NULL;
    if (links == NULL)
        return -ENOMEM;
    thread->links = links;
    thread->room = (uint32_t)(2 * n);
    return 0;
}

int graph_each(struct graph_builder *builder, uint32_t count,
               void (*work)(void *context, int thread, size_t slot), void *context)
{
    team_run(builder->team, count, 64, work, context);
    return first_error(builder);
}

void graph_set_list(struct graph_builder *builder, int number, uint32_t slot,
                    const uint32_t *neighbours, uint32_t n)
{
    struct builder_thread *thread = &builder->threads[number];
    float scores[CHUNK];
    if (is_over(builder, thread))
        return;
    int rc = links_reserve(thread, (size_t)n + 1);
    if (rc == 0 && n > 0)
        rc = probe_slot(builder->field, &thread->probe, slot);
    if (rc < 0) {
        note(thread, rc);
        return;
    }
    for (uint32_t i = 0; i < n; i += CHUNK) {
        uint32_t part = n - i < CHUNK ? n - i : CHUNK;
        builder->field->score(builder->field, &thread->probe, neighbours + i, part, scores);
        for (uint32_t j = 0; j < part; j++)
            thread->links[i + j] =
                (struct link){scores[j] + thread->probe.link_offset, neighbours[i + j]};
    }
    n = order_links(thread->links, n, slot);
    if (n > builder->degree)
        n = choose(builder, thread, thread->links, n, builder->degree);
    write_list(builder, slot, thread->links, n);
}

static void take_edges(void *context, int number, size_t i)
{
    const struct batch *batch = context;
    struct graph_builder *builder = batch->builder;
    struct builder_thread *thread = &builder->threads[number];
    const struct layer *layer = &builder->layers[builder->level];
    if (is_over(builder, thread))
        return;
    size_t first = batch->starts[i];
    size_t end = i + 1 < batch->start_count ? batch->starts[i + 1] : batch->edge_count;
    uint32_t slot = batch->edges[first].to;
    int rc = links_reserve(thread, end - first + layer->degree);
    if (rc < 0) {
        note(thread, rc);
        return;
    }
    uint32_t n = read_list(builder, slot, thread->links), old = n;
    for (size_t e = first; e < end; e++)
        if (!has(thread->links, old, batch->edges[e].from))
            thread->links[n++] = (struct link){batch->edges[e].distance, batch->edges[e].from};
    if (n > layer->degree) {
        n = order_links(thread->links, n, slot);
        n = choose(builder, thread, thread->links, n, builder->degree);
    }
    write_list(builder, slot, thread->links, n);
}

static int batch_init(struct batch *batch, struct graph_builder *builder, size_t most)
{
    *batch = (struct batch){.builder = builder};
    size_t edges = most * builder->links;
    batch->chosen = malloc(edges * sizeof *batch->chosen);
    batch->chosen_count = malloc(most * sizeof *batch->chosen_count);
    batch->edges = malloc(2 * edges * sizeof *batch->edges);
    batch->starts = malloc(edges * sizeof *batch->starts);
    return batch->chosen == NULL || batch->chosen_count == NULL || batch->edges == NULL ||
                   batch->starts == NULL
               ? -ENOMEM
               : 0;
}

static void batch_clear(struct batch *batch)
{
    free(batch->chosen);
    free(batch->chosen_count);
    free(batch->edges);
    free(batch->starts);
}

static size_t batch_size(size_t present, size_t left)
{
    size_t n = present / BATCH_SHARE + 1;
    n = n < BATCH_MOST ? n : BATCH_MOST;
    return n < left ? n : left;
}

int graph_insert(struct graph_builder *builder, const uint32_t *slots, size_t count, size_t present)
{
    struct batch batch;
    int rc = batch_init(&batch, builder, count < BATCH_MOST ? count + 1 : BATCH_MOST);
    batch.entry = builder->entry;
    for (size_t at = 0; rc == 0 && at < count; at += batch.count) {
        batch.slots = slots + at;
        batch.empty = present == 0;
        batch.count = batch_size(present, count - at);
        team_run(builder->team, batch.count, CHUNK, find_links, &batch);
        rc = first_error(builder);
        if (rc < 0)
            break;
        turn_round(&batch);
        team_run(builder->team, batch.start_count, CHUNK, take_edges, &batch);
        rc = first_error(builder);
        present += batch.count;
        if (builder->done != NULL && builder->level == 0)
            atomic_fetch_add(builder->done, batch.count);
    }
    batch_clear(&batch);
    return rc;
}

/* ---- the end ---- */

struct finish {
    struct graph_builder *builder;
    const uint32_t *slots;
    uint32_t *lists; /* the final ones */
};

static void finish_list(void *context, int number, size_t i)
{
    const struct finish *finish = context;
    struct graph_builder *builder = finish->builder;
    struct builder_thread *thread = &builder->threads[number];
    uint32_t slot = finish->slots[i];
    if (is_over(builder, thread))
        return;
    uint32_t n = order_links(thread->links, read_list(builder, slot, thread->links), slot);
    if (n > builder->degree)
        n = choose(builder, thread, thread->links, n, builder->degree);
    uint32_t *list = finish->lists + (size_t)builder->degree * slot;
    for (uint32_t j = 0; j < n; j++)
        list[j] = thread->links[j].slot;
}

int graph_reach(const struct layer *layer, uint32_t entry, uint64_t *seen, uint32_t *reached)
{
    uint32_t *queue = malloc(((size_t)layer->count + 1) * sizeof *queue);
    uint32_t first = 0, end = 0;
    if (queue == NULL)
        return -ENOMEM;
    seen[entry / 64] |= UINT64_C(1) << entry % 64;
    queue[end++] = entry;
    while (first < end) {
        const uint32_t *list = layer_list(layer, queue[first++]);
        for (uint32_t i = 0; i < layer->degree && list[i] < layer->count; i++) {
            uint64_t bit = UINT64_C(1) << list[i] % 64;
            if (!(seen[list[i] / 64] & bit)) {
                seen[list[i] / 64] |= bit;
                queue[end++] = list[i];
            }
        }
    }
    *reached = end;
    free(queue);
    return 0;
}

static bool is_set(const uint64_t *bits, uint32_t i) { return bits[i / 64] >> i % 64 & 1; }

/* In place of the farthest neighbour where the list is full; that one: NOBODY if there was room. */
static uint32_t put_last(const struct layer *layer, uint32_t slot, uint32_t neighbour)
{
    uint32_t *list = layer_list(layer, slot), n = list_length(list, layer->degree);
    uint32_t out = n < layer->degree ? NOBODY : list[n - 1];
    list[n < layer->degree ? n : n - 1] = neighbour;
    return out;
}

static bool list_has(const struct layer *layer, uint32_t slot, uint32_t neighbour)
{
    const uint32_t *list = layer_list(layer, slot);
    uint32_t i = 0;
    while (i < layer->degree && list[i] != neighbour)
        i++;
    return i < layer->degree;
}

/* What is found from `entry` can be reached from there. What falls out of the nearest one's list is
 * then reached by way of the attached slot: so what could be reached still can. */
static int attach(struct graph_builder *builder, const struct layer *layer, uint32_t slot,
                  uint32_t entry)
{
    struct builder_thread *thread = &builder->threads[0];
    int rc =
        is_over(builder, thread) ? thread->rc : probe_slot(builder->field, &thread->probe, slot);
    if (rc == 0)
        rc = graph_search(layer, builder->field, &thread->probe, entry, builder->ef, &thread->walk);
    if (rc < 0)
        return rc;
    uint32_t host = candidate_slot(thread->walk.pool[0]);
    for (uint32_t i = thread->walk.size; i-- > 0;) { /* the nearest with room */
        uint32_t other = candidate_slot(thread->walk.pool[i]);
        if (list_length(layer_list(layer, other), layer->degree) < layer->degree)
            host = other;
    }
    uint32_t out = put_last(layer, host, slot);
    if (out != NOBODY && !list_has(layer, slot, out))
        put_last(layer, slot, out);
    return 0;
}

static int attach_all(struct graph_builder *builder, const struct layer *layer,
                      const uint32_t *slots, size_t count, uint32_t entry)
{
    uint64_t *seen = calloc((size_t)layer->count / 64 + 1, sizeof *seen);
    uint32_t reached;
    int rc = seen == NULL ? -ENOMEM : graph_reach(layer, entry, seen, &reached);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (is_set(seen, slots[i]))
            continue;
        rc = attach(builder, layer, slots[i], entry);
        /* It brings others along. */
        if (rc == 0)
            rc = graph_reach(layer, slots[i], seen, &reached);
    }
    free(seen);
    return rc;
}

int graph_finish(struct graph_builder *builder, const uint32_t *slots, size_t count, uint32_t entry)
{
    struct layer *layer = &builder->layers[builder->level];
    size_t entries = (size_t)layer->count * builder->degree;
    size_t built = (size_t)layer->count * layer->degree;
    struct finish finish = {.builder = builder, .slots = slots};
    finish.lists = pages_new(entries * sizeof *finish.lists);
    if (finish.lists == NULL)
        return -ENOMEM;
    memset(finish.lists, 0xff, entries * sizeof *finish.lists);
    team_run(builder->team, count, 64, finish_list, &finish);
    pages_free(layer->lists, built * sizeof *layer->lists);
    pages_free(builder->near, built * sizeof *builder->near);
    builder->near = NULL;
    layer->lists = finish.lists;
    layer->degree = builder->degree;
    int rc = first_error(builder);
    return rc < 0 || count == 0 ? rc : attach_all(builder, layer, slots, count, entry);
}
