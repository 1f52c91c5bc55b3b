/* The nearest rows: by looking at all of them, or from an index. */
#include "fs/search/answer_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static int no_memory(const struct answer *answer)
{
    return error_set(answer->error, -ENOMEM, "no memory for a search");
}

static int processors(void)
{
    static atomic_int known;
    if (known == 0) {
        long count = sysconf(_SC_NPROCESSORS_ONLN);
        known = count < 1 ? 1 : count > 64 ? 64 : (int)count;
    }
    return known;
}

static bool has_bit(const uint64_t *bits, uint64_t number)
{
    return bits == NULL || (bits[number / 64] >> (number % 64) & 1) != 0;
}

/* ---- exactly ---- */

/* As many threads as pay: a thread costs about as much as looking at this many bytes does. */
static int threads_for(const struct answer *answer)
{
    enum { BYTES_EACH = 2 << 20 };
    uint64_t bytes = 0;
    for (size_t i = 0; i < answer->span_count; i++) {
        const struct span *span = &answer->spans[i];
        bytes += span->fixed != 0 ? (uint64_t)span->fixed * span->rows : span->starts[span->rows];
    }
    if (answer->snapshot->rows > 0)
        bytes = bytes / answer->snapshot->rows * answer->matched;
    bytes *= answer->query_count;
    uint64_t threads = bytes / BYTES_EACH + 1;
    return threads < (uint64_t)processors() ? (int)threads : processors();
}

/* The error for a value that is no vector of the space: it has other dimensions, since its type
 * allows nothing else. */
static int odd_value(const struct answer *answer)
{
    error_prefix(
        answer->error,
        "column \"%s\" has vectors of different dimensions; choose those that have %u with "
        "`filter`",
        answer_column_name(answer), answer->space.dims);
    return -EINVAL;
}

/* Compares rows by key. Once that has failed any order does: there is no answer. */
static bool by_key(struct answer *answer, uint64_t a, uint64_t b)
{
    struct error why = {""};
    bool before = a < b;
    int none = 0;
    if (answer->unordered != 0)
        return before;
    int rc = corpus_before(answer->corpus, &answer->key, a, b, &before, &why);
    if (rc < 0 && !patience_refused() &&
        atomic_compare_exchange_strong(&answer->unordered, &none, rc))
        answer->unordered_why = why; /* the other threads have ended when it is read */
    return before;
}

/* The same for all threads of a search, which have no patience of their own. */
static bool is_before(void *context, uint64_t a, uint64_t b)
{
    struct answer *answer = context;
    struct patience patience = {.waits = answer->waits, .stop = answer->stop};
    patience_begin(&patience);
    bool before = by_key(answer, a, b);
    patience_end(&patience);
    if (patience.refused)
        answer->refused = true;
    return before;
}

/* Searches exactly for `count` queries, from `first` on. */
static int exact(struct answer *answer, size_t first, size_t count)
{
    struct exact_search search = {.spans = answer->spans,
                                  .span_count = answer->span_count,
                                  .filter = answer->filter,
                                  .k = answer->room,
                                  .threads = threads_for(answer),
                                  .before = is_before,
                                  .context = answer,
                                  .stop = answer->stop};
    answer->threads = search.threads;
    int rc =
        exact_search(&search, (const struct query *const *)answer->queries + first, count,
                     answer->found + first * answer->room, answer->counts + first, answer->error);
    return rc == -EBADMSG ? odd_value(answer) : rc;
}

static int search_exactly(struct answer *answer)
{
    answer->method = METHOD_EXACT;
    answer->visited = answer->matched * answer->query_count;
    answer->recall = 1;
    return exact(answer, 0, answer->query_count);
}

/* ---- from an index ---- */

/* What the queries of one answer share. */
struct graph {
    struct answer *answer;
    struct vector_index *index;
    struct hnsw_searcher *searcher;
    uint64_t *slots;  /* bits of the slots that match the filter; NULL: those that are live */
    uint32_t matches; /* the number of those slots; 0: to be counted */
    uint32_t ask;     /* number of slots to ask for */
    struct hnsw_found *slots_found;
    struct neighbour *candidates;
    uint32_t count, room;
};

/* So many more rows that have the same vector are compared: of those the ones with the first keys
 * come first. If there are more, all rows are looked at. */
enum { TWINS_MOST = 4096 };

/* Makes the filter's bits by slot. */
static int map_filter(struct graph *graph)
{
    const struct vector_index *index = graph->index;
    const struct answer *answer = graph->answer;
    uint32_t slots = hnsw_slots(index->hnsw);
    if (answer->filter == NULL)
        return 0;
    graph->slots = calloc((size_t)slots / 64 + 1, sizeof *graph->slots);
    if (graph->slots == NULL)
        return no_memory(answer);
    for (uint32_t slot = 0; slot < slots; slot++) {
        uint32_t row = index->row_of_slot[slot];
        if (row == UINT32_MAX || !has_bit(answer->filter, row))
            continue;
        graph->slots[slot / 64] |= UINT64_C(1) << (slot % 64);
        graph->matches++;
    }
    return 0;
}

