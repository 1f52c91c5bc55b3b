#include "index/distance_kernels.h"

#include "codec/half_text.h"
#include "codec/isa.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
    WHOLE_MOST = 1 << 24, /* not all whole numbers above are a float32 */
    BATCH = 128           /* values that a kernel is called with */
};

static distance_kernel *kernel_for(const struct space *space)
{
    distance_kernel *kernel = NULL;
#if defined(__x86_64__)
    enum isa level = isa_level();
    if (level == ISA_AVX512)
        kernel = distance_kernel_avx512(space);
    else if (level == ISA_AVX2)
        kernel = distance_kernel_avx2(space);
#endif
    return kernel != NULL ? kernel : distance_kernel_scalar(space);
}

/* Zeroed, and aligned to a cache line. */
static void *room_new(size_t size)
{
    size = (size + 63) / 64 * 64;
    void *room = aligned_alloc(64, size == 0 ? 64 : size);
    if (room != NULL)
        memset(room, 0, size);
    return room;
}

static int set_dense(struct query *query, const uint8_t *value, struct error *error)
{
    bool half = query->space.element == ELEMENT_FLOAT16;
    uint32_t dims = query->space.dims;
    query->numbers = room_new(((size_t)dims + 63) / 64 * 64 * sizeof *query->numbers);
    if (query->numbers == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < dims; i++) {
        uint32_t bits =
            half ? half_to_float4(load_be16(value + 4 + 2 * i)) : load_be32(value + 4 + 4 * i);
        memcpy(&query->numbers[i], &bits, sizeof bits);
        if (!isfinite(query->numbers[i]))
            return error_set(error, -EINVAL, "the query's number %zu is not finite", i + 1);
    }
    return 0;
}

static int set_bits(struct query *query, const uint8_t *value, struct error *error)
{
    uint32_t dims = query->space.dims;
    if (dims > WHOLE_MOST)
        return error_set(error, -EINVAL, "%u bits are too many to be compared; %d are the most",
                         dims, WHOLE_MOST);
    size_t size = ((size_t)dims + 7) / 8;
    query->bits = room_new(size);
    if (query->bits == NULL)
        return -ENOMEM;
    memcpy(query->bits, value + 4, size);
    query->padding = dims % 8 == 0 ? 0 : (uint8_t)(0xff >> dims % 8);
    return 0;
}

static int set_sparse(struct query *query, const uint8_t *value, struct error *error)
{
    uint32_t n = load_be32(value + 4), kept = 0;
    query->numbers = room_new(n * sizeof *query->numbers);
    query->dims = room_new(n * sizeof *query->dims);
    if (query->numbers == NULL || query->dims == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = load_be32(value + 12 + 4 * ((size_t)n + i));
        float number;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            return error_set(error, -EINVAL, "the query's number at dimension %u is not finite",
                             load_be32(value + 12 + 4 * i) + 1);
        if (number == 0)
            continue;
        query->numbers[kept] = number;
        query->dims[kept++] = load_be32(value + 12 + 4 * i);
        query->squares += (double)number * number;
        query->sizes += fabs((double)number);
    }
    query->n = kept;
    size_t words = sparse_words(query->space.dims);
    if (words == 0)
        return 0;
    query->words = room_new(words * sizeof *query->words);
    if (query->words == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < kept; i++)
        query->words[query->dims[i] / 32].bits |= (uint32_t)1 << query->dims[i] % 32;
    for (uint32_t word = 0, before = 0; word < words; word++) {
        query->words[word].before = before;
        before += (uint32_t)__builtin_popcount(query->words[word].bits);
    }
    return 0;
}

/* The norm is what the kernel says of an equal value, which so is at distance 0. */
static int set_norm(struct query *query, const uint8_t *value, size_t size, struct error *error)
{
    if (query->space.metric != METRIC_COSINE && query->space.metric != METRIC_JACCARD)
        return 0;
    float sum = 0;
    struct value self = {value, size};
    query->kernel(query, &self, 1, &sum, &query->norm);
    if (query->space.metric == METRIC_COSINE && query->norm == 0)
        return error_set(error, -EINVAL,
                         "a zero vector, or one whose length is none as float32, has no cosine "
                         "distance; ask by l2, ip or l1");
    return 0;
}

static int query_init(struct query *query, const uint8_t *value, size_t size, struct error *error)
{
    uint32_t dims;
    if (value_dims(query->space.element, value, size, &dims) != 0)
        return error_set(error, -EINVAL, "the query is not a value of its type");
    if (dims != query->space.dims || dims == 0)
        return error_set(error, -EINVAL, "the query has %u %s; the column's values have %u", dims,
                         query->space.element == ELEMENT_BIT ? "bits" : "dimensions",
                         query->space.dims);
    query->kernel = kernel_for(&query->space);
    memcpy(&query->header, value, sizeof query->header);
    query->size = query->space.element == ELEMENT_SPARSE ? 0 : (uint32_t)size;
    int rc = query->space.element == ELEMENT_BIT      ? set_bits(query, value, error)
             : query->space.element == ELEMENT_SPARSE ? set_sparse(query, value, error)
                                                      : set_dense(query, value, error);
    return rc != 0 ? rc : set_norm(query, value, size, error);
}

