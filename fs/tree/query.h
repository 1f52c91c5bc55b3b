/* query/ of a table: what the names below it mean.
 *
 *   README                                how to ask
 *   ask                                   a conversation (ask.h)
 *   near/COLUMN/METRIC/K/KEY.jsonl .csv   the answer to a question that the path says (result.h)
 *   index/COLUMN.METRIC.json              the state of an index
 *   NAME/                                 a session (query_session.h): its values, `error`, and the
 *                                         answers results.jsonl, results.csv, plan.json
 *
 * README and the sessions are listed, the others open by name.
 *
 * Threads: guarded by mount->lock. Nothing here asks the server.
 */
#ifndef FS_TREE_QUERY_H
#define FS_TREE_QUERY_H

#include "fs/tree/node.h"
#include "fs/tree/query_session.h"

/* As node_lookup, in one of these directories. */
MUST_CHECK int query_lookup(struct mount *mount, struct node *parent, const char *name,
                            caller_id caller, struct node **out);
bool query_exists(const struct mount *mount, const struct node *directory);

/* Changes what stat says of nodes below query/ and of it; leaves others alone. */
void query_attributes(const struct mount *mount, const struct node *node, struct stat *out);
MUST_CHECK int query_list(struct mount *mount, struct node *directory, struct listing *listing);

/* mkdir and rmdir of a session; the errnos are for the user. *out is counted as looked up once. */
MUST_CHECK int query_make_session(struct mount *mount, struct node *query, const char *name,
                                  const struct owner *owner, struct node **out);
void query_end_session(struct mount *mount, struct node *session);

/* The session of this name; else the errno with which rmdir is refused. */
MUST_CHECK int query_find_session(const struct mount *mount, const struct node *query,
                                  const char *name, struct node **out);

/* unlink in a session. A value goes back to its default, `error` is emptied: the file of the name
 * is another one from now on. *session, *field: what the caller must reset, without the lock;
 * *session is a reference. -EPERM: of what is not listed. */
MUST_CHECK int query_unlink_value(struct node *directory, const char *name,
                                  struct query_session **session, int *field);

/* Ends all that is in memory only, for the end of the mount. */
void query_stop_all(struct mount *mount);
void query_free_all(struct mount *mount);

#endif
