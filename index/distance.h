/* Exact distances: of one query to vectors as they lie in memory.
 *
 * A query is prepared once (byte order, norm, what the instructions at hand want) and then compared
 * with any number of values, by any number of threads.
 *
 * Sums are taken in float32, as pgvector does, in another order: distances agree with the server's
 * within 1e-5 relative, not bit for bit; so do the instruction levels with each other (bits are
 * equal). float16 is widened to float32 first. l2 takes the square root and cosine divides in
 * double.
 *
 * Errors: -EINVAL the query is no vector of the space (other dimensions, not finite, a zero vector
 * under cosine), with a text for the user; -EBADMSG bytes that are no value; -ENOMEM.
 */
#ifndef INDEX_DISTANCE_H
#define INDEX_DISTANCE_H

#include "index/span.h"

struct query;

/* `value` as in span.h; copied. */
MUST_CHECK int query_new(const struct space *space, const uint8_t *value, size_t size,
                         struct query **out, struct error *error);
void query_free(struct query *query);

const struct space *query_space(const struct query *query);

/* The distance as the server would say it. NaN: there is none (a zero vector under cosine). -EBADMSG:
 * not a value of this space; other dimensions than the query's are that, too. */
MUST_CHECK int query_distance(const struct query *query, const uint8_t *value, size_t size,
                              double *out);

/* Distances that order as the real ones do and are cheaper (l2 squared; what cosine is without the
 * rest), of the rows [first, first + count) of a span; NaN: NULL, or none. */
MUST_CHECK int query_ranks(const struct query *query, const struct span *span, uint32_t first,
                           uint32_t count, float *out);

/* The real distance that belongs to a rank. */
double query_distance_of(const struct query *query, float rank);

#endif
