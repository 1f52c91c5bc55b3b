/* Exact search: looks at all rows for the K nearest, at the speed of memory.
 *
 * Threads share the rows in blocks, and each keeps its K nearest. These are merged, so the answer
 * does not depend on the number of threads. Several queries share one pass. Rows that the filter
 * leaves out are neither read nor checked.
 *
 * Equal distances (those of query_distance, to the last bit) are ordered by `before`. Rows without
 * a distance (NULL, zero vectors under cosine) are not found.
 *
 * Errors: -EBADMSG a value is not one of the space (`error` has which row), -EINTR `stop` was set,
 * -ENOMEM.
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
    const uint64_t *filter; /* rows that count (bits.h); NULL: all do */
    uint32_t k;
    int threads; /* at least 1; the caller's is one of them */
    /* Whether row a comes before row b if both are equally near: a total order. NULL: the smaller
     * number comes first. All threads call it, for rows that may be found. */
    bool (*before)(void *context, uint64_t a, uint64_t b);
    void *context;
    const atomic_bool *stop; /* or NULL */
};

/* Up to k nearest rows for each query, nearest first, into out[query * k], and how many they are
 * into counts[query]. The queries are of one space. */
MUST_CHECK int exact_search(const struct exact_search *search, const struct query *const *queries,
                            size_t query_count, struct neighbour *out, uint32_t *counts,
                            struct error *error);

#endif
