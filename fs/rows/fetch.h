/* Fetching a relation: from a read point, over parallel COPYs, to a published table snapshot; and a
 * single row group again.
 *
 * First it is asked whether anything has changed, and which row groups still hold
 * (fs/rows/fetch_changes.h); then the rest is copied (fs/rows/fetch_copy.h). The groups in order
 * are the snapshot's.
 *
 * Threads: fetch_table is called by one thread and starts its own; fetch_stop from any.
 * Errors: those of pgclient/session.h and fs/rows/store.h; -EINTR after fetch_stop; -EINPROGRESS
 * the fetch waits for a lock; -EBUSY one was not to be had for as long as lock_wait says, or others
 * have wanted ours five times.
 */
#ifndef FS_ROWS_FETCH_H
#define FS_ROWS_FETCH_H

#include "fs/base/progress.h"
#include "fs/rows/feed.h"
#include "fs/rows/lock_line.h"
#include "fs/rows/prefill.h"
#include "fs/rows/snapshot_view.h"

#include <semaphore.h>

struct corpus_cache;

/* What all fetches of a mount share. */
struct fetch_place {
    struct session_pool *pool;
    struct store *store;
    uint64_t system_id; /* whose rows they must be */
    uint32_t database;
    struct waiters *enders;   /* where read points end; NULL: at once, on whatever thread it is */
    int jobs;                 /* COPYs at once for one relation */
    uint64_t group_bytes;     /* a row group is cut once it has this many; 0: a sensible number */
    sem_t *slots;             /* one for each COPY at work, of all relations; NULL: any number */
    struct held *held;        /* read points held by snapshots; NULL: none may be */
    struct lock_waits *waits; /* NULL: nobody waits for a lock, */
    struct lock_line *line;   /* and there is no line of those who do */
    struct corpus_cache
        *corpora; /* what queries keep (fs/search/corpus_cache.h); NULL: there are none */
    bool (*in_use)(void *context, uint32_t relation); /* whose row groups must stay; NULL: all */
    void *context;
};

struct fetch;

/* Borrows `progress`, and sets it back. */
MUST_CHECK int fetch_new(const struct fetch_place *place, struct progress *progress,
                         struct fetch **out);
void fetch_free(struct fetch *fetch);

/* A new version is stamped with a later second than this. Before fetch_table. */
void fetch_after(struct fetch *fetch, int64_t mtime);

/* Only these columns (codec/column_list.h; NULL: all); borrowed. Before fetch_table, whose `old` is of
 * the same ones. -ENOENT from that: there are no such columns. */
void fetch_choose(struct fetch *fetch, const char *columns);

/* What is rendered of this format on the way goes into `prefill` too; borrowed. Before fetch_table.
 */
void fetch_prefill(struct fetch *fetch, int format, struct prefill *prefill);

/* Ends fetch_table early. */
void fetch_stop(struct fetch *fetch);

/* The relation as it is now. `old` is what was last known of it, or NULL. *out is a new reference:
 * to `old`, its mark refreshed, if nothing has changed, else to a new snapshot, already saved.
 * `measure` is a mask of the formats whose sizes are worth computing on the way. -EINPROGRESS:
 * somebody else has a lock; it is to be called again, with the same arguments, when it is the turn
 * of fetch_turn, or at once after fetch_stop. */
MUST_CHECK int fetch_table(struct fetch *fetch, const struct relation *relation,
                           struct snapshot *old, unsigned measure, struct snapshot **out,
                           struct error *error);

/* Of the fetch that waits for a lock. */
struct lock_turn *fetch_turn(struct fetch *fetch);

/* The feeds of which fetch_table's new snapshot is made: what was read of them it begins with. */
const struct feed_ids *fetch_made_of(const struct fetch *fetch);

/* Whether it has found, by now, that `old` is of the past. Any thread. */
bool fetch_has_changes(struct fetch *fetch);

/* The groups of the copying under way, for reading along: a new reference; NULL: it has not begun,
 * or is over. Any thread. */
struct feed *fetch_feed(struct fetch *fetch);

/* The rows of one group: from the store, or, where they are not there or damaged, copied again and
 * checked against the group's hash, as long as the thread's patience lasts (fs/base/patience.h).
 * -EIO, and the snapshot is broken, where they have changed since. */
MUST_CHECK int fetch_group(const struct fetch_place *place, struct snapshot *snapshot, size_t group,
                           struct rowgroup **out, struct error *error);

/* The rows of one group as the store has them: -ENOENT, -EBADMSG: it has not. */
MUST_CHECK int fetch_stored(struct store *store, const struct snapshot *snapshot,
                            const struct group *group, struct rowgroup **out);

/* Measures a view: renders what has no size yet, on place->jobs threads. With `prefill` (may be
 * NULL) all is rendered, and stored. */
MUST_CHECK int fetch_measure(const struct fetch_place *place, const struct view *view,
                             const atomic_bool *stop, struct prefill *prefill,
                             struct progress *progress, struct error *error);

/* A group's body, as far as it was made, for one after another. Init to {0}; fetch_body_clear. */
struct fetch_body {
    struct buffer bytes, note;
};

/* Measures a group's body in a rendition whose columns have this schema. It is made if it must be,
 * or if `bytes` asks for it. */
MUST_CHECK int fetch_body_measure(struct fetch_body *body, const struct rendition *rendition,
                                  const struct schema *schema, const struct rowgroup *rows,
                                  bool bytes, struct group *group);
void fetch_body_clear(struct fetch_body *body);

#endif
