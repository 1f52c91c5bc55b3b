/* Layers of the graph, and how they are searched.
 *
 * A layer has a list of neighbours for each slot below `count`, nearest first as far as the build
 * orders them, filled up with NOBODY. */
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

/* A slot and its score as one number, so that numbers order as scores do, NaN last, and equal
 * scores by slot:
 *
 *   bits 63 to 32   the score, moved so that -INFINITY is 0
 *   bits 31 to 1    the slot
 *   bit 0           its list has been looked at
 */
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

/* The room that one thread searches in, and what it searches for. */
struct walk {
    const struct field *field;
    const struct probe *probe; /* what the next search looks for */
    uint64_t *seen;            /* slots; none between searches */
    uint32_t slots;
    uint32_t *touched; /* the slots in `seen`, as long as there is room for them */
    uint32_t touched_count, touched_room;
    candidate *pool; /* what the last search found, ascending */
    uint32_t size, room;
    uint32_t visited;        /* slots scored; the caller sets it back */
    const atomic_bool *stop; /* or NULL */
};

/* Borrows field and probe. `room`: as for walk_reserve. -ENOMEM. */
MUST_CHECK int walk_init(struct walk *walk, const struct field *field, const struct probe *probe,
                         uint32_t slots, uint32_t room);
void walk_clear(struct walk *walk);
/* Room for a pool of so many. */
MUST_CHECK int walk_reserve(struct walk *walk, uint32_t room);

/* From `entry` through the layers `from` down to `to`, on each to the neighbour that is nearer, as
 * long as there is one. The slot where that ends. */
uint32_t graph_descend(struct walk *walk, const struct layer *layers, int from, int to,
                       uint32_t entry);

/* The best `ef` that are found from `entry`, into the pool, which has room. -EINTR: stopped. */
MUST_CHECK int graph_search(struct walk *walk, const struct layer *layer, uint32_t entry,
                            uint32_t ef);

#endif
