/* The rows of one table snapshot, at hand for queries: a vector column as spans, mapped from the
 * cache, the other columns' values of single rows, and rows by key.
 *
 * What is made for a row group (the map of its file, checked once; its keys in order) is kept with
 * the group and shared by all snapshots that have it; kept as long as it is used, and some more, up
 * to a share of memory= (fs/rows/group_rows.h). A relation's latest corpus is kept
 * (fs/search/corpus_cache.h).
 *
 * A mapped file that is cut short under our hands gives zeroes, not a SIGBUS, and is found out
 * (corpus_intact).
 *
 * Threads: any, without mount->lock. Lifetime: corpus_get gives a new reference, corpus_unref.
 * Errors: those of fetch_group; -ENOSPC the vectors fit neither into the cache nor into memory.
 */
#ifndef FS_SEARCH_CORPUS_H
#define FS_SEARCH_CORPUS_H

#include "fs/search/corpus_cache.h"
#include "index/hnsw.h"

struct corpus;

/* Rows are numbered in the snapshot's order, 0 first. place->corpora must be set; `place` outlives
 * it. */
MUST_CHECK int corpus_get(const struct fetch_place *place, struct snapshot *snapshot,
                          struct corpus **out, struct error *error);
struct corpus *corpus_ref(struct corpus *corpus);
void corpus_unref(struct corpus *corpus);

struct snapshot *corpus_snapshot(const struct corpus *corpus); /* borrowed */

/* The values of one column, by its number in the schema; all groups, in order. Borrowed from the
 * corpus. corpus_load breaks off with -EINTR when `stop` is set. */
MUST_CHECK int corpus_spans(struct corpus *corpus, int column, const struct span **spans,
                            size_t *count, struct error *error);
MUST_CHECK int corpus_load(struct corpus *corpus, int column, const atomic_bool *stop,
                           const struct span **spans, size_t *count, struct error *error);

/* The identities of one group's rows, if schema->with_row_ids says that rows have some that last
 * from one snapshot to another: those of views and foreign tables have not. */
MUST_CHECK int corpus_group_keys(struct corpus *corpus, size_t group, struct row_key *keys,
                                 struct error *error);

/* Whether all mapped files are still whole. False: what was read from them since is worth nothing,
 * and the next corpus_get makes another one. */
bool corpus_intact(struct corpus *corpus);

/* ---- single rows ---- */

/* Where a row is. */
struct corpus_row {
    size_t group;
    uint32_t row;
};
struct corpus_row corpus_row(const struct corpus *corpus, uint64_t number);
uint64_t corpus_number(const struct corpus *corpus, struct corpus_row row);

/* While the row's group is pinned, its values may be read. */
void corpus_pin(struct corpus *corpus, size_t group);
void corpus_unpin(struct corpus *corpus, size_t group);

/* A part of a group that is pinned, which is made of others (group_rows.h). */
MUST_CHECK int corpus_made(struct corpus *corpus, size_t group, make_part *made, void *context,
                           const struct part **out, struct error *error);

/* Whether so many bytes, for all groups, may be made and kept without what else is kept going. */
bool corpus_has_room(const struct corpus *corpus, uint64_t bytes);

/* The value of a part; *size is -1 for NULL. The group is pinned. */
MUST_CHECK int corpus_value(struct corpus *corpus, struct corpus_row row, int part,
                            const uint8_t **bytes, int32_t *size, struct error *error);

/* The identity of one row. -EIO: it has none. */
MUST_CHECK int corpus_row_key(struct corpus *corpus, uint64_t row, struct row_key *out,
                              struct error *error);

/* 1, and which row: the one with this identity. 0: there is none. */
MUST_CHECK int corpus_find_row(struct corpus *corpus, const struct row_key *key, uint64_t *row,
                               struct error *error);

/* Whether it is known that who sees `mark` (version_key.h) sees the rows of the snapshot, with the
 * ids that they have there; and notes that it is so. */
bool corpus_rows_hold(struct corpus *corpus, const char *mark);
void corpus_note_rows(struct corpus *corpus, const char *mark);

/* ---- by primary key ---- */

/* The relation's primary key; asked of the server after each refresh that has found anything
 * changed. Of views and the like there is none. */
MUST_CHECK int corpus_key_columns(struct corpus *corpus, struct key_columns *out,
                                  struct error *error);

/* The row whose key has this text, as question.h says. -ENOENT: there is no such row, or no key;
 * -EINTR: the thread's patience has ended. A row group's keys are looked up in two bytes a row,
 * which are kept where all of them fit; else each time all keys are read. */
MUST_CHECK int corpus_find_key(struct corpus *corpus, const char *text, uint64_t *row,
                               struct error *error);

/* For corpus_key.c alone: the lock is held by the one who asks for it. */
struct key_place {
    const struct fetch_place *place;
    pthread_mutex_t *lock;
};
struct key_place corpus_key_place(struct corpus *corpus);

/* Appends the text of one of the key's columns. */
MUST_CHECK int corpus_put_key(struct corpus *corpus, int column, uint64_t row, struct buffer *out,
                              struct error *error);

/* Whether row a's key comes before row b's; without a key, by number. A total order. */
bool corpus_before(struct corpus *corpus, const struct key_columns *key, uint64_t a, uint64_t b);

#endif
