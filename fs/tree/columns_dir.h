/* TABLE/columns/: single columns as arrays.
 *
 *   COLUMN.FORMAT   the column of this name, written as file names are (fs/base/name.h), with %2E for
 *                   each dot; in a format of columns (codec/column_format.h)
 *
 * All are views of the rows of the whole table, and so of one version of it: their rows are the
 * same ones in the same order. Listing them needs the rows, and a look at their values: a column
 * without a form is not listed.
 */
#ifndef FS_TREE_COLUMNS_DIR_H
#define FS_TREE_COLUMNS_DIR_H

#include "fs/tree/class.h"

extern const struct node_class columns_dir;

#endif
