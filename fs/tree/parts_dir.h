/* TABLE/parts/: the rows in pieces.
 *
 *   FORMAT/                       of each format
 *     SOURCE-PLACE.FORMAT         a piece (fs/rows/pieces.h), a file like the whole one, with some rows
 *
 * A FORMAT that is not listed opens by its name. FORMAT/ lists the pieces of the current version.
 */
#ifndef FS_TREE_PARTS_DIR_H
#define FS_TREE_PARTS_DIR_H

#include "fs/tree/class.h"

extern const struct node_class parts_dir;

#endif
