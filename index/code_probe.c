#include "index/code_read.h"

#include "codec/bytes.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define LOOKUP_DIMS (4U << 20) /* a probe has a float for each dimension up to so many */

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

int probe_init(const struct field *field, struct probe *out)
{
    struct probe probe = {0};
    size_t room = round_up(field->space.dims, NIBBLES) + 64;
    bool good = true;
    if (field_dense(field)) {
        probe.codes = aligned_alloc(64, round_up(room, 64));
        probe.floats = aligned_alloc(64, round_up(room * sizeof(float), 64));
        good = probe.codes != NULL && probe.floats != NULL;
        if (good) {
            memset(probe.codes, 0, room);
            memset(probe.floats, 0, room * sizeof(float));
        }
    } else if (field->space.element == ELEMENT_BIT) {
        probe.bits = calloc(1, field->look_stride + 64);
        good = probe.bits != NULL;
    } else if (field->space.dims <= LOOKUP_DIMS) {
        probe.lookup = calloc(field->space.dims, sizeof(float));
        good = probe.lookup != NULL;
    }
    if (!good) {
        probe_clear(field, &probe);
        return -ENOMEM;
    }
    *out = probe;
    return 0;
}

void probe_clear(const struct field *field, struct probe *probe)
{
    (void)field;
    free(probe->codes);
    free(probe->floats);
    free(probe->bits);
    free(probe->lookup);
    free(probe->dims);
    free(probe->values);
    *probe = (struct probe){0};
}

static void probe_codes(const struct field *field, struct probe *probe)
{
    uint32_t dims = field->space.dims;
    bool l1 = field->space.metric == METRIC_L1, ip = field->space.metric == METRIC_IP;
    float scale = l1 ? field->step : vector_greatest(probe->floats, dims) / 127;
    float by = code_by(scale);
    int64_t sum = 0;
    double float_sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        probe->codes[d] = (int8_t)(code_of(probe->floats[d], by) - 128);
        sum += probe->codes[d];
        float_sum += probe->floats[d];
    }
    probe->norm2 = vector_length2(probe->floats, dims);
    probe->a = ip ? 0 : 1;
    probe->c = 0;
    probe->b_fine = ip ? -1 : -2;
    if (field->bits == 4) {
        probe->b = probe->b_fine * scale * 16;
        probe->bias = (float)((128 - 7.5) / 16 * (double)sum);
        probe->bias_fine = (float)(128 * float_sum);
    } else {
        probe->b = probe->b_fine * scale;
        probe->bias = 128 * (float)sum;
        probe->bias_fine = (float)(CODE_CENTRE * float_sum);
    }
}

static int sparse_room(struct probe *probe, uint32_t count)
{
    if (count <= probe->room)
        return 0;
    uint32_t *dims = realloc(probe->dims, (size_t)count * sizeof *dims);
    if (dims == NULL)
        return -ENOMEM;
    probe->dims = dims;
    float *values = realloc(probe->values, (size_t)count * sizeof *values);
    if (values == NULL)
        return -ENOMEM;
    probe->values = values;
    probe->room = count;
    return 0;
}

static void sparse_set(struct probe *probe, bool set)
{
    for (uint32_t i = 0; probe->lookup != NULL && i < probe->count; i++)
        probe->lookup[probe->dims[i]] = set ? probe->values[i] : 0;
}

static int probe_sparse(const struct field *field, struct probe *probe, const uint8_t *value,
                        size_t size)
{
    int rc = field_check(field, value, size);
    uint32_t n = rc == 0 ? load_be32(value + 4) : 0;
    sparse_set(probe, false);
    probe->count = 0;
    if (rc == 0)
        rc = sparse_room(probe, n);
    if (rc == 0)
        rc = field_read_sparse(field, value, size, probe->dims, probe->values, &probe->norm2);
    if (rc != 0)
        return rc;
    probe->count = n;
    sparse_set(probe, true);
    probe->a = field->space.metric == METRIC_IP ? 0 : 1;
    probe->b = field->space.metric == METRIC_IP ? -1 : -2;
    probe->c = 0;
    return 0;
}

int probe_value(const struct field *field, struct probe *probe, const uint8_t *value, size_t size)
{
    if (field->space.element == ELEMENT_SPARSE)
        return probe_sparse(field, probe, value, size);
    int rc = field_dense(field) ? field_read(field, value, size, probe->floats)
                                : field_check(field, value, size);
    if (rc != 0)
        return rc;
    if (field_dense(field) && field_short(&field->space))
        *probe = (struct probe){.codes = probe->codes, .floats = probe->floats};
    else if (field_dense(field))
        probe_codes(field, probe);
    else
        field_put_bits(field, value, probe->bits);
    return 0;
}

/* With one more dimension all are equally long: |x - y|² = 2 r² - 2 <x, y> - 2 a(x) a(y). */
static void make_symmetric(const struct field *field, struct probe *probe, float norm2)
{
    bool l1 = field->space.metric == METRIC_L1;
    probe->offset = l1 && field->space.element != ELEMENT_SPARSE ? 0 : norm2;
    if (field->space.metric != METRIC_IP)
        return;
    probe->offset = 2 * field->radius2;
    float rest = field->radius2 - norm2;
    probe->a = 0;
    probe->c = 2 * (rest > 0 ? sqrtf(rest) : 0);
}

