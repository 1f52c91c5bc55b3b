/* The rows of one table snapshot, at hand for queries: a vector column as spans, mapped from the
 * cache, the other columns' values of single rows, and rows by key.
 *
 * What is made for a row group (the map of its file, checked once; its keys in order) is kept with
 * the group and shared by all snapshots that have it; kept as long as it is used, and some more, up
 * to a share of memory=.
 *
 * A mapped file that is cut short under our hands gives zeroes, not a SIGBUS, and is found out
 * (corpus_intact).
 *
 * Threads: any, without mount->lock. Lifetime: corpus_get gives a new reference, corpus_unref.
 * Errors: those of fetch_group.
 */
#ifndef FS_CORPUS_H
#define FS_CORPUS_H

#include "fs/fetch.h"
#include "index/hnsw.h"

struct corpus;

/* Rows are numbered in the snapshot's order, 0 first. */
MUST_CHECK int corpus_get(const struct fetch_place *place, struct snapshot *snapshot,
                          struct corpus **out, struct error *error);
struct corpus *corpus_ref(struct corpus *corpus);
void corpus_unref(struct corpus *corpus);

struct snapshot *corpus_snapshot(const struct corpus *corpus); /* borrowed */

/* The values of one column, by its number in the schema; all groups, in order. Borrowed from the
 * corpus. */
MUST_CHECK int corpus_spans(struct corpus *corpus, int column, const struct span **spans,
                            size_t *count, struct error *error);

/* Each row's identity; `keys` has room for all rows. False: rows have none that lasts from one
 * snapshot to another (views, foreign tables): then it is the row's number. */
bool corpus_keys(struct corpus *corpus, struct row_key *keys);

/* Whether all mapped files are still whole. False: what was read from them since is worth nothing. */
bool corpus_intact(struct corpus *corpus);

#endif
