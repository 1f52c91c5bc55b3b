/* All records of a relation's snapshots: of all columns, and of some.
 *
 * Threads: any; they read the disk.
 */
#ifndef FS_ROWS_SNAPSHOT_RECORDS_H
#define FS_ROWS_SNAPSHOT_RECORDS_H

#include "fs/rows/snapshot.h"

/* Any one of them. Errors: as snapshot_load. */
MUST_CHECK int snapshot_load_any(struct store *store, uint32_t relation, struct snapshot **out);

/* Deletes the relation's row groups that no record names. Nothing of it may be being fetched. */
void snapshot_sweep(struct store *store, uint32_t relation);

#endif
