/* Inserting slots into a layer.
 *
 * Slots come in batches. Each of a batch looks for its neighbours in the layer as it was before the
 * batch, and chooses among them (Malkov's heuristic: one that is nearer to a chosen one than to the
 * slot itself is left out); then the edges are sorted by their ends, and each end takes them into
 * its list, choosing anew where that is full. Both steps run on all threads; each list is written
 * by one. So the layer depends on the order of the slots only.
 *
 * While it is built a list has half as much room again as it will have in the end.
 */
#ifndef INDEX_GRAPH_BUILD_H
#define INDEX_GRAPH_BUILD_H

#include "index/graph.h"
#include "index/team.h"

#include <stdatomic.h>

struct graph_builder {
    const struct field *field;
    struct team *team;
    uint32_t slots; /* of the field */
    uint32_t ef;
    const atomic_bool *stop; /* or NULL; looked at for each slot: -EINTR */
    atomic_ulong *done;      /* or NULL */
    struct builder_thread *threads;
    struct layer *layers; /* those above `level` are complete; `level` is being built */
    int top, level;
    uint32_t entry;  /* a slot of all layers */
    uint32_t degree; /* of its lists in the end */
    uint32_t links;  /* that a slot chooses when it is inserted */
    float *near;     /* distances along the lists of the layer being built */
};

MUST_CHECK int graph_builder_init(struct graph_builder *builder, const struct field *field,
                                  struct team *team, uint32_t slots);
void graph_builder_clear(struct graph_builder *builder);

/* Begins a layer with `count` slots, empty lists, in place of `level`'s, which is not freed. */
MUST_CHECK int graph_begin(struct graph_builder *builder, int level, uint32_t count,
                           uint32_t degree, uint32_t links);
/* Takes the lists of a finished layer for the first slots. */
MUST_CHECK int graph_seed(struct graph_builder *builder, const struct layer *from);

/* Calls work(context, thread, slot) for the slots below `count`, on all threads; for
 * graph_set_list. */
MUST_CHECK int graph_each(struct graph_builder *builder, uint32_t count,
                          void (*work)(void *context, int thread, size_t slot), void *context);
/* Gives the slot these neighbours, or those of them that are chosen. A slot may come more than
 * once. */
void graph_set_list(struct graph_builder *builder, int thread, uint32_t slot,
                    const uint32_t *neighbours, uint32_t n);

/* Inserts these slots, each on the layer but not necessarily new there; the first batch may find an
 * empty layer. `present`: how many are in it. -EINTR, -ENOMEM. */
MUST_CHECK int graph_insert(struct graph_builder *builder, const uint32_t *slots, size_t count,
                            size_t present);

/* Cuts the lists to their degree, orders them, and sees to it that all of `slots` can be reached
 * from `entry`: one that cannot takes the place of the farthest neighbour of the nearest slot that
 * can, and keeps that one in its own list. */
MUST_CHECK int graph_finish(struct graph_builder *builder, const uint32_t *slots, size_t count,
                            uint32_t entry);

/* Marks what can be reached from `entry` in `seen` (a bit a slot); how many those are. */
MUST_CHECK int graph_reach(const struct layer *layer, uint32_t entry, uint64_t *seen,
                           uint32_t *reached);

#endif
