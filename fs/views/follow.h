/* Filling the page cache in front of a reader that wants one column of many, row group by row group,
 * as DuckDB does of Parquet. Each of its reads is a READ of a page or two otherwise, and most of the
 * time goes into waking threads.
 *
 * Once two READs have asked for the same column's strip (fs/views/strips.h) of a file, the strips of
 * the next groups are put into the page cache: at first of a few, then of more each time. Who reads on
 * meets no READ until it is behind them. Strips of more than 64 KiB are left to the kernel's own
 * read-ahead.
 *
 * Threads: one of its own stores, for all files; a store may wait until another READ of the same page
 * is answered, so no thread that answers READs may do it. follow_read may be called by any, and never
 * waits. Lifetime: follow_free once no READ comes any more; it borrows the body cache and the kernel.
 */
#ifndef FS_VIEWS_FOLLOW_H
#define FS_VIEWS_FOLLOW_H

#include "fs/base/kernel.h"
#include "fs/views/body.h"

struct follow;

MUST_CHECK int follow_new(struct body_cache *cache, const struct kernel *kernel,
                          struct follow **out);
/* Nothing is stored any more; waits for a store under way. NULL is fine. */
void follow_stop(struct follow *follow);
void follow_free(struct follow *follow); /* NULL is fine */

/* A READ of this node's file, which is this view and has been measured, has been answered. */
void follow_read(struct follow *follow, uint64_t nodeid, const struct view *view, uint64_t offset,
                 uint64_t size);

/* How many strips were stored. */
uint64_t follow_stored(const struct follow *follow);

#endif
