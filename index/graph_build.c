#include "index/graph_links.h"

#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A batch is at most one in BATCH_SHARE of what is there, since its members do not see each
 * other. */
enum { BATCH_SHARE = 32, BATCH_MOST = 4096 };

/* ---- a builder ---- */

static int thread_init(struct builder_thread *thread, const struct graph_builder *builder)
{
    thread->room = builder->ef + 4 * DEGREE_MOST;
    thread->links = malloc(thread->room * sizeof *thread->links);
    int rc = thread->links == NULL ? -ENOMEM
                                   : walk_init(&thread->walk, builder->field, &thread->probe,
                                               builder->slots, builder->ef);
    thread->walk.stop = builder->stop;
    if (rc == 0)
        rc = probe_init(builder->field, &thread->probe);
    return rc == 0 ? probe_init(builder->field, &thread->other) : rc;
}

int graph_builder_init(struct graph_builder *builder, const struct field *field, struct team *team,
                       uint32_t slots)
{
    builder->field = field;
    builder->team = team;
    builder->slots = slots;
    builder->threads = calloc((size_t)team_size(team), sizeof *builder->threads);
    int rc = builder->threads == NULL ? -ENOMEM : 0;
    for (int i = 0; rc == 0 && i < team_size(team); i++)
        rc = thread_init(&builder->threads[i], builder);
    return rc;
}

void graph_builder_clear(struct graph_builder *builder)
{
    for (int i = 0; builder->threads != NULL && i < team_size(builder->team); i++) {
        struct builder_thread *thread = &builder->threads[i];
        walk_clear(&thread->walk);
        probe_clear(builder->field, &thread->probe);
        probe_clear(builder->field, &thread->other);
        free(thread->links);
    }
    free(builder->threads);
    builder->threads = NULL;
    if (builder->distances != NULL) {
        const struct layer *layer = &builder->layers[builder->level];
        pages_free(builder->distances, (size_t)layer->count * layer->degree * sizeof(float));
    }
    builder->distances = NULL;
}

int graph_begin(struct graph_builder *builder, int level, uint32_t count, uint32_t degree,
                uint32_t links)
{
    uint32_t room = degree + degree / 2;
    size_t entries = (size_t)count * room;
    uint32_t *lists = pages_new(entries * sizeof *lists);
    float *distances = pages_new(entries * sizeof *distances);
    if (lists == NULL || distances == NULL) {
        pages_free(lists, entries * sizeof *lists);
        pages_free(distances, entries * sizeof *distances);
        return -ENOMEM;
    }
    memset(lists, 0xff, entries * sizeof *lists);
    builder->level = level;
    builder->degree = degree;
    builder->links = links;
    builder->distances = distances;
    builder->layers[level] = (struct layer){.count = count, .degree = room, .lists = lists};
    return 0;
}

/* Computes the distances along the slot's list. */
static void seed_distances(void *context, int number, size_t slot)
{
    struct graph_builder *builder = context;
    struct builder_thread *thread = &builder->threads[number];
    const struct layer *layer = &builder->layers[builder->level];
    const uint32_t *list = layer_list(layer, (uint32_t)slot);
    uint32_t n = list_length(list, layer->degree);
    float *distances = distances_of(builder, (uint32_t)slot);
    if (n == 0 || thread_is_over(builder, thread))
        return;
    int rc = probe_slot(builder->field, &thread->probe, (uint32_t)slot);
    if (rc < 0) {
        thread_note(thread, rc);
        return;
    }
    builder->field->score(builder->field, &thread->probe, list, n, distances);
    for (uint32_t i = 0; i < n; i++)
        distances[i] += thread->probe.link_offset;
}

int graph_seed(struct graph_builder *builder, const struct layer *from)
{
    struct layer *layer = &builder->layers[builder->level];
    uint32_t degree = from->degree < layer->degree ? from->degree : layer->degree;
    for (uint32_t slot = 0; slot < from->count; slot++)
        memcpy(layer_list(layer, slot), layer_list(from, slot), degree * sizeof *layer->lists);
    team_run(builder->team, from->count, 256, seed_distances, builder);
    return builder_error(builder);
}

int graph_each(struct graph_builder *builder, uint32_t count,
               void (*work)(void *context, int thread, size_t slot), void *context)
{
    team_run(builder->team, count, 64, work, context);
    return builder_error(builder);
}

/* The links of `slot` to these neighbours. */
static int score_links(const struct graph_builder *builder, struct builder_thread *thread,
                       uint32_t slot, const uint32_t *neighbours, uint32_t n)
{
    float scores[AT_ONCE];
    int rc = links_reserve(thread, (size_t)n + 1);
    if (rc == 0 && n > 0)
        rc = probe_slot(builder->field, &thread->probe, slot);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < n; i += AT_ONCE) {
        uint32_t part = n - i < AT_ONCE ? n - i : AT_ONCE;
        builder->field->score(builder->field, &thread->probe, neighbours + i, part, scores);
        for (uint32_t j = 0; j < part; j++)
            thread->links[i + j] =
                (struct link){scores[j] + thread->probe.link_offset, neighbours[i + j]};
    }
    return 0;
}

void graph_set_list(struct graph_builder *builder, int number, uint32_t slot,
                    const uint32_t *neighbours, uint32_t n)
{
    struct builder_thread *thread = &builder->threads[number];
    if (thread_is_over(builder, thread))
        return;
    int rc = score_links(builder, thread, slot, neighbours, n);
    if (rc < 0) {
        thread_note(thread, rc);
        return;
    }
    n = links_order(thread->links, n, slot);
    if (n > builder->degree)
        n = links_choose(builder, thread, thread->links, n, builder->degree);
    links_write(builder, slot, thread->links, n);
}

