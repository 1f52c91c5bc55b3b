/* The root: schemas, and .pgvecfs/. */
#ifndef FS_TREE_ROOT_DIR_H
#define FS_TREE_ROOT_DIR_H

#include "fs/tree/class.h"

extern const struct node_class root_dir;

#endif
