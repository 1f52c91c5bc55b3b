#include "index/exact.h"

#include "index/team.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_BYTES = 256 << 10, /* it stays in a core's cache while several queries look at it */
    BLOCK_ROWS = 512,
    BATCH = 128 /* rows that are compared in one call */
};

/* The nearest rows so far, of one query and thread: a heap with the last in order on top. */
struct nearest {
    struct neighbour *rows;
    uint32_t count, room;
};

/* The rows of a block that count. */
struct chosen {
    struct value values[BLOCK_ROWS];
    uint32_t rows[BLOCK_ROWS]; /* counted from the block's first; unset if there is no filter */
    /* Of a batch, those that are near enough. */
    uint32_t numbers[BATCH];
    double distances[BATCH];
};

/* Where a span begins. */
struct part {
    uint64_t first_row;
    size_t first_block;
    uint32_t block_rows;
};

struct scan {
    const struct exact_search *search;
    const struct query *const *queries;
    size_t query_count;
    struct part *parts; /* of each span */
    size_t members;
    struct chosen **chosen;   /* of each thread, made at its first block */
    struct nearest *nearests; /* thread * query_count + query */
    atomic_int code;          /* the first error: then all threads give up */
    atomic_uint_fast64_t bad; /* for -EBADMSG: the row */
};

/* Whether a stands before b in the answer. */
static inline bool precedes(const struct exact_search *search, const struct neighbour *a,
                            const struct neighbour *b)
{
    if (a->distance != b->distance)
        return a->distance < b->distance;
    return search->before != NULL ? search->before(search->context, a->row, b->row)
                                  : a->row < b->row;
}

static void sift_down(const struct exact_search *search, struct neighbour *heap, uint32_t count,
                      uint32_t at, struct neighbour row)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= count)
            break;
        if (child + 1 < count && precedes(search, &heap[child], &heap[child + 1]))
            child++;
        if (!precedes(search, &row, &heap[child]))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = row;
}

static int nearest_add(const struct exact_search *search, struct nearest *nearest,
                       struct neighbour row)
{
    if (nearest->count == search->k) {
        if (precedes(search, &row, &nearest->rows[0]))
            sift_down(search, nearest->rows, nearest->count, 0, row);
        return 0;
    }
    if (nearest->count == nearest->room) {
        uint64_t room = nearest->room == 0 ? 16 : 2 * (uint64_t)nearest->room;
        room = room < search->k ? room : search->k;
        struct neighbour *rows = reallocarray(nearest->rows, room, sizeof *rows);
        if (rows == NULL)
            return -ENOMEM;
        nearest->rows = rows;
        nearest->room = (uint32_t)room;
    }
    uint32_t at = nearest->count++;
    for (; at > 0 && precedes(search, &nearest->rows[(at - 1) / 2], &row); at = (at - 1) / 2)
        nearest->rows[at] = nearest->rows[(at - 1) / 2];
    nearest->rows[at] = row;
    return 0;
}

/* Turns the heap into the rows in order. */
static void nearest_sort(const struct exact_search *search, struct nearest *nearest)
{
    for (uint32_t end = nearest->count; end > 1; end--) {
        struct neighbour last = nearest->rows[end - 1];
        nearest->rows[end - 1] = nearest->rows[0];
        sift_down(search, nearest->rows, end - 1, 0, last);
    }
}

/* Lists those of the rows [first, end) of the span that count; their number. */
static uint32_t choose_rows(const struct scan *scan, size_t span_number, uint32_t first,
                            uint32_t end, struct chosen *out)
{
    const struct span *span = &scan->search->spans[span_number];
    const uint64_t *filter = scan->search->filter;
    uint64_t before = scan->parts[span_number].first_row;
    uint32_t count = 0;
    if (filter == NULL) {
        for (uint32_t row = first; row < end; row++, count++)
            out->values[count].bytes = span_value(span, row, &out->values[count].size);
        return count;
    }
    for (uint64_t at = before + first; at < before + end; at = (at / 64 + 1) * 64) {
        uint64_t left = before + end - (at - at % 64);
        uint64_t bits = filter[at / 64] & ~(uint64_t)0 << at % 64;
        if (left < 64)
            bits &= ((uint64_t)1 << left) - 1;
        for (; bits != 0; bits &= bits - 1) {
            uint32_t row = (uint32_t)(at - at % 64 + (uint64_t)__builtin_ctzll(bits) - before);
            out->rows[count] = row - first;
            out->values[count].bytes = span_value(span, row, &out->values[count].size);
            count++;
        }
    }
    return count;
}

