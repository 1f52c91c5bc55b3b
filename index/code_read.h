/* Reading values for a field: in the order of the machine, centred, of length 1, as code.h says;
 * for index/code*.c alone. */
#ifndef INDEX_CODE_READ_H
#define INDEX_CODE_READ_H

#include "index/code_kernels.h"

/* Whether it is of float32 or float16. */
bool field_dense(const struct field *field);
/* -EBADMSG: not a value of the space. */
MUST_CHECK int field_check(const struct field *field, const uint8_t *value, size_t size);

/* A dense vector as the records describe it, but for the rounding: dims floats. 1: it has no place
 * in this space. */
MUST_CHECK int field_read(const struct field *field, const uint8_t *value, size_t size, float *out);
/* Dimensions and values of a sparse vector, and its squared length, under l1 the sum of the
 * absolute values. 1: as above. */
MUST_CHECK int field_read_sparse(const struct field *field, const uint8_t *value, size_t size,
                                 uint32_t *dims, float *values, float *norm2);
/* Bits as a record; field_check has been called. */
void field_put_bits(const struct field *field, const uint8_t *value, uint8_t *record);

/* Where a sparse vector lies: its dimensions, then its values. */
const uint8_t *field_sparse(const struct field *field, uint32_t slot, uint32_t *count);

/* What is needed to know of all vectors before the first is put: mean, step, radius2. */
MUST_CHECK int field_survey(struct field *field, const struct span *spans, size_t span_count);

float vector_length2(const float *x, uint32_t n);  /* FLT_MAX at most */
float vector_greatest(const float *x, uint32_t n); /* absolute value */
/* x / scale + 128, rounded, from 1 to 255, whatever x is; `by` is 1 / scale. */
int code_of(float x, float by);
static inline float code_by(float scale)
{
    float by = 1 / scale;
    return scale > 0 && __builtin_isfinite(scale) && __builtin_isfinite(by) ? by : 0;
}

#endif
