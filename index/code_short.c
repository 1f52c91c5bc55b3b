/* Vectors of few dimensions: their distances are much smaller than their lengths, and what is left
 * of two squared lengths would have no digits. So both parts are read, and differences summed. */
#include "index/code_kind.h"

#include <math.h>

static bool short_fits(const struct space *space)
{
    return dense_element(space->element) && space->dims <= FIELD_SHORT;
}

static int short_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                     size_t size, float *scratch)
{
    (void)arena;
    int rc = dense_read(field, value, size, scratch);
    if (rc == 0)
        dense_put_codes(field, slot, scratch, vector_greatest(scratch, field->space.dims) / 127);
    return rc;
}

static void read_both(const struct field *field, uint32_t slot, float *out)
{
    const uint8_t *look = look_of(field, slot), *fine = fine_of(field, slot);
    float scale = tail_of(field, look).scale;
    for (uint32_t d = 0; d < field->space.dims; d++)
        out[d] = scale * ((float)look[d] + (float)fine[d] / 256 - CODE_CENTRE);
}

static float lift_of_slot(const struct field *field, uint32_t slot)
{
    return lift_of(field, tail_of(field, look_of(field, slot)).norm2);
}

static int short_probe_init(const struct field *field, struct probe *probe)
{
    (void)field;
    (void)probe;
    return 0;
}

static void short_probe_clear(struct probe *probe) { (void)probe; }

static int short_probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                             size_t size)
{
    probe->few.is_slot = false;
    return dense_read(field, value, size, probe->few.x);
}

static int short_probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    read_both(field, slot, probe->few.x);
    probe->few.lift = lift_of_slot(field, slot);
    probe->few.is_slot = true;
    return 0;
}

/* The offsets of the probe are 0: nothing is left out of these scores. */
static void short_score(const struct field *field, const struct probe *probe, const uint32_t *ids,
                        uint32_t n, float *out)
{
    bool l1 = field->space.metric == METRIC_L1, ip = field->space.metric == METRIC_IP;
    const float *q = probe->few.x;
    for (uint32_t i = 0; i < n; i++) {
        float x[FIELD_SHORT], squares = 0, sizes = 0, products = 0;
        read_both(field, ids[i], x);
        for (uint32_t d = 0; d < field->space.dims; d++) {
            float difference = q[d] - x[d];
            squares += difference * difference;
            sizes += fabsf(difference);
            products += q[d] * x[d];
        }
        bool lifted = ip && probe->few.is_slot;
        float lift = lifted ? probe->few.lift - lift_of_slot(field, ids[i]) : 0;
        out[i] = l1 ? sizes : ip && !lifted ? -products : squares + lift * lift;
    }
}

static void short_shape(struct field *field, const struct code_kernels *kernels)
{
    (void)kernels;
    field->tail = (uint32_t)round_up(field->space.dims, 4);
    field->look_stride = stride_of(field->tail + sizeof(struct code_tail));
    field->fine_stride = round_up(field->space.dims, 16);
    field->score = short_score;
}

const struct field_kind kind_short = {.bits = 8,
                                      .centred = true,
                                      .reads_numbers = true,
                                      .fits = short_fits,
                                      .shape = short_shape,
                                      .survey = dense_survey,
                                      .put = short_put,
                                      .content = dense_content,
                                      .probe_init = short_probe_init,
                                      .probe_clear = short_probe_clear,
                                      .probe_value = short_probe_value,
                                      .probe_slot = short_probe_slot};