static struct value value_of(const struct answer *answer, uint64_t row)
{
    struct value value;
    struct corpus_row at = corpus_row(answer->corpus, row);
    value.bytes = span_value(&answer->spans[at.group], at.row, &value.size);
    return value;
}

/* Gives the candidates from number `first` on their real distances. Those that have none, or are
 * farther away than `most`, are dropped. */
static int measure(struct graph *graph, const struct query *query, uint32_t first, double most)
{
    enum { AT_ONCE = 64 };
    const struct answer *answer = graph->answer;
    uint32_t kept = first;
    for (uint32_t at = first; at < graph->count; at += AT_ONCE) {
        uint32_t count = graph->count - at < AT_ONCE ? graph->count - at : AT_ONCE;
        struct value values[AT_ONCE];
        double distances[AT_ONCE];
        uint32_t numbers[AT_ONCE];
        struct query_found near = {.numbers = numbers, .distances = distances};
        for (uint32_t i = 0; i < count; i++)
            values[i] = value_of(answer, graph->candidates[at + i].row);
        int rc = query_within(query, values, count, most, &near);
        if (rc == -EBADMSG) {
            query_odd_value(query, graph->candidates[at + near.bad].row, values[near.bad].bytes,
                            values[near.bad].size, answer->error);
            return odd_value(answer);
        }
        if (rc < 0)
            return no_memory(answer);
        for (uint32_t i = 0; i < near.count; i++)
            graph->candidates[kept++] =
                (struct neighbour){distances[i], graph->candidates[at + numbers[i]].row};
    }
    graph->count = kept;
    return 0;
}

static int by_distance(const void *a, const void *b, void *context)
{
    struct answer *answer = context;
    const struct neighbour *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    if (x->row == y->row)
        return 0;
    return by_key(answer, x->row, y->row) ? -1 : 1;
}

/* *whole false: rows that are as near as the last one may be missing. */
static int ask_graph(struct graph *graph, const struct query *query, bool *whole)
{
    struct answer *answer = graph->answer;
    const struct vector_index *index = graph->index;
    const struct hnsw_question question = {
        .query = query,
        .k = graph->ask,
        .ef = answer->ef,
        .room = graph->ask + TWINS_MOST,
        .filter = graph->slots != NULL ? graph->slots : index->live,
        .matches = graph->slots != NULL ? graph->matches : index->live_count,
        .stop = answer->stop};
    struct hnsw_effort effort;
    uint32_t count = 0;
    int rc =
        hnsw_search(index->hnsw, graph->searcher, &question, graph->slots_found, &count, &effort);
    if (rc == -EINTR)
        return error_set(answer->error, rc, "stopped");
    if (rc < 0)
        return error_set(answer->error, rc == -ENOMEM ? rc : -EIO,
                         "the index cannot be searched: %s", strerror(-rc));
    answer->visited += effort.visited;
    answer->scanned |= effort.scanned;
    *whole = !effort.cut;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = index->row_of_slot[graph->slots_found[i].slot];
        if (row < answer->snapshot->rows)
            graph->candidates[graph->count++].row = row;
    }
    return 0;
}

/* Adds the rows that the index does not have. They are few, or it would have been brought up to
 * date. */
static void add_fresh(struct graph *graph)
{
    const struct vector_index *index = graph->index;
    for (uint32_t i = 0; i < index->fresh_count; i++)
        if (has_bit(graph->answer->filter, index->fresh[i]))
            graph->candidates[graph->count++].row = index->fresh[i];
    graph->answer->visited += index->fresh_count;
}

static int by_distance_alone(const void *a, const void *b)
{
    const struct neighbour *x = a, *y = b;
    return x->distance < y->distance ? -1 : x->distance > y->distance;
}

/* Measures the fresh rows. Those that are farther away than the last one wanted are not compared to
 * their end, and are not sorted. */
static int join_fresh(struct graph *graph, const struct query *query)
{
    uint32_t count = graph->count, room = graph->answer->room;
    double most = INFINITY;
    if (graph->index->fresh_count == 0)
        return 0;
    if (count >= room) {
        qsort(graph->candidates, count, sizeof *graph->candidates, by_distance_alone);
        most = graph->candidates[room - 1].distance;
    }
    add_fresh(graph);
    return measure(graph, query, count, most);
}

