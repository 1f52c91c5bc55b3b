/* bench-index: queries, their speed and their recall. */
#include "tests/bench/index.h"

#include <inttypes.h>
#include <malloc.h>

/* One after another, and what they find. */
struct asking {
    const struct hnsw *hnsw;
    struct hnsw_searcher *searcher;
    const uint64_t *filter;    /* of slots */
    const struct values *base; /* for --rescore, or NULL */
    struct hnsw_found *found;  /* k a query */
    uint32_t *counts;
    double *seconds;
    size_t asked, room;
    uint64_t scanned; /* queries that looked at all rows */
};

static void asking_init(struct asking *asking, const struct hnsw *hnsw, const struct values *base)
{
    *asking = (struct asking){.hnsw = hnsw, .base = base};
    check(hnsw_searcher_new(hnsw, &asking->searcher), "hnsw_searcher_new", NULL);
    asking->found = vectors_room((size_t)queries.span.rows * settings.k, sizeof *asking->found);
    asking->counts = vectors_room(queries.span.rows, sizeof *asking->counts);
}

static void asking_clear(struct asking *asking)
{
    hnsw_searcher_free(asking->searcher);
    free(asking->found);
    free(asking->counts);
    free(asking->seconds);
}

static double distance_of_row(const struct query *query, const struct values *base, uint32_t row)
{
    size_t size;
    double distance;
    const uint8_t *value = span_value(&base->span, row, &size);
    check(query_distance(query, value, size, &distance), settings.base, NULL);
    return distance;
}

static uint32_t row_of(const struct hnsw *hnsw, uint32_t slot)
{
    struct row_key key;
    if (!hnsw_key(hnsw, slot, &key))
        vectors_die("hnsw_search", "has found a slot that is empty");
    return (uint32_t)key.place;
}

static void ask_one(struct asking *asking, uint32_t q, uint32_t ef)
{
    struct hnsw_found *found = asking->found + (size_t)q * settings.k;
    struct hnsw_effort effort;
    struct query *query = query_of(q);
    const struct hnsw_question question = {
        .query = query, .k = settings.k, .ef = ef, .filter = asking->filter};
    check(
        hnsw_search(asking->hnsw, asking->searcher, &question, found, &asking->counts[q], &effort),
        "hnsw_search", NULL);
    if (asking->base != NULL)
        for (uint32_t i = 0; i < asking->counts[q]; i++)
            found[i].distance =
                (float)distance_of_row(query, asking->base, row_of(asking->hnsw, found[i].slot));
    asking->scanned += effort.scanned;
    query_free(query);
}

/* All queries, again and again until the time is over. */
static void ask_all(struct asking *asking, uint32_t ef, double at_least)
{
    double begin = seconds_now();
    asking->asked = 0;
    asking->scanned = 0;
    do
        for (uint32_t q = 0; q < queries.span.rows; q++) {
            if (asking->asked == asking->room) {
                asking->room = asking->room * 2 + 1024;
                asking->seconds = realloc(asking->seconds, asking->room * sizeof *asking->seconds);
                if (asking->seconds == NULL)
                    vectors_die("memory", "there is not enough");
            }
            double from = seconds_now();
            ask_one(asking, q, ef);
            asking->seconds[asking->asked++] = seconds_now() - from;
        }
    while (seconds_now() - begin < at_least);
}

/* Of the rows that could be found. */
static double recall_of(const struct asking *asking, const struct values *base,
                        const struct truth *truth)
{
    size_t hits = 0, there = 0;
    for (uint32_t q = 0; q < queries.span.rows; q++) {
        struct query *query = query_of(q);
        for (uint32_t i = 0; i < settings.k; i++)
            there += truth->rows[(size_t)q * settings.k + i] != UINT32_MAX;
        for (uint32_t i = 0; i < asking->counts[q]; i++) {
            uint32_t row = row_of(asking->hnsw, asking->found[(size_t)q * settings.k + i].slot);
            hits += (size_t)truth_has(truth, q, row, distance_of_row(query, base, row));
        }
        query_free(query);
    }
    return there > 0 ? (double)hits / (double)there : 1;
}

static void print_curve(struct asking *asking, const struct values *base, const struct truth *truth,
                        const char *prefix)
{
    char what[64];
    for (uint32_t i = 0; i < settings.ef_count; i++) {
        ask_all(asking, settings.efs[i], settings.seconds);
        snprintf(what, sizeof what, "%sef\t%u", prefix, settings.efs[i]);
        print_latencies(what, recall_of(asking, base, truth), asking->seconds, asking->asked);
        if (asking->filter != NULL)
            printf("%sscanned\t%u\t%.3f\n", prefix, settings.efs[i],
                   (double)asking->scanned / (double)asking->asked);
    }
}

void measure_curve(const struct hnsw *hnsw, struct values *base, const struct truth *truth)
{
    struct asking asking;
    if (!settings.rescore)
        values_free(base);
    malloc_trim(0);
    asking_init(&asking, hnsw, settings.rescore ? base : NULL);
    ask_all(&asking, settings.efs[settings.ef_count - 1], 0);
    printf("rss_bytes\t%" PRIu64 "\n", memory_resident());
    if (!settings.rescore)
        load_base(base);
    print_curve(&asking, base, truth, "");
    asking_clear(&asking);
}

void print_curve_of(const struct hnsw *hnsw, const struct values *base, const struct truth *truth,
                    const char *prefix)
{
    struct asking asking;
    asking_init(&asking, hnsw, NULL);
    print_curve(&asking, base, truth, prefix);
    asking_clear(&asking);
}

/* ---- --filter ---- */

uint64_t *slots_of_rows(const struct hnsw *hnsw, const uint64_t *rows)
{
    uint32_t slots = hnsw_slots(hnsw);
    uint64_t *out = bits_new(slots);
    struct row_key key;
    for (uint32_t slot = 0; slot < slots; slot++)
        if (hnsw_key(hnsw, slot, &key) && has_bit(rows, key.place))
            set_bit(out, slot);
    return out;
}

void measure_filter(const struct hnsw *hnsw, const struct values *base, double share)
{
    uint64_t *rows = bits_new(base->span.rows), state = 7;
    for (uint32_t row = 0; row < base->span.rows; row++)
        if ((double)(random64(&state) >> 11) * 0x1p-53 < share)
            set_bit(rows, row);
    uint64_t *slots = slots_of_rows(hnsw, rows);
    struct truth truth;
    struct asking asking;
    char prefix[64];
    search_exactly(base, rows, queries.span.rows, settings.threads, &truth);
    asking_init(&asking, hnsw, NULL);
    asking.filter = slots;
    snprintf(prefix, sizeof prefix, "filter\t%g\t", share);
    print_curve(&asking, base, &truth, prefix);
    for (uint32_t q = 0; q < queries.span.rows; q++)
        for (uint32_t i = 0; i < asking.counts[q]; i++)
            if (!has_bit(slots, asking.found[(size_t)q * settings.k + i].slot))
                vectors_die("hnsw_search", "has found a row that does not match");
    asking_clear(&asking);
    truth_clear(&truth);
    free(slots);
    free(rows);
}
