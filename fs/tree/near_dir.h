/* near/COLUMN/METRIC/K/KEY.csv and .jsonl in query/: the K rows nearest to the row of that primary
 * key. A user can name anything there: a directory is made for every name that could be a column, a
 * metric or a number, and none is listed. */
#ifndef FS_TREE_NEAR_DIR_H
#define FS_TREE_NEAR_DIR_H

#include "fs/tree/class.h"
#include "fs/tree/node.h"

extern const struct node_class near_dir;

/* Gets the column's name as a path says it (shared_text.h). -ENOENT: it is no column's name. */
MUST_CHECK int near_column(const char *name, size_t size, char **out);

#endif
