/* What the kinds of fields do, a file each, and what they share; for index/code*.c alone.
 *
 * A new kind is a file that defines one of these, and a line in code.c. A field asks its kind once
 * for each vector, its score functions never.
 */
#ifndef INDEX_CODE_KIND_H
#define INDEX_CODE_KIND_H

#include "index/code_kernels.h"

struct field_kind {
    uint32_t bits;      /* of a number in look, as field.bits has it */
    bool centred;       /* on the mean of all, if the metric is not ip */
    bool reads_numbers; /* field_put needs a float of scratch for each dimension */

    /* Whether the vectors of the space are of this kind. */
    bool (*fits)(const struct space *space);

    /* Sets tail, strides and functions. */
    void (*shape)(struct field *field, const struct code_kernels *kernels);

    /* Sets mean, step, radius2, as far as the kind has them. */
    int (*survey)(struct field *field, const struct span *spans, size_t span_count);

    int (*put)(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
               size_t size, float *scratch);

    /* What makes two slots equal, but for fine: its bytes, `*size` of them. */
    const uint8_t *(*content)(const struct field *field, uint32_t slot, size_t *size);

    /* As field_arena_of and field_arena_holds; NULL: there is no arena. */
    size_t (*arena_of)(const uint8_t *value, size_t size);
    bool (*arena_holds)(const struct field *field, uint32_t slots);

    /* As the functions in code.h that are called so. */
    int (*probe_init)(const struct field *field, struct probe *probe);
    void (*probe_clear)(struct probe *probe);
    int (*probe_value)(const struct field *field, struct probe *probe, const uint8_t *value,
                       size_t size);
    int (*probe_slot)(const struct field *field, struct probe *probe, uint32_t slot);
};

extern const struct field_kind kind_dense, kind_short, kind_sparse, kind_bits;

/* ---- what they share ---- */

static inline size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* The stride of records of `size` bytes. */
static inline size_t stride_of(size_t size) { return round_up(size, size > 48 ? 64 : 16); }

/* -EBADMSG: not a value of the space. */
MUST_CHECK int field_check(const struct field *field, const uint8_t *value, size_t size);

/* ---- of dense and short vectors (code_dense.c) ---- */

bool dense_element(enum element element);

/* x of a value, as code.h says: a float for each dimension. 1: a zero vector under cosine. */
MUST_CHECK int dense_read(const struct field *field, const uint8_t *value, size_t size, float *out);

/* Writes the record of x. */
void dense_put_codes(const struct field *field, uint32_t slot, const float *x, float scale);

const uint8_t *dense_content(const struct field *field, uint32_t slot, size_t *size);

/* The mean of a sample; under l1 the step, too; under ip the radius instead. */
MUST_CHECK int dense_survey(struct field *field, const struct span *spans, size_t span_count);

float vector_length2(const float *x, uint32_t n);  /* squared length, FLT_MAX at most */
float vector_greatest(const float *x, uint32_t n); /* greatest absolute value */
/* Brings x to length 1. False: it has no direction. */
bool vector_normalise(float *x, uint32_t n);

/* ---- of sparse vectors ---- */

/* Under ip the radius. */
MUST_CHECK int sparse_survey(struct field *field, const struct span *spans, size_t span_count);

#endif
