/* The binding of an index to a corpus: the join of the index's slots with the corpus's rows, by
 * their keys (struct row_key).
 *
 * For groups of rows that the earlier corpus had, too, the join is taken over; keys are compared
 * only for the other groups, with the slots that are left.
 *
 * Lifetime: reference-counted by its index's refs; immutable. Threads: any.
 */
#ifndef FS_SEARCH_VECTOR_BINDING_H
#define FS_SEARCH_VECTOR_BINDING_H

#include "fs/search/vector_graph.h"
#include "fs/search/vector_index.h"

struct bound_group {
    uint64_t id;
    uint64_t first; /* its first row */
    uint32_t rows;
};

struct vector_binding {
    struct vector_index index; /* what other files see; first */
    struct vector_graph *graph;
    uint64_t serial; /* serial of the corpus's snapshot */
    uint32_t rows;   /* number of rows of the corpus */
    uint32_t dead;   /* number of slots in use whose rows are not in the corpus */
    uint32_t *row_of_slot, *slot_of_row; /* UINT32_MAX: none */
    uint32_t *fresh;
    uint64_t *live;
    struct bound_group *groups; /* in the order of their ids */
    size_t group_count;
    uint32_t carried; /* for tests: number of rows whose slots were taken over */
};

/* `before`: an earlier binding of the same graph, or NULL. -ESTALE: the index is not of these rows;
 * -EFBIG: there are more rows than an index can have. */
MUST_CHECK int vector_binding_new(struct vector_graph *graph, struct corpus *corpus, int column,
                                  const struct vector_binding *before, struct vector_binding **out,
                                  struct error *error);

/* The same with a copy of its graph. */
MUST_CHECK int vector_binding_move(const struct vector_binding *from, struct vector_graph *graph,
                                   struct vector_binding **out);

#endif
