/* bench-index: exact answers, and --exact. */
#include "tests/bench/index.h"

#include <math.h>

struct query *query_of(uint32_t row)
{
    struct error error = {{0}};
    struct query *query;
    size_t size;
    const uint8_t *value = span_value(&queries.span, row, &size);
    check(query_new(&space, value, size, &query, &error), settings.query, &error);
    return query;
}

/* The nearest of each query among the rows of the bitmap (NULL: all); returns the seconds it took.
 */
double search_exactly(const struct values *base, const uint64_t *filter, uint32_t count,
                      int threads, struct truth *out)
{
    struct error error = {{0}};
    struct query **prepared = vectors_room(count, sizeof *prepared);
    struct neighbour *found = vectors_room((size_t)count * settings.k, sizeof *found);
    uint32_t *counts = vectors_room(count, sizeof *counts);
    for (uint32_t q = 0; q < count; q++)
        prepared[q] = query_of(q);
    struct exact_search search = {.spans = &base->span,
                                  .span_count = 1,
                                  .filter = filter,
                                  .k = settings.k,
                                  .threads = threads};
    double from = seconds_now();
    check(
        exact_search(&search, (const struct query *const *)prepared, count, found, counts, &error),
        settings.base, &error);
    double seconds = seconds_now() - from;
    truth_init(out, count, settings.k);
    for (size_t i = 0; i < (size_t)count * settings.k; i++) {
        bool there = i % settings.k < counts[i / settings.k];
        out->rows[i] = there ? (uint32_t)found[i].row : UINT32_MAX;
        out->distances[i] = there ? found[i].distance : INFINITY;
    }
    for (uint32_t q = 0; q < count; q++)
        query_free(prepared[q]);
    free(prepared);
    free(found);
    free(counts);
    return seconds;
}

void get_truth(const struct values *base, struct truth *out)
{
    char path[4096];
    truth_path(path, sizeof path, settings.query, settings.metric, settings.k);
    if (truth_read(out, path, settings.base, base->span.rows, queries.span.rows, settings.k))
        return;
    search_exactly(base, NULL, queries.span.rows, settings.threads, out);
    truth_write(out, path, base->span.rows);
}

/* ---- by the book ---- */

/* The numbers of a value; of a sparse one the dimensions too. Returns how many. */
static uint32_t numbers_of(const uint8_t *value, size_t size, double *out, uint32_t *places)
{
    if (space.element == ELEMENT_BIT) {
        for (uint32_t i = 0; i < space.dims; i++)
            out[i] = value[4 + i / 8] >> (7 - i % 8) & 1;
        return space.dims;
    }
    size_t head = space.element == ELEMENT_SPARSE ? 12 : 4;
    uint32_t count = (uint32_t)((size - head) / (places != NULL ? 8 : 4));
    const uint8_t *at = value + size - 4 * (size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits = load_be32(at + 4 * (size_t)i);
        float number;
        memcpy(&number, &bits, sizeof number);
        out[i] = (double)number;
        if (places != NULL)
            places[i] = load_be32(value + head + 4 * (size_t)i);
    }
    return count;
}

