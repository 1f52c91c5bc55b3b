/* Vectors as users write them, as COPY BINARY values. Users write pgvector's own text, a vector a
 * line, or an array of numbers.
 *
 *   vector, halfvec   [0.1,-2,3e-5]
 *   sparsevec         {1:0.5,7:-1}/300
 *   bit               0101
 *   any but bit       little-endian float32 one behind another, or a .npy file (versions 1 to 3,
 *                     C order, of one or two dimensions, <f4 or <f8)
 *
 * Bytes that are all printable are text, others are float32. Numbers are rounded as strtof does in
 * the C locale, those of a halfvec once more, as pgvector does. Blank lines are skipped at the end,
 * and around a single vector; in front of one of several they are refused, since it is known by its
 * number.
 *
 * Lifetime: a batch is init to {0}; vector_batch_clear. Threads: pure.
 * Errors: -EINVAL, the sentence has line and position; -ENOMEM.
 */
#ifndef CODEC_VECTOR_PARSE_H
#define CODEC_VECTOR_PARSE_H

#include "codec/buffer.h"

enum vector_kind { VECTOR_FLOAT32, VECTOR_FLOAT16, VECTOR_SPARSE, VECTOR_BIT };

/* What the vectors must be. */
struct vector_form {
    enum vector_kind kind;
    uint32_t dims;           /* 0: any, but the same in all; then float32 bytes are one vector */
    size_t most, bytes_most; /* of a batch: vectors, and their bytes; 0: any number */
};

struct vector_batch {
    struct buffer values; /* one behind another */
    struct buffer ends;   /* size_t: where each ends in values */
    size_t count;
    uint32_t dims; /* of each */
};

MUST_CHECK int vector_parse(const struct vector_form *form, const uint8_t *bytes, size_t size,
                            struct vector_batch *out, struct error *error);
void vector_batch_clear(struct vector_batch *batch);

/* Borrowed from the batch. */
const uint8_t *vector_batch_value(const struct vector_batch *batch, size_t number, size_t *size);

#endif
