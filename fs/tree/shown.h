/* What a file below query/ shows: one result (result.h), always the same, once it is known.
 *
 * The node has it while it is open, or a request is at work on it. In between it only remembers
 * which one it was: the kernel keeps names of files that nobody uses, and answers would stay in
 * memory as long. What is shown again must still be kept; else the file is stale, and its name
 * leads to another.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_SHOWN_H
#define FS_TREE_SHOWN_H

#include "fs/tree/node.h"

/* From now on it shows this one; NULL: none, it is pending. */
void shown_set(struct node *node, const struct result *result);
/* Whether it shows this one; NULL: whether it is pending. */
bool shown_is(const struct node *node, const struct result *result);

/* The one it shows, if that is at hand; NULL: it is not, or the node is pending. Borrowed. */
const struct result *shown_find(const struct mount *mount, const struct node *node);
/* The node has it from now on, in `result`, if it is not pending. -ESTALE: it is not kept any
 * more. */
MUST_CHECK int shown_take(struct mount *mount, struct node *node);
/* It lets go of it, unless it is in use. */
void shown_rest(struct node *node);

#endif
