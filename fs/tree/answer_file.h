/* An answer of query/ as a file: it shows one result (result.h), always the same, once that is known.
 *
 * The node has it while it is open, or a call is at work on it. In between it only remembers which one it was: the kernel keeps
 * names of files that nobody uses, and answers would stay in memory as long. What is shown again must still be kept; else the
 * file is stale, and its name leads to another.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_ANSWER_FILE_H
#define FS_TREE_ANSWER_FILE_H

#include "fs/tree/query_session.h"

/* Of a session, and of a path that anybody can name. */
extern const struct node_class answer_of_session, answer_of_path;

/* The file that the name leads to, made if need be: as node_class.lookup. The key's path is the name's; its asker, if there is
 * one, is the session. */
MUST_CHECK int answer_file_look_up(struct mount *mount, const struct lookup *lookup,
                                   const struct result_key *key, struct node **out);

/* What becomes of a question that a name says: it is asked by a path. Takes what is in the question, also on failure. */
MUST_CHECK int answer_file_look_up_path(struct mount *mount, const struct lookup *lookup,
                                        enum result_kind kind, int format,
                                        struct question *question, struct node **out);

#endif
