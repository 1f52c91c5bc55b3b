/* A graph over vectors (Hierarchical Navigable Small World, Malkov and Yashunin, arXiv 1603.09320)
 * that finds near neighbours without looking at all rows.
 *
 * It keeps each row's vector in a short form of its own (code.h), in two parts: one that is looked
 * at on the way, and one that orders what was found; not the vector itself. What it finds is
 * therefore approximate in two ways: a row may be missed, and distances are a little off; the
 * caller computes those of the few rows found again (query_distance).
 *
 * A row is known by its slot, a number that stays while it is in the index, and by its identity, a
 * key of the caller's. Upper levels are the first slots: slot s is on level l if s < count(l).
 *
 * The build inserts rows in batches: each batch searches the graph as it was before, in parallel;
 * then the edges are turned round, sorted, and each row's list is pruned, in parallel. So the graph
 * is the same for any number of threads. Equal values share one place in the graph.
 *
 * Lifetime: hnsw_build, hnsw_update, hnsw_open and hnsw_copy make one; from there on it never
 * changes; hnsw_free, once nobody searches. Threads: any number of searchers; each has its own
 * struct hnsw_searcher. Errors: -EINVAL a bad query, -EBADMSG bytes that are no value or no index,
 * -EINTR stopped, -ENOMEM; errnos of the disk.
 */
#ifndef INDEX_HNSW_H
#define INDEX_HNSW_H

#include "codec/error.h"
#include "index/distance.h"

#include <stdatomic.h>

/* What tells a row from all others, also from its own earlier and later versions. */
struct row_key {
    uint64_t place; /* of a table: number of the source << 48 | block << 16 | offset; else the row's
                       number */
    uint32_t xmin;
};

struct hnsw_options {
    struct space space;
    uint32_t m;               /* neighbours on the upper levels, twice as many below: 2 to 100 */
    uint32_t ef_construction; /* 4 to 1000 */
    uint64_t seed;
    int threads;   /* for building; no effect on the result */
    int code_bits; /* of the part looked at on the way: 8, or 4 for half the memory, and recall
                      that ends at about 0.99; 0: 8. l1, bits, sparse and short vectors have one
                      form */
    const atomic_bool *stop; /* or NULL */
    atomic_ulong *done;      /* or NULL: rows inserted so far, for a progress bar */
};

struct hnsw;

/* Rows, and a key for each of them, also for those that have no place in an index
 * (value_has_place). */
struct hnsw_rows {
    const struct span *spans;
    size_t span_count;
    const struct row_key *keys;
};

/* An index of those of the rows that have a place in it. */
MUST_CHECK int hnsw_build(const struct hnsw_options *options, const struct hnsw_rows *rows,
                          struct hnsw **out, struct error *error);

/* A new index of what `old` holds, but for the slots in `dead` (bits.h; NULL: none), and of these
 * rows. Old rows keep their slots, dead ones' slots are used again. -EBADMSG, too, if `old` was
 * opened and is not what was saved. */
MUST_CHECK int hnsw_update(const struct hnsw *old, const struct hnsw_options *options,
                           const uint64_t *dead, const struct hnsw_rows *rows, struct hnsw **out,
                           struct error *error);
void hnsw_free(struct hnsw *hnsw);

const struct space *hnsw_space(const struct hnsw *hnsw);
uint32_t hnsw_slots(const struct hnsw *hnsw); /* slots are below this */
uint32_t hnsw_rows(const struct hnsw *hnsw);  /* of them in use */
/* False: nothing is in the slot. */
bool hnsw_key(const struct hnsw *hnsw, uint32_t slot, struct row_key *out);
uint64_t hnsw_bytes(const struct hnsw *hnsw); /* in memory while it is searched */
uint64_t
hnsw_churn(const struct hnsw *hnsw); /* rows inserted or deleted since it was built whole */

