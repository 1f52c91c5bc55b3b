/* Exact distances of one query to vectors as they lie in memory.
 *
 * query_new prepares a query once (byte order, norm, what the instructions at hand need). Any
 * number of threads may then compare it with any number of values.
 *
 * Sums are float32, as pgvector's are, but added up in another order. So a distance agrees with the
 * server's within 1e-5, relative to the sum of the terms' sizes, and so do the levels of
 * instructions with each other (isa.h; the level at query_new counts). Distances of bits are equal.
 * A value has the same distance wherever it lies and whichever function tells it, and 0 from
 * itself. float16 is widened to float32 first. l2 takes the square root, and cosine divides, in
 * double.
 *
 * Errors: -EINVAL the query is not a vector of the space (other dimensions, not finite, a zero
 * vector under cosine), with a text for the user; -EBADMSG bytes that are not a value; -ENOMEM.
 */
#ifndef INDEX_DISTANCE_H
#define INDEX_DISTANCE_H

#include "index/span.h"

struct query;

/* Copies the value (span.h). */
MUST_CHECK int query_new(const struct space *space, const uint8_t *value, size_t size,
                         struct query **out, struct error *error);
void query_free(struct query *query);
/* The memory, in bytes, that a query of a value of `size` bytes takes. */
size_t query_bytes(const struct space *space, size_t size);

const struct space *query_space(const struct query *query);
/* The value that query_new was given; borrowed. */
const uint8_t *query_value(const struct query *query, size_t *size);

/* The distance as the server would say it. NaN: there is none (NULL; a zero vector under cosine).
 * -EBADMSG: not a value of this space, or one of other dimensions. */
MUST_CHECK int query_distance(const struct query *query, const uint8_t *value, size_t size,
                              double *out);

/* Values that are near. The arrays are the caller's, and have room for all that are compared. */
struct query_found {
    uint32_t *numbers; /* of the values, ascending */
    double *distances;
    uint32_t count;
    uint32_t bad; /* the number of the value that is none */
};

/* Those of the values that are at most `most` away (NaN never is). -EBADMSG: out->bad is not a
 * value of this space; nothing else is set. */
MUST_CHECK int query_within(const struct query *query, const struct value *values, uint32_t count,
                            double most, struct query_found *out);

/* -EBADMSG, and in `error` why the value of this row cannot be compared with the query. */
int query_odd_value(const struct query *query, uint64_t row, const uint8_t *value, size_t size,
                    struct error *error);

#endif
