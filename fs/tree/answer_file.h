/* An answer of query/ as a file. Once its result (result.h) is known the file always shows the same
 * one.
 *
 * The node has the result while the node is open, or a call is at work on it. In between it only
 * remembers the result's number: the kernel keeps the names of unused files, and answers would stay
 * in memory as long. To be shown again the result must still be kept; else the file is stale, and
 * its name leads to another.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_ANSWER_FILE_H
#define FS_TREE_ANSWER_FILE_H

#include "fs/tree/query_session.h"

/* The classes of answers to a session, and to a path that any user can name. */
extern const struct node_class answer_of_session, answer_of_path;

/* Finds the file that the name leads to, made if need be: as node_class.lookup. The key's path is
 * that of the name; its asker, if there is one, is the session. */
MUST_CHECK int answer_file_look_up(struct mount *mount, const struct lookup *lookup,
                                   const struct result_key *key, struct node **out);

/* The same for a question that the name itself says, so that a path asks it. Takes the question's
 * contents, also on failure. */
MUST_CHECK int answer_file_look_up_path(struct mount *mount, const struct lookup *lookup,
                                        enum result_kind kind, int format,
                                        struct question *question, struct node **out);

#endif
