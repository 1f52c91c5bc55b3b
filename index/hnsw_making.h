/* What building an index and changing one have in common; for index/hnsw*.c and a test alone.
 *
 * First the slots are planned (which new row comes into which), then filled. Then twins are linked,
 * through hnsw->twins only; all other slots are inserted into the layers. */
#ifndef INDEX_HNSW_MAKING_H
#define INDEX_HNSW_MAKING_H

#include "index/bits.h"
#include "index/graph_build.h"
#include "index/hnsw_parts.h"

/* The caller's rows, by number. */
struct rows {
    const struct hnsw_rows *all;
    uint64_t *firsts; /* number of each span's first row; one more: how many there are */
    uint32_t count;
};

struct making {
    const struct hnsw_options *options;
    struct rows rows;
    struct hnsw *hnsw;
    struct team *team;
    struct graph_builder builder;
    uint32_t *row_of_slot; /* of new rows; NOBODY: an old one is in the slot, or none */
    uint64_t *arenas;      /* of each slot: where its new sparse vector will lie; or NULL */
    float **scratch;       /* of each thread */
    uint64_t *twin;        /* slots that hold what another one holds, and are in no list */
    atomic_int rc;         /* an error of a thread, or 0 */
    atomic_uint bad;       /* if rc is -EBADMSG: the row that is not a vector of the space */
    struct error *error;
};

/* Starts the threads. What the caller has set in `making` stays. Call making_clear in any case. */
MUST_CHECK int making_init(struct making *making, const struct hnsw_rows *rows);
void making_clear(struct making *making);

const uint8_t *rows_value(const struct rows *rows, uint32_t row, size_t *size);
/* Whether the row has a place in an index of the space. */
bool rows_has_place(const struct rows *rows, const struct space *space, uint32_t row);

/* Plans where in the arena each new sparse vector will lie, behind `from`; where the arena ends
 * then. */
MUST_CHECK int making_plan_arena(struct making *making, uint64_t from, uint64_t *end);
/* Writes the new rows' records and keys. -EBADMSG: a row is not a vector of the space; -EINTR. */
MUST_CHECK int making_put_rows(struct making *making);
/* Links those of the slots that hold what one before them holds. -EINTR, -ENOMEM. */
MUST_CHECK int making_link_twins(struct making *making, const uint32_t *slots, size_t count);
/* The slots below `end` that are in lists, or will be: those taken, without twins. From malloc;
 * NULL: no memory. */
uint32_t *making_linked(const struct making *making, uint32_t end, size_t *count);
/* Whether the caller wants it to stop. */
static inline bool making_is_stopped(const struct making *making)
{
    const atomic_bool *stop = making->options->stop;
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static inline bool making_is_twin(const struct making *making, uint32_t slot)
{
    return bit_is_set(making->twin, slot);
}

/* Measures the curve of the index, which is complete. The queries are these rows, none of which it
 * has; `in` are the rows that it has. */
MUST_CHECK int hnsw_measure(struct making *making, const uint32_t *rows, uint32_t count,
                            const uint64_t *in);

/* Gives slots new numbers, so that neighbours lie near each other in memory. After an error the
 * index is only good for being freed. */
MUST_CHECK int hnsw_reorder(struct making *making);

/* Prepares the builder, to build or change layers. */
MUST_CHECK int making_begin_graph(struct making *making);

#endif
