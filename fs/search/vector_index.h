/* Indexes of vector columns: built in the background when a query could first use one, kept in the
 * cache as a file, brought up to date when the table has changed.
 *
 * A struct vector_index binds an index (index/hnsw.h), which was made of this or an earlier
 * snapshot of the table, to a given corpus: it says which row is in which slot, and which rows are
 * in none. Those rows are searched exactly, so that an answer is always of the corpus. If there are
 * many of them, the index is brought up to date in the background (hnsw_update), or built anew.
 *
 * Threads: any; mount->lock is not held. Lifetime: a reference, vector_index_unref.
 */
#ifndef FS_SEARCH_VECTOR_INDEX_H
#define FS_SEARCH_VECTOR_INDEX_H

#include "fs/rows/fetch.h"
#include "fs/search/corpus.h"

struct vector_indexes;

struct vector_index {
    atomic_uint refs;
    const struct hnsw *hnsw;
    /* one for each of the hnsw_slots(); UINT32_MAX: not in the corpus any more */
    const uint32_t *row_of_slot;
    /* bits of the slots whose rows are in the corpus; NULL: all rows of the index are */
    const uint64_t *live;
    uint32_t live_count;   /* number of those slots */
    const uint32_t *fresh; /* rows of the corpus that the index does not have, ascending */
    uint32_t fresh_count;
    uint64_t serial;    /* serial of the snapshot that the index was made of */
    int64_t fetched_at; /* and its point in time, as struct snapshot has it */
};

/* Whether an index is worth building: with fewer than 5,000 rows, or less than 8 MiB of vectors,
 * exact search is as fast. Only a question that asks for mode hnsw has a smaller one built. */
bool vector_index_pays(const struct space *space, uint64_t rows);

/* The index that is ready for this corpus now; NULL: none is, or too few rows are in it. `begin`:
 * then its building, or bringing up to date, begins in the background. */
struct vector_index *vector_index_get(struct vector_indexes *indexes, struct corpus *corpus,
                                      int column, const struct space *space, bool begin);
void vector_index_unref(struct vector_index *index);

/* False: its file was cut short while it was searched; what was found must not be used, and the
 * index is not given out again. */
bool vector_index_intact(const struct vector_index *index);

/* A searcher for the index, kept for the next query. */
MUST_CHECK int vector_index_searcher(struct vector_index *index, struct hnsw_searcher **out);
void vector_index_done(struct vector_index *index, struct hnsw_searcher *searcher);

/* index/COLUMN.METRIC.json: state (absent, opening, building, ready, failed, impossible), rows,
 * rows not in it yet (fresh), bytes, options, progress while it is built or brought up to date,
 * recall by ef, the version it stands for, why it failed. */
MUST_CHECK int vector_index_write_state(struct vector_indexes *indexes, struct snapshot *snapshot,
                                        int column, const struct space *space, struct buffer *out);

/* All indexes of a mount; made before threads are started. `place` is borrowed. `memory`: bytes
 * that the mount may take, of which a part is for graphs. */
MUST_CHECK int vector_indexes_new(const struct fetch_place *place, uint64_t memory,
                                  struct vector_indexes **out);
/* Frees the memory of indexes whose relations are gone; to be called now and then. `keep_gone`
 * reduces the list to the relations that are gone, and returns their number; no lock is held
 * meanwhile. */
void vector_indexes_tend(struct vector_indexes *indexes,
                         size_t (*keep_gone)(void *context, uint32_t *relations, size_t count),
                         void *context);
/* For the end of the mount: from here on nothing begins, and builds under way end soon. NULL: there
 * are no indexes. */
void vector_indexes_stop(struct vector_indexes *indexes);
/* Waits for their end. Before the session pool and the store go. */
void vector_indexes_join(struct vector_indexes *indexes);
/* To be called once no thread asks any more. */
void vector_indexes_free(struct vector_indexes *indexes);

#endif
