#include "index/code_read.h"

#include "codec/bytes.h"
#include "codec/hash.h"
#include "codec/isa.h"
#include "index/pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

/* ---- what all vectors have in common ---- */

void field_shape(struct field *field)
{
    enum isa isa = isa_level();
    const struct code_kernels *kernels = &code_kernels_scalar;
#if defined(__x86_64__)
    if (isa >= ISA_AVX2 && __builtin_cpu_supports("fma"))
        kernels = &code_kernels_avx2;
    if (isa >= ISA_AVX512 && __builtin_cpu_supports("avx512vnni"))
        kernels = &code_kernels_avx512;
#endif
    uint32_t dims = field->space.dims;
    size_t size;
    field->fine_stride = 0;
    field->refine = NULL;
    if (field->space.element == ELEMENT_BIT) {
        field->tail = (uint32_t)round_up((dims + 7) / 8, 8);
        size = field->tail + 4;
        field->score = field->space.metric == METRIC_JACCARD ? kernels->jaccard : kernels->hamming;
    } else if (field->space.element == ELEMENT_SPARSE) {
        field->tail = 0;
        size = 16;
        field->score = sparse_score;
    } else if (field->bits == 4) {
        field->tail = (uint32_t)round_up(dims, NIBBLES) / 2;
        size = field->tail + sizeof(struct code_tail);
        field->fine_stride = field->tail;
        field->score = kernels->dot4;
        field->refine = kernels->fine4;
    } else {
        field->tail = (uint32_t)round_up(dims, 4);
        size = field->tail + sizeof(struct code_tail);
        field->fine_stride = round_up(dims, 16);
        field->score = field->space.metric == METRIC_L1 ? kernels->sad8 : kernels->dot8;
        field->refine = field->space.metric == METRIC_L1 ? kernels->fine_l1 : kernels->fine8;
        if (field_short(&field->space)) {
            field->score = short_score;
            field->refine = NULL;
        }
    }
    field->look_stride = round_up(size, size > 48 ? 64 : 16);
}

int field_init(const struct space *space, uint32_t bits, const struct span *spans,
               size_t span_count, struct field *out)
{
    *out = (struct field){.space = *space, .bits = bits, .step = 1};
    if (space->element == ELEMENT_BIT)
        out->bits = 1;
    else if (space->element == ELEMENT_SPARSE)
        out->bits = 32;
    field_shape(out);
    int rc = field_survey(out, spans, span_count);
    if (rc < 0)
        field_clear(out);
    return rc;
}

void field_clear(struct field *field)
{
    pages_free(field->look, field->slots * field->look_stride);
    pages_free(field->fine, field->slots * field->fine_stride);
    pages_free(field->arena, field->arena_room);
    free(field->mean);
    *field = (struct field){0};
}

static int grow(uint8_t **at, uint64_t used, uint64_t size)
{
    uint8_t *more = pages_new(size);
    if (more == NULL)
        return -ENOMEM;
    if (used > 0)
        memcpy(more, *at, used);
    pages_free(*at, used);
    *at = more;
    return 0;
}

int field_reserve(struct field *field, uint64_t slots)
{
    if (slots <= field->slots)
        return 0;
    int rc = grow(&field->look, field->slots * field->look_stride, slots * field->look_stride);
    if (rc == 0 && field->fine_stride > 0) {
        rc = grow(&field->fine, field->slots * field->fine_stride, slots * field->fine_stride);
        if (rc < 0) { /* both have the same room */
            pages_free(field->look, slots * field->look_stride);
            field->look = NULL;
            pages_free(field->fine, field->slots * field->fine_stride);
            field->fine = NULL;
            field->slots = 0;
        }
    }
    if (rc == 0)
        field->slots = slots;
    return rc;
}

int field_copy(const struct field *from, uint64_t slots, uint64_t arena, struct field *out)
{
    struct field copy = *from;
    copy.slots = slots;
    copy.arena_room = arena;
    copy.look = pages_new(slots * from->look_stride);
    copy.fine = from->fine_stride > 0 ? pages_new(slots * from->fine_stride) : NULL;
    copy.arena = arena > 0 ? pages_new(arena) : NULL;
    copy.mean = from->mean != NULL ? malloc(from->space.dims * sizeof(float)) : NULL;
    if (copy.look == NULL || (from->fine_stride > 0 && copy.fine == NULL) ||
        (arena > 0 && copy.arena == NULL) || (from->mean != NULL && copy.mean == NULL)) {
        field_clear(&copy);
        return -ENOMEM;
    }
    uint64_t n = from->slots < slots ? from->slots : slots;
    memcpy(copy.look, from->look, n * from->look_stride);
    if (copy.fine != NULL)
        memcpy(copy.fine, from->fine, n * from->fine_stride);
    if (copy.arena != NULL)
        memcpy(copy.arena, from->arena, from->arena_size);
    if (copy.mean != NULL)
        memcpy(copy.mean, from->mean, from->space.dims * sizeof(float));
    *out = copy;
    return 0;
}

/* ---- putting ---- */

size_t field_arena_of(const struct field *field, const uint8_t *value, size_t size)
{
    return field->space.element == ELEMENT_SPARSE && value != NULL && size >= 12 ? size - 12 : 0;
}