static int search_graph(struct graph *graph, size_t number)
{
    struct answer *answer = graph->answer;
    const struct query *query = answer->queries[number];
    graph->count = 0;
    if (answer->stop != NULL && *answer->stop)
        return error_set(answer->error, -EINTR, "stopped");
    bool whole = true;
    int rc = ask_graph(graph, query, &whole);
    if (rc == 0 && !whole) {
        answer->visited += answer->matched;
        return exact(answer, number, 1);
    }
    if (rc == 0)
        rc = measure(graph, query, 0, INFINITY);
    if (rc == 0)
        rc = join_fresh(graph, query);
    if (rc < 0)
        return rc;
    qsort_r(graph->candidates, graph->count, sizeof *graph->candidates, by_distance, answer);
    uint32_t count = graph->count < answer->room ? graph->count : answer->room;
    if (count > 0)
        memcpy(answer->found + number * answer->room, graph->candidates,
               count * sizeof *graph->candidates);
    answer->counts[number] = count;
    return 0;
}

/* How many slots to ask for. The index's distances are a little off, less so with more dimensions:
 * some more are asked for, as many as are looked at anyway. */
static uint32_t slots_to_ask(const struct answer *answer)
{
    enum { MANY_DIMS = 512 };
    uint32_t some = answer->space.dims < MANY_DIMS ? answer->room + answer->room / 4 + 8
                                                   : answer->room + answer->room / 8 + 2;
    uint32_t most = answer->ef > answer->room ? answer->ef : answer->room;
    return some < most ? some : most;
}

static int search_index(struct answer *answer, struct vector_index *index)
{
    struct graph graph = {.answer = answer, .index = index, .ask = slots_to_ask(answer)};
    answer->threads = 1;
    size_t found = (size_t)graph.ask + TWINS_MOST;
    graph.room = (uint32_t)found + index->fresh_count;
    graph.slots_found = malloc(found * sizeof *graph.slots_found);
    graph.candidates = malloc((size_t)graph.room * sizeof *graph.candidates);
    int rc = graph.slots_found == NULL || graph.candidates == NULL ? no_memory(answer)
                                                                   : map_filter(&graph);
    if (rc == 0 && vector_index_searcher(index, &graph.searcher) < 0)
        rc = no_memory(answer);
    for (size_t i = 0; rc == 0 && i < answer->query_count; i++)
        rc = search_graph(&graph, i);
    answer->index_broken = !vector_index_intact(index);
    if (graph.searcher != NULL)
        vector_index_done(index, graph.searcher);
    free(graph.slots);
    free(graph.slots_found);
    free(graph.candidates);
    answer->method = METHOD_HNSW;
    answer->recall = answer->scanned ? 1 : hnsw_recall_at(index->hnsw, answer->ef);
    answer->index_serial = index->serial;
    answer->index_fetched_at = index->fetched_at;
    answer->fresh = index->fresh_count;
    return rc;
}

/* ---- which of them ---- */

/* The ef that the question asks for, or that reaches its recall; 0: none that was measured does. */
static uint32_t effort_for(const struct answer *answer, const struct vector_index *index)
{
    const struct question *question = answer->question;
    if (question->ef != 0)
        return question->ef;
    uint32_t ef = hnsw_ef(index->hnsw, question->recall, answer->room);
    if (ef != 0 || question->mode != MODE_HNSW)
        return ef;
    struct hnsw_recall curve[HNSW_RECALLS]; /* the best that was measured */
    int points = hnsw_recall(index->hnsw, curve);
    return points > 0 && curve[points - 1].ef > 200 ? curve[points - 1].ef : 200;
}

/* Whether the column may have an index, which has all of its vectors. */
static bool may_have_index(struct answer *answer)
{
    uint32_t dims = answer->space.dims;
    if (!answer->typed && answer_stored_dims(answer, &dims) < 0)
        return false;
    return !answer->mixed && dims == answer->space.dims;
}

/* The index to search; NULL: search exactly, for the reason in answer->why. */
static struct vector_index *choose(struct answer *answer)
{
    /* For each unit of ef an index looks at about so many rows, in scattered places. If ef is
     * greater than EF_MOST, keeping candidates in order costs more than looking at all rows. */
    enum { ROWS_EACH = 8, EF_MOST = 4000 };
    const struct question *question = answer->question;
    bool forced = question->mode == MODE_HNSW;
    if (question->mode == MODE_EXACT || answer->matched == 0)
        return NULL;
    if (!forced && !vector_index_pays(&answer->space, answer->matched)) {
        answer->why = answer->filter != NULL ? "few rows match" : "the table is small";
        return NULL;
    }
    if (!may_have_index(answer)) {
        answer->why = "the column has vectors of different dimensions";
        return NULL;
    }
    struct vector_index *index = vector_index_get(answer->search->indexes, answer->corpus,
                                                  answer->column, &answer->space, true);
    if (index == NULL) {
        answer->why = "no index is ready";
        return NULL;
    }
    answer->ef = effort_for(answer, index);
    if (answer->ef < answer->room && answer->ef != 0)
        answer->ef = answer->room;
    bool cheap = answer->ef != 0 && answer->ef <= EF_MOST &&
                 (uint64_t)answer->ef * ROWS_EACH < answer->matched;
    if (forced || cheap)
        return index;
    answer->why = answer->ef == 0 ? "the index does not reach the recall"
                                  : "the index would look at as many rows";
    answer->ef = 0;
    vector_index_unref(index);
    return NULL;
}

