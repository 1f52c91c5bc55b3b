/* Vectors as they lie in memory: a span is a run of values of one column, each as COPY BINARY sends
 * it, without the length in front. All numbers in a value are big-endian:
 *
 *   vector     u16 dims | u16 0 | f32 × dims
 *   halfvec    u16 dims | u16 0 | f16 × dims
 *   sparsevec  i32 dims | i32 n | i32 0 | i32 × n: dimensions from 0, ascending | f32 × n, not 0
 *   bit        i32 bits | the bits, the first in the highest bit of a byte, the last byte ends in 0
 *
 * Rows are numbered over all spans of a list, 0 first. A value of size 0 is NULL: such a row is
 * never found. Spans borrow what they point to. The bytes come from a cache or from the network:
 * each function that uses them checks them (-EBADMSG: not a value of its type).
 */
#ifndef INDEX_SPAN_H
#define INDEX_SPAN_H

#include "codec/error.h"
#include "index/metric.h"

struct span {
    const uint8_t *bytes; /* the values, one behind another */
    uint32_t rows;        /* how many there are */
    uint32_t fixed;       /* the size of each value; 0: they differ */
    /* Where each value begins, and one more: where the last ends. NULL if the size is fixed. */
    const uint64_t *starts;
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

/* One value, wherever it lies. */
struct value {
    const uint8_t *bytes;
    size_t size; /* 0: NULL */
};

/* Whether a row of this value can be found by an index: it is not NULL, and under cosine no zero
 * vector. The value is one of the space. */
bool value_has_place(const struct space *space, const uint8_t *value, size_t size);

/* The number of dimensions of a value that is not NULL; of bit varying it may be 0. -EBADMSG: it is
 * not a value of the element. All is checked but the numbers themselves. */
MUST_CHECK int value_dims(enum element element, const uint8_t *value, size_t size, uint32_t *out);

#endif
