/* What a fetch makes under one read point: the same version again, or a new table snapshot. It
 * finds out what has changed since the snapshot that is known (fs/rows/fetch_changes.h), copies
 * that, or everything if that cannot be told or parts of the rows are refused
 * (fs/rows/fetch_copy.h, fetch_refusals.h), and puts the groups together, in order. Readers along
 * get the groups as they come (fs/rows/feed_relay.h).
 *
 * An attempt that comes to nothing may leave what it has copied to the next one, under another read
 * point, which then copies only what has changed since and what is still missing:
 *
 *     fetch_making_init
 *     for each attempt: fetch_making_nothing_happened; open the read point; fetch_making_run;
 *                       fetch_making_leave, if it failed and will be made again; fetch_making_done
 *     fetch_making_clear
 *
 * Threads: the fetch's, which starts those that copy; any may look at `changes` and the relay.
 * Errors: those of fetch_copy_run; -ENOENT the relation is called otherwise now; -ENOMEM.
 */
#ifndef FS_ROWS_FETCH_MAKING_H
#define FS_ROWS_FETCH_MAKING_H

#include "fs/rows/crew.h"
#include "fs/rows/feed_relay.h"
#include "fs/rows/fetch_copy.h"

#include <errno.h>

struct fetch_making {
    const struct fetch_place *place;
    struct crew *crew;
    struct fetch_copy copy;
    struct prefill *prefills[FORMAT_COUNT];
    const char *columns;       /* NULL: all */
    uint64_t bytes_most;       /* of a table that is copied as a whole; 0: no limit */
    int64_t after;             /* the mtime of what its path showed before */
    struct changes found, all; /* what the plan borrows; if all is copied, the second */
    struct feed_relay relay;
    struct {
        struct snapshot *basis; /* without groups; NULL: nothing was left */
        struct changes changes;
        bool of_old;     /* its rows were brought up to date from the old snapshot's */
    } left;              /* what a failed attempt has left */
    bool of_old;         /* the same of what is being copied now */
    bool same_rows;      /* the rows are those of the old snapshot, which lacks parts of them */
    atomic_bool changes; /* rows have changed, for certain */
};

/* Borrows all. */
void fetch_making_init(struct fetch_making *making, const struct fetch_place *place,
                       struct crew *crew, struct progress *progress);
void fetch_making_clear(struct fetch_making *making);

/* An attempt that fails with such an error is made again. */
static inline bool fetch_is_passing(int rc)
{
    return rc == -ENOTCONN || rc == -EAGAIN || rc == -EBUSY;
}

/* 1: `old` (nullable) has all that is waited for, and nothing visible has changed in the whole
 * cluster since it was found to be up to date. 0: it must be looked at. Asks the crew's leader. */
MUST_CHECK int fetch_making_nothing_happened(struct fetch_making *making, struct snapshot *old,
                                             struct error *error);

/* Under the crew's read point. *out is a new reference: to `old` if it is up to date, else to a
 * snapshot that is not settled yet (fs/rows/snapshot_settle.h). */
MUST_CHECK int fetch_making_run(struct fetch_making *making, const struct relation *relation,
                                struct snapshot *old, struct snapshot **out, struct error *error);

/* Keeps what has been copied, if its rows can be compared: the next attempt need not copy it
 * again. */
void fetch_making_leave(struct fetch_making *making);

/* Forgets what fetch_making_run has planned and copied, but not what was left. */
void fetch_making_done(struct fetch_making *making);

/* The bytes stored so far will not be the file's. */
void fetch_making_spoil_prefills(struct fetch_making *making);

#endif
