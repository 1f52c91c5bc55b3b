/* A value of a session (query_session.h), or its `error`.
 *
 * What is written into an open file is a draft until the file is flushed (close, fsync), or one
 * write ends with a line break. Then the draft becomes the value, or is refused (-EINVAL, the
 * reason in the session's `error`), and the value stays what it was. A reader sees the value as it
 * was when the file was opened.
 *
 * Threads: guarded by mount->lock; a draft has a lock of its own, which is taken before that.
 */
#ifndef FS_TREE_VALUE_FILE_H
#define FS_TREE_VALUE_FILE_H

#include "fs/tree/query_session.h"

/* Gives the session directory's file of this value that the caller may open, made if need be. */
MUST_CHECK int value_file_look_up(struct mount *mount, const struct lookup *lookup, int field,
                                  struct query_session *session, struct node **out);
/* The directory's files of this value lose their name: the next look-up gives another file. */
void value_file_unlink(struct node *directory, int field);

#endif
