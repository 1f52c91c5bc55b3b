/* A value of a session (query_session.h), or its `error`.
 *
 * What is written into an open file is a draft until the file is flushed (close, fsync), or one write ends with a line break: then
 * it becomes the value, or is refused (-EINVAL, the reason in the session's `error`), and the value stays what it was. An open file
 * that is read shows the value as it was when it was opened.
 *
 * Threads: guarded by mount->lock; a draft has a lock of its own, which is taken before that.
 */
#ifndef FS_TREE_VALUE_FILE_H
#define FS_TREE_VALUE_FILE_H

#include "fs/tree/query_session.h"

/* The file of the directory that is now the one of this value, made if need be. */
MUST_CHECK int value_file_look_up(struct mount *mount, struct node *directory, int field,
                                  struct query_session *session, struct node **out);
/* Those of the directory that are of this value have no name any more: the next one looked up is another. */
void value_file_unlink(struct node *directory, int field);

#endif
