/* index/COLUMN.METRIC.json in query/: the state of an index. */
#ifndef FS_TREE_INDEX_DIR_H
#define FS_TREE_INDEX_DIR_H

#include "fs/tree/class.h"

extern const struct node_class index_dir;

#endif
