/* What is left of relations that were dropped: in memory their tables, nodes, the sessions of their
 * query/ and the indexes of their columns; in the kernel their names; in the cache their folders.
 * Also what is left of names that have gone, of relations that were renamed or moved, and of
 * schemas: nodes, and what the kernel has. All this goes once a catalog has come in which they are
 * missing, except for what is still open, which goes with a later one.
 *
 * Unused names below near/ and select/ go, too, if there are thousands, or if a table has no room
 * for one more list of columns: the kernel keeps them as long as it has memory.
 *
 * A session goes with its query/: also if the table was renamed, or has no vectors any more.
 *
 * What is left of statements (statement_number.h) goes as that of dropped relations does; their
 * folders of the cache go without a question, also those of a mount before.
 *
 * A folder of the cache goes only if the server says that there is no relation of that oid. A
 * relation that is merely not shown (another `schemas`, a privilege that was revoked) keeps its
 * files; otherwise they would look changed when it comes back. And it goes only if that server has
 * had the relation: the record's version was proven under the server's run, and that has not gone
 * back. An earlier copy of the cluster, or a standby that lags, never knew the relation.
 *
 * Threads: any; it may wait for the server, for the disk, and for the kernel.
 */
#ifndef FS_TREE_LEFTOVERS_H
#define FS_TREE_LEFTOVERS_H

#include "fs/tables/mount.h"

/* Clears leftovers, if there are any, or lets another thread do so. Called every few seconds. */
void leftovers_tend(struct mount *mount);

#endif
