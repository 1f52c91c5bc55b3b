/* Bits: kept as they are, in whole words filled up with 0, and how many are set. */
#include "index/code_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool bits_fits(const struct space *space) { return space->element == ELEMENT_BIT; }

static void bits_shape(struct field *field, const struct code_kernels *kernels)
{
    field->tail = (uint32_t)round_up((field->space.dims + 7) / 8, 8);
    field->look_stride = stride_of(field->tail + sizeof(uint32_t));
    field->score = field->space.metric == METRIC_JACCARD ? kernels->jaccard : kernels->hamming;
}

static int bits_survey(struct field *field, const struct span *spans, size_t span_count)
{
    (void)field;
    (void)spans;
    (void)span_count;
    return 0;
}

/* The record of a value. */
static int read_bits(const struct field *field, const uint8_t *value, size_t size, uint8_t *record)
{
    size_t bytes = (field->space.dims + 7) / 8;
    uint32_t set = 0;
    int rc = field_check(field, value, size);
    if (rc < 0)
        return rc;
    memset(record, 0, field->tail);
    memcpy(record, value + 4, bytes);
    if (field->space.dims % 8 != 0)
        record[bytes - 1] &= (uint8_t)(0xff << (8 - field->space.dims % 8));
    for (size_t i = 0; i < bytes; i++)
        set += (uint32_t)__builtin_popcount(record[i]);
    memcpy(record + field->tail, &set, sizeof set);
    return 0;
}

static int bits_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                    size_t size, float *scratch)
{
    (void)arena;
    (void)scratch;
    return read_bits(field, value, size, field->look + field->look_stride * slot);
}

static const uint8_t *bits_content(const struct field *field, uint32_t slot, size_t *size)
{
    *size = field->tail;
    return look_of(field, slot);
}

static int bits_probe_init(const struct field *field, struct probe *probe)
{
    probe->bits.record = calloc(1, field->look_stride + 64);
    return probe->bits.record != NULL ? 0 : -ENOMEM;
}

static void bits_probe_clear(struct probe *probe) { free(probe->bits.record); }

static int bits_probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                            size_t size)
{
    return read_bits(field, value, size, probe->bits.record);
}

static int bits_probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    memcpy(probe->bits.record, look_of(field, slot), field->tail + sizeof(uint32_t));
    return 0;
}

const struct field_kind kind_bits = {.bits = 1,
                                     .fits = bits_fits,
                                     .shape = bits_shape,
                                     .survey = bits_survey,
                                     .put = bits_put,
                                     .content = bits_content,
                                     .probe_init = bits_probe_init,
                                     .probe_clear = bits_probe_clear,
                                     .probe_value = bits_probe_value,
                                     .probe_slot = bits_probe_slot};
