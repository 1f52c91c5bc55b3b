/* Copying ranges of a relation, in parallel, into row groups. Each group is measured for the
 * formats asked for, put into the store, and handed to those that read along.
 *
 * A task is one range of one source and the groups that it gave, or a group of an earlier snapshot
 * that still holds. All tasks' groups in order are the relation's.
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
    const struct stretch *like; /* what the range was: it is cut there, and compared; borrowed */
    size_t like_count;
    struct group **groups;
    size_t count;
};

struct fetch_copy {
    const struct fetch_place *place;
    struct crew *crew;
    struct progress *progress;
    const struct schema *schema; /* numbered */
    const struct snapshot *old;  /* the snapshot whose groups the plan names; nullable */
    bool believes;               /* groups proven under the read point's run still hold */
    unsigned measure;            /* mask of formats */
    bool discard;                /* copies only to see whether the server gives the rows */
    struct prefill **prefills;   /* of each format, nullable */
    struct feed *feed;           /* nullable */

    struct task *tasks;
    size_t task_count;
    size_t *work; /* numbers of the tasks to be copied */
    size_t work_count;
    atomic_bool failed;
    atomic_bool unstored; /* a group could not be put into the store */
    atomic_bool works;    /* a task works without a slot: one always may */
    bool share;           /* the groups of `old` fit the schema */
    /* rows that were compared are other rows, though they may have the same ids */
    atomic_bool strayed;
};

/* Plans to copy everything. */
MUST_CHECK int fetch_copy_plan_all(struct fetch_copy *copy);

/* Plans to copy what has changed, and next to it groups so small that they are better cut anew. An
 * unknown stretch with a group gives that group again if the rows are the same. The changes are
 * borrowed until fetch_copy_clear. */
MUST_CHECK int fetch_copy_plan_changes(struct fetch_copy *copy, const struct changes *changes);

MUST_CHECK int fetch_copy_run(struct fetch_copy *copy, struct error *error);

/* What a copying that ended early has copied, and what it has not. */
MUST_CHECK int fetch_copy_leave(const struct fetch_copy *copy, struct changes *out);

/* Moves the groups, in order, into the snapshot. */
MUST_CHECK int fetch_copy_take(struct fetch_copy *copy, struct snapshot *snapshot);
void fetch_copy_clear(struct fetch_copy *copy);

#endif
