/* Looking up the name of a table's file: which node it leads to. What it is of its directory tells (class.h: face, subject).
 *
 * While the version is sure (leased, or promised) that is its node, or a new one. Else it is the node
 * of the current version, if nobody has it open: its stat or open will ask the server. A node that is
 * open answers at once for what it is, since nothing tells fstat from stat, so that it can be given
 * to nobody who has not asked; and another one in its place is no help to who goes by the first,
 * as overlayfs does, if the table turns out not to have changed. So such a look-up waits for the
 * server (request.h), but not for long: the kernel may hold the directory's lock.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_TABLE_LOOKUP_H
#define FS_TREE_TABLE_LOOKUP_H

#include "fs/tree/node.h"

/* As node_class.doubt. */
struct node *table_lookup_doubt(struct mount *mount, const struct lookup *lookup);

/* If the name is a face, whatever is known by now: as node_class.lookup. */
MUST_CHECK int table_lookup(struct mount *mount, const struct lookup *lookup, struct node **out);

#endif
