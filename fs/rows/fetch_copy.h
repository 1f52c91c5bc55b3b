/* Copying ranges of a relation, in parallel, into row groups: each is measured for the formats
 * asked for, put into the store, and handed to those who read along.
 *
 * A task is one range of one source and the groups it gave, or a group of an earlier snapshot that
 * still holds. All tasks' groups in order are the relation's.
 *
 * Lifetime: set what is borrowed, plan, run, take the groups, clear; after that it may be planned
 * again. Threads: one, which starts its own. Errors: those of readpoint_copy, -ENOMEM.
 */
#ifndef FS_ROWS_FETCH_COPY_H
#define FS_ROWS_FETCH_COPY_H

#include "fs/rows/feed.h"
#include "fs/rows/fetch.h"
#include "fs/rows/fetch_changes.h"

struct task {
    uint32_t source; /* its number */
    struct ctid_range range;
    bool kept;                  /* nothing is to be copied */
    bool done;                  /* all its groups have come */
    const struct stretch *like; /* what the range was: cut there, and compared; borrowed */
    size_t like_count;
    struct group **groups;
    size_t count;
};

struct fetch_copy {
    const struct fetch_place *place;
    struct crew *crew;
    struct progress *progress;
    const struct schema *schema; /* numbered */
    const struct snapshot *old;  /* whose groups those of the plan are; nullable */
    bool believes;               /* what has been proven under the read point's run holds */
    unsigned measure;            /* mask of formats */
    bool discard;                /* only to see whether the server gives it */
    struct prefill **prefills;   /* of each format, nullable */
    struct feed *feed;           /* nullable */

    struct task *tasks;
    size_t task_count;
    size_t *work; /* numbers of the tasks to be copied */
    size_t work_count;
    atomic_bool failed;
    atomic_bool unstored; /* a group is not in the store */
    atomic_bool works;    /* a task is at work without a slot: there may always be one */
    bool share;           /* the groups of `old` fit the schema */
    atomic_bool strayed;  /* rows that were compared are others, under ids that they may share */
};

/* Everything. */
MUST_CHECK int fetch_copy_plan_all(struct fetch_copy *copy);

/* What has changed, and next to it groups so small that they are better cut anew; what is unknown
 * and has a group gives that group where it is the same. The changes are borrowed until
 * fetch_copy_clear. */
MUST_CHECK int fetch_copy_plan_changes(struct fetch_copy *copy, const struct changes *changes);

MUST_CHECK int fetch_copy_run(struct fetch_copy *copy, struct error *error);

/* What a copying that ended early has got, and what it has not. */
MUST_CHECK int fetch_copy_leave(const struct fetch_copy *copy, struct changes *out);

/* The groups, in order; they are the snapshot's then. */
MUST_CHECK int fetch_copy_take(struct fetch_copy *copy, struct snapshot *snapshot);
void fetch_copy_clear(struct fetch_copy *copy);

#endif
