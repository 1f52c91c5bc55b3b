/* Filling the kernel's page cache of the nodes that wait for a size, while it is computed
 * (fs/rows/prefill.h): one for each face. A job begins it, gives the prefills to what renders, ends
 * it, and then the nodes learn what they show.
 *
 * Threads: the job's; filling_begin and filling_settle with mount->lock held, filling_end without
 * it.
 */
#ifndef FS_TABLES_FILLING_H
#define FS_TABLES_FILLING_H

#include "fs/tables/table.h"

struct filling {
    uint64_t nodeid;
    struct prefill *prefill;
    enum prefill_result result;
};

/* Begins for each wanted face (mask) for which a node waits that has no bytes yet. */
void filling_begin(struct subject *subject, unsigned faces, struct filling fillings[FORMAT_COUNT]);

/* Stores the tails of the faces that are measured; storing may take time. `snapshot` NULL: there is
 * none. */
void filling_end(struct filling fillings[FORMAT_COUNT], const struct snapshot *snapshot);

/* Tells the nodes what they show from now on; `version` NULL: the filling failed. */
void filling_settle(struct mount *mount, struct filling fillings[FORMAT_COUNT],
                    struct version *version);

#endif
