/* A graph over vectors (Hierarchical Navigable Small World, Malkov and Yashunin, arXiv 1603.09320),
 * which finds near neighbours without looking at all rows.
 *
 * The index keeps a short form of each row's vector (code.h), not the vector itself. What it finds
 * is therefore approximate in two ways: it may miss a row, and its distances are a little off. The
 * caller computes the distances of the few rows found again (query_distance).
 *
 * A row has a slot, a number that it keeps while it is in the index, and a key of the caller's. The
 * upper layers have the first slots: slot s is on layer l if s < count(l).
 *
 * The build inserts rows in batches. All rows of a batch search the graph as it was before, in
 * parallel; then the edges are turned round and sorted, and each row prunes its list, in parallel.
 * So the graph is the same for any number of threads. Rows of equal codes share one place in it.
 *
 * Lifetime: hnsw_build, hnsw_update, hnsw_open and hnsw_copy make an index, which then never
 * changes; hnsw_free, once nobody searches. Threads: any number may search, each with its own
 * struct hnsw_searcher. Errors: -EINVAL a bad query, -EBADMSG bytes that are not a value or not an
 * index, -EINTR stopped, -ENOMEM; errnos of the disk.
 */
#ifndef INDEX_HNSW_H
#define INDEX_HNSW_H

#include "codec/error.h"
#include "index/distance.h"

#include <stdatomic.h>

/* What tells a row from all others, and from its own earlier and later versions. */
struct row_key {
    /* Of a table: number of the source << 48 | block << 16 | offset; else the row's number. */
    uint64_t place;
    uint32_t xmin;
};

struct hnsw_options {
    struct space space;
    uint32_t m;               /* 2 to 100: neighbours on the upper layers; twice as many below */
    uint32_t ef_construction; /* 4 to 1000 */
    uint64_t seed;
    int threads; /* that build; the result does not depend on it */
    /* Of dense vectors, not under l1: 8, or 4 for half the memory and a recall that ends at about
     * 0.99; 0: 8. */
    int code_bits;
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
/* All slots are below this. */
uint32_t hnsw_slots(const struct hnsw *hnsw);
/* Slots in use. */
uint32_t hnsw_rows(const struct hnsw *hnsw);
/* False: nothing is in the slot. */
bool hnsw_key(const struct hnsw *hnsw, uint32_t slot, struct row_key *out);
/* The memory that it takes, in bytes, while it is searched. */
uint64_t hnsw_bytes(const struct hnsw *hnsw);
/* Rows inserted or deleted since it was built whole. */
uint64_t hnsw_churn(const struct hnsw *hnsw);

/* The room that one thread searches in. */
struct hnsw_searcher;
MUST_CHECK int hnsw_searcher_new(const struct hnsw *hnsw, struct hnsw_searcher **out);
void hnsw_searcher_free(struct hnsw_searcher *searcher);

struct hnsw_found {
    float distance; /* nearly the metric's */
    uint32_t slot;
};

struct hnsw_question {
    const struct query *query;
    uint32_t k;              /* rows wanted */
    uint32_t ef;             /* candidates kept on the way, at least k: more of them find more */
    uint32_t room;           /* for what is found, see hnsw_search; 0: k */
    const uint64_t *filter;  /* slots that count (bits.h); NULL: all do */
    uint32_t matches;        /* how many rows count; 0: hnsw_search counts them */
    const atomic_bool *stop; /* or NULL */
};

/* What a search has done. */
struct hnsw_effort {
    uint32_t visited; /* vectors looked at */
    bool scanned;     /* it looked at all rows that count, and did not use the graph */
    bool cut;         /* it may have left out rows of the same codes as one that it found */
};

/* The k nearest rows of those that count, nearest first: all of them if fewer than k count. Behind
 * them come the other rows of the same codes as the last, as far as there is room: rows of equal
 * vectors always have the same codes, and the caller may choose among them by something else.
 * -EINTR: stopped. `effort` may be NULL. */
MUST_CHECK int hnsw_search(const struct hnsw *hnsw, struct hnsw_searcher *searcher,
                           const struct hnsw_question *question, struct hnsw_found *out,
                           uint32_t *count, struct hnsw_effort *effort);

/* How good the index is: recall of the 10 nearest by ef, ascending. Measured against exact search
 * when the index is built whole, before its last few rows are inserted, with these as queries. */
struct hnsw_recall {
    uint32_t ef;
    float recall;
};
enum { HNSW_RECALLS = 12 };

/* The measured curve. Returns its number of points; 0: it was not measured. */
int hnsw_recall(const struct hnsw *hnsw, struct hnsw_recall out[HNSW_RECALLS]);

/* The recall of the 10 nearest to be expected of an ef. It follows the curve in straight lines; it
 * is 0 before the first point, and behind the last as there. */
double hnsw_recall_at(const struct hnsw *hnsw, uint32_t ef);

/* The ef that reaches the recall for k rows, by the curve; 0: none that was measured does. */
uint32_t hnsw_ef(const struct hnsw *hnsw, double recall, uint32_t k);

/* What an index file stands for, besides its space: bytes of the caller's. */
struct hnsw_binding {
    const void *bytes;
    size_t size;
};

/* Writes DIR/NAME, by way of a temporary file, fsync and rename. `stop`: or NULL. -EINTR: stopped;
 * the file is as it was before. */
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

/* A copy in memory of its own, in huge pages, in which searches are faster. -EBADMSG: it was
 * opened, and is not what was saved. */
MUST_CHECK int hnsw_copy(const struct hnsw *hnsw, struct hnsw **out);

/* For tests: whether all lists are in order and without doubles, and every row can be reached from
 * the entry. -EBADMSG: what is wrong is in `error`. */
MUST_CHECK int hnsw_check(const struct hnsw *hnsw, struct error *error);

#endif
