/* query/ of a table with vectors: similarity search.
 *
 *   README                                how to ask
 *   ask                                   a conversation (ask_file.h)
 *   near/COLUMN/METRIC/K/KEY.jsonl .csv   the answer to a question that the path says (near_dir.h)
 *   index/COLUMN.METRIC.json              the state of an index (index_dir.h)
 *   NAME/                                 a session that a user has made (session_dir.h)
 *
 * README and the sessions are listed, the others open by name.
 *
 * Threads: guarded by mount->lock. Nothing here asks the server.
 */
#ifndef FS_TREE_QUERY_DIR_H
#define FS_TREE_QUERY_DIR_H

#include "fs/tree/class.h"

extern const struct node_class query_dir;

/* When the mount ends: query_dir_stop_all ends the answers that are being made, query_dir_free_all
 * then frees all that is in memory only. */
void query_dir_stop_all(struct mount *mount);
void query_dir_free_all(struct mount *mount);

#endif
