/* A value that users write (value_holder.h), or the `error` beside it.
 *
 * What is written into an open file is a draft until the file is flushed (close, fsync), or, if the
 * value is one by lines, one write ends with a line break. Then the draft becomes the value, or is
 * refused (-EINVAL, the reason in `error`), and the value stays what it was. If the server has to
 * judge that, the call that flushes waits for it, without a thread. A reader sees the value as it
 * was when the file was opened.
 *
 * Threads: guarded by mount->lock; a draft has a lock of its own, which is taken before that.
 */
#ifndef FS_TREE_VALUE_FILE_H
#define FS_TREE_VALUE_FILE_H

#include "fs/tree/value_holder.h"

/* Gives the directory's file of this value that the caller may open, made if need be. */
MUST_CHECK int value_file_look_up(struct mount *mount, const struct lookup *lookup, int field,
                                  struct value_holder *holder, struct node **out);
/* The directory's files of this value lose their name: the next look-up gives another file. */
void value_file_unlink(struct node *directory, int field);

#endif
