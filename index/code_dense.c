/* Dense vectors: codes of 8 or 4 bits, with a scale each or, under l1, one for all. */
#include "index/code_kind.h"

#include "codec/bytes.h"
#include "codec/half_text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

bool dense_element(enum element element)
{
    return element == ELEMENT_FLOAT32 || element == ELEMENT_FLOAT16;
}

static bool dense_fits(const struct space *space)
{
    return dense_element(space->element) && space->dims > FIELD_SHORT;
}

static void dense_shape(struct field *field, const struct code_kernels *kernels)
{
    uint32_t dims = field->space.dims;
    bool l1 = field->space.metric == METRIC_L1;
    if (field->bits == 4) {
        field->tail = (uint32_t)round_up(dims, NIBBLES) / 2;
        field->fine_stride = field->tail;
        field->score = kernels->dot4;
        field->refine = kernels->fine4;
    } else {
        field->tail = (uint32_t)round_up(dims, 4);
        field->fine_stride = round_up(dims, 16);
        field->score = l1 ? kernels->sad8 : kernels->dot8;
        field->refine = l1 ? kernels->fine_l1 : kernels->fine8;
    }
    field->look_stride = stride_of(field->tail + sizeof(struct code_tail));
}

/* ---- vectors ---- */

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

bool vector_normalise(float *x, uint32_t n)
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

int dense_read(const struct field *field, const uint8_t *value, size_t size, float *out)
{
    int rc = field_check(field, value, size);
    if (rc < 0)
        return rc;
    read_floats(field, value, out);
    if (field->space.metric == METRIC_COSINE && !vector_normalise(out, field->space.dims))
        return 1;
    if (field->mean != NULL)
        for (uint32_t d = 0; d < field->space.dims; d++)
            out[d] -= field->mean[d];
    return 0;
}

/* ---- codes ---- */

/* 1 / scale; 0 if that is no number. */
static float inverse_of(float scale)
{
    float inverse = 1 / scale;
    return scale > 0 && isfinite(scale) && isfinite(inverse) ? inverse : 0;
}

/* x / scale + 128, rounded, and 1 to 255 whatever x is, NaN too. */
static inline int code_of(float x, float inverse)
{
    float c = x * inverse + 128.5F;
    return c > 1 ? c < 255 ? (int)c : 255 : 1;
}

void dense_put_codes(const struct field *field, uint32_t slot, const float *x, float scale)
{
    uint8_t *look = field->look + field->look_stride * slot;
    uint8_t *fine = field->fine + field->fine_stride * slot;
    uint32_t dims = field->space.dims;
    float inverse = inverse_of(scale);
    struct code_tail tail = {.norm2 = vector_length2(x, dims), .scale = scale};
    for (uint32_t d = 0; d < dims; d++) {
        int c = code_of(x[d], inverse);
        look[d] = (uint8_t)c;
        tail.sum += c - 128;
        if (field->fine_stride > 0) {
            float rest = (x[d] * inverse + 128.5F - (float)c) * 256;
            fine[d] = (uint8_t)(rest > 0 ? rest < 255 ? rest : 255 : 0);
        }
    }
    memcpy(look + field->tail, &tail, sizeof tail);
}

static float scale_of(const struct field *field, const float *x)
{
    return field->space.metric == METRIC_L1 ? field->step
                                            : vector_greatest(x, field->space.dims) / 127;
}

static int dense_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                     size_t size, float *scratch)
{
    (void)arena;
    int rc = dense_read(field, value, size, scratch);
    if (rc == 0)
        dense_put_codes(field, slot, scratch, scale_of(field, scratch));
    return rc;
}

const uint8_t *dense_content(const struct field *field, uint32_t slot, size_t *size)
{
    *size = field->tail + sizeof(struct code_tail);
    return look_of(field, slot);
}

/* ---- a probe ---- */

/* Kernels read whole blocks. */
static int dense_probe_init(const struct field *field, struct probe *probe)
{
    size_t room = round_up(field->space.dims, NIBBLES) + 64;
    int8_t *codes = probe->dense.codes = aligned_alloc(64, round_up(room, 64));
    float *floats = probe->dense.floats = aligned_alloc(64, round_up(room * sizeof *floats, 64));
    if (codes == NULL || floats == NULL)
        return -ENOMEM;
    memset(codes, 0, room);
    memset(floats, 0, room * sizeof *floats);
    return 0;
}

static void dense_probe_clear(struct probe *probe)
{
    free(probe->dense.codes);
    free(probe->dense.floats);
}

static int dense_probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                             size_t size)
{
    struct dense_probe *dense = &probe->dense;
    uint32_t dims = field->space.dims;
    bool ip = field->space.metric == METRIC_IP, l1 = field->space.metric == METRIC_L1;
    int rc = dense_read(field, value, size, dense->floats);
    if (rc != 0)
        return rc;
    float scale = scale_of(field, dense->floats), inverse = inverse_of(scale);
    int64_t sum = 0;
    double float_sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        dense->codes[d] = (int8_t)(code_of(dense->floats[d], inverse) - 128);
        sum += dense->codes[d];
        float_sum += dense->floats[d];
    }
    probe->distance_offset = l1 ? 0 : vector_length2(dense->floats, dims);
    dense->norm_weight = ip ? 0 : 1;
    dense->lift_weight = 0;
    dense->fine_weight = ip ? -1 : -2;
    if (field->bits == 4) { /* a half stands for the 16 codes that have it: for their middle */
        dense->dot_weight = dense->fine_weight * scale * 16;
        dense->dot_bias = (float)((128 - 7.5) / 16 * (double)sum);
        dense->fine_bias = (float)(128 * float_sum);
    } else {
        dense->dot_weight = dense->fine_weight * scale;
        dense->dot_bias = 128 * (float)sum;
        dense->fine_bias = (float)(CODE_CENTRE * float_sum);
    }
    return 0;
}

/* With the lift all are equally long: |x - y|² = 2 r² - 2 <x, y> - 2 lift(x) lift(y). */
static void weigh_slot(const struct field *field, struct probe *probe, float norm2)
{
    bool ip = field->space.metric == METRIC_IP, l1 = field->space.metric == METRIC_L1;
    probe->dense.norm_weight = ip ? 0 : 1;
    probe->dense.lift_weight = ip ? 2 * lift_of(field, norm2) : 0;
    probe->link_offset = l1 ? 0 : ip ? 2 * field->radius2 : norm2;
}

static int dense_probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    const uint8_t *look = look_of(field, slot);
    struct code_tail tail = tail_of(field, look);
    int8_t *codes = probe->dense.codes;
    uint32_t d = 0;
    for (; d + 8 <= field->space.dims; d += 8) {
        uint64_t eight;
        memcpy(&eight, look + d, 8);
        eight ^= UINT64_C(0x8080808080808080);
        memcpy(codes + d, &eight, 8);
    }
    for (; d < field->space.dims; d++)
        codes[d] = (int8_t)(look[d] - 128);
    probe->dense.dot_weight = -2 * tail.scale;
    probe->dense.dot_bias = 128 * (float)tail.sum;
    weigh_slot(field, probe, tail.norm2);
    return 0;
}

const struct field_kind kind_dense = {.bits = 8,
                                      .centred = true,
                                      .reads_numbers = true,
                                      .fits = dense_fits,
                                      .shape = dense_shape,
                                      .survey = dense_survey,
                                      .put = dense_put,
                                      .content = dense_content,
                                      .probe_init = dense_probe_init,
                                      .probe_clear = dense_probe_clear,
                                      .probe_value = dense_probe_value,
                                      .probe_slot = dense_probe_slot};
