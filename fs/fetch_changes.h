/* Which row groups of a table snapshot still hold: their ranges' fingerprints are asked for again.
 *
 * The ranges of a source's groups, each stretched back to the end of the one before, cover all of
 * its ctids: a row that has come since is in one of them. A source that had no rows is one range
 * without a group.
 */
#ifndef FS_FETCH_CHANGES_H
#define FS_FETCH_CHANGES_H

#include "fs/crew.h"
#include "fs/progress.h"
#include "fs/snapshot.h"

struct stretch {
    uint32_t source; /* its number */
    struct ctid_range range;
    struct group *group; /* borrowed; NULL: it had no rows */
    bool changed;
};

struct changes {
    struct stretch *stretches; /* all sources, in order */
    size_t count, changed;
};

/* The sources must be those of the crew's read point, all of them by ctid. Errors: those of
 * readpoint_fingerprint, -ENOMEM. */
MUST_CHECK int changes_find(struct crew *crew, const struct snapshot *old,
                            struct progress *progress, struct changes *out, struct error *error);
void changes_clear(struct changes *changes);

#endif
