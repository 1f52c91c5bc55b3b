/* Vectors as they lie in memory: a run of values of one column, each as COPY BINARY sends it,
 * without the length in front. All numbers in a value are big-endian:
 *
 *   vector     u16 dims | u16 0 | f32 × dims
 *   halfvec    u16 dims | u16 0 | f16 × dims
 *   sparsevec  i32 dims | i32 n | i32 0 | i32 × n, dimensions from 0, ascending | f32 × n, none is 0
 *   bit        i32 bits | the bits, the first one the highest of its byte, the last byte filled up
 *              with 0
 *
 * Rows are numbered over all spans of a list, 0 first. A value of size 0 is NULL: such a row is
 * never found. Spans borrow what they point to. Bytes come from a cache or from the network: they
 * are checked where they are used (-EBADMSG: not a value of its type).
 */
#ifndef INDEX_SPAN_H
#define INDEX_SPAN_H

#include "codec/error.h"
#include "index/metric.h"

struct span {
    const uint8_t *bytes; /* the values, one behind another */
    uint32_t rows;        /* of them */
    uint32_t fixed;       /* the size of each value; 0: see starts */
    const uint64_t
        *starts; /* where each value begins; one more: where the last ends. NULL if fixed */
};

static inline const uint8_t *span_value(const struct span *span, uint32_t row, size_t *size)
{
    if (span->fixed != 0) {
        *size = span->fixed;
        return span->bytes + (size_t)span->fixed * row;
    }
    *size = (size_t)(span->starts[row + 1] - span->starts[row]);
    return span->bytes + span->starts[row];
}

/* One of them, wherever it lies. */
struct value {
    const uint8_t *bytes;
    size_t size; /* 0: NULL */
};

/* Whether a row of this value can be found by an index: it is not NULL, and under cosine no zero
 * vector. The value is one of the space. */
bool value_has_place(const struct space *space, const uint8_t *value, size_t size);

/* The number of dimensions of a value that is not NULL (bit varying has a value of 0). -EBADMSG: it
 * is none of the element; all but the numbers themselves is checked. */
MUST_CHECK int value_dims(enum element element, const uint8_t *value, size_t size, uint32_t *out);

#endif
