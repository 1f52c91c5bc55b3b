/* Which row groups of a table snapshot still hold, by asking again for their ranges' fingerprints.
 * A fingerprint tells nothing of a group that has not been proven under this run of the server.
 * Such a group is unknown: it is to be copied, cut as it was cut, and compared by contents.
 *
 * The ranges of a source's groups, each stretched back to the end of the one before, cover all
 * ctids of the source: a row that has come since is in one of them. A source that had no rows is
 * one range without a group.
 *
 * A copying that ended early leaves such ranges too. Those of them that it did not copy are
 * unknown, and count as changed without being asked for.
 */
#ifndef FS_ROWS_FETCH_CHANGES_H
#define FS_ROWS_FETCH_CHANGES_H

#include "fs/base/progress.h"
#include "fs/rows/crew.h"
#include "fs/rows/snapshot.h"

struct stretch {
    uint32_t source; /* its number */
    struct ctid_range range;
    struct group *group; /* a reference; NULL: it had no rows */
    /* no fingerprint is asked for: the range was not copied, or (with a group) is to be compared */
    bool unknown;
    bool changed; /* it is to be copied */
};

struct changes {
    struct stretch *stretches; /* all sources, in order */
    size_t count, changed;
};

/* Appends a stretch, with a new reference to its group. */
MUST_CHECK int changes_add(struct changes *changes, const struct stretch *stretch);

/* The stretches of a snapshot. -EBADMSG: its groups are in no order. */
MUST_CHECK int changes_of(const struct snapshot *snapshot, struct changes *out);

/* Marks groups that have not been proven under the run as unknown; `believes` false: all groups. */
void changes_doubt(struct changes *changes, uint64_t run, bool believes);

/* Finds which stretches have changed. The sources must be those of the crew's read point, all of
 * them by ctid. Errors: those of readpoint_fingerprint, -ENOMEM. */
MUST_CHECK int changes_find(struct crew *crew, struct changes *changes, struct progress *progress,
                            struct error *error);
/* Whether some have changed for certain, and are not only unknown. */
bool changes_are_seen(const struct changes *changes);
void changes_clear(struct changes *changes);

#endif
