/* Exact distances: of one query to vectors as they lie in memory.
 *
 * A query is prepared once (byte order, norm, what the instructions at hand want) and then compared
 * with any number of values, by any number of threads.
 *
 * Sums are taken in float32, as pgvector does, in another order: distances agree with the server's
 * within 1e-5 relative to the sum of the terms' sizes, not bit for bit; so do the instruction
 * levels (isa.h; the one at query_new counts) with each other; bits are equal. A value's distance
 * is the same wherever it lies and whichever function below tells it, 0 from itself. float16 is
 * widened to float32 first. l2 takes the square root and cosine divides in double.
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
/* The bytes that it takes for a value of so many. */
size_t query_bytes(const struct space *space, size_t size);

const struct space *query_space(const struct query *query);
/* The value that it was made from; borrowed. */
const uint8_t *query_value(const struct query *query, size_t *size);

/* The distance as the server would say it. NaN: there is none (NULL; a zero vector under cosine).
 * -EBADMSG: not a value of this space; other dimensions than the query's are that, too. */
MUST_CHECK int query_distance(const struct query *query, const uint8_t *value, size_t size,
                              double *out);

/* Values that are near. The arrays are the caller's, and have room for all that are compared. */
struct query_found {
    uint32_t *numbers; /* of the values, ascending */
    double *distances;
    uint32_t count;
    uint32_t bad; /* the number of the value that is none */
};

/* Those of the values that are at most `most` away (NaN never is). -EBADMSG: out->bad is not a value
 * of this space; nothing else is set. */
MUST_CHECK int query_within(const struct query *query, const struct value *values, uint32_t count,
                            double most, struct query_found *out);

/* Why the value of this row is not compared with the query: -EBADMSG, with that for a text. */
int query_odd_value(const struct query *query, uint64_t row, const uint8_t *value, size_t size,
                    struct error *error);

#endif