int query_new(const struct space *space, const uint8_t *value, size_t size, struct query **out,
              struct error *error)
{
    if (!metric_fits(space->metric, space->element))
        return error_set(error, -EINVAL, "the metric %s does not fit the column's type",
                         metric_name(space->metric));
    struct query *query = calloc(1, sizeof *query);
    if (query == NULL)
        return error_set(error, -ENOMEM, "out of memory for a query");
    query->space = *space;
    uint8_t *copy = malloc(size + 1);
    query->value = (struct value){copy, size};
    int rc = copy == NULL ? -ENOMEM : query_init(query, memcpy(copy, value, size), size, error);
    if (rc != 0) {
        query_free(query);
        return rc == -ENOMEM ? error_set(error, rc, "out of memory for a query") : rc;
    }
    *out = query;
    return 0;
}

size_t query_bytes(const struct space *space, size_t size)
{
    enum { LINE = 64 }; /* that each part is rounded up to, or what malloc adds */
    size_t bytes = sizeof(struct query) + 2 * size + 4 * LINE;
    if (space->element == ELEMENT_FLOAT32 || space->element == ELEMENT_FLOAT16)
        bytes += ((size_t)space->dims + LINE) * sizeof(float);
    else if (space->element == ELEMENT_SPARSE)
        bytes += sparse_words(space->dims) * sizeof(*(struct query){.n = 0}.words);
    return bytes;
}

void query_free(struct query *query)
{
    if (query == NULL)
        return;
    free((void *)(uintptr_t)query->value.bytes);
    free(query->numbers);
    free(query->bits);
    free(query->dims);
    free(query->words);
    free(query);
}

const struct space *query_space(const struct query *query) { return &query->space; }

const uint8_t *query_value(const struct query *query, size_t *size)
{
    *size = query->value.size;
    return query->value.bytes;
}

static double cosine_of(const struct query *query, float sum, float norm)
{
    double similarity = (double)sum / sqrt((double)query->norm * (double)norm);
    similarity = similarity > 1 ? 1 : similarity < -1 ? -1 : similarity;
    return 1 - similarity;
}

static double jaccard_of(const struct query *query, float sum, float norm)
{
    if (sum == 0)
        return 1;
    return 1 - (double)sum / ((double)query->norm + (double)norm - (double)sum);
}

static double distance_of(const struct query *query, float sum, float norm)
{
    switch (query->space.metric) {
    case METRIC_L2:
        return sqrt((double)sum);
    case METRIC_IP:
        return -(double)sum;
    case METRIC_COSINE:
        return cosine_of(query, sum, norm);
    case METRIC_JACCARD:
        return jaccard_of(query, sum, norm);
    default:
        return (double)sum;
    }
}

int query_distance(const struct query *query, const uint8_t *value, size_t size, double *out)
{
    struct value one = {value, size};
    float sum, norm = 0;
    if (query->kernel(query, &one, 1, &sum, &norm) != 1)
        return -EBADMSG;
    *out = distance_of(query, sum, norm);
    return 0;
}

/* Lists the values whose sums may belong to distances up to `most`: all that do, and few others. To
 * compute their distances costs more than this look. */
static uint32_t sift(const struct query *query, const float *sums, const float *norms,
                     uint32_t count, double most, uint32_t *out)
{
    /* more than what float32 and the sums here round away */
    const double margin = 1e-6 * fabs(most);
    const float limit = (float)(most + margin), square = (float)(most * most * (1 + 1e-6));
    const double share = 1 - most - 1e-5, squares = share * fabs(share) * (double)query->norm;
    const float part = (float)share, own = query->norm;
    uint32_t found = 0;
#define SIFT(far)                                                                                  \
    for (uint32_t i = 0; i < count; i++) {                                                         \
        out[found] = i;                                                                            \
        found += !(far);                                                                           \
    }
    switch (query->space.metric) {
    case METRIC_L2:
        SIFT(sums[i] > square)
        break;
    case METRIC_IP:
        SIFT(-sums[i] > limit)
        break;
    case METRIC_COSINE:
        if (most < 1.9) { /* above, cosine_of may have cut the distance off at 2 */
            SIFT((double)sums[i] * fabs((double)sums[i]) < squares * (double)norms[i])
            break;
        }
        SIFT(false)
        break;
    case METRIC_JACCARD:
        SIFT(sums[i] < part * (own + norms[i] - sums[i]))
        break;
    default:
        SIFT(sums[i] > limit)
    }
#undef SIFT
    return found;
}

int query_within(const struct query *query, const struct value *values, uint32_t count, double most,
                 struct query_found *out)
{
    float sums[BATCH], norms[BATCH];
    uint32_t sifted[BATCH], n = 0;
    for (uint32_t done = 0; done < count; done += BATCH) {
        uint32_t size = count - done < BATCH ? count - done : BATCH;
        uint32_t good = query->kernel(query, values + done, size, sums, norms);
        if (good < size) {
            out->bad = done + good;
            return -EBADMSG;
        }
        uint32_t candidates = sift(query, sums, norms, size, most, sifted);
        for (uint32_t i = 0; i < candidates; i++) {
            double distance = distance_of(query, sums[sifted[i]], norms[sifted[i]]);
            if (distance <= most) {
                out->numbers[n] = done + sifted[i];
                out->distances[n++] = distance;
            }
        }
    }
    out->count = n;
    return 0;
}

int query_odd_value(const struct query *query, uint64_t row, const uint8_t *value, size_t size,
                    struct error *error)
{
    const struct space *space = &query->space;
    uint32_t dims;
    if (value_dims(space->element, value, size, &dims) != 0)
        return error_set(error, -EBADMSG, "row %llu is not a value of its type",
                         (unsigned long long)row);
    return error_set(error, -EBADMSG, "row %llu has %u %s, the query has %u",
                     (unsigned long long)row, dims,
                     space->element == ELEMENT_BIT ? "bits" : "dimensions", space->dims);
}
