/* Graphs over made-up vectors, how good their answers are, and files of them in a directory that is
 * removed again: for tests of index/hnsw.h. Include cmocka.h first. */
#ifndef TESTS_GRAPHS_H
#define TESTS_GRAPHS_H

#include "index/exact.h"
#include "tests/unit/clusters.h"
#include "tests/unit/graph_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static inline struct hnsw_options graph_options(struct space space)
{
    return (struct hnsw_options){
        .space = space, .m = 12, .ef_construction = 80, .seed = 1, .threads = 2};
}

/* A graph of all the rows, which is right. */
static inline struct hnsw *graph_of_options(const struct vectors *v,
                                            const struct hnsw_options *options)
{
    struct hnsw *hnsw = NULL;
    struct error error = {""};
    struct span span = vectors_span(v, 0, v->rows);
    int rc = hnsw_build(options, &(struct hnsw_rows){&span, 1, v->keys}, &hnsw, &error);
    if (rc == 0)
        rc = hnsw_check(hnsw, &error);
    if (rc < 0)
        fail_msg("%d %s", rc, error.text);
    return hnsw;
}

static inline struct hnsw *graph_of(const struct vectors *v)
{
    struct hnsw_options options = graph_options(v->space);
    return graph_of_options(v, &options);
}

struct answer {
    struct hnsw_found *found;
    uint32_t count;
    struct hnsw_effort effort;
};

/* Searched with a new searcher; what always holds of an answer is asserted. */
static inline struct answer graph_search(const struct hnsw *hnsw, const struct query *query,
                                         uint32_t k, uint32_t ef, const uint64_t *filter)
{
    struct answer answer = {.found = calloc(k + 1, sizeof *answer.found)};
    struct hnsw_searcher *searcher = NULL;
    uint8_t *seen = calloc((size_t)hnsw_slots(hnsw) + 1, 1);
    assert_true(answer.found != NULL && seen != NULL);
    assert_int_equal(hnsw_searcher_new(hnsw, &searcher), 0);
    const struct hnsw_question question = {.query = query, .k = k, .ef = ef, .filter = filter};
    assert_int_equal(
        hnsw_search(hnsw, searcher, &question, answer.found, &answer.count, &answer.effort), 0);
    hnsw_searcher_free(searcher);
    assert_true(answer.count <= k);
    for (uint32_t i = 0; i < answer.count; i++) {
        struct row_key key;
        uint32_t slot = answer.found[i].slot;
        assert_true(slot < hnsw_slots(hnsw));
        assert_true(hnsw_key(hnsw, slot, &key));
        assert_true(vectors_bit(filter, slot));
        assert_int_equal(seen[slot], 0);
        seen[slot] = 1;
        assert_true(i == 0 || answer.found[i - 1].distance <= answer.found[i].distance);
    }
    free(seen);
    return answer;
}

static inline uint32_t graph_row(const struct hnsw *hnsw, uint32_t slot)
{
    struct row_key key = {0};
    assert_true(hnsw_key(hnsw, slot, &key));
    return vectors_row(key);
}

static inline double graph_distance(const struct vectors *v, const struct query *query,
                                    uint32_t row)
{
    struct span span = vectors_span(v, row, 1);
    size_t size;
    const uint8_t *value = span_value(&span, 0, &size);
    double distance = 0;
    assert_int_equal(query_distance(query, value, size, &distance), 0);
    return distance;
}

/* The k nearest rows of those in `alive` (bits by row; NULL: all); their number. */
static inline uint32_t graph_truth(const struct vectors *v, const struct query *query, uint32_t k,
                                   const uint64_t *alive, struct neighbour *out)
{
    struct span span = vectors_span(v, 0, v->rows);
    struct exact_search search = {
        .spans = &span, .span_count = 1, .filter = alive, .k = k, .threads = 1};
    uint32_t count = 0;
    struct error error = {""};
    if (exact_search(&search, &query, 1, out, &count, &error) < 0)
        fail_msg("%s", error.text);
    return count;
}

/* How many of the first k found are as near as the k nearest, as a share of these. Only what is in
 * `alive` (by row) may be found. */
static inline double graph_recall_of(const struct hnsw *hnsw, const struct vectors *v,
                                     const struct query *query, uint32_t k, uint32_t ef,
                                     const uint64_t *alive, const uint64_t *filter)
{
    struct neighbour *truth = calloc(k + 1, sizeof *truth);
    assert_non_null(truth);
    uint32_t count = graph_truth(v, query, k, alive, truth), hits = 0;
    struct answer answer = graph_search(hnsw, query, k, ef, filter);
    assert_int_equal(answer.count, count);
    double worst = count > 0 ? truth[count - 1].distance : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = graph_row(hnsw, answer.found[i].slot);
        assert_true(vectors_bit(alive, row));
        hits += graph_distance(v, query, row) <= worst + 1e-5 * (1 + fabs(worst));
    }
    free(truth);
    free(answer.found);
    return count > 0 ? (double)hits / count : 1;
}

static inline double graph_recall(const struct hnsw *hnsw, const struct vectors *v,
                                  const struct vectors *queries, uint32_t k, uint32_t ef,
                                  const uint64_t *alive, const uint64_t *filter)
{
    double sum = 0;
    for (uint32_t q = 0; q < queries->rows; q++) {
        struct query *query = vectors_query(queries, q);
        sum += graph_recall_of(hnsw, v, query, k, ef, alive, filter);
        query_free(query);
    }
    return sum / queries->rows;
}

/* ---- files ---- */

struct graph_folder {
    char path[64];
    int fd;
};

static inline void graph_folder_open(struct graph_folder *folder)
{
    *folder = (struct graph_folder){.path = "/tmp/pgvecfs-hnsw.XXXXXX"};
    vectors_must(mkdtemp(folder->path) != NULL);
    folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    vectors_must(folder->fd >= 0);
}

/* Only what `names` says may be in it. */
static inline void graph_folder_close(struct graph_folder *folder, const char *const *names)
{
    for (; *names != NULL; names++)
        unlinkat(folder->fd, *names, 0);
    close(folder->fd);
    assert_int_equal(rmdir(folder->path), 0); /* nothing is left over */
}

/* The caller frees. */
static inline uint8_t *graph_file(int dir, const char *name, size_t *size)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    vectors_must(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    vectors_must(bytes != NULL && read(fd, bytes, (size_t)st.st_size) == st.st_size);
    close(fd);
    *size = (size_t)st.st_size;
    return bytes;
}

static inline void graph_put_file(int dir, const char *name, const uint8_t *bytes, size_t size)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    vectors_must(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static const struct hnsw_binding graph_binding = {"what it stands for", 18};

/* The bytes of the graph as it is saved. */
static inline uint8_t *graph_bytes(const struct hnsw *hnsw, size_t *size)
{
    static const char *const names[] = {"graph", NULL};
    struct graph_folder folder;
    graph_folder_open(&folder);
    assert_int_equal(hnsw_save(hnsw, &graph_binding, folder.fd, "graph", NULL, NULL), 0);
    uint8_t *bytes = graph_file(folder.fd, "graph", size);
    graph_folder_close(&folder, names);
    return bytes;
}

static inline void assert_same_graph(const struct hnsw *a, const struct hnsw *b)
{
    size_t a_size, b_size;
    uint8_t *a_bytes = graph_bytes(a, &a_size), *b_bytes = graph_bytes(b, &b_size);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a_bytes, b_bytes, a_size);
    free(a_bytes);
    free(b_bytes);
}

#endif