static inline uint32_t row_of(const struct exact_search *search, const struct chosen *chosen,
                              uint32_t i)
{
    return search->filter == NULL ? i : chosen->rows[i];
}

/* Compares one query with the chosen rows. */
static int compare_rows(struct scan *scan, const struct query *query, struct nearest *nearest,
                        uint64_t first_row, uint32_t count, struct chosen *chosen)
{
    const struct exact_search *search = scan->search;
    for (uint32_t done = 0; done < count; done += BATCH) {
        uint32_t n = count - done < BATCH ? count - done : BATCH;
        double most = nearest->count == search->k ? nearest->rows[0].distance : INFINITY;
        struct query_found found = {.numbers = chosen->numbers, .distances = chosen->distances};
        int rc = query_within(query, chosen->values + done, n, most, &found);
        if (rc != 0) {
            scan->bad = first_row + row_of(search, chosen, done + found.bad);
            return rc;
        }
        for (uint32_t i = 0; i < found.count; i++) {
            uint64_t row = first_row + row_of(search, chosen, done + chosen->numbers[i]);
            rc = nearest_add(search, nearest, (struct neighbour){chosen->distances[i], row});
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

static size_t span_of_block(const struct scan *scan, size_t block)
{
    size_t low = 0, high = scan->search->span_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (scan->parts[middle].first_block <= block)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static int scan_block(struct scan *scan, int thread, size_t block)
{
    if (scan->search->stop != NULL && *scan->search->stop)
        return -EINTR;
    struct chosen *chosen = scan->chosen[thread];
    if (chosen == NULL) {
        chosen = malloc(sizeof *chosen);
        if (chosen == NULL)
            return -ENOMEM;
        scan->chosen[thread] = chosen;
    }
    size_t number = span_of_block(scan, block);
    const struct part *part = &scan->parts[number];
    uint32_t rows = scan->search->spans[number].rows;
    uint32_t first = (uint32_t)(block - part->first_block) * part->block_rows;
    uint32_t end = rows - first < part->block_rows ? rows : first + part->block_rows;
    uint32_t count = choose_rows(scan, number, first, end, chosen);
    struct nearest *nearests = scan->nearests + (size_t)thread * scan->query_count;
    for (size_t i = 0; count > 0 && i < scan->query_count; i++) {
        int rc = compare_rows(scan, scan->queries[i], &nearests[i], part->first_row + first, count,
                              chosen);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void scan_next(void *context, int thread, size_t block)
{
    struct scan *scan = context;
    if (scan->code != 0)
        return;
    int rc = scan_block(scan, thread, block), none = 0;
    if (rc != 0)
        atomic_compare_exchange_strong(&scan->code, &none, rc);
}

/* Cuts the spans into blocks; how many. */
static size_t cut_spans(struct scan *scan)
{
    const struct exact_search *search = scan->search;
    size_t blocks = 0;
    uint64_t rows = 0;
    for (size_t i = 0; i < search->span_count; i++) {
        const struct span *span = &search->spans[i];
        uint32_t block_rows = BLOCK_ROWS;
        if (span->rows > 0) {
            uint64_t size = span->fixed != 0
                                ? span->fixed
                                : (span->starts[span->rows] - span->starts[0]) / span->rows;
            uint64_t fit = BLOCK_BYTES / (size + 1);
            block_rows = fit < 1 ? 1 : fit < BLOCK_ROWS ? (uint32_t)fit : BLOCK_ROWS;
        }
        scan->parts[i] = (struct part){rows, blocks, block_rows};
        blocks += (span->rows + (size_t)block_rows - 1) / block_rows;
        rows += span->rows;
    }
    return blocks;
}

/* Merges all threads' nearest rows of a query into those of the first thread, in order. */
static int merge_threads(struct scan *scan, size_t query)
{
    struct nearest *all = &scan->nearests[query];
    for (size_t thread = 1; thread < scan->members; thread++) {
        struct nearest *nearest = &scan->nearests[thread * scan->query_count + query];
        for (uint32_t i = 0; i < nearest->count; i++) {
            int rc = nearest_add(scan->search, all, nearest->rows[i]);
            if (rc != 0)
                return rc;
        }
    }
    nearest_sort(scan->search, all);
    return 0;
}

static int say_bad_row(const struct scan *scan, struct error *error)
{
    const struct exact_search *search = scan->search;
    uint64_t row = scan->bad;
    size_t number = 0;
    while (row - scan->parts[number].first_row >= search->spans[number].rows)
        number++;
    size_t size;
    const uint8_t *value =
        span_value(&search->spans[number], (uint32_t)(row - scan->parts[number].first_row), &size);
    return query_odd_value(scan->queries[0], row, value, size, error);
}

static int scan_run(struct scan *scan, struct team *team, size_t blocks, struct neighbour *out,
                    uint32_t *counts, struct error *error)
{
    team_run(team, blocks, 1, scan_next, scan);
    int rc = scan->code;
    if (rc == -EBADMSG)
        return say_bad_row(scan, error);
    if (rc == -EINTR)
        return error_set(error, rc, "the search was stopped");
    for (size_t i = 0; rc == 0 && i < scan->query_count; i++)
        rc = merge_threads(scan, i);
    if (rc != 0)
        return error_set(error, rc, "out of memory for the rows found");
    for (size_t i = 0; i < scan->query_count; i++) {
        counts[i] = scan->nearests[i].count;
        if (counts[i] > 0)
            memcpy(out + i * scan->search->k, scan->nearests[i].rows, counts[i] * sizeof *out);
    }
    return 0;
}

static int scan_init(struct scan *scan, struct team **team, size_t *blocks)
{
    const struct exact_search *search = scan->search;
    scan->parts = calloc(search->span_count + 1, sizeof *scan->parts);
    if (scan->parts == NULL)
        return -ENOMEM;
    *blocks = cut_spans(scan);
    int threads = search->threads < 1 ? 1 : search->threads;
    if ((size_t)threads > *blocks)
        threads = *blocks == 0 ? 1 : (int)*blocks;
    int rc = team_new(threads, team);
    if (rc < 0)
        return rc;
    scan->members = (size_t)team_size(*team);
    scan->chosen = calloc(scan->members, sizeof *scan->chosen);
    scan->nearests = calloc(scan->members * scan->query_count, sizeof *scan->nearests);
    return scan->chosen == NULL || scan->nearests == NULL ? -ENOMEM : 0;
}

static void scan_clear(struct scan *scan)
{
    for (size_t i = 0; scan->chosen != NULL && i < scan->members; i++)
        free(scan->chosen[i]);
    for (size_t i = 0; scan->nearests != NULL && i < scan->members * scan->query_count; i++)
        free(scan->nearests[i].rows);
    free(scan->chosen);
    free(scan->nearests);
    free(scan->parts);
}

int exact_search(const struct exact_search *search, const struct query *const *queries,
                 size_t query_count, struct neighbour *out, uint32_t *counts, struct error *error)
{
    if (search->k == 0)
        memset(counts, 0, query_count * sizeof *counts);
    if (search->k == 0 || query_count == 0)
        return 0;
    struct scan scan = {.search = search, .queries = queries, .query_count = query_count};
    struct team *team = NULL;
    size_t blocks;
    int rc = scan_init(&scan, &team, &blocks);
    if (rc == 0)
        rc = scan_run(&scan, team, blocks, out, counts, error);
    else
        error_set(error, rc, "out of memory for a search");
    scan_clear(&scan);
    team_free(team);
    return rc;
}
