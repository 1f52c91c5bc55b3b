/* What is known of one relation: two subjects, its rows and its DDL, each with its current version,
 * its lease and its job; and one for each list of columns that somebody asks for alone, as long as
 * something is of it.
 *
 * A subject is refreshed by a job (one at a time, job.h): it asks the server whether the version still
 * holds, makes a new one if not, and measures the faces that requests wait for.
 *
 * Threads: everything here is guarded by mount->lock, except what a version points to.
 */
#ifndef FS_TABLES_TABLE_H
#define FS_TABLES_TABLE_H

#include "fs/tables/promise.h"

enum { SUBJECT_ROWS, SUBJECT_DDL, SUBJECT_COUNT };

enum { STREAMS_AT_MOST = 8 }; /* of a mount */

/* A process that reads a file of this version slowly goes on with it for its next files, whatever
 * others have found meanwhile: cp and tar copy one state of a table. Others do not wait for it. */
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
    bool loaded;         /* the store's record has been looked at */
    int64_t lease_until; /* clock_ms() */
    unsigned opened;     /* mask of faces that have extended this lease */
    struct promises promises;
    struct stay stays[16];
    struct wait waiting; /* for its job */
    int nodes;           /* that are of it */
    int opens;   /* files of any version that are open, and questions that are being answered */
    int streams; /* those that were opened before their size was known */
    struct {
        uint64_t nodeid, feed;
    } bind_later[STREAMS_AT_MOST]; /* nodes of such, and what is read */

    bool running, want_refresh;
    bool refreshing; /* the job asks the server now */
    /* Versions of which faces are wanted, linked by next_wanted; the list holds references. The
     * current one, and others that somebody still goes by. */
    struct version *wanted;
    const struct version *making; /* one of them, of which the job makes a face now; or NULL */
    unsigned next_sizes;          /* mask of faces of the one that the wanted refresh will find */
    /* Nodes whose page cache may be filled on the way; 0: none. */
    uint64_t prefill_nodes[FORMAT_COUNT];
    /* A prefill has failed. The next might fail as well, and each costs the waiting request a
     * round.
     */
    bool no_prefill;
    atomic_bool stop;
    struct fetch *fetch;          /* while one runs */
    struct refreshing *refresh;   /* the same; job.c */
    struct waiters_task resuming; /* where it waits for a lock */
    struct progress progress;     /* of the job */
    int64_t wanted_at;            /* clock_ms() when a request last waited for it */
    unsigned refreshes;           /* counts those that went well */
    unsigned failures;            /* counts the others; of the last one: */
    int rc;
    struct error error;
};

struct table {
    struct table *next; /* in its bucket */
    struct mount *mount;
    struct relation relation;               /* owns its names */
    struct subject subjects[SUBJECT_COUNT]; /* of rows: of all columns */
    struct subject *selections;             /* of some */
    pthread_mutex_t sweeping;               /* taken without mount->lock, by jobs; guards: */
    bool swept; /* the cache has no row groups of it any more that no record names */
};

/* The table of a relation, made if need be; NULL: no memory. A renamed relation's table takes the
 * new name. */
struct table *table_get(struct mount *mount, const struct relation *relation);
void table_free(struct table *table);

/* Whether the row groups of this relation must not be evicted now. Takes mount->lock. */
bool table_needs_groups(struct mount *mount, uint32_t relation);

/* Frees those whose relation is not in the catalog any more, if nothing is of them; whether there
 * were such. *remain: there are others. */
bool table_free_gone(struct mount *mount, bool *remain);

void table_each_subject(struct mount *mount, void (*visit)(struct subject *subject, int64_t now));

static inline struct subject *table_subject(struct table *table, int face)
{
    return &table->subjects[face == FACE_DDL ? SUBJECT_DDL : SUBJECT_ROWS];
}

/* The rows in these columns alone, made if need be; NULL: no memory. */
struct subject *table_selection(struct table *table, const char *columns);
/* All of a table's, one after another: the first behind NULL, NULL behind the last. */
struct subject *table_next_subject(struct table *table, const struct subject *subject);

/* Frees the subjects of some columns that nothing is of any more. */
void table_free_idle(struct mount *mount);

/* Whether the current version may be handed out without asking the server. */
bool subject_leased(const struct subject *subject);

/* What stat has promised to the caller; NULL: nothing, or of what cannot be read any more. */
const struct promise *subject_promised(const struct subject *subject, caller_id caller);

/* A file of the current version is opened. Whether it is the first time in this lease, which begins
 * anew then. */
bool subject_open(struct subject *subject, int face);
void subject_extend(struct subject *subject); /* it begins anew */

/* What was opened so is read, or closed: for the process the version holds for a lease from now.
 * Not for a caller that is many. */
void subject_stay(struct subject *subject, caller_id caller, struct version *version);
/* The version that the process goes on with; NULL: none. */
struct version *subject_stays(const struct subject *subject, caller_id caller);

/* The current version must not be handed out without asking: the server has said otherwise. */
void subject_doubt(struct subject *subject);

/* What is over is forgotten: promises, versions that processes went on with, the read point of a version that nobody uses. */
void subject_tend(struct subject *subject, int64_t now);

/* Of this version none are wanted any more; of any. */
void subject_unwant(struct subject *subject, struct version *version);
void subject_unwant_all(struct subject *subject);

/* The node waits for the size of this face, and the kernel has no bytes of it: they may be stored
 * while it waits. */
void subject_offer(struct subject *subject, int face, uint64_t nodeid);

/* The node is read while its version is being fetched: it will be of that version if that is made
 * of this feed, else of none. */
void subject_bind_later(struct subject *subject, uint64_t nodeid, uint64_t feed);
/* Nobody reads it any more. */
void subject_bind_never(struct subject *subject, uint64_t nodeid);

/* What tables ask of the nodes that show them, and tell them; of a node they know the number alone.
 * Called with mount->lock held. */
struct table_users {
    bool (*is_open)(struct mount *mount, uint64_t nodeid);
    /* Whether the job may fill the node's page cache with this face of what it finds. Until
     * `filled` the node is nothing that is shown. */
    bool (*begin_filling)(struct subject *subject, int face, uint64_t nodeid);
    /* What came of it; `version` NULL: nothing. */
    void (*filled)(struct mount *mount, uint64_t nodeid, enum prefill_result result,
                   struct version *version);
    /* The node was read along with a fetch, which has ended with this version, or with none (NULL);
     * `same`: that is made of what was read. */
    void (*streamed)(struct subject *subject, uint64_t nodeid, bool same, struct version *version);
};

#endif
