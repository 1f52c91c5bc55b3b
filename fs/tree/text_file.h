/* A file whose text is made when its name is looked up, and never changes: another look-up may make
 * another file.
 *
 * A process that has looked it up opens the same one a moment later. Threads: guarded by
 * mount->lock.
 */
#ifndef FS_TREE_TEXT_FILE_H
#define FS_TREE_TEXT_FILE_H

#include "codec/buffer.h"
#include "fs/tree/node.h"

#include <time.h>

extern const struct node_class text_file;

/* Makes a file with this text, dated now. Takes the text, also on failure. */
MUST_CHECK int text_file_new(struct mount *mount, struct node *parent, const char *name,
                             struct buffer *text, struct node **out);
/* Sets the file's time, for one that is the same in all mounts. */
void text_file_date(struct node *node, time_t when);

/* The file that the caller was shown a moment ago, else the newest, if that is hardly older than a
 * progress bar may be; the caller is promised it. NULL: none. Frees files that were kept only for a
 * promise that is over. */
struct node *text_file_recent(struct mount *mount, struct node *parent, const char *name,
                              caller_id caller);
/* Promises the file to the caller, who has looked it up. */
void text_file_promise(struct node *node, caller_id caller);

#endif
