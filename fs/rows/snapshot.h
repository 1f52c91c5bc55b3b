/* A table snapshot: the schema, the ordered row groups and the version key of one fetch of a
 * relation.
 *
 * A row group (struct group) is known here by its measures. Its rows are in the store, or are
 * fetched again from their source (fs/rows/fetch.h) and then checked against `content`. Snapshots
 * of one relation may share groups.
 *
 * Lifetime: reference-counted. fs/rows/fetch.c builds and publishes it; from then on nothing
 * changes but what is known of its views, each fact once (fs/rows/snapshot_view.h). Threads: any,
 * once published.
 */
#ifndef FS_ROWS_SNAPSHOT_H
#define FS_ROWS_SNAPSHOT_H

#include "fs/rows/held.h"
#include "fs/rows/measures.h"
#include "fs/rows/store.h"

#include <pthread.h>
#include <stdatomic.h>

#define SIZE_UNKNOWN UINT64_MAX

struct group {
    atomic_uint refs;
    atomic_bool kept; /* a record on disk names it: its file stays when the last reference goes */
    struct store *store;
    uint32_t relation;
    uint64_t id;
    uint32_t source;         /* number of the source, in the snapshot, that it is from */
    struct ctid_range range; /* of a ctid source */
    uint32_t rows;
    uint64_t bytes; /* of its parts: roughly what it takes in memory */
    uint64_t row_id_sum;
    struct hash128 content;
    /* server_run_id() of the runs under which its range was seen to hold these rows under these row
     * ids, so that a fingerprint tells whether it still does; 0: none. */
    _Atomic uint64_t proven[RUNS_KEPT];
    struct measures measures; /* the measures of its bodies */
};

struct group *group_new(struct store *store, uint32_t relation, const struct rowgroup *rows);
struct group *group_ref(struct group *group);
void group_unref(struct group *group);
bool group_same(const struct group *a, const struct group *b); /* whether the rows are the same */

void group_prove(struct group *group, uint64_t run);
bool group_is_proven(const struct group *group, uint64_t run);

/* The size of its body; SIZE_UNKNOWN: it has not been measured. */
static inline uint64_t group_size(const struct group *group, const struct rendition *rendition)
{
    const struct measure *measure = measures_find(&group->measures, rendition);
    return measure != NULL ? measure->size : SIZE_UNKNOWN;
}

/* Seconds since 1970 (fs/rows/snapshot_times.h). */
struct group_times {
    int64_t since, behind;
};

struct snapshot_source {
    uint32_t oid;
    uint32_t filenode; /* 0: none, or unknown */
    bool by_ctid;
};

/* One reader at a time opens a read point for groups that the store has lost. The others read from
 * it, too, or fail as that reader has. */
struct reopening {
    pthread_mutex_t lock;
    atomic_uint failures; /* written under the lock; why the last one failed: */
    int rc;
    struct error reason;
};

enum { FACE_LISTS = 64 };

struct snapshot {
    atomic_uint refs;
    /* guards the measuring of views, `held`, and the mark and runs of the key */
    pthread_mutex_t lock;
    struct store *store;
    struct version_key key;   /* its mark: of the last time it was found unchanged */
    struct relation relation; /* as it was called then, with names of its own */
    struct schema *schema;
    char *columns; /* those that were asked for, a list (codec/column_list.h); NULL: all */
    struct snapshot_source *sources;
    size_t source_count;
    /* as in readpoint.h; "": none; NULL: unknown, since an older program wrote the record */
    char *children;
    struct group **groups;
    size_t group_count;
    struct group_times *times; /* of each group; NULL: nothing is known of them */
    uint64_t rows;
    /* grows with each new version of the relation; two versions with the same contents may share
     * it */
    uint64_t serial;
    /* serial of the first version that this one was brought up to date from; among versions of one
     * lineage (ctid, xmin) names the same row for ever */
    uint64_t lineage;
    int64_t mtime; /* seconds since 1970 */
    /* The same of the files of a format, by its place, that another encoder makes now than before:
     * later than mtime; 0: none does. Set before it is published. */
    int64_t renewed[FORMAT_COUNT];
    int64_t fetched_at; /* microseconds since 1970: the point in time that it stands for */
    /* the faces of its views, by their first groups: lists that grow under the lock */
    _Atomic(struct face *) faces[FACE_LISTS];
    /* a group is lost and cannot be had again: the next fetch makes a new version */
    atomic_bool broken;
    atomic_bool unsaved; /* there was no room for its record: each refresh tries to save it again */
    struct crew *held;   /* readers get groups that are not in the store from it; NULL: none */
    struct held *holder; /* that of the whole mount; NULL: the crew is only shared */
    struct reopening reopening;
};

/* Keeps the crew and its read point, unless the snapshot has one, or so many are held that others
 * would be short of sessions. Gives whether it did. */
bool snapshot_hold(struct snapshot *snapshot, struct crew *crew, struct held *holder);

