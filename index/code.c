#include "index/code_kernels.h"

#include "codec/bytes.h"
#include "codec/half_text.h"
#include "codec/hash.h"
#include "codec/isa.h"
#include "index/pages.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { SAMPLE = 10000 };
#define LOOKUP_DIMS (4U << 20) /* a probe has a float for each dimension up to so many */

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static bool dense(const struct field *field)
{
    return field->space.element == ELEMENT_FLOAT32 || field->space.element == ELEMENT_FLOAT16;
}

/* ---- values as they come ---- */

static int check_dims(const struct field *field, const uint8_t *value, size_t size)
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
static int read_vector(const struct field *field, const uint8_t *value, size_t size, float *out)
{
    int rc = check_dims(field, value, size);
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

static float length2(const float *x, uint32_t n)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return (float)sum;
}

static float greatest(const float *x, uint32_t n)
{
    float most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    return most;
}

/* 1 to 255; what is not finite, too. */
static int code_of(float x, float by)
{
    float c = x * by + 128.5F;
    return c > 1 ? c < 255 ? (int)c : 255 : 1;
}

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
    }
    field->look_stride = round_up(size, size > 48 ? 64 : 16);
}

/* Sums of what a sample of the rows has; the mean is its first half. */
struct sample {
    double *sums;
    float *vector;
    float most, radius2;
    uint64_t count;
};

static int look_at(struct field *field, const uint8_t *value, size_t size, struct sample *sample)
{
    if (size == 0)
        return 0;
    int rc = read_vector(field, value, size, sample->vector);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    sample->count++;
    for (uint32_t d = 0; d < field->space.dims; d++)
        sample->sums[d] += sample->vector[d];
    float most = greatest(sample->vector, field->space.dims);
    sample->most = most > sample->most ? most : sample->most;
    float norm2 = length2(sample->vector, field->space.dims);
    sample->radius2 = norm2 > sample->radius2 ? norm2 : sample->radius2;
    return 0;
}

static int look_at_some(struct field *field, const struct span *spans, size_t span_count,
                        bool at_all, struct sample *sample)
{
    uint64_t rows = 0, row = 0;
    for (size_t s = 0; s < span_count; s++)
        rows += spans[s].rows;
    uint64_t step = at_all ? 1 : rows / SAMPLE + 1;
    for (size_t s = 0; s < span_count; row += spans[s++].rows)
        for (uint64_t i = (step - row % step) % step; i < spans[s].rows; i += step) {
            size_t size;
            const uint8_t *value = span_value(&spans[s], (uint32_t)i, &size);
            int rc = look_at(field, value, size, sample);
            if (rc < 0)
                return rc;
        }
    return 0;
}

static int survey(struct field *field, const struct span *spans, size_t span_count,
                  struct sample *sample)
{
    uint32_t dims = field->space.dims;
    int rc = look_at_some(field, spans, span_count, field->space.metric == METRIC_IP, sample);
    field->radius2 = sample->radius2;
    if (rc < 0 || field->space.metric == METRIC_IP)
        return rc;
    field->mean = calloc(dims, sizeof *field->mean);
    if (field->mean == NULL)
        return -ENOMEM;
    for (uint32_t d = 0; d < dims && sample->count > 0; d++) {
        float mean = (float)(sample->sums[d] / (double)sample->count);
        field->mean[d] = isfinite(mean) ? mean : 0;
    }
    if (field->space.metric != METRIC_L1)
        return 0;
    /* One step for all: single values far out do not decide it. */
    sample->most = sample->radius2 = 0;
    sample->count = 0;
    memset(sample->sums, 0, dims * sizeof *sample->sums);
    rc = look_at_some(field, spans, span_count, false, sample);
    float usual =
        8 * sqrtf(sample->radius2 / (float)dims); /* 8 times the greatest row's root mean square */
    field->step = (sample->most < usual ? sample->most : usual) / 127;
    if (!(field->step > 0) || !isfinite(field->step))
        field->step = 1;
    return rc;
}

