/* Sparse vectors: float32 as they are, in the arena; a record says where. */
#include "index/code_kind.h"

#include "codec/bytes.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

/* A probe has a float for each dimension up to so many. */
#define LOOKUP_DIMS (4U << 20)

/* How a record lies in memory. */
struct sparse_record {
    uint64_t offset;
    uint32_t count;
    float norm2; /* squared length; under l1 the sum of the absolute values */
};
_Static_assert(sizeof(struct sparse_record) == 16, "records have no holes");

static struct sparse_record record_of(const struct field *field, uint32_t slot)
{
    struct sparse_record record;
    memcpy(&record, look_of(field, slot), sizeof record);
    return record;
}

static bool sparse_fits(const struct space *space) { return space->element == ELEMENT_SPARSE; }

/* ---- vectors ---- */

/* Dimensions and values of a sparse vector of `n` numbers, and what its record has for its length.
 * 1: a zero vector under cosine. */
static int read_numbers(const struct field *field, const uint8_t *value, uint32_t n, uint32_t *dims,
                        float *values, float *norm2)
{
    uint32_t before = 0;
    double sum = 0, sum2 = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits = load_be32(value + 12 + (size_t)4 * n + (size_t)4 * i);
        dims[i] = load_be32(value + 12 + (size_t)4 * i);
        memcpy(&values[i], &bits, 4);
        /* They lie in a mapped file, which may have changed since they were checked. */
        if (dims[i] >= field->space.dims || (i > 0 && dims[i] <= before))
            return -EBADMSG;
        before = dims[i];
        sum += fabsf(values[i]);
        sum2 += (double)values[i] * values[i];
    }
    if (field->space.metric == METRIC_COSINE) {
        if (!vector_normalise(values, n))
            return 1;
        sum2 = 1;
    }
    sum = field->space.metric == METRIC_L1 ? sum : sum2;
    *norm2 = sum < FLT_MAX ? (float)sum : FLT_MAX;
    return 0;
}

static int sparse_put(struct field *field, uint32_t slot, uint64_t arena, const uint8_t *value,
                      size_t size, float *scratch)
{
    (void)scratch;
    struct sparse_record record = {.offset = arena};
    int rc = field_check(field, value, size);
    if (rc < 0)
        return rc;
    record.count = load_be32(value + 4);
    uint8_t *dims = field->arena + arena, *values = dims + (size_t)4 * record.count;
    rc = read_numbers(field, value, record.count, (uint32_t *)(void *)dims, (float *)(void *)values,
                      &record.norm2);
    if (rc == 0)
        memcpy(field->look + field->look_stride * slot, &record, sizeof record);
    return rc;
}

static const uint8_t *sparse_content(const struct field *field, uint32_t slot, size_t *size)
{
    struct sparse_record record = record_of(field, slot);
    *size = (size_t)8 * record.count;
    return field->arena + record.offset;
}

static size_t sparse_arena_of(const uint8_t *value, size_t size)
{
    return value != NULL && size >= 12 ? size - 12 : 0;
}

/* Of empty slots, too: a list may lead to one. */
static bool sparse_arena_holds(const struct field *field, uint32_t slots)
{
    if (field->arena_size % 8 != 0)
        return false;
    for (uint32_t slot = 0; slot < slots; slot++) {
        struct sparse_record record = record_of(field, slot);
        if (record.offset % 4 != 0 || record.offset > field->arena_size ||
            (uint64_t)8 * record.count > field->arena_size - record.offset)
            return false;
        for (uint32_t i = 0; i < record.count; i++) {
            uint32_t dim;
            memcpy(&dim, field->arena + record.offset + (size_t)4 * i, sizeof dim);
            if (dim >= field->space.dims)
                return false;
        }
    }
    return true;
}

/* ---- a probe ---- */

static int sparse_probe_init(const struct field *field, struct probe *probe)
{
    if (field->space.dims > LOOKUP_DIMS)
        return 0;
    probe->sparse.lookup = calloc(field->space.dims, sizeof *probe->sparse.lookup);
    return probe->sparse.lookup != NULL ? 0 : -ENOMEM;
}

static void sparse_probe_clear(struct probe *probe)
{
    free(probe->sparse.lookup);
    free(probe->sparse.dims);
    free(probe->sparse.values);
}

