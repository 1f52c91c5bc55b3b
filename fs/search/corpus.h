/* The rows of one table snapshot, at hand for queries: a vector column as spans, mapped from the
 * cache; the other columns' values of single rows; and rows by key.
 *
 * What is made for a row group (the map of its file, checked once; its keys in order) is kept with
 * the group and shared by all snapshots that have the group. It is kept as long as it is used, and
 * some beyond that, up to a share of memory= (fs/rows/group_rows.h). A relation's latest corpus is
 * kept (fs/search/corpus_cache.h).
 *
 * If a mapped file is cut short it reads as zeroes and causes no SIGBUS; corpus_intact then says
 * so.
 *
 * Threads: any, without mount->lock. Lifetime: corpus_get gives a new reference, corpus_unref.
 * Errors: those of fetch_group; -ENOSPC the vectors fit neither into the cache nor into memory.
 */
#ifndef FS_SEARCH_CORPUS_H
#define FS_SEARCH_CORPUS_H

#include "fs/search/corpus_cache.h"
#include "index/hnsw.h"

struct corpus;

/* Rows are numbered in the snapshot's order, from 0. `corpora` outlives the corpus. */
MUST_CHECK int corpus_get(struct corpus_cache *corpora, struct snapshot *snapshot,
                          struct corpus **out, struct error *error);
struct corpus *corpus_ref(struct corpus *corpus);
void corpus_unref(struct corpus *corpus);

struct snapshot *corpus_snapshot(const struct corpus *corpus); /* borrowed */

/* The values of one column, by its number in the schema: all groups, in order, borrowed from the
 * corpus. corpus_load ends with -EINTR if `stop` is set. */
MUST_CHECK int corpus_spans(struct corpus *corpus, int column, const struct span **spans,
                            size_t *count, struct error *error);
MUST_CHECK int corpus_load(struct corpus *corpus, int column, const atomic_bool *stop,
                           const struct span **spans, size_t *count, struct error *error);

/* The identities of one group's rows. Only if schema->with_row_ids do rows have identities that
 * last from one snapshot to another: rows of views and foreign tables have none. */
MUST_CHECK int corpus_group_keys(struct corpus *corpus, size_t group, struct row_key *keys,
                                 struct error *error);

/* Whether all mapped files are still whole. False: what was read from them since must not be used,
 * and the next corpus_get makes a new corpus. */
bool corpus_intact(struct corpus *corpus);

/* ---- single rows ---- */

/* The place of a row. */
struct corpus_row {
    size_t group;
    uint32_t row;
};
struct corpus_row corpus_row(const struct corpus *corpus, uint64_t number);
uint64_t corpus_number(const struct corpus *corpus, struct corpus_row row);

/* While a group is pinned, its rows' values may be read. */
void corpus_pin(struct corpus *corpus, size_t group);
void corpus_unpin(struct corpus *corpus, size_t group);

/* A part of a pinned group that is made of other parts (group_rows.h). */
MUST_CHECK int corpus_made(struct corpus *corpus, size_t group, make_part *made, void *context,
                           const struct part **out, struct error *error);

/* Whether so many bytes, for all groups, may be made and kept without driving out what else is
 * kept. */
bool corpus_has_room(const struct corpus *corpus, uint64_t bytes);

/* The value of a part; *size is -1 for NULL. The group is pinned. */
MUST_CHECK int corpus_value(struct corpus *corpus, struct corpus_row row, int part,
                            const uint8_t **bytes, int32_t *size, struct error *error);

/* The identity of one row. -EIO: it has none. */
MUST_CHECK int corpus_row_key(struct corpus *corpus, uint64_t row, struct row_key *out,
                              struct error *error);

/* 1: *row is the row with this identity. 0: there is none. */
MUST_CHECK int corpus_find_row(struct corpus *corpus, const struct row_key *key, uint64_t *row,
                               struct error *error);

/* Whether it is known that a transaction that sees `mark` (version_key.h) sees the snapshot's rows,
 * with the ids that they have there; corpus_note_rows notes that it does. */
bool corpus_rows_hold(struct corpus *corpus, const char *mark);
void corpus_note_rows(struct corpus *corpus, const char *mark);

/* ---- by primary key ---- */

/* The relation's primary key. The server is asked for it after each refresh that has found a
 * change. Views and the like have none. */
MUST_CHECK int corpus_key_columns(struct corpus *corpus, struct key_columns *out,
                                  struct error *error);

/* The row whose key has this text, as question.h says. -ENOENT: there is no such row, or no key;
 * -EINTR: the thread's patience has ended. Keys of a row group are looked up by two bytes for each
 * row, which are kept if those of all groups fit; else all keys are read each time. */
MUST_CHECK int corpus_find_key(struct corpus *corpus, const char *text, uint64_t *row,
                               struct error *error);

/* For corpus_key.c alone: the thread that asks for the key holds the lock. */
struct key_place {
    struct corpus_cache *corpora;
    pthread_mutex_t *lock;
};
struct key_place corpus_key_place(struct corpus *corpus);

/* Appends the text of one of the key's columns. */
MUST_CHECK int corpus_put_key(struct corpus *corpus, int column, uint64_t row, struct buffer *out,
                              struct error *error);

/* Whether row a's key comes before row b's; without a key, by number. A total order. */
MUST_CHECK int corpus_before(struct corpus *corpus, const struct key_columns *key, uint64_t a,
                             uint64_t b, bool *out, struct error *error);

#endif
