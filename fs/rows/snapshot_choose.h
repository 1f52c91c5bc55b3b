/* Some columns of a table snapshot as a snapshot of their own: what a fetch of these alone would
 * give, of rows that are in the cache. The server is asked nothing: a fetch, to which it is `old`,
 * finds out whether it still holds.
 *
 * Threads: any; it reads and writes the cache. Errors: -ENOENT it cannot be made of what is there,
 * -EINTR, -ENOMEM.
 */
#ifndef FS_ROWS_SNAPSHOT_CHOOSE_H
#define FS_ROWS_SNAPSHOT_CHOOSE_H

#include "fs/rows/snapshot.h"

/* `columns`: a list (codec/column_list.h). `after`: as of snapshot_stamp. It is not saved. */
MUST_CHECK int snapshot_choose(struct snapshot *whole, const char *columns, int64_t after,
                               const atomic_bool *stop, struct snapshot **out);

#endif