static void probe_dense_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    const uint8_t *look = look_of(field, slot);
    struct code_tail tail = tail_of(field, look);
    uint32_t d = 0;
    for (; d + 8 <= field->space.dims; d += 8) {
        uint64_t codes;
        memcpy(&codes, look + d, 8);
        codes ^= UINT64_C(0x8080808080808080);
        memcpy(probe->codes + d, &codes, 8);
    }
    for (; d < field->space.dims; d++)
        probe->codes[d] = (int8_t)(look[d] - 128);
    probe->norm2 = tail.norm2;
    probe->a = 1;
    probe->b = -2 * tail.scale;
    probe->bias = 128 * (float)tail.sum;
    probe->c = 0;
    make_symmetric(field, probe, tail.norm2);
}

static int probe_sparse_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    uint32_t n;
    const uint8_t *at = field_sparse(field, slot, &n);
    sparse_set(probe, false);
    probe->count = 0;
    int rc = sparse_room(probe, n);
    if (rc < 0)
        return rc;
    memcpy(probe->dims, at, (size_t)4 * n);
    memcpy(probe->values, at + (size_t)4 * n, (size_t)4 * n);
    memcpy(&probe->norm2, look_of(field, slot) + 12, 4);
    probe->count = n;
    sparse_set(probe, true);
    probe->a = 1;
    probe->b = -2;
    probe->c = 0;
    make_symmetric(field, probe, probe->norm2);
    return 0;
}

/* ---- short vectors ---- */

static void short_read(const struct field *field, uint32_t slot, float *out)
{
    const uint8_t *look = look_of(field, slot), *fine = fine_of(field, slot);
    float scale = tail_of(field, look).scale;
    for (uint32_t d = 0; d < field->space.dims; d++)
        out[d] = scale * ((float)look[d] + (float)fine[d] / 256 - CODE_CENTRE);
}

/* The dimension that makes all equally long (make_symmetric). */
static float short_rest(const struct field *field, uint32_t slot)
{
    float rest = field->radius2 - tail_of(field, look_of(field, slot)).norm2;
    return rest > 0 ? sqrtf(rest) : 0;
}

/* a: 1 as other slots have it, 0 for a vector from outside; c: short_rest. */
static void probe_short_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    short_read(field, slot, probe->floats);
    probe->a = 1;
    probe->c = short_rest(field, slot);
}

/* Terms of the differences themselves: what is left of two long squares would not do here. */
void short_score(const struct field *field, const struct probe *probe, const uint32_t *ids,
                 uint32_t n, float *out)
{
    bool l1 = field->space.metric == METRIC_L1, ip = field->space.metric == METRIC_IP;
    for (uint32_t i = 0; i < n; i++) {
        float x[FIELD_SHORT], squares = 0, sizes = 0, products = 0;
        short_read(field, ids[i], x);
        for (uint32_t d = 0; d < field->space.dims; d++) {
            float difference = probe->floats[d] - x[d];
            squares += difference * difference;
            sizes += fabsf(difference);
            products += probe->floats[d] * x[d];
        }
        float rest = ip && probe->a > 0 ? probe->c - short_rest(field, ids[i]) : 0;
        out[i] = l1 ? sizes : ip && probe->a == 0 ? -products : squares + rest * rest;
    }
}

int probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    if (field->space.element == ELEMENT_SPARSE)
        return probe_sparse_slot(field, probe, slot);
    if (field_dense(field) && field_short(&field->space))
        probe_short_slot(field, probe, slot);
    else if (field_dense(field))
        probe_dense_slot(field, probe, slot);
    else
        memcpy(probe->bits, look_of(field, slot), field->tail + 4);
    return 0;
}

/* ---- sparse vectors ---- */

static float sparse_term(const struct field *field, float x, float q)
{
    return field->space.metric == METRIC_L1 ? fabsf(x - q) - fabsf(q) : x * q;
}

/* Both lists are ascending. */
static float merge_terms(const struct field *field, const struct probe *probe, const uint32_t *dims,
                         const float *values, uint32_t n)
{
    float sum = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        while (at < probe->count && probe->dims[at] < dims[i])
            at++;
        bool both = at < probe->count && probe->dims[at] == dims[i];
        sum += sparse_term(field, values[i], both ? probe->values[at] : 0);
    }
    return sum;
}

void sparse_score(const struct field *field, const struct probe *probe, const uint32_t *ids,
                  uint32_t n, float *out)
{
    bool l1 = field->space.metric == METRIC_L1;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t count;
        const uint8_t *at = field_sparse(field, ids[i], &count);
        const uint32_t *dims = (const uint32_t *)(const void *)at;
        const float *values = (const float *)(const void *)(at + (size_t)4 * count);
        float norm2, sum = 0;
        memcpy(&norm2, look_of(field, ids[i]) + 12, 4);
        if (probe->lookup == NULL)
            sum = merge_terms(field, probe, dims, values, count);
        else if (l1)
            for (uint32_t j = 0; j < count; j++)
                sum += sparse_term(field, values[j], probe->lookup[dims[j]]);
        else
            for (uint32_t j = 0; j < count; j++)
                sum += values[j] * probe->lookup[dims[j]];
        float rest = field->radius2 - norm2;
        out[i] = l1 ? sum
                    : probe->a * norm2 + probe->b * sum -
                          (probe->c != 0 ? probe->c * sqrtf(rest > 0 ? rest : 0) : 0);
    }
}

/* ---- what a score means ---- */

float field_distance(const struct field *field, const struct probe *probe, float score)
{
    bool sparse = field->space.element == ELEMENT_SPARSE;
    float square;
    switch (field->space.metric) {
    case METRIC_L2:
        square = score + probe->norm2;
        return square > 0 ? sqrtf(square) : 0;
    case METRIC_COSINE:
        square = score + probe->norm2;
        return square > 0 ? square / 2 : 0;
    case METRIC_L1:
        return sparse ? score + probe->norm2 : score;
    default:
        return score;
    }
}
