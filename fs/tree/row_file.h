/* A file below rows/: one row, in one format. Once its contents are known it always shows the same
 * ones.
 *
 * The node has the bytes while it is open, or a call is at work on it. In between it only knows what
 * they were: if the row is asked for again and is the same, it goes on; else it is stale, and its name
 * leads to another.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_ROW_FILE_H
#define FS_TREE_ROW_FILE_H

#include "fs/tree/node.h"

/* As node_class.lookup, in a table's rows/. */
MUST_CHECK int row_file_look_up(struct mount *mount, const struct lookup *lookup,
                                struct node **out);
/* As node_class.doubt. An open node answers for what it is, since nothing tells fstat from stat: so
 * the look-up asks for the row, and leads to that node if it is the same. */
struct node *row_file_doubt(struct mount *mount, const struct lookup *lookup);

/* The endings of such names, and the format that each is: NULL behind the last. */
struct row_ending {
    const char *ending; /* with the dot */
    const char *format;
};
extern const struct row_ending row_endings[];

#endif