/* Leaves out the row that the vector is of, else the last row. */
static void leave_out(struct answer *answer)
{
    for (size_t i = 0; i < answer->query_count; i++) {
        struct neighbour *found = answer->found + i * answer->room;
        uint32_t kept = 0;
        for (uint32_t k = 0; k < answer->counts[i]; k++)
            if (!answer->by_key || found[k].row != answer->except)
                found[kept++] = found[k];
        answer->counts[i] = kept < answer->question->k ? kept : answer->question->k;
    }
}

/* ---- room ---- */

static uint64_t bytes_of_queries(const struct answer *answer)
{
    uint64_t bytes = answer->query_count * sizeof(struct query *);
    for (size_t i = 0; i < answer->query_count; i++) {
        size_t size;
        answer_vector(answer, i, &size);
        bytes += query_bytes(&answer->space, size);
    }
    return bytes;
}

/* Checks the bytes that a search takes: those of its queries, and of what each thread finds. */
static int check_bytes(struct answer *answer, uint64_t rows)
{
    uint64_t most = answer_vectors_most(answer->search), queries = bytes_of_queries(answer);
    if (queries > most)
        return error_set(answer->error, -EINVAL,
                         "%zu vectors at once take %" PRIu64
                         " MiB when they are compared, more than %" PRIu64
                         " MiB, a quarter of memory=: ask with fewer, or mount with more memory",
                         answer->query_count, queries >> 20, most >> 20);
    uint64_t found = rows * sizeof(struct neighbour) * (1 + (uint64_t)threads_for(answer));
    return queries + found > ANSWER_LARGE ? answer_enter_room(answer) : 0;
}

static int make_room(struct answer *answer)
{
    uint64_t room = (uint64_t)answer->question->k + answer->by_key;
    if (room > answer->matched)
        room = answer->matched;
    if (room == 0)
        room = 1;
    if (room * answer->query_count > ANSWER_ROWS_MOST)
        return error_set(answer->error, -EINVAL,
                         "%zu vectors with %u rows each are too many: an answer has %d at most",
                         answer->query_count, answer->question->k, ANSWER_ROWS_MOST);
    int rc = check_bytes(answer, room * answer->query_count);
    if (rc < 0)
        return rc;
    answer->room = (uint32_t)room;
    answer->found = calloc(room * answer->query_count, sizeof *answer->found);
    answer->counts = calloc(answer->query_count, sizeof *answer->counts);
    return answer->found == NULL || answer->counts == NULL ? no_memory(answer) : 0;
}

static int make_queries(struct answer *answer)
{
    answer->queries = calloc(answer->query_count, sizeof(struct query *));
    int rc =
        answer->queries == NULL ? error_set(answer->error, -ENOMEM, "no memory for a query") : 0;
    for (size_t i = 0; rc == 0 && i < answer->query_count; i++) {
        size_t size;
        const uint8_t *value = answer_vector(answer, i, &size);
        if (answer->stop != NULL && *answer->stop)
            return error_set(answer->error, -EINTR, "stopped");
        rc = query_new(&answer->space, value, size, &answer->queries[i], answer->error);
        if (rc < 0 && answer->batched)
            error_prefix(answer->error, "vector %zu", i + 1);
    }
    return rc;
}

static int search(struct answer *answer)
{
    struct vector_index *index = choose(answer);
    int rc = patience_refused() ? -EAGAIN
             : index != NULL    ? search_index(answer, index)
                                : search_exactly(answer);
    vector_index_unref(index);
    if (rc == 0 && (answer->refused || patience_refused()))
        return patience_ask(answer->error);
    return rc == 0 && answer->unordered != 0
               ? error_set(answer->error, answer->unordered, "%s", answer->unordered_why.text)
               : rc;
}

int answer_search(struct answer *answer)
{
    int rc = answer_alike(answer);
    if (rc == 0) /* asked for now, before threads compare by it */
        rc = corpus_key_columns(answer->corpus, &answer->key, answer->error);
    if (rc == 0)
        rc = make_room(answer);
    if (rc == 0)
        rc = make_queries(answer);
    if (rc < 0)
        return rc;
    if (answer->large)
        answer_room_begin_computing(&answer->search->room);
    rc = search(answer);
    if (answer->large)
        answer_room_end_computing(&answer->search->room);
    if (rc == 0)
        leave_out(answer);
    return rc;
}
