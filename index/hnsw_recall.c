/* The curve: for some ef, how many of the ten nearest are found. */
#include "index/hnsw_making.h"

#include "index/exact.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { NEAREST = 10 };

static const uint32_t efs[HNSW_RECALLS] = {10, 16, 24, 32, 48, 64, 96, 128, 192, 288, 432, 640};

struct measuring {
    struct hnsw *hnsw;
    struct query **queries;
    uint32_t count;
    struct neighbour *truth; /* of each query, NEAREST by exact search */
    uint32_t *truths;        /* of each query, how many these are */
    uint32_t *row_of_slot;
};

static int search_exactly(struct measuring *measuring, const struct making *making,
                          const uint64_t *in, struct error *error)
{
    struct exact_search search = {.spans = making->rows.all->spans,
                                  .span_count = making->rows.all->span_count,
                                  .filter = in,
                                  .k = NEAREST,
                                  .threads = team_size(making->team),
                                  .stop = making->options->stop};
    return exact_search(&search, (const struct query *const *)measuring->queries, measuring->count,
                        measuring->truth, measuring->truths, error);
}

/* How many of the rows found are as near as the truth: equally near ones count as well. */
static uint32_t hits(const struct measuring *measuring, const struct making *making, uint32_t query,
                     const struct hnsw_found *found, uint32_t count)
{
    const struct neighbour *truth = measuring->truth + (size_t)query * NEAREST;
    uint32_t n = measuring->truths[query], good = 0;
    for (uint32_t i = 0; n > 0 && i < count; i++) {
        size_t size;
        double distance;
        const uint8_t *value =
            rows_value(&making->rows, measuring->row_of_slot[found[i].slot], &size);
        good += query_distance(measuring->queries[query], value, size, &distance) == 0 &&
                distance <= truth[n - 1].distance;
    }
    return good;
}

static int measure_ef(const struct measuring *measuring, const struct making *making,
                      struct hnsw_searcher *searcher, uint32_t ef, double *recall)
{
    uint64_t good = 0, all = 0;
    for (uint32_t i = 0; i < measuring->count; i++) {
        struct hnsw_found found[NEAREST];
        uint32_t count;
        struct hnsw_question question = {
            .query = measuring->queries[i], .k = NEAREST, .ef = ef, .stop = making->options->stop};
        int rc = hnsw_search(measuring->hnsw, searcher, &question, found, &count, NULL);
        if (rc < 0)
            return rc;
        good += hits(measuring, making, i, found, count);
        all += measuring->truths[i];
    }
    *recall = all > 0 ? (double)good / (double)all : 1;
    return 0;
}

static int measure_curve(struct measuring *measuring, const struct making *making)
{
    struct hnsw *hnsw = measuring->hnsw;
    struct hnsw_searcher *searcher = NULL;
    int rc = hnsw_searcher_new(hnsw, &searcher);
    hnsw->curve_count = 0;
    for (uint32_t i = 0; rc == 0 && i < HNSW_RECALLS; i++) {
        double recall = 0;
        rc = measure_ef(measuring, making, searcher, efs[i], &recall);
        hnsw->curve[i] = (struct hnsw_recall){efs[i], (float)recall};
        hnsw->curve_count = rc == 0 ? i + 1 : 0;
        if (rc == 0 && recall >= 1)
            break;
    }
    hnsw_searcher_free(searcher);
    return rc;
}

static int ask_rows(struct measuring *measuring, const struct making *making, const uint32_t *rows,
                    uint32_t count, struct error *error)
{
    for (uint32_t i = 0; i < count; i++) {
        size_t size;
        const uint8_t *value = rows_value(&making->rows, rows[i], &size);
        int rc = query_new(&making->options->space, value, size, &measuring->queries[i], error);
        if (rc < 0)
            return rc;
        measuring->count++;
    }
    return 0;
}

int hnsw_measure(struct making *making, const uint32_t *rows, uint32_t count, const uint64_t *in)
{
    struct measuring measuring = {.hnsw = making->hnsw, .row_of_slot = making->row_of_slot};
    measuring.queries = calloc((size_t)count + 1, sizeof *measuring.queries);
    measuring.truth = calloc((size_t)count * NEAREST + 1, sizeof *measuring.truth);
    measuring.truths = calloc((size_t)count + 1, sizeof *measuring.truths);
    int rc = measuring.queries == NULL || measuring.truth == NULL || measuring.truths == NULL
                 ? -ENOMEM
                 : ask_rows(&measuring, making, rows, count, making->error);
    if (rc == 0)
        rc = search_exactly(&measuring, making, in, making->error);
    if (rc == 0)
        rc = measure_curve(&measuring, making);
    for (uint32_t i = 0; measuring.queries != NULL && i < measuring.count; i++)
        query_free(measuring.queries[i]);
    free(measuring.queries);
    free(measuring.truth);
    free(measuring.truths);
    return rc;
}
