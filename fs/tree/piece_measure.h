/* Measuring a piece of a table for its `stat` or `open`: its bodies are rendered on a thread that
 * may wait, and what waits for it hangs on its list.
 *
 * Lifetime: from piece_measure_start until it has called `done`. Threads: all is called with
 * mount->lock held, `done` too.
 */
#ifndef FS_TREE_PIECE_MEASURE_H
#define FS_TREE_PIECE_MEASURE_H

#include "fs/rows/snapshot_view.h"
#include "fs/tables/table.h"

struct piece_measure;

/* The file that asked, by its node, learns of the end: 0, or the errno for the user, and why;
 * -EINTR: it was stopped. */
typedef void piece_measured(struct mount *mount, uint64_t nodeid, int rc, const char *reason);

/* Begins. The view is of that version's snapshot. -ENOMEM. */
MUST_CHECK int piece_measure_start(struct subject *subject, struct version *version,
                                   const struct view *view, uint64_t nodeid, piece_measured *done,
                                   struct piece_measure **out);
struct wait *piece_measure_waiting(struct piece_measure *measure);
void piece_measure_stop(struct piece_measure *measure);
void piece_measure_stop_all(struct mount *mount);

#endif
