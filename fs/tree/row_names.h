/* The names of all rows of a table, as they were when its rows/ was opened: a file of the cache
 * (name_file.h).
 *
 * Lifetime: reference-counted (row_task.h). Threads: guarded by mount->lock; the file, once it is
 * there, is read without it.
 */
#ifndef FS_TREE_ROW_NAMES_H
#define FS_TREE_ROW_NAMES_H

#include "fs/tree/row_task.h"

struct row_names {
    struct row_task task;
    struct name_file *file; /* NULL: they are not there */
};

/* Begins to ask for them; *out is a new reference. */
MUST_CHECK int row_names_ask(struct mount *mount, const struct relation *relation,
                             struct row_names **out);

#endif
