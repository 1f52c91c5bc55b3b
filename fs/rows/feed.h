/* The row groups of a fetch in their order, as they come: for readers that read along and do not
 * wait for its end.
 *
 * A fetch works on several runs of groups at once; the groups of one run come in order, the runs in
 * any. A reader goes through the runs one after another.
 *
 * Lifetime: reference-counted; a feed that has ended stays as it is. Threads: any. Errors: -ENOMEM;
 * the error that feed_end was told.
 */
#ifndef FS_ROWS_FEED_H
#define FS_ROWS_FEED_H

#include "fs/rows/snapshot.h"

struct feed;

/* Takes `basis`: a table snapshot without groups, which has all else that is needed to read
 * them. */
MUST_CHECK int feed_new(struct snapshot *basis, struct feed **out);
/* The feed of a snapshot that is complete. */
MUST_CHECK int feed_of_snapshot(struct snapshot *snapshot, struct feed **out);
struct feed *feed_ref(struct feed *feed);
void feed_unref(struct feed *feed);        /* NULL is fine */
uint64_t feed_id(const struct feed *feed); /* different from that of any other feed; never 0 */

/* The feeds of one fetch; each goes on with what the one before had. */
enum { FEEDS_IN_A_ROW = 8 };
struct feed_ids {
    uint64_t ids[FEEDS_IN_A_ROW]; /* 0: none */
};
static inline bool feed_ids_have(const struct feed_ids *ids, uint64_t id)
{
    for (int i = 0; i < FEEDS_IN_A_ROW; i++)
        if (id != 0 && ids->ids[i] == id)
            return true;
    return false;
}

const struct snapshot *feed_basis(const struct feed *feed);

/* Adds the next group of run `run`, counted from 0. */
MUST_CHECK int feed_put(struct feed *feed, size_t run, struct group *group);
void feed_run_done(struct feed *feed, size_t run);

/* No more groups come. `rc`: 0 if that was all, else the error; only the first call counts. */
void feed_end(struct feed *feed, int rc, const char *reason);

/* The fetch is tried again, and its groups come in `next` (a new reference is taken), from the
 * beginning. A reader that has read all that came here gets -ESTALE. */
void feed_hand_over(struct feed *feed, struct feed *next);
/* The feed that it was handed over to, a new reference; NULL: it was not. */
struct feed *feed_successor(struct feed *feed);

/* Whether all groups that `feed` could hand out are, in their order and by contents, the first ones
 * of `next`: then a reader of one can go on in the other. */
bool feed_goes_on(struct feed *feed, struct feed *next);

struct feed_place {
    size_t run, group;
};

/* Gives the group at `place`, a new reference, and moves the place behind it. *out NULL: there are
 * no more. -EAGAIN: it has not come within `patience_ms`. */
MUST_CHECK int feed_next(struct feed *feed, struct feed_place *place, int patience_ms,
                         struct group **out, struct error *error);

#endif
