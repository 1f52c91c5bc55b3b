/* .pgvecfs/ at the root: what the mount says about itself (control.h). Each look-up makes a text
 * anew, if the last one is old. */
#ifndef FS_TREE_CONTROL_DIR_H
#define FS_TREE_CONTROL_DIR_H

#include "fs/tree/class.h"

extern const struct node_class control_dir;

#endif
