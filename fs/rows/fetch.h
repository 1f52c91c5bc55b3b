/* Fetching a relation: from a read point, over parallel COPYs, to a published table snapshot; and
 * fetching a single row group again.
 *
 * A fetch makes attempts, each under a read point of its own, as long as they fail for reasons of
 * the moment. An attempt first asks whether anything has changed, and which row groups still hold;
 * then it copies the rest (fs/rows/fetch_making.h).
 *
 * Threads: one calls fetch_table, which starts its own; any may call fetch_stop. Errors: those of
 * pgclient/session.h and fs/rows/store.h; -EINTR after fetch_stop; -EINPROGRESS the fetch waits for
 * a lock; -EBUSY it did not get a lock for as long as lock_wait says, or others have wanted ours
 * five times.
 */
#ifndef FS_ROWS_FETCH_H
#define FS_ROWS_FETCH_H

#include "fs/base/progress.h"
#include "fs/rows/feed.h"
#include "fs/rows/lock_line.h"
#include "fs/rows/prefill.h"
#include "fs/rows/snapshot_view.h"

#include <semaphore.h>

/* What all fetches of a mount share. */
struct fetch_place {
    struct session_pool *pool;
    struct store *store;
    uint64_t system_id; /* the cluster that the rows must come from */
    uint32_t database;
    /* the threads that end read points; NULL: the thread at hand does, at once */
    struct waiters *enders;
    int jobs;                 /* COPYs at once for one relation */
    uint64_t group_bytes;     /* a row group ends once it has this many; 0: a sensible number */
    sem_t *slots;             /* one for each COPY at work, of all relations; NULL: no limit */
    struct held *held;        /* read points that snapshots hold; NULL: none may be held */
    struct lock_waits *waits; /* the waits for locks; NULL: locks are not waited for */
    struct lock_line *line;   /* the line of those waits; NULL: there is none */
    /* whether the relation's row groups must stay; NULL: those of all */
    bool (*in_use)(void *context, uint32_t relation);
    void *context;
};

struct fetch;

/* Borrows `progress`, and sets it to its beginning. */
MUST_CHECK int fetch_new(const struct fetch_place *place, struct progress *progress,
                         struct fetch **out);
void fetch_free(struct fetch *fetch);

/* A new version gets a later second than this as its time. Before fetch_table. */
void fetch_after(struct fetch *fetch, int64_t mtime);

/* Only these columns (codec/column_list.h; NULL: all); borrowed. Before fetch_table, whose `old` is
 * of the same ones. -ENOENT from that: there are no such columns. */
void fetch_choose(struct fetch *fetch, const char *columns);

/* If all rows would have to be copied, and the table has more bytes than this (0: no limit), nothing
 * is: -EFBIG from fetch_table. Nobody knows how much SQL views and the like will bring: they have no
 * bytes. */
void fetch_at_most(struct fetch *fetch, uint64_t bytes);

/* What is rendered of this format on the way goes into `prefill` too; borrowed. Before fetch_table.
 */
void fetch_prefill(struct fetch *fetch, int format, struct prefill *prefill);

/* Ends fetch_table early. */
void fetch_stop(struct fetch *fetch);

/* Fetches the relation as it is now. `old` is what was last known of it, or NULL. *out is a new
 * reference: to `old`, with a new mark, if nothing has changed, else to a new snapshot, already
 * saved. `measure` is a mask of the formats whose sizes are worth computing on the way.
 * -EINPROGRESS: another session has a lock; call again with the same arguments when it is the turn
 * of fetch_turn, or at once after fetch_stop. */
MUST_CHECK int fetch_table(struct fetch *fetch, const struct relation *relation,
                           struct snapshot *old, unsigned measure, struct snapshot **out,
                           struct error *error);

/* The turn of a fetch that waits for a lock. */
struct lock_turn *fetch_turn(struct fetch *fetch);

/* The feeds of which fetch_table's new snapshot is made: it begins with the groups that were read
 * of them. */
const struct feed_ids *fetch_made_of(const struct fetch *fetch);

/* Whether the fetch has found, so far, that `old` is out of date. Any thread. */
bool fetch_has_changes(struct fetch *fetch);

/* The groups of the copying under way, for reading along, a new reference; NULL: the copying has
 * not begun, or is over. Any thread. */
struct feed *fetch_feed(struct fetch *fetch);

/* The rows of one group, from the store. If they are missing there or damaged, they are copied
 * again and checked against the group's hash, as long as the thread's patience lasts
 * (fs/base/patience.h). -EIO: they have changed since; the snapshot is then broken. */
MUST_CHECK int fetch_group(const struct fetch_place *place, struct snapshot *snapshot, size_t group,
                           struct rowgroup **out, struct error *error);

/* The rows of one group, from the store alone. -ENOENT: not there; -EBADMSG: not what was put
 * there. */
MUST_CHECK int fetch_stored(struct store *store, const struct snapshot *snapshot,
                            const struct group *group, struct rowgroup **out);

/* Lends the rows of one group of a view to `use`, as far as its columns need them: the parts of no
 * others are read, if the store has the group. Perhaps twice: if the first time the rows turn out to
 * be damaged. Errors: those of fetch_group and of `use`. */
typedef int use_rows(void *context, const struct rowgroup *rows);
MUST_CHECK int fetch_use(const struct fetch_place *place, const struct view *view, size_t group,
                         use_rows *use, void *context, struct error *error);

/* Measures a view: renders the bodies that have no size yet, on place->jobs threads. With `prefill`
 * (nullable) it renders and stores all. */
MUST_CHECK int fetch_measure(const struct fetch_place *place, const struct view *view,
                             const atomic_bool *stop, struct prefill *prefill,
                             struct progress *progress, struct error *error);

/* A group's body, as far as it was made; used for one group after another. Init to {0};
 * fetch_body_clear. */
struct fetch_body {
    struct buffer bytes, note;
};

/* Measures a group's body in a rendition whose columns have this schema. The body is made only if
 * measuring needs it, or if `bytes` asks for it. -EDOM: a value has no form in this format. */
MUST_CHECK int fetch_body_measure(struct fetch_body *body, const struct rendition *rendition,
                                  const struct schema *schema, const struct rowgroup *rows,
                                  bool bytes, struct group *group);
void fetch_body_clear(struct fetch_body *body);

#endif
