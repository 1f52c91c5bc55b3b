/* NAME/ in query/: a session (query_session.h), with its values, `error`, and the answers
 * results.jsonl, results.csv, plan.json.
 *
 * Threads: guarded by mount->lock. */
#ifndef FS_TREE_SESSION_DIR_H
#define FS_TREE_SESSION_DIR_H

#include "fs/tree/query_session.h"

extern const struct node_class session_dir;

/* Makes a session in a query/; errnos are for the user. *out is counted as looked up once. */
MUST_CHECK int session_dir_make(struct mount *mount, struct node *query, const char *name,
                                const struct owner *owner, struct node **out);

/* For rmdir: calls that wait for an answer in the session are told that there is none; what is open
 * goes on. */
void session_dir_end(struct mount *mount, struct node *directory);
void session_dir_end_all(struct mount *mount);

#endif
