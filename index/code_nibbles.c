/* A dense field of 8 bits as one of 4 bits, and back: fine then has what look had before. */
#include "index/code_kind.h"

#include "index/pages.h"

#include <string.h>

/* Where a dimension's half byte stands, and its shift. */
static size_t nibble_at(uint32_t d) { return d / NIBBLES * NIBBLE_BYTES + d % NIBBLE_BYTES; }

static int nibble_shift(uint32_t d) { return d % NIBBLES < NIBBLE_BYTES ? 0 : 4; }

static void split_record(const struct field *from, const struct field *to, uint32_t slot)
{
    const uint8_t *look = look_of(from, slot);
    uint8_t *high = to->look + to->look_stride * slot, *low = to->fine + to->fine_stride * slot;
    for (uint32_t d = 0; d < from->space.dims; d++) {
        size_t at = nibble_at(d);
        high[at] = (uint8_t)(high[at] | (look[d] >> 4) << nibble_shift(d));
        low[at] = (uint8_t)(low[at] | (look[d] & 15) << nibble_shift(d));
    }
    memcpy(high + to->tail, look + from->tail, sizeof(struct code_tail));
}

static void join_record(const struct field *from, const struct field *to, uint32_t slot)
{
    const uint8_t *high = look_of(from, slot), *low = fine_of(from, slot);
    uint8_t *look = to->look + to->look_stride * slot;
    for (uint32_t d = 0; d < from->space.dims; d++) {
        size_t at = nibble_at(d);
        int shift = nibble_shift(d);
        look[d] = (uint8_t)((high[at] >> shift & 15) << 4 | (low[at] >> shift & 15));
    }
    memcpy(look + to->tail, high + from->tail, sizeof(struct code_tail));
}

static int convert(struct field *field, uint32_t bits, uint32_t slots,
                   void (*convert_record)(const struct field *, const struct field *, uint32_t))
{
    struct field to = *field;
    to.bits = bits;
    to.look = to.fine = NULL;
    to.slots = 0;
    field_shape(&to);
    if (bits == 8)
        to.fine_stride = 0;
    int rc = field_reserve(&to, field->slots > slots ? field->slots : slots);
    if (rc < 0)
        return rc;
    for (uint32_t slot = 0; slot < slots; slot++)
        convert_record(field, &to, slot);
    pages_free(field->look, field->slots * field->look_stride);
    pages_free(field->fine, field->slots * field->fine_stride);
    *field = to;
    return 0;
}

bool field_may_split(const struct field *field)
{
    return field->kind == &kind_dense && field->bits == 8 && field->space.metric != METRIC_L1;
}

int field_split(struct field *field, uint32_t slots)
{
    return convert(field, 4, slots, split_record);
}

int field_join(struct field *field, uint32_t slots)
{
    return convert(field, 8, slots, join_record);
}