static void put_codes(const struct field *field, uint32_t slot, const float *x)
{
    uint8_t *look = field->look + field->look_stride * slot;
    uint8_t *fine = field->fine + field->fine_stride * slot;
    uint32_t dims = field->space.dims;
    bool l1 = field->space.metric == METRIC_L1 && !field_short(&field->space);
    float scale = l1 ? field->step : vector_greatest(x, dims) / 127, by = code_by(scale);
    for (uint32_t d = 0; d < dims; d++) {
        int c = code_of(x[d], by);
        look[d] = (uint8_t)c;
        if (field->fine_stride > 0) {
            float rest = (x[d] * by + 128.5F - (float)c) * 256;
            fine[d] = (uint8_t)(rest > 0 ? rest < 255 ? rest : 255 : 0);
        }
    }
    struct code_tail tail = {.norm2 = vector_length2(x, dims), .scale = scale};
    for (uint32_t d = 0; d < dims; d++)
        tail.sum += look[d] - 128;
    memcpy(look + field->tail, &tail, sizeof tail);
}

static int put_sparse(const struct field *field, uint32_t slot, uint64_t arena,
                      const uint8_t *value, size_t size)
{
    uint8_t *look = field->look + field->look_stride * slot;
    uint32_t n = size >= 12 ? load_be32(value + 4) : 0;
    float norm2;
    int rc = field_check(field, value, size);
    if (rc == 0)
        rc = field_read_sparse(field, value, size, (uint32_t *)(void *)(field->arena + arena),
                               (float *)(void *)(field->arena + arena + (size_t)4 * n), &norm2);
    if (rc != 0)
        return rc;
    memcpy(look, &arena, 8);
    memcpy(look + 8, &n, 4);
    memcpy(look + 12, &norm2, 4);
    return 0;
}

int field_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value, size_t size,
              float *scratch)
{
    if (field->space.element == ELEMENT_SPARSE)
        return put_sparse(field, slot, arena, value, size);
    int rc = field_dense(field) ? field_read(field, value, size, scratch)
                                : field_check(field, value, size);
    if (rc != 0)
        return rc;
    if (field_dense(field))
        put_codes(field, slot, scratch);
    else
        field_put_bits(field, value, field->look + field->look_stride * slot);
    return 0;
}

static size_t look_bytes(const struct field *field)
{
    return field->space.element == ELEMENT_BIT ? field->tail
                                               : field->tail + sizeof(struct code_tail);
}

bool field_equal(const struct field *field, uint32_t a, uint32_t b)
{
    if (field->space.element == ELEMENT_SPARSE) {
        uint32_t n, m;
        const uint8_t *x = field_sparse(field, a, &n), *y = field_sparse(field, b, &m);
        return n == m && memcmp(x, y, (size_t)8 * n) == 0;
    }
    return memcmp(look_of(field, a), look_of(field, b), look_bytes(field)) == 0 &&
           (field->fine_stride == 0 ||
            memcmp(fine_of(field, a), fine_of(field, b), field->fine_stride) == 0);
}

uint64_t field_hash(const struct field *field, uint32_t slot)
{
    if (field->space.element == ELEMENT_SPARSE) {
        uint32_t n;
        const uint8_t *x = field_sparse(field, slot, &n);
        return hash64(x, (size_t)8 * n);
    }
    uint64_t hash = hash64(look_of(field, slot), look_bytes(field));
    return field->fine_stride == 0 ? hash
                                   : hash ^ hash64(fine_of(field, slot), field->fine_stride) * 3;
}

/* ---- four bits and eight ---- */

static void split_record(const struct field *from, const struct field *to, uint32_t slot)
{
    const uint8_t *look = look_of(from, slot);
    uint8_t *high = to->look + to->look_stride * slot, *low = to->fine + to->fine_stride * slot;
    for (uint32_t d = 0; d < from->space.dims; d++) {
        size_t at = d / NIBBLES * NIBBLE_BYTES + d % NIBBLE_BYTES;
        int by = d % NIBBLES < NIBBLE_BYTES ? 0 : 4;
        high[at] = (uint8_t)(high[at] | (look[d] >> 4) << by);
        low[at] = (uint8_t)(low[at] | (look[d] & 15) << by);
    }
    memcpy(high + to->tail, look + from->tail, sizeof(struct code_tail));
}

static void join_record(const struct field *from, const struct field *to, uint32_t slot)
{
    const uint8_t *high = look_of(from, slot), *low = fine_of(from, slot);
    uint8_t *look = to->look + to->look_stride * slot;
    for (uint32_t d = 0; d < from->space.dims; d++) {
        size_t at = d / NIBBLES * NIBBLE_BYTES + d % NIBBLE_BYTES;
        int by = d % NIBBLES < NIBBLE_BYTES ? 0 : 4;
        look[d] = (uint8_t)((high[at] >> by & 15) << 4 | (low[at] >> by & 15));
    }
    memcpy(look + to->tail, high + from->tail, sizeof(struct code_tail));
}

static int field_as(struct field *field, uint32_t bits, uint32_t slots,
                    void (*convert)(const struct field *, const struct field *, uint32_t))
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
        convert(field, &to, slot);
    pages_free(field->look, field->slots * field->look_stride);
    pages_free(field->fine, field->slots * field->fine_stride);
    *field = to;
    return 0;
}

bool field_may_split(const struct field *field)
{
    return field->bits == 8 && field->space.metric != METRIC_L1 && !field_short(&field->space);
}

int field_split(struct field *field, uint32_t slots)
{
    return field_as(field, 4, slots, split_record);
}

int field_join(struct field *field, uint32_t slots)
{
    return field_as(field, 8, slots, join_record);
}
