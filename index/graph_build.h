/* Inserting slots into a layer.
 *
 * Slots come in batches. Each of a batch searches the layer as it was before the batch, and chooses
 * neighbours among what it finds (graph_links.h). Then the edges are sorted by their ends, and each
 * end takes them into its list; if that is full, it chooses anew. Both steps run on all threads,
 * and one thread writes a list: so the layer depends on the order of the slots only.
 *
 * While a layer is built, its lists have half as much room again as in the end.
 *
 * Errors: -EINTR `stop` was set, -ENOMEM; the builder is then only good for being cleared.
 */
#ifndef INDEX_GRAPH_BUILD_H
#define INDEX_GRAPH_BUILD_H

#include "index/graph.h"
#include "index/team.h"

#include <stdatomic.h>

struct graph_builder {
    const struct field *field;
    struct team *team;
    uint32_t slots;          /* of the field */
    uint32_t ef;             /* of the searches */
    const atomic_bool *stop; /* or NULL; looked at for each slot */
    atomic_ulong *done;      /* or NULL: slots inserted into the lowest layer */
    struct builder_thread *threads;
    struct layer *layers; /* those above `level` are complete, `level` is being built */
    int top, level;
    uint32_t entry;   /* a slot that is on all layers */
    uint32_t degree;  /* of the lists of `level` in the end */
    uint32_t links;   /* neighbours that a slot chooses when it is inserted */
    float *distances; /* along the lists of `level` */
};

/* The caller has set ef, stop, done, layers, top and entry. */
MUST_CHECK int graph_builder_init(struct graph_builder *builder, const struct field *field,
                                  struct team *team, uint32_t slots);
void graph_builder_clear(struct graph_builder *builder);

/* Begins a layer with `count` slots and empty lists, in place of `level`'s, which is not freed. */
MUST_CHECK int graph_begin(struct graph_builder *builder, int level, uint32_t count,
                           uint32_t degree, uint32_t links);
/* Copies the lists of a finished layer to the first slots. */
MUST_CHECK int graph_seed(struct graph_builder *builder, const struct layer *from);

/* Calls work(context, thread, slot) for the slots below `count`, on all threads; it may call
 * graph_set_list. */
MUST_CHECK int graph_each(struct graph_builder *builder, uint32_t count,
                          void (*work)(void *context, int thread, size_t slot), void *context);
/* Gives the slot these neighbours, or, if they are too many, chooses among them. A neighbour may be
 * named more than once. */
void graph_set_list(struct graph_builder *builder, int thread, uint32_t slot,
                    const uint32_t *neighbours, uint32_t n);

/* Inserts these slots of the layer; a slot that is there already looks for neighbours again. The
 * layer may be empty before. `present`: how many slots are in it. */
MUST_CHECK int graph_insert(struct graph_builder *builder, const uint32_t *slots, size_t count,
                            size_t present);

/* Cuts the lists to their degree, orders them, and sees to it that all of `slots` can be reached
 * from `entry`: one that cannot takes the place of the farthest neighbour of the nearest slot that
 * can, and has that neighbour in its own list. */
MUST_CHECK int graph_finish(struct graph_builder *builder, const uint32_t *slots, size_t count,
                            uint32_t entry);

/* Adds to `seen` what can be reached from `entry`; how many those are. -ENOMEM. */
MUST_CHECK int graph_reach(const struct layer *layer, uint32_t entry, uint64_t *seen,
                           uint32_t *reached);

#endif
