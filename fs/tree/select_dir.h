/* TABLE/select/: the rows with some columns only, by name.
 *
 *   COL,COL.FORMAT   these columns, in this order (codec/column_list.h), written as file names are
 *                    (fs/base/name.h)
 *
 * Nothing of it is listed. Each list is a subject of its own (fs/tables/table.h), so that no other
 * column is fetched, and its files stay the same whatever becomes of the others.
 */
#ifndef FS_TREE_SELECT_DIR_H
#define FS_TREE_SELECT_DIR_H

#include "fs/tree/class.h"

extern const struct node_class select_dir;

#endif
