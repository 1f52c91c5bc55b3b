/* Since when each row group of a table snapshot is what it is and where it is, in seconds since
 * 1970: what the times of pieces (fs/rows/pieces.h) are made of. A group that a later version has
 * again, in the same place, keeps its times, also across mounts; in doubt it has changed, and its
 * time is later than all times of the version before.
 *
 * A group's place is its source and its range of ctids, or its number in a stream. Its times:
 *
 *   since    these rows are in this place; in a stream, all before them too
 *   behind   in its source this group, or the source's end, comes behind it
 *
 * Threads: those of the snapshot; they are set before it is published. Errors: -ENOMEM.
 */
#ifndef FS_ROWS_SNAPSHOT_TIMES_H
#define FS_ROWS_SNAPSHOT_TIMES_H

#include "fs/rows/snapshot.h"

/* Of a group, by its number in the snapshot. If nothing is known of it both are the snapshot's mtime. */
struct group_times snapshot_times(const struct snapshot *snapshot, size_t group);

/* Gives the groups of `fresh`, which has its mtime, their times: those that `old` (NULL: none) has
 * too keep them. */
MUST_CHECK int snapshot_take_times(struct snapshot *fresh, const struct snapshot *old);

#endif
