/* Links: neighbours of a slot with their distances, and which of them it chooses; for
 * index/graph*.c alone. */
#ifndef INDEX_GRAPH_LINKS_H
#define INDEX_GRAPH_LINKS_H

#include "index/graph_build.h"

struct link {
    float distance;
    uint32_t slot;
};

/* Slots that are scored in one call. */
enum { AT_ONCE = 8 };

/* Links that are kept out narrowly, and may come in after all. */
enum { NARROW_MOST = 256 };

/* What each thread of a builder has for itself. */
struct builder_thread {
    struct walk walk;
    struct probe probe; /* of the slot whose links are looked for */
    struct probe other; /* of a candidate that is compared with those chosen */
    struct link *links;
    uint32_t room; /* for links */
    struct link narrow[NARROW_MOST];
    int rc; /* the first error */
};

/* Keeps the first error: what succeeds later does not undo it. */
static inline void thread_note(struct builder_thread *thread, int rc)
{
    if (thread->rc == 0)
        thread->rc = rc;
}

/* Whether the thread has nothing more to do: it has failed, or all is to stop. */
bool thread_is_over(const struct graph_builder *builder, struct builder_thread *thread);

/* Room for so many links of the thread. -ENOMEM. */
MUST_CHECK int links_reserve(struct builder_thread *thread, size_t n);

/* Orders them, each slot once, without `self`; how many remain. */
uint32_t links_order(struct link *links, uint32_t n, uint32_t self);

/* Chooses up to `most` of the first `n` links, which are in order; they come to the front, in
 * order. Their number.
 *
 * A chosen link keeps out one that is nearer to it than to the slot itself (Malkov's heuristic).
 * If that leaves room, those come in that are not so much nearer to it (as with DiskANN's alpha, on
 * a square if the metric is l2). The first ones lead out of a cluster, the others make up for a
 * narrower search while building. */
uint32_t links_choose(const struct graph_builder *builder, struct builder_thread *thread,
                      struct link *links, uint32_t n, uint32_t most);

/* The links of a slot of the layer that is being built, and back. */
uint32_t links_read(const struct graph_builder *builder, uint32_t slot, struct link *links);
void links_write(const struct graph_builder *builder, uint32_t slot, const struct link *links,
                 uint32_t n);

/* Distances along the slot's list. */
static inline float *distances_of(const struct graph_builder *builder, uint32_t slot)
{
    return builder->distances + (size_t)builder->layers[builder->level].degree * slot;
}

/* The first error of a thread. */
int builder_error(const struct graph_builder *builder);

#endif
