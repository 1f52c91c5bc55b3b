/* What is left of relations that were dropped: in memory their tables, nodes, the sessions of their
 * query/ and the indexes of their columns; in the kernel their names; in the cache their folders.
 * And of names that are no more, of relations that were renamed or moved, and of schemas: nodes, and
 * what the kernel has.
 * It goes once a catalog has come in which they are missing, what is still open excepted; that goes
 * with a later one.
 *
 * So do names below near/ that nobody uses, if there are thousands: the kernel keeps them as long as it
 * has memory.
 *
 * A session goes with its query/: also if the table was renamed, or has no vectors any more.
 *
 * In the cache a folder goes only if the server says that there is no relation of that number: one
 * that is merely not shown (another `schemas`, a privilege that was revoked) keeps its files, or it
 * would be a changed one when it comes back. And only if that server has had the relation: its run
 * is one under which the record's version was proven, and has not gone back. A copy of the cluster
 * from before, or a standby that lags, never knew it.
 *
 * Threads: any; it may wait for the server, for the disk, and for the kernel.
 */
#ifndef FS_TREE_LEFTOVERS_H
#define FS_TREE_LEFTOVERS_H

#include "fs/tables/mount.h"

/* Clears up, or has it done by another thread, if there is something. Called every few seconds. */
void leftovers_tend(struct mount *mount);

#endif
