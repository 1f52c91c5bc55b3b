/* TABLE/ in a schema, or below partitions/: its files (table_file.h), and the directories that are
 * named in table_dir.c.
 *
 *   TABLE.FORMAT        rows, in each format
 *   manifest.json schema.sql
 *   columns/            single columns as arrays; not listed by itself (columns_dir.h)
 *   partitions/         of a partitioned table (table_partitions.c)
 *   query/              of a table with vectors (query_dir.h)
 *   select/             some columns; not listed (select_dir.h)
 */
#ifndef FS_TREE_TABLE_DIR_H
#define FS_TREE_TABLE_DIR_H

#include "fs/tree/class.h"

/* The second class is for directories below partitions/, whose names are not the tables' own. */
extern const struct node_class table_dir, table_partition_dir;

/* Lists the files of a table in any directory that has the functions of these classes: those that the
 * directory's `face` knows. */
MUST_CHECK int table_dir_list_files(struct mount *mount, struct node *node, struct entries *out);

/* partitions/: the partitions of a partitioned table, also those of its partitions if they are
 * partitioned. */
extern const struct node_class table_partitions_dir;

#endif
