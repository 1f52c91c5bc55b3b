/* Exact search: the K nearest rows by looking at all of them, at the speed of memory.
 *
 * The rows are divided among threads in blocks; each keeps its K nearest; these are merged, so that
 * the answer does not depend on the number of threads. Several queries share one pass. The memory
 * of rows that the filter leaves out is not touched, nor are they checked.
 *
 * Equal distances (those of query_distance, to the last bit) are ordered by `before`. Rows without
 * a distance (NULL, zero vectors under cosine) are not found.
 *
 * Errors: -EBADMSG a value that is none of the space (which row, in `error`), -EINTR `stop` was
 * set, -ENOMEM.
 */
#ifndef INDEX_EXACT_H
#define INDEX_EXACT_H

#include "index/distance.h"

#include <stdatomic.h>

struct neighbour {
    double distance;
    uint64_t row; /* over all spans */
};

struct exact_search {
    const struct span *spans;
    size_t span_count;
    const uint64_t *filter; /* bit row % 64 of word row / 64: the row counts; NULL: all do */
    uint32_t k;
    int threads; /* 1 and more; the caller's is one of them */
    /* Whether row a comes before row b if both are equally near; NULL: the smaller number does. A
     * total order; called by all threads, for rows that may be found. */
    bool (*before)(void *context, uint64_t a, uint64_t b);
    void *context;
    const atomic_bool *stop; /* or NULL */
};

/* For each of the queries, which are of one space, the up to k nearest, nearest first, into
 * out[query * k], and their number into counts[query]. */
MUST_CHECK int exact_search(const struct exact_search *search, const struct query *const *queries,
                            size_t query_count, struct neighbour *out, uint32_t *counts,
                            struct error *error);

#endif
