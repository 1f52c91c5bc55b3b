/* index/COLUMN.METRIC.json of query/: the state of a table's index. */
#ifndef FS_SEARCH_INDEX_STATE_H
#define FS_SEARCH_INDEX_STATE_H

#include "fs/rows/snapshot.h"
#include "fs/search/search.h"
#include "index/metric.h"

/* Appends the text. Threads: any, without mount->lock; it may take long. Errors: -ENOENT: the table
 * has no such column, or its type does not have the metric; those of fs/search/corpus.h. */
MUST_CHECK int index_state_write(struct search *search, struct snapshot *snapshot,
                                 const char *column, enum metric metric, struct buffer *out,
                                 struct error *error);

#endif
