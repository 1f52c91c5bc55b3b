/* Which version the rows of a fetch are: the one that was known, or a later one. Equal rows are the
 * same version, however that was found out: nothing has happened for those that look at files,
 * which keep inode, times and size. What is settled is saved, so that the next mount knows it, too.
 *
 * Threads: one for each table. Errors: -ENOMEM. A record that finds no room on disk is logged, and
 * saved when its snapshot is settled the next time.
 */
#ifndef FS_ROWS_SNAPSHOT_SETTLE_H
#define FS_ROWS_SNAPSHOT_SETTLE_H

#include "fs/rows/snapshot.h"

/* `old` is up to date, as the transaction of `now` has seen. If it did not know that run of the
 * server, its record is saved. */
MUST_CHECK int snapshot_confirm(struct snapshot *old, const struct version_key *now);

/* Takes `fresh`, which may be `old` (nullable) once more, and gives a reference: to `old` if the
 * rows are its rows with their ids, else to `fresh`. If only the ids differ, `fresh` takes over the
 * identity, since queries must know the new ids. Saves the record; the row groups of the other one
 * go. */
struct snapshot *snapshot_settle(struct snapshot *fresh, struct snapshot *old);

#endif
