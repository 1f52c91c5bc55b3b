/* The table of kinds, and what a field does whatever its kind is. */
#include "index/code_kind.h"

#include "codec/hash.h"
#include "codec/isa.h"
#include "index/pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct field_kind *const kinds[] = {&kind_short, &kind_dense, &kind_sparse,
                                                 &kind_bits};

static const struct field_kind *kind_of(const struct space *space)
{
    size_t i = 0;
    while (!kinds[i]->fits(space))
        i++;
    return kinds[i];
}

static const struct code_kernels *kernels_at_hand(void)
{
    static const struct code_kernels *const levels[] = {
        [ISA_SCALAR] = &code_kernels_scalar,
#if defined(__x86_64__)
        [ISA_AVX2] = &code_kernels_avx2,
        [ISA_AVX512] = &code_kernels_avx512,
#endif
    };
    return levels[isa_level()];
}

/* ---- a field ---- */

void field_shape(struct field *field)
{
    field->kind = kind_of(&field->space);
    field->fine_stride = 0;
    field->refine = NULL;
    field->kind->shape(field, kernels_at_hand());
}

int field_init(const struct space *space, const struct span *spans, size_t span_count,
               struct field *out)
{
    *out = (struct field){.space = *space, .bits = kind_of(space)->bits, .step = 1};
    field_shape(out);
    int rc = out->kind->survey(out, spans, span_count);
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

bool field_bits_fit(const struct space *space, uint32_t bits)
{
    const struct field_kind *kind = kind_of(space);
    const struct field field = {.space = *space, .kind = kind, .bits = kind->bits};
    return bits == field.bits || (bits == 4 && field_may_split(&field));
}

size_t field_mean_size(const struct field *field)
{
    bool centred = field->kind->centred && field->space.metric != METRIC_IP;
    return centred ? field->space.dims * sizeof *field->mean : 0;
}

bool field_in_arena(const struct field *field) { return field->kind->arena_of != NULL; }

size_t field_scratch(const struct space *space)
{
    return kind_of(space)->reads_numbers ? space->dims : 0;
}

static int grow_pages(uint8_t **at, uint64_t used, uint64_t size)
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
    uint64_t look = field->look_stride, fine = field->fine_stride;
    if (slots <= field->slots)
        return 0;
    int rc = grow_pages(&field->look, field->slots * look, slots * look);
    if (rc == 0 && fine > 0)
        rc = grow_pages(&field->fine, field->slots * fine, slots * fine);
    else if (rc < 0)
        return rc;
    if (rc < 0) { /* look has more room than fine now, but `slots` is said of both */
        pages_free(field->look, slots * look);
        pages_free(field->fine, field->slots * fine);
        field->look = field->fine = NULL;
        field->slots = 0;
        return rc;
    }
    field->slots = slots;
    return 0;
}

int field_copy(const struct field *from, uint64_t slots, uint64_t arena, struct field *out)
{
    struct field copy = *from;
    copy.slots = slots;
    copy.arena_room = arena;
    copy.look = pages_new(slots * from->look_stride);
    copy.fine = from->fine_stride > 0 ? pages_new(slots * from->fine_stride) : NULL;
    copy.arena = arena > 0 ? pages_new(arena) : NULL;
    copy.mean = from->mean != NULL ? malloc(from->space.dims * sizeof *copy.mean) : NULL;
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
        memcpy(copy.mean, from->mean, from->space.dims * sizeof *copy.mean);
    *out = copy;
    return 0;
}

/* ---- its records ---- */

int field_check(const struct field *field, const uint8_t *value, size_t size)
{
    uint32_t dims;
    int rc = value_dims(field->space.element, value, size, &dims);
    return rc < 0 ? rc : dims == field->space.dims ? 0 : -EBADMSG;
}

size_t field_arena_of(const struct field *field, const uint8_t *value, size_t size)
{
    return field_in_arena(field) ? field->kind->arena_of(value, size) : 0;
}

bool field_arena_holds(const struct field *field, uint32_t slots)
{
    return !field_in_arena(field) || field->kind->arena_holds(field, slots);
}

int field_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value, size_t size,
              float *scratch)
{
    return field->kind->put(field, slot, arena, value, size, scratch);
}

bool field_equal(const struct field *field, uint32_t a, uint32_t b)
{
    size_t a_size, b_size;
    const uint8_t *a_content = field->kind->content(field, a, &a_size);
    const uint8_t *b_content = field->kind->content(field, b, &b_size);
    return a_size == b_size && memcmp(a_content, b_content, a_size) == 0 &&
           (field->fine_stride == 0 ||
            memcmp(fine_of(field, a), fine_of(field, b), field->fine_stride) == 0);
}

uint64_t field_hash(const struct field *field, uint32_t slot)
{
    size_t size;
    const uint8_t *content = field->kind->content(field, slot, &size);
    uint64_t hash = hash64(content, size);
    return field->fine_stride == 0 ? hash
                                   : hash ^ hash64(fine_of(field, slot), field->fine_stride) * 3;
}

/* ---- a probe ---- */

int probe_init(const struct field *field, struct probe *out)
{
    struct probe probe = {0};
    int rc = field->kind->probe_init(field, &probe);
    if (rc < 0)
        field->kind->probe_clear(&probe);
    else
        *out = probe;
    return rc;
}

void probe_clear(const struct field *field, struct probe *probe)
{
    field->kind->probe_clear(probe);
    *probe = (struct probe){0};
}

int probe_value(const struct field *field, struct probe *probe, const uint8_t *value, size_t size)
{
    return field->kind->probe_value(field, probe, value, size);
}

int probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    return field->kind->probe_slot(field, probe, slot);
}

float field_distance(const struct field *field, const struct probe *probe, float score)
{
    float whole = score + probe->distance_offset;
    switch (field->space.metric) {
    case METRIC_L2:
        return whole > 0 ? sqrtf(whole) : 0;
    case METRIC_COSINE:
        return whole > 0 ? whole / 2 : 0;
    case METRIC_L1:
        return whole;
    default:
        return score;
    }
}