static int reserve_numbers(struct sparse_probe *sparse, uint32_t count)
{
    if (count <= sparse->room)
        return 0;
    uint32_t *dims = realloc(sparse->dims, (size_t)count * sizeof *dims);
    if (dims == NULL)
        return -ENOMEM;
    sparse->dims = dims;
    float *values = realloc(sparse->values, (size_t)count * sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    sparse->values = values;
    sparse->room = count;
    return 0;
}

static void fill_lookup(struct sparse_probe *sparse)
{
    for (uint32_t i = 0; sparse->lookup != NULL && i < sparse->count; i++)
        sparse->lookup[sparse->dims[i]] = sparse->values[i];
}

static void empty_lookup(struct sparse_probe *sparse)
{
    for (uint32_t i = 0; sparse->lookup != NULL && i < sparse->count; i++)
        sparse->lookup[sparse->dims[i]] = 0;
    sparse->count = 0;
}

static int sparse_probe_value(const struct field *field, struct probe *probe, const uint8_t *value,
                              size_t size)
{
    struct sparse_probe *sparse = &probe->sparse;
    bool ip = field->space.metric == METRIC_IP;
    int rc = field_check(field, value, size);
    empty_lookup(sparse);
    if (rc < 0)
        return rc;
    uint32_t n = load_be32(value + 4);
    rc = reserve_numbers(sparse, n);
    if (rc == 0)
        rc = read_numbers(field, value, n, sparse->dims, sparse->values, &probe->distance_offset);
    if (rc != 0)
        return rc;
    sparse->count = n;
    fill_lookup(sparse);
    sparse->norm_weight = ip ? 0 : 1;
    sparse->dot_weight = ip ? -1 : -2;
    sparse->lift_weight = 0;
    return 0;
}

static int sparse_probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    struct sparse_probe *sparse = &probe->sparse;
    bool ip = field->space.metric == METRIC_IP;
    struct sparse_record record = record_of(field, slot);
    const uint8_t *at = field->arena + record.offset;
    size_t size = (size_t)4 * record.count;
    empty_lookup(sparse);
    int rc = reserve_numbers(sparse, record.count);
    if (rc < 0)
        return rc;
    memcpy(sparse->dims, at, size);
    memcpy(sparse->values, at + size, size);
    sparse->count = record.count;
    fill_lookup(sparse);
    sparse->norm_weight = ip ? 0 : 1;
    sparse->dot_weight = -2;
    sparse->lift_weight = ip ? 2 * lift_of(field, record.norm2) : 0;
    probe->link_offset = ip ? 2 * field->radius2 : record.norm2;
    return 0;
}

/* ---- scores ---- */

/* What the dimension adds to the sum, x of a slot, q of the probe. Under l1 that is the difference,
 * but for what it would be if the slot had nothing there: the sum of |q| is left out of scores. */
static float term(bool l1, float x, float q) { return l1 ? fabsf(x - q) - fabsf(q) : x * q; }

/* The sum over a slot's dimensions; both lists are ascending. */
static float merge_lists(bool l1, const struct sparse_probe *sparse, const uint32_t *dims,
                         const float *values, uint32_t n)
{
    float sum = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        while (at < sparse->count && sparse->dims[at] < dims[i])
            at++;
        bool both = at < sparse->count && sparse->dims[at] == dims[i];
        sum += term(l1, values[i], both ? sparse->values[at] : 0);
    }
    return sum;
}

static void sparse_score(const struct field *field, const struct probe *probe, const uint32_t *ids,
                         uint32_t n, float *out)
{
    const struct sparse_probe *sparse = &probe->sparse;
    bool l1 = field->space.metric == METRIC_L1;
    for (uint32_t i = 0; i < n; i++) {
        struct sparse_record record = record_of(field, ids[i]);
        const uint8_t *at = field->arena + record.offset;
        const uint32_t *dims = (const uint32_t *)(const void *)at;
        const float *values = (const float *)(const void *)(at + (size_t)4 * record.count);
        float sum = 0;
        if (sparse->lookup == NULL)
            sum = merge_lists(l1, sparse, dims, values, record.count);
        else if (l1)
            for (uint32_t j = 0; j < record.count; j++)
                sum += term(true, values[j], sparse->lookup[dims[j]]);
        else
            for (uint32_t j = 0; j < record.count; j++)
                sum += values[j] * sparse->lookup[dims[j]];
        float lift = sparse->lift_weight != 0 ? lift_of(field, record.norm2) : 0;
        out[i] = l1 ? sum
                    : sparse->norm_weight * record.norm2 + sparse->dot_weight * sum -
                          sparse->lift_weight * lift;
    }
}

static void sparse_shape(struct field *field, const struct code_kernels *kernels)
{
    (void)kernels;
    field->tail = 0;
    field->look_stride = stride_of(sizeof(struct sparse_record));
    field->score = sparse_score;
}

const struct field_kind kind_sparse = {.bits = 32,
                                       .fits = sparse_fits,
                                       .shape = sparse_shape,
                                       .survey = sparse_survey,
                                       .put = sparse_put,
                                       .content = sparse_content,
                                       .arena_of = sparse_arena_of,
                                       .arena_holds = sparse_arena_holds,
                                       .probe_init = sparse_probe_init,
                                       .probe_clear = sparse_probe_clear,
                                       .probe_value = sparse_probe_value,
                                       .probe_slot = sparse_probe_slot};