/* ---- a batch ---- */

struct edge {
    uint32_t to, from;
    float distance;
};

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
    uint32_t slot =
        graph_descend(&thread->walk, builder->layers, builder->top, builder->level + 1, entry);
    /* A slot that is on the layers above already, but not yet here, leads nowhere. */
    return *layer_list(&builder->layers[builder->level], slot) != NOBODY ? slot : entry;
}

/* The candidates of a slot: what a search finds, and the neighbours that it has. */
static int list_candidates(const struct batch *batch, struct builder_thread *thread, uint32_t slot,
                           uint32_t *count)
{
    struct graph_builder *builder = batch->builder;
    const struct layer *layer = &builder->layers[builder->level];
    const struct walk *walk = &thread->walk;
    int rc =
        graph_search(&thread->walk, layer, entry_of(builder, thread, batch->entry), builder->ef);
    if (rc < 0)
        return rc;
    uint32_t n = 0;
    for (; n < walk->size; n++)
        thread->links[n] = (struct link){candidate_score(walk->pool[n]) + thread->probe.link_offset,
                                         candidate_slot(walk->pool[n])};
    n += links_read(builder, slot, thread->links + n);
    *count = links_order(thread->links, n, slot);
    return 0;
}

static void choose_neighbours(void *context, int number, size_t i)
{
    struct batch *batch = context;
    struct graph_builder *builder = batch->builder;
    struct builder_thread *thread = &builder->threads[number];
    uint32_t slot = batch->slots[i], n = 0;
    batch->chosen_count[i] = 0;
    if (batch->empty || thread_is_over(builder, thread))
        return;
    int rc = probe_slot(builder->field, &thread->probe, slot);
    if (rc == 0)
        rc = list_candidates(batch, thread, slot, &n);
    if (rc < 0) {
        thread_note(thread, rc);
        return;
    }
    n = links_choose(builder, thread, thread->links, n, builder->links);
    memcpy(batch->chosen + i * builder->links, thread->links, n * sizeof *thread->links);
    batch->chosen_count[i] = n;
}

/* By `to`, stably: a radix sort. `room` has room for as many edges. */
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
    size_t n = 0;
    for (size_t i = 0; i < batch->count; i++) {
        uint32_t slot = batch->slots[i];
        const struct link *chosen = batch->chosen + i * builder->links;
        links_write(builder, slot, chosen, batch->chosen_count[i]);
        for (uint32_t j = 0; j < batch->chosen_count[i]; j++)
            batch->edges[n++] = (struct edge){chosen[j].slot, slot, chosen[j].distance};
    }
    batch->edge_count = n;
    sort_edges(batch->edges, batch->edges + batch->count * builder->links, n, builder->slots);
    batch->start_count = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || batch->edges[i].to != batch->edges[i - 1].to)
            batch->starts[batch->start_count++] = (uint32_t)i;
}

static bool links_to(const struct link *links, uint32_t n, uint32_t slot)
{
    uint32_t i = 0;
    while (i < n && links[i].slot != slot)
        i++;
    return i < n;
}

/* The edges to one slot, into its list. */
static void accept_edges(void *context, int number, size_t i)
{
    const struct batch *batch = context;
    struct graph_builder *builder = batch->builder;
    struct builder_thread *thread = &builder->threads[number];
    const struct layer *layer = &builder->layers[builder->level];
    if (thread_is_over(builder, thread))
        return;
    size_t first = batch->starts[i];
    size_t end = i + 1 < batch->start_count ? batch->starts[i + 1] : batch->edge_count;
    uint32_t slot = batch->edges[first].to;
    int rc = links_reserve(thread, end - first + layer->degree);
    if (rc < 0) {
        thread_note(thread, rc);
        return;
    }
    uint32_t n = links_read(builder, slot, thread->links), old = n;
    for (size_t e = first; e < end; e++)
        if (!links_to(thread->links, old, batch->edges[e].from))
            thread->links[n++] = (struct link){batch->edges[e].distance, batch->edges[e].from};
    if (n > layer->degree) {
        n = links_order(thread->links, n, slot);
        n = links_choose(builder, thread, thread->links, n, builder->degree);
    }
    links_write(builder, slot, thread->links, n);
}

static int batch_init(struct batch *batch, struct graph_builder *builder, size_t most)
{
    *batch = (struct batch){.builder = builder, .entry = builder->entry};
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

static int insert_batch(struct batch *batch)
{
    struct graph_builder *builder = batch->builder;
    team_run(builder->team, batch->count, AT_ONCE, choose_neighbours, batch);
    int rc = builder_error(builder);
    if (rc < 0)
        return rc;
    turn_round(batch);
    team_run(builder->team, batch->start_count, AT_ONCE, accept_edges, batch);
    if (builder->done != NULL && builder->level == 0)
        atomic_fetch_add(builder->done, batch->count);
    return builder_error(builder);
}

int graph_insert(struct graph_builder *builder, const uint32_t *slots, size_t count, size_t present)
{
    struct batch batch;
    int rc = batch_init(&batch, builder, count < BATCH_MOST ? count + 1 : BATCH_MOST);
    for (size_t at = 0; rc == 0 && at < count; at += batch.count) {
        batch.slots = slots + at;
        batch.empty = present == 0;
        batch.count = batch_size(present, count - at);
        rc = insert_batch(&batch);
        present += batch.count;
    }
    batch_clear(&batch);
    return rc;
}
