/* Layers of the graph, and how they are searched.
 *
 * A layer is a list of neighbours for each of the slots below `count`, nearest first as far as the
 * build has it, filled up with NOBODY. */
#ifndef INDEX_GRAPH_H
#define INDEX_GRAPH_H

#include "index/code.h"

#include <stdatomic.h>

#define NOBODY UINT32_MAX
enum { DEGREE_MOST = 512 };

struct layer {
    uint32_t count;  /* slots on it */
    uint32_t degree; /* entries of a list */
    uint32_t *lists;
};

static inline uint32_t *layer_list(const struct layer *layer, uint32_t slot)
{
    return layer->lists + (size_t)layer->degree * slot;
}

static inline uint32_t list_length(const uint32_t *list, uint32_t degree)
{
    uint32_t n = 0;
    while (n < degree && list[n] != NOBODY)
        n++;
    return n;
}

/* A candidate: its score, so that numbers order as scores do, NaN last, then its slot; in the lowest
 * bit whether its list has been looked at. So equal scores are ordered by slot. */
typedef uint64_t candidate;

/* -INFINITY, turned over. What is below it, NaN of a negative sign (as x86 makes it), goes round to
 * the end. */
#define CANDIDATE_FIRST UINT32_C(0x007fffff)

static inline candidate candidate_make(float score, uint32_t slot)
{
    uint32_t bits;
    __builtin_memcpy(&bits, &score, sizeof bits);
    bits ^= (uint32_t)((int32_t)bits >> 31) | 0x80000000;
    return (uint64_t)(bits - CANDIDATE_FIRST) << 32 | (uint64_t)slot << 1;
}

static inline uint32_t candidate_slot(candidate one) { return (uint32_t)one >> 1; }

static inline float candidate_score(candidate one)
{
    uint32_t bits = (uint32_t)(one >> 32) + CANDIDATE_FIRST;
    bits ^= bits >> 31 ? 0x80000000 : 0xffffffff;
    float score;
    __builtin_memcpy(&score, &bits, sizeof score);
    return score;
}

/* Room to search in, for one thread. */
struct walk {
    uint64_t *seen; /* a bit a slot; all 0 between searches */
    uint32_t slots;
    uint32_t *touched; /* those with their bit set, as long as there are few */
    uint32_t touched_count, touched_room;
    candidate *pool; /* ascending */
    uint32_t size, room;
    uint32_t visited;        /* slots scored since it was last set back */
    const atomic_bool *stop; /* or NULL */
};

MUST_CHECK int walk_init(struct walk *walk, uint32_t slots, uint32_t room);
void walk_clear(struct walk *walk);
/* Room for a pool of so many. */
MUST_CHECK int walk_reserve(struct walk *walk, uint32_t room);

/* From `entry` down the layers above the lowest, to the nearest slot there that is found by going
 * to a nearer neighbour. */
uint32_t graph_descend(const struct layer *layers, int from, int to, const struct field *field,
                       const struct probe *probe, uint32_t entry, uint32_t *visited);

/* The best `ef` that are found from `entry`, into the pool (which has room). -EINTR: stopped. */
MUST_CHECK int graph_search(const struct layer *layer, const struct field *field,
                            const struct probe *probe, uint32_t entry, uint32_t ef,
                            struct walk *walk);

#endif