/* The greatest squared length, for make_symmetric. */
static void survey_sparse(struct field *field, const struct span *spans, size_t span_count)
{
    for (size_t s = 0; s < span_count; s++)
        for (uint32_t i = 0; i < spans[s].rows; i++) {
            size_t size;
            const uint8_t *value = span_value(&spans[s], i, &size);
            if (size == 0 || check_dims(field, value, size) < 0)
                continue;
            uint32_t n = load_be32(value + 4);
            double sum = 0;
            for (uint32_t j = 0; j < n; j++) {
                uint32_t bits = load_be32(value + 12 + (size_t)4 * n + (size_t)4 * j);
                float x;
                memcpy(&x, &bits, 4);
                sum += (double)x * x;
            }
            field->radius2 = sum > field->radius2 ? (float)sum : field->radius2;
        }
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
    if (space->element == ELEMENT_SPARSE && space->metric == METRIC_IP)
        survey_sparse(out, spans, span_count);
    if (!dense(out))
        return 0;
    struct sample sample = {.sums = calloc(space->dims, sizeof(double)),
                            .vector = malloc(space->dims * sizeof(float))};
    int rc = sample.sums == NULL || sample.vector == NULL ? -ENOMEM
                                                          : survey(out, spans, span_count, &sample);
    free(sample.sums);
    free(sample.vector);
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
    float scale = field->space.metric == METRIC_L1 ? field->step : greatest(x, dims) / 127;
    float by = scale > 0 && isfinite(scale) ? 1 / scale : 0;
    for (uint32_t d = 0; d < dims; d++) {
        int c = code_of(x[d], by);
        look[d] = (uint8_t)c;
        if (field->fine_stride > 0) {
            float rest = (x[d] * by + 128.5F - (float)c) * 256;
            fine[d] = (uint8_t)(rest > 0 ? rest < 255 ? rest : 255 : 0);
        }
    }
    struct code_tail tail = {.norm2 = length2(x, dims), .scale = scale};
    for (uint32_t d = 0; d < dims; d++)
        tail.sum += look[d] - 128;
    memcpy(look + field->tail, &tail, sizeof tail);
}

static void put_bits(const struct field *field, const uint8_t *value, uint8_t *record)
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
static int read_sparse(const struct field *field, const uint8_t *value, size_t size, uint32_t *dims,
                       float *values, float *norm2)
{
    int rc = check_dims(field, value, size);
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
    *norm2 = (float)(field->space.metric == METRIC_L1 ? sum : sum2);
    return 0;
}

static int put_sparse(const struct field *field, uint32_t slot, uint64_t arena,
                      const uint8_t *value, size_t size)
{
    uint8_t *look = field->look + field->look_stride * slot;
    uint32_t n = size >= 12 ? load_be32(value + 4) : 0;
    float norm2;
    int rc = check_dims(field, value, size);
    if (rc == 0)
        rc = read_sparse(field, value, size, (uint32_t *)(void *)(field->arena + arena),
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
    int rc =
        dense(field) ? read_vector(field, value, size, scratch) : check_dims(field, value, size);
    if (rc != 0)
        return rc;
    if (dense(field))
        put_codes(field, slot, scratch);
    else
        put_bits(field, value, field->look + field->look_stride * slot);
    return 0;
}

static const uint8_t *sparse_of(const struct field *field, uint32_t slot, uint32_t *count)
{
    const uint8_t *look = look_of(field, slot);
    uint64_t at;
    memcpy(&at, look, 8);
    memcpy(count, look + 8, 4);
    return field->arena + at;
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
        const uint8_t *x = sparse_of(field, a, &n), *y = sparse_of(field, b, &m);
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
        const uint8_t *x = sparse_of(field, slot, &n);
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
    return field->bits == 8 && field->space.metric != METRIC_L1;
}

int field_split(struct field *field, uint32_t slots)
{
    return field_as(field, 4, slots, split_record);
}

int field_join(struct field *field, uint32_t slots)
{
    return field_as(field, 8, slots, join_record);
}

/* ---- probes ---- */

int probe_init(const struct field *field, struct probe *out)
{
    struct probe probe = {0};
    size_t room = round_up(field->space.dims, NIBBLES) + 64;
    bool good = true;
    if (dense(field)) {
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
    float scale = l1 ? field->step : greatest(probe->floats, dims) / 127;
    float by = scale > 0 && isfinite(scale) ? 1 / scale : 0;
    int64_t sum = 0;
    double float_sum = 0;
    for (uint32_t d = 0; d < dims; d++) {
        probe->codes[d] = (int8_t)(code_of(probe->floats[d], by) - 128);
        sum += probe->codes[d];
        float_sum += probe->floats[d];
    }
    probe->norm2 = length2(probe->floats, dims);
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
    int rc = check_dims(field, value, size);
    uint32_t n = rc == 0 ? load_be32(value + 4) : 0;
    sparse_set(probe, false);
    probe->count = 0;
    if (rc == 0)
        rc = sparse_room(probe, n);
    if (rc == 0)
        rc = read_sparse(field, value, size, probe->dims, probe->values, &probe->norm2);
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
    int rc = dense(field) ? read_vector(field, value, size, probe->floats)
                          : check_dims(field, value, size);
    if (rc != 0)
        return rc;
    if (dense(field))
        probe_codes(field, probe);
    else
        put_bits(field, value, probe->bits);
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
    const uint8_t *at = sparse_of(field, slot, &n);
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

int probe_slot(const struct field *field, struct probe *probe, uint32_t slot)
{
    if (field->space.element == ELEMENT_SPARSE)
        return probe_sparse_slot(field, probe, slot);
    if (dense(field))
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
        const uint8_t *at = sparse_of(field, ids[i], &count);
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
