#include "index/graph_links.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much nearer to a chosen one keeps a link out for good. */
#define APART 1.2F

bool thread_is_over(const struct graph_builder *builder, struct builder_thread *thread)
{
    if (builder->stop != NULL && atomic_load_explicit(builder->stop, memory_order_relaxed))
        thread_note(thread, -EINTR);
    return thread->rc < 0;
}

int links_reserve(struct builder_thread *thread, size_t n)
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

/* ---- choosing ---- */

/* As candidates are ordered, NaN last. */
static int compare_links(const void *a, const void *b)
{
    const struct link *one = a, *other = b;
    candidate x = candidate_make(one->distance, one->slot);
    candidate y = candidate_make(other->distance, other->slot);
    return x < y ? -1 : x > y;
}

uint32_t links_order(struct link *links, uint32_t n, uint32_t self)
{
    uint32_t kept = 0;
    qsort(links, n, sizeof *links, compare_links);
    for (uint32_t i = 0; i < n; i++)
        if (links[i].slot != self && (kept == 0 || links[i].slot != links[kept - 1].slot))
            links[kept++] = links[i];
    return kept;
}

enum cover { FREE, NARROWLY, FOR_GOOD };

/* Whether one of the chosen keeps out the slot of `probe`, which is `distance` away. */
static enum cover covered(const struct field *field, const struct probe *probe,
                          const uint32_t *chosen, uint32_t n, float distance)
{
    float scores[AT_ONCE], least = INFINITY;
    for (uint32_t i = 0; i < n; i += AT_ONCE) {
        uint32_t part = n - i < AT_ONCE ? n - i : AT_ONCE;
        field->score(field, probe, chosen + i, part, scores);
        for (uint32_t j = 0; j < part; j++)
            least = scores[j] + probe->link_offset < least ? scores[j] + probe->link_offset : least;
        if (least * APART <= distance)
            return FOR_GOOD;
    }
    return least <= distance ? NARROWLY : FREE;
}

struct choice {
    struct link *links; /* the chosen come to its front */
    uint32_t slots[DEGREE_MOST];
    uint32_t count, most;
    uint32_t narrow; /* how many were kept out narrowly */
};

/* Chooses among `from`; `strict`: not what is kept out narrowly. */
static int choose_from(const struct field *field, struct builder_thread *thread,
                       struct choice *choice, const struct link *from, uint32_t n, bool strict)
{
    for (uint32_t i = 0; i < n && choice->count < choice->most; i++) {
        struct link link = from[i];
        int rc = probe_slot(field, &thread->other, link.slot);
        if (rc < 0)
            return rc;
        enum cover cover = choice->count == 0 ? FREE
                                              : covered(field, &thread->other, choice->slots,
                                                        choice->count, link.distance);
        if (cover == FREE || (cover == NARROWLY && !strict)) {
            choice->slots[choice->count] = link.slot;
            choice->links[choice->count++] = link;
        } else if (cover == NARROWLY && choice->narrow < NARROW_MOST) {
            thread->narrow[choice->narrow++] = link;
        }
    }
    return 0;
}

uint32_t links_choose(const struct graph_builder *builder, struct builder_thread *thread,
                      struct link *links, uint32_t n, uint32_t most)
{
    struct choice choice; /* not zeroed, for its size */
    choice.links = links;
    choice.most = most;
    choice.count = choice.narrow = 0;
    int rc = choose_from(builder->field, thread, &choice, links, n, true);
    if (rc == 0)
        rc = choose_from(builder->field, thread, &choice, thread->narrow, choice.narrow, false);
    thread_note(thread, rc);
    qsort(links, choice.count, sizeof *links, compare_links);
    return choice.count;
}

/* ---- lists ---- */

uint32_t links_read(const struct graph_builder *builder, uint32_t slot, struct link *links)
{
    const struct layer *layer = &builder->layers[builder->level];
    const uint32_t *list = layer_list(layer, slot);
    const float *distances = distances_of(builder, slot);
    uint32_t n = 0;
    for (; n < layer->degree && list[n] != NOBODY; n++)
        links[n] = (struct link){distances[n], list[n]};
    return n;
}

void links_write(const struct graph_builder *builder, uint32_t slot, const struct link *links,
                 uint32_t n)
{
    const struct layer *layer = &builder->layers[builder->level];
    uint32_t *list = layer_list(layer, slot);
    float *distances = distances_of(builder, slot);
    for (uint32_t i = 0; i < n; i++) {
        list[i] = links[i].slot;
        distances[i] = links[i].distance;
    }
    memset(list + n, 0xff, (layer->degree - n) * sizeof *list);
}

int builder_error(const struct graph_builder *builder)
{
    for (int i = 0; i < team_size(builder->team); i++)
        if (builder->threads[i].rc < 0)
            return builder->threads[i].rc;
    return 0;
}