/* Of the query's numbers at all dimensions; `places` NULL: the value's are that, too. */
static double distance_by_the_book(const double *query, const double *value, const uint32_t *places,
                                   uint32_t count)
{
    double dot = 0, sum = 0, query_squares = 0, value_squares = 0, other = 0;
    for (uint32_t i = 0; i < space.dims; i++) {
        query_squares += query[i] * query[i];
        sum += fabs(query[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        double q = query[places != NULL ? places[i] : i];
        dot += q * value[i];
        value_squares += value[i] * value[i];
        other += fabs(q - value[i]) - fabs(q);
    }
    switch (space.metric) {
    case METRIC_L2:
        return sqrt(fmax(query_squares + value_squares - 2 * dot, 0));
    case METRIC_IP:
        return -dot;
    case METRIC_COSINE:
        return 1 - dot / sqrt(query_squares * value_squares);
    case METRIC_L1:
        return sum + other;
    case METRIC_HAMMING:
        return query_squares + value_squares - 2 * dot;
    default: /* jaccard */
        return dot > 0 ? 1 - dot / (query_squares + value_squares - dot) : 1;
    }
}

/* What share of the rows found is right: for as many queries as there are, every row that is nearer
 * by the book than the last one found must have been found. */
static double agreement(const struct values *base, const struct truth *found)
{
    bool sparse = space.element == ELEMENT_SPARSE;
    double *query = vectors_room(space.dims, sizeof *query);
    double *value = vectors_room(space.dims, sizeof *value);
    uint32_t *places = sparse ? vectors_room(space.dims, sizeof *places) : NULL;
    size_t size, missed = 0;
    for (uint32_t q = 0; q < found->queries; q++) {
        const uint8_t *bytes = span_value(&queries.span, q, &size);
        uint32_t count = numbers_of(bytes, size, value, places);
        memset(query, 0, space.dims * sizeof *query);
        for (uint32_t i = 0; i < count; i++)
            query[sparse ? places[i] : i] = value[i];
        double last = found->distances[(size_t)q * found->k + found->k - 1];
        for (uint32_t row = 0; row < base->span.rows; row++) {
            bytes = span_value(&base->span, row, &size);
            count = numbers_of(bytes, size, value, places);
            double distance = distance_by_the_book(query, value, places, count);
            missed += distance < last - 1e-5 * fabs(last) && !truth_has(found, q, row, INFINITY);
        }
    }
    free(query);
    free(value);
    free(places);
    return 1 - (double)missed / ((double)found->queries * found->k);
}

/* ---- --exact ---- */

typedef uint64_t lane __attribute__((vector_size(64)));

/* Bytes a second that one core reads, at best of some runs, of memory that is there anyway. */
static double read_bandwidth(const uint8_t *bytes, size_t size)
{
    static volatile uint64_t sink;
    const lane *at = (const lane *)(((uintptr_t)bytes + 63) & ~(uintptr_t)63);
    size_t lanes = (size - 64) / 64 / 8 * 8;
    double best = INFINITY;
    for (int run = 0; run < 7; run++) {
        lane sums[8] = {{0}};
        double from = seconds_now();
        for (size_t i = 0; i < lanes; i += 8)
            for (int j = 0; j < 8; j++)
                sums[j] += at[i + (size_t)j];
        for (int j = 1; j < 8; j++)
            sums[0] += sums[j];
        for (int j = 0; j < 8; j++)
            sink = sink + sums[0][j];
        double seconds = seconds_now() - from;
        best = seconds < best ? seconds : best;
    }
    return (double)(lanes * 64) / best;
}

void measure_exact(const struct values *base)
{
    enum { BATCH = 32, SINGLE_MOST = 1000, CHECKED = 10 };
    struct truth found;
    double bandwidth = read_bandwidth(base->memory.bytes, values_bytes(base));
    double seconds[SINGLE_MOST], begin = seconds_now();
    int count = 0;
    uint32_t rows = queries.span.rows, batch = rows < BATCH ? rows : BATCH;
    do {
        seconds[count++] = search_exactly(base, NULL, 1, 1, &found);
        truth_clear(&found);
    } while (count < 11 || (count < SINGLE_MOST && seconds_now() - begin < settings.seconds));
    qsort(seconds, (size_t)count, sizeof *seconds, vectors_compare_doubles);
    double rate = (double)values_bytes(base) / seconds[count / 2];
    printf("exact\tgb_s\t%.2f\tread_gb_s\t%.2f\tshare\t%.3f\tms\t%.3f\n", rate * 1e-9,
           bandwidth * 1e-9, rate / bandwidth, seconds[count / 2] * 1e3);
    double all = search_exactly(base, NULL, 1, settings.threads, &found);
    truth_clear(&found);
    double together = search_exactly(base, NULL, batch, settings.threads, &found);
    truth_clear(&found);
    printf("exact_threads\tms\t%.3f\nexact_batch\tqps\t%.1f\n", all * 1e3, batch / together);
    search_exactly(base, NULL, rows < CHECKED ? rows : CHECKED, settings.threads, &found);
    printf("exact_agrees\t%.6f\n", agreement(base, &found));
    truth_clear(&found);
}
