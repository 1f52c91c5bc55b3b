/* What is known of one relation: two subjects, its rows and its DDL, each with its current version,
 * its lease and its job; and one for each list of columns that is asked for alone, as long as
 * something uses it.
 *
 * A job (one at a time, job.h) refreshes a subject: it asks the server whether the version still
 * holds, makes a new one if not, and measures the faces that requests wait for.
 *
 * Threads: everything here is guarded by mount->lock, except what a version points to.
 */
#ifndef FS_TABLES_TABLE_H
#define FS_TABLES_TABLE_H

#include "fs/tables/promise.h"

enum { SUBJECT_ROWS, SUBJECT_DDL, SUBJECT_COUNT };

enum { STREAMS_AT_MOST = 8 }; /* of a mount */

/* A process that reads a file of this version slowly goes on with the version for its next files,
 * whatever other processes have found meanwhile: so cp and tar copy one state of a table. The other
 * processes do not wait for it. */
struct stay {
    caller_id caller; /* a process; 0: the place is free */
    int64_t until;
    struct version *version;
};

struct subject {
    struct table *table;
    struct subject *next; /* of some columns: the next such of the table */
    int kind;
    char *columns; /* of rows: these only, a list (codec/column_list.h); NULL: all */
    struct version *current;
    bool loaded;         /* the store's record has been read */
    int64_t lease_until; /* clock_ms() */
    unsigned opened;     /* mask of faces that have extended this lease */
    struct promises promises;
    struct stay stays[16];
    struct wait waiting; /* for its job */
    int nodes;           /* nodes of this subject */
    int opens;   /* files of any version that are open, and questions that are being answered */
    int streams; /* open files that were opened before their size was known */
    struct {
        uint64_t nodeid, feed;
    } bind_later[STREAMS_AT_MOST]; /* nodes of such files, and the feed that each reads */

    bool running, want_refresh;
    bool refreshing; /* the job asks the server now */
    /* Versions of which faces are wanted, linked by next_wanted; the list holds references. They
     * are the current one, and others that callers still use. */
    struct version *wanted;
    const struct version *making; /* the one of them of which the job makes a face now; or NULL */
    /* mask of faces wanted of the version that the wanted refresh will find */
    unsigned next_sizes;
    /* that refresh may fetch a table of any size: not only stat waits for it (options.h: max_stat) */
    bool next_any_size;
    /* Nodes whose page cache may be filled on the way; 0: none. */
    uint64_t prefill_nodes[FORMAT_COUNT];
    /* A prefill has failed. The next might fail as well, and each costs the waiting request another
     * try. */
    bool no_prefill;
    atomic_bool stop;
    struct fetch *fetch;          /* while one runs */
    struct refreshing *refresh;   /* the same; job.c */
    struct waiters_task resuming; /* for going on after a wait for a lock */
    struct progress progress;     /* of the job */
    int64_t wanted_at;            /* clock_ms() when a request last waited for it */
    unsigned refreshes;           /* counts those that went well */
    unsigned failures;            /* counts the others; of the last of these: */
    int rc;
    struct error error;
};

struct table {
    struct table *next; /* in its bucket */
    struct mount *mount;
    struct relation relation;               /* owns its strings */
    struct subject subjects[SUBJECT_COUNT]; /* of rows: of all columns */
    struct subject *selections;             /* of some */
    pthread_mutex_t sweeping;               /* taken without mount->lock, by jobs; guards: */
    bool swept; /* the cache has no row groups of it any more that no record names */
};

/* The table of a relation, made if need be; NULL: no memory. The table of a renamed relation takes
 * the new name. */
struct table *table_get(struct mount *mount, const struct relation *relation);
void table_free(struct table *table);

/* Whether the row groups of this relation must not be evicted now. Takes mount->lock. */
bool table_needs_groups(struct mount *mount, uint32_t relation);

/* Frees the tables whose relation is not in the catalog any more, if nothing uses them; whether
 * there were such. *remain: there are some that are still used. */
bool table_free_gone(struct mount *mount, bool *remain);

void table_each_subject(struct mount *mount, void (*visit)(struct subject *subject, int64_t now));

static inline struct subject *table_subject(struct table *table, int face)
{
    return &table->subjects[face == FACE_DDL ? SUBJECT_DDL : SUBJECT_ROWS];
}

enum { SELECTIONS_AT_MOST = 1024 }; /* of a table, at once */
/* The rows in these columns alone, made if need be; NULL: no memory, or too many are in use, which
 * the log says. */
struct subject *table_selection(struct table *table, const char *columns);
/* Whether so many are in use. Then *why says what to do about it. */
bool table_selections_full(struct table *table, struct error *why);
/* All of a table's, one after another: the first behind NULL, NULL behind the last. */
struct subject *table_next_subject(struct table *table, const struct subject *subject);

/* Frees the subjects of some columns that nothing uses any more. */
void table_free_idle(struct mount *mount);

/* Whether the current version may be handed out without asking the server. */
bool subject_leased(const struct subject *subject);

/* What stat has promised to the caller; NULL: nothing, or a version that cannot be read any more.
 */
const struct promise *subject_promised(const struct subject *subject, caller_id caller);

/* Notes that a file of the current version is opened. Whether this is the first time in this lease;
 * if so, the lease begins anew. */
bool subject_open(struct subject *subject, int face);
bool subject_open_view(struct subject *subject, struct version_view *view);
void subject_extend(struct subject *subject); /* the lease begins anew */

/* A file of this version is read, or closed: for this process the version holds for one lease from
 * now on. Not for a caller that is many processes. */
void subject_stay(struct subject *subject, caller_id caller, struct version *version);
/* The version that the process goes on with; NULL: none. */
struct version *subject_stays(const struct subject *subject, caller_id caller);

/* The current version must not be handed out any more without asking: the server has said that it
 * does not hold. */
void subject_doubt(struct subject *subject);

/* Forgets what is over: promises, versions that processes went on with, the read point of a version
 * that is not used. */
void subject_tend(struct subject *subject, int64_t now);

/* No face of this version is wanted any more; of any version. */
void subject_unwant(struct subject *subject, struct version *version);
void subject_unwant_all(struct subject *subject);

/* The node waits for the size of this face, and the kernel has no bytes of it: the job may store
 * them meanwhile. */
void subject_offer(struct subject *subject, int face, uint64_t nodeid);

/* The node is read while its version is being fetched: it will belong to that version if the
 * version is made of this feed, else to none. */
void subject_bind_later(struct subject *subject, uint64_t nodeid, uint64_t feed);
/* No process reads it any more. */
void subject_bind_never(struct subject *subject, uint64_t nodeid);

/* What tables ask the nodes that show them, and tell them; tables know only a node's number. Called
 * with mount->lock held. */
struct table_users {
    bool (*is_open)(struct mount *mount, uint64_t nodeid);
    /* Whether the job may fill the node's page cache with this face of what it finds. Until
     * `filled` is called the node is shown to no caller. */
    bool (*begin_filling)(struct subject *subject, int face, uint64_t nodeid);
    /* The result of the filling; `version` NULL: there is no version. */
    void (*filled)(struct mount *mount, uint64_t nodeid, enum prefill_result result,
                   struct version *version);
    /* The node was read along with a fetch, which has ended with this version, or with none (NULL);
     * `same`: that is made of what was read. */
    void (*streamed)(struct subject *subject, uint64_t nodeid, bool same, struct version *version);
};

#endif
