/* .sql/: NAME/ for each statement that a user has made (statement_dir.h). mkdir makes one, rmdir ends
 * it; so does the end of the mount.
 *
 * Threads: guarded by mount->lock. Nothing here asks the server.
 */
#ifndef FS_TREE_SQL_DIR_H
#define FS_TREE_SQL_DIR_H

#include "fs/tree/class.h"

extern const struct node_class sql_dir;

/* When the mount ends. */
void sql_dir_free_all(struct mount *mount);

#endif
