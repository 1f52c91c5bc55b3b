/* SCHEMA/ at the root: its tables. */
#ifndef FS_TREE_SCHEMA_DIR_H
#define FS_TREE_SCHEMA_DIR_H

#include "fs/tree/class.h"

extern const struct node_class schema_dir;

#endif
