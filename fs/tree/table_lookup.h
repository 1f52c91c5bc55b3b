/* Looking up the name of a table's file: which node it leads to. The class of its directory tells
 * which face of which subject it is (class.h: face, subject).
 *
 * While the version is sure (leased, or promised) the name leads to the version's node, or a new
 * one. Else it leads to the node of the current version, if no process has that open: its stat or
 * open will ask the server. An open node answers at once for its own version, since nothing tells
 * fstat from stat, so it must not be given to a caller before the server was asked. Another node in
 * its place would not help a caller that uses the first one, as overlayfs does, if the table turns
 * out not to have changed. So such a look-up waits for the server (request.h), but not for long:
 * the kernel may hold the directory's lock.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_TABLE_LOOKUP_H
#define FS_TREE_TABLE_LOOKUP_H

#include "fs/tree/node.h"

/* As node_class.doubt. */
struct node *table_lookup_doubt(struct mount *mount, const struct lookup *lookup);

/* As node_class.lookup, for a name that is a face, with what is known by now. */
MUST_CHECK int table_lookup(struct mount *mount, const struct lookup *lookup, struct node **out);

#endif
