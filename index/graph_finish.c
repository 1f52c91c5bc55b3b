/* The end of a layer: lists of their final degree, and every slot in reach. */
#include "index/graph_links.h"

#include "index/bits.h"
#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
    if (thread_is_over(builder, thread))
        return;
    uint32_t n = links_order(thread->links, links_read(builder, slot, thread->links), slot);
    if (n > builder->degree)
        n = links_choose(builder, thread, thread->links, n, builder->degree);
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
    bit_set(seen, entry);
    queue[end++] = entry;
    while (first < end) {
        const uint32_t *list = layer_list(layer, queue[first++]);
        for (uint32_t i = 0; i < layer->degree && list[i] < layer->count; i++) {
            if (bit_is_set(seen, list[i]))
                continue;
            bit_set(seen, list[i]);
            queue[end++] = list[i];
        }
    }
    *reached = end;
    free(queue);
    return 0;
}

/* Appends it to the list, or, if that is full, puts it in place of the farthest neighbour and
 * returns that one; else NOBODY. */
static uint32_t list_append(const struct layer *layer, uint32_t slot, uint32_t neighbour)
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

/* Links to the slot from one near it that can be reached. What a search from `entry` finds can be;
 * what falls out of the list of the one found is then reached by way of the slot. So all that could
 * be reached still can. */
static int attach(struct graph_builder *builder, const struct layer *layer, uint32_t slot,
                  uint32_t entry)
{
    struct builder_thread *thread = &builder->threads[0];
    if (thread_is_over(builder, thread))
        return thread->rc;
    int rc = probe_slot(builder->field, &thread->probe, slot);
    if (rc == 0)
        rc = graph_search(&thread->walk, layer, entry, builder->ef);
    if (rc < 0)
        return rc;
    uint32_t host = candidate_slot(thread->walk.pool[0]);
    for (uint32_t i = thread->walk.size; i-- > 0;) { /* the nearest with room */
        uint32_t other = candidate_slot(thread->walk.pool[i]);
        if (list_length(layer_list(layer, other), layer->degree) < layer->degree)
            host = other;
    }
    uint32_t out = list_append(layer, host, slot);
    if (out != NOBODY && !list_has(layer, slot, out))
        list_append(layer, slot, out);
    return 0;
}

static int attach_all(struct graph_builder *builder, const struct layer *layer,
                      const uint32_t *slots, size_t count, uint32_t entry)
{
    uint64_t *seen = bits_new(layer->count);
    uint32_t reached;
    int rc = seen == NULL ? -ENOMEM : graph_reach(layer, entry, seen, &reached);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (bit_is_set(seen, slots[i]))
            continue;
        rc = attach(builder, layer, slots[i], entry);
        if (rc == 0) /* it brings others along */
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
    pages_free(builder->distances, built * sizeof *builder->distances);
    builder->distances = NULL;
    layer->lists = finish.lists;
    layer->degree = builder->degree;
    int rc = builder_error(builder);
    return rc < 0 || count == 0 ? rc : attach_all(builder, layer, slots, count, entry);
}