/* Reads from a crew that has another owner, which dismisses it at any time. Before the snapshot is
 * published. */
void snapshot_share(struct snapshot *snapshot, struct crew *crew);

/* The crew that it holds or shares, a new reference; NULL: none. */
struct crew *snapshot_held(struct snapshot *snapshot);

/* Gives the read point that `from` holds to `to`, which has the same rows, if `to` misses any of
 * them and has no read point itself. */
void snapshot_hand_over(struct snapshot *from, struct snapshot *to);

/* Lets go of the read point, if one is held: it ends once nobody reads from it. */
void snapshot_let_go(struct snapshot *snapshot);
/* The same, if it is this crew's. */
void snapshot_let_go_of(struct snapshot *snapshot, const struct crew *crew);

MUST_CHECK int snapshot_new(struct store *store, struct snapshot **out);
/* Copies what the snapshot stands for. */
MUST_CHECK int snapshot_take_basis(struct snapshot *snapshot, const struct relation *relation,
                                   const struct version_key *key, const struct schema *schema);
/* It has these columns only: copied; NULL: all. */
MUST_CHECK int snapshot_take_columns(struct snapshot *snapshot, const char *columns);
/* A number that stands for a list of columns, never 0; 0: of NULL, all. */
uint64_t selection_number(const char *columns);
/* It is a new version, of now: later by a whole second at least than `old` (NULL: none) and `after`, so
 * that tools which compare whole seconds see it. */
void snapshot_stamp(struct snapshot *snapshot, const struct snapshot *old, int64_t after);
/* It is the same version as `old`: copies the serial and all times. Before it is published. */
void snapshot_stamp_as(struct snapshot *snapshot, const struct snapshot *old);
/* The latest time of its files. */
int64_t snapshot_latest(const struct snapshot *snapshot);
/* Files of the format at this place are made by another encoder than before: they get a later time,
 * and all others keep theirs. Before it is published. */
void snapshot_renew(struct snapshot *snapshot, int place);
MUST_CHECK int snapshot_add_source(struct snapshot *snapshot, const struct snapshot_source *source);
/* A new snapshot with everything of `from` but its groups; it shares the crew. */
MUST_CHECK int snapshot_copy_basis(const struct snapshot *from, struct snapshot **out);
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

/* Takes the reference. */
MUST_CHECK int snapshot_add_group(struct snapshot *snapshot, struct group *group);
/* The ids of all its groups, in ascending order, for the caller to free. */
MUST_CHECK int snapshot_group_ids(const struct snapshot *snapshot, uint64_t **out);

/* Whether the same child tables inherit from it, as far as that is known. */
bool snapshot_same_children(const struct snapshot *snapshot, const char *children);

/* Whether two are the same files: the same rows in the same order, by contents, with the same name
 * and rendered alike. */
bool snapshot_same_content(const struct snapshot *a, const struct snapshot *b);

/* Whether two with the same content have the same row ids, too. */
bool snapshot_same_row_ids(const struct snapshot *a, const struct snapshot *b);

/* Whether `fresh` refuses a format of which `old` does not know whether it is refused. */
bool snapshot_has_news(const struct snapshot *fresh, const struct snapshot *old);

/* Makes `fresh`, which has the same content as `old`, the same version: it gets the serial, the
 * times, and what is known of the views. Before it is published. */
MUST_CHECK int snapshot_take_identity(struct snapshot *fresh, const struct snapshot *old);

/* Whether its row ids name its rows under the run of `now`: each group has been proven under that
 * run, and the run's position has not gone back. */
bool snapshot_believes(struct snapshot *snapshot, const struct version_key *now);

/* A copy of the mark of the last time it was found unchanged; NULL: no memory. */
char *snapshot_mark(struct snapshot *snapshot);
uint64_t snapshot_mark_number(struct snapshot *snapshot); /* a hash of the mark; 0: there is none */

/* Notes that it was found up to date at `now`, row ids included. 1: under a run that it did not
 * know. */
MUST_CHECK int snapshot_prove(struct snapshot *snapshot, const struct version_key *now);

/* Saves its record in the store; from then on the groups' files stay. */
MUST_CHECK int snapshot_save(struct snapshot *snapshot);
/* Loads the record. What a record does not tell, because an older program wrote it, is unknown. */
MUST_CHECK int snapshot_load(struct store *store, uint32_t relation, struct snapshot **out);

/* The same of those columns; that of NULL is snapshot_load's. */
MUST_CHECK int snapshot_load_columns(struct store *store, uint32_t relation, const char *columns,
                                     struct snapshot **out);
/* The same by what the record is called (store_each_record). -ENOENT, too: it is of no snapshot. */
MUST_CHECK int snapshot_load_kind(struct store *store, uint32_t relation, const char *kind,
                                  struct snapshot **out);

/* A newer one has been saved: the files of groups that only this one has go when it does. NULL: all
 * of them go, unless a record comes to name them. */
void snapshot_forsake(struct snapshot *snapshot, const struct snapshot *newer);

#endif
