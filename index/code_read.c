#include "index/code_read.h"

#include "codec/bytes.h"
#include "codec/half_text.h"

#include <errno.h>
#include <float.h>
#include <math.h>

bool field_dense(const struct field *field)
{
    return field->space.element == ELEMENT_FLOAT32 || field->space.element == ELEMENT_FLOAT16;
}

/* ---- values as they come ---- */

int field_check(const struct field *field, const uint8_t *value, size_t size)
{
    uint32_t dims;
    int rc = value_dims(field->space.element, value, size, &dims);
    return rc < 0 ? rc : dims == field->space.dims ? 0 : -EBADMSG;
}

static void read_floats(const struct field *field, const uint8_t *value, float *out)
{
    const uint8_t *at = value + 4;
    for (uint32_t d = 0; d < field->space.dims; d++) {
        uint32_t bits = field->space.element == ELEMENT_FLOAT16
                            ? half_to_float4(load_be16(at + (size_t)2 * d))
                            : load_be32(at + (size_t)4 * d);
        memcpy(&out[d], &bits, 4);
    }
}

/* False: it has no direction. */
static bool normalise(float *x, uint32_t n)
{
    double norm2 = 0;
    for (uint32_t i = 0; i < n; i++)
        norm2 += (double)x[i] * x[i];
    if (!(norm2 > 0))
        return false;
    double by = 1 / sqrt(norm2);
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)(x[i] * by);
    return true;
}

/* As the records describe it, but for the rounding. 1: it has no place in this space. */
int field_read(const struct field *field, const uint8_t *value, size_t size, float *out)
{
    int rc = field_check(field, value, size);
    if (rc < 0)
        return rc;
    read_floats(field, value, out);
    if (field->space.metric == METRIC_COSINE && !normalise(out, field->space.dims))
        return 1;
    if (field->mean != NULL)
        for (uint32_t d = 0; d < field->space.dims; d++)
            out[d] -= field->mean[d];
    return 0;
}

float vector_length2(const float *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum < FLT_MAX ? (float)sum : FLT_MAX;
}

float vector_greatest(const float *x, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* 1 to 255; what is not finite, too. */
int code_of(float x, float by)
{
    float c = x * by + 128.5F;
    return c > 1 ? c < 255 ? (int)c : 255 : 1;
}

void field_put_bits(const struct field *field, const uint8_t *value, uint8_t *record)
{
    size_t bytes = (field->space.dims + 7) / 8;
    uint32_t set = 0;
    memset(record, 0, field->tail);
    memcpy(record, value + 4, bytes);
    if (field->space.dims % 8 != 0)
        record[bytes - 1] &= (uint8_t)(0xff << (8 - field->space.dims % 8));
    for (size_t i = 0; i < bytes; i++)
        set += (uint32_t)__builtin_popcount(record[i]);
    memcpy(record + field->tail, &set, sizeof set);
}

/* Dimensions and values of a sparse vector, in the machine's order. 1: no direction. */
int field_read_sparse(const struct field *field, const uint8_t *value, size_t size, uint32_t *dims,
                      float *values, float *norm2)
{
    int rc = field_check(field, value, size);
    if (rc < 0)
        return rc;
    uint32_t n = load_be32(value + 4), before = 0;
    double sum = 0, sum2 = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits = load_be32(value + 12 + (size_t)4 * n + (size_t)4 * i);
        dims[i] = load_be32(value + 12 + (size_t)4 * i);
        memcpy(&values[i], &bits, 4);
        if (dims[i] >= field->space.dims || (i > 0 && dims[i] <= before))
            return -EBADMSG;
        before = dims[i];
        sum += fabsf(values[i]);
        sum2 += (double)values[i] * values[i];
    }
    if (field->space.metric == METRIC_COSINE) {
        if (!normalise(values, n))
            return 1;
        sum2 = 1;
    }
    sum = field->space.metric == METRIC_L1 ? sum : sum2;
    *norm2 = sum < FLT_MAX ? (float)sum : FLT_MAX;
    return 0;
}

const uint8_t *field_sparse(const struct field *field, uint32_t slot, uint32_t *count)
{
    const uint8_t *look = look_of(field, slot);
    uint64_t at;
    memcpy(&at, look, 8);
    memcpy(count, look + 8, 4);
    return field->arena + at;
}
