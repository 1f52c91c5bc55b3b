/* The parts of an index; for index/hnsw*.c alone. */
#ifndef INDEX_HNSW_PARTS_H
#define INDEX_HNSW_PARTS_H

#include "index/graph.h"
#include "index/hnsw.h"

enum { LAYERS_MOST = 12 };
#define NO_PLACE UINT64_MAX
#define SLOTS_MOST ((uint32_t)INT32_MAX)

struct hnsw {
    uint32_t m, ef_construction;
    uint64_t seed;
    struct field field;
    struct layer layers[LAYERS_MOST]; /* the lowest, which has all slots, first */
    uint32_t layer_count;             /* 0: the index is empty */
    uint32_t slots, rows;
    uint32_t entry;   /* a slot that is on all layers */
    uint64_t *places; /* of each slot, the key's; NO_PLACE: nothing is in it */
    uint32_t *xmins;  /* of each slot, the key's */
    /* Of each slot, the next that holds the same and is in no list: a chain, whose first slot is in
     * the graph for all. NULL: there are no twins. */
    uint32_t *twins;
    uint64_t churn;
    struct hnsw_recall curve[HNSW_RECALLS];
    uint32_t curve_count;
    /* All arrays but the mean lie in the caller's bytes (hnsw_open), which may have been made to
     * deceive, and may become zeroes while they are read. */
    bool borrowed;
};

/* Room for the keys of so many slots, all empty. -ENOMEM. */
MUST_CHECK int hnsw_make_places(struct hnsw *hnsw, uint32_t slots);

/* Frees all but the field and the struct itself. */
void hnsw_clear_graph(struct hnsw *hnsw);
/* A copy with places, twins and lists in memory of its own, which hold; the field is `from`'s.
 * -EBADMSG: they do not hold; -ENOMEM. */
MUST_CHECK int hnsw_copy_graph(const struct hnsw *from, struct hnsw *out);

/* What must hold of bytes that somebody else may have written: as many slots are taken as there are
 * rows; chains of twins are of taken slots, and end (-EBADMSG: they do not; -ENOMEM). */
bool hnsw_places_hold(const struct hnsw *hnsw);
MUST_CHECK int hnsw_twins_hold(const struct hnsw *hnsw);

static inline bool slot_taken(const struct hnsw *hnsw, uint32_t slot)
{
    return slot < hnsw->slots && hnsw->places[slot] != NO_PLACE;
}

#endif