/* Room to search in; for one thread at a time. */
struct hnsw_searcher;
MUST_CHECK int hnsw_searcher_new(const struct hnsw *hnsw, struct hnsw_searcher **out);
void hnsw_searcher_free(struct hnsw_searcher *searcher);

struct hnsw_found {
    float distance; /* as the metric has it, nearly */
    uint32_t slot;
};

struct hnsw_question {
    const struct query *query;
    uint32_t k;              /* rows wanted */
    uint32_t ef;             /* candidates kept on the way, at least k; more find better */
    uint32_t room;           /* of what is found, see below; 0: k */
    const uint64_t *filter;  /* a bit a slot: it counts; NULL: all do */
    uint32_t matches;        /* how many do; 0: they are counted here */
    const atomic_bool *stop; /* or NULL */
};

/* What it took. */
struct hnsw_effort {
    uint32_t visited; /* vectors looked at */
    bool scanned;     /* all that matched were looked at, the graph was not used */
    bool cut;         /* rows that have the same codes as one found may have been left out */
};

/* The up to k nearest rows among those that count, nearest first, and behind them the others that
 * have the same codes as the last, as far as there is room: rows with equal vectors always have, and
 * the caller can choose among them by something else. If k rows count, k are found, at least.
 * -EINTR: stopped. `effort` may be NULL. */
MUST_CHECK int hnsw_search(const struct hnsw *hnsw, struct hnsw_searcher *searcher,
                           const struct hnsw_question *question, struct hnsw_found *out,
                           uint32_t *count, struct hnsw_effort *effort);

/* How good it is: recall of the 10 nearest by ef, ascending. Measured when it is built whole,
 * before the last few rows are inserted, with these as queries, against exact search. */
struct hnsw_recall {
    uint32_t ef;
    float recall;
};
enum { HNSW_RECALLS = 12 };

/* The measured curve; returns the number of points, 0: it was not measured. */
int hnsw_recall(const struct hnsw *hnsw, struct hnsw_recall out[HNSW_RECALLS]);

/* The recall of the 10 nearest to be expected of an ef: between two points of the curve in a line;
 * beyond its ends as at the end, in front of them 0. */
double hnsw_recall_at(const struct hnsw *hnsw, uint32_t ef);

/* The ef that reaches the recall for k rows, by the curve; 0: none that was measured does. */
uint32_t hnsw_ef(const struct hnsw *hnsw, double recall, uint32_t k);

/* What an index file stands for, besides its space: the caller's, compared byte for byte. */
struct hnsw_binding {
    const void *bytes;
    size_t size;
};

/* Writes DIR/NAME, by way of a temporary file, fsync and rename. `stop`: or NULL; -EINTR: stopped, and
 * what there was is as it was. */
MUST_CHECK int hnsw_save(const struct hnsw *hnsw, const struct hnsw_binding *binding, int dir,
                         const char *name, const atomic_bool *stop, struct error *error);
/* The bytes of an index file, mapped or read. */
struct hnsw_image {
    const void *bytes;
    size_t size;
};

/* The index that hnsw_save has written. It borrows the bytes until it is freed. They may change
 * meanwhile, as a mapped file that is cut short becomes zeroes: searches then find anything, and
 * do no other harm. The binding that it was saved with is appended to `binding`. `stop`: or NULL.
 * -EBADMSG: torn, truncated, or not of this space and program; -EINTR: stopped. */
struct buffer;
MUST_CHECK int hnsw_open(const struct hnsw_image *image, const struct space *space,
                         const atomic_bool *stop, struct hnsw **out, struct buffer *binding,
                         struct error *error);

/* The same index in memory of its own, in huge pages, where it is searched faster. -EBADMSG: it was
 * opened, and is not what was saved. */
MUST_CHECK int hnsw_copy(const struct hnsw *hnsw, struct hnsw **out);

/* For tests: every list is in order, without doubles, and every row can be reached from the entry.
 * What is wrong, in `error`, and -EBADMSG. */
MUST_CHECK int hnsw_check(const struct hnsw *hnsw, struct error *error);

#endif
