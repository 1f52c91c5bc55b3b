/* TABLE/rows/: single rows, by key. Below it are
 *
 *   KEY.json, KEY.csv                the row with this primary key (fs/base/row_name.h)
 *   COL=VALUE.json, COL=VALUE.csv    the row with this value of a unique column
 *
 * Listed are the keys, of each format whose files a table lists; a list of them is made when the
 * directory is opened, and lies in the cache.
 */
#ifndef FS_TREE_ROWS_DIR_H
#define FS_TREE_ROWS_DIR_H

#include "fs/tree/class.h"

extern const struct node_class rows_dir;

/* Whether the relation's rows can have keys. */
bool rows_dir_fits(const struct relation *relation);

#endif
