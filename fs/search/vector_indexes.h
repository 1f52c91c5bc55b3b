/* The indexes of a mount, between fs/search/vector_index.c, which answers, and
 * fs/search/vector_builder.c, which builds.
 *
 * Locks: indexes->lock is held for a moment only, and inside of it no other lock is taken.
 * entry->making is held while a file is mapped or rows are joined with slots, so that it is done
 * once; inside of it rows may be fetched, so that it is taken with patience (fs/base/patience.h).
 */
#ifndef FS_SEARCH_VECTOR_INDEXES_H
#define FS_SEARCH_VECTOR_INDEXES_H

#include "fs/search/vector_binding.h"

/* One column in one space: absent (nothing below), opening, being built, ready (there is a graph),
 * failed, impossible. */
struct vector_entry {
    struct vector_entry *next;
    uint32_t relation;
    int column;
    struct space space;
    pthread_mutex_t making;

    /* Guarded by indexes->lock: */
    struct vector_graph *graph;   /* NULL: none in memory */
    struct vector_binding *bound; /* of the graph with the corpus that was asked of last */
    uint64_t used;                /* indexes->turn when it was asked for last */
    int users;                    /* threads that are at it */
    uint64_t no_file_for;         /* lineage for which the disk has none; 0: not looked yet */
    int unopened;                 /* why its file cannot be opened for now; 0: it can */
    int64_t unopened_at;          /* clock_ms(): when that was seen */
    struct corpus *wanted;        /* to be used, or else to be built of; NULL: nothing is */
    bool judged;                  /* that the wanted one is to be built */
    struct snapshot *unread;      /* the file is to be opened for it; NULL: it is not */
    bool opening;                 /* the file is being opened, or its rows are being joined */
    bool copy_wanted;             /* the mapped graph is to be in memory of its own */
    bool building;
    uint64_t total;  /* rows to be inserted */
    int64_t began;   /* clock_ms() */
    int failed;      /* why the last build did; 0: it did not */
    bool impossible; /* and would again, until the rows are others; who is at it writes it */
    struct error error;
    int64_t failed_at;      /* clock_ms() */
    uint64_t failed_serial; /* of the snapshot */

    atomic_ulong done;
    atomic_bool stop;
};

/* A thread, started when something is wanted first. */
struct vector_worker {
    bool running;
    pthread_t thread;
};

struct vector_indexes {
    const struct fetch_place *place;
    uint64_t memory;  /* bytes that graphs may take together, */
    uint64_t alone;   /* and one alone in memory of its own */
    uint64_t at_once; /* of a file that whoever asks opens himself */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something is wanted, or the end has come */
    struct vector_entry *entries;
    size_t entry_count;
    bool said_full;
    uint64_t turn;
    struct vector_worker opener, builder;
    atomic_bool ending;
};

/* The entry, made if need be, for as long as the caller does not say vector_entry_leave. If there
 * are too many, one that has nothing goes. NULL: no memory, or all have something. */
struct vector_entry *vector_entry_find(struct vector_indexes *indexes, uint32_t relation,
                                       int column, const struct space *space);
void vector_entry_leave(struct vector_indexes *indexes, struct vector_entry *entry);

/* The graph of these rows: that in memory, or else its file's. *out is a new reference; NULL: there
 * is none. -ENOMEM, -ENOSPC (of mappings), -EMFILE, -ENFILE, -EAGAIN: there may be one, but it
 * cannot be opened for now. entry->making is held. */
MUST_CHECK int vector_entry_load(struct vector_indexes *indexes, struct vector_entry *entry,
                                 const struct snapshot *snapshot, struct vector_graph **out);

/* Whether the disk may have a file for these rows, whose bytes are *size. */
bool vector_entry_has_file(struct vector_indexes *indexes, struct vector_entry *entry,
                           const struct snapshot *snapshot, uint64_t *size);

/* Whether there is no graph in memory, but a file that takes long to read, or one is being made. */
bool vector_entry_is_unread(struct vector_indexes *indexes, struct vector_entry *entry,
                            const struct snapshot *snapshot);

/* The graph joined with the corpus. *out is a new reference; NULL: there is none, or, without
 * `long_ways`, none for now: it is large, and its file was not read or its rows were not joined
 * yet, or somebody is making it. Errors: as of patience_ask, which may have to wait for rows, or
 * for who joins them; as of vector_entry_load. */
MUST_CHECK int vector_entry_bind(struct vector_indexes *indexes, struct vector_entry *entry,
                                 struct corpus *corpus, bool long_ways,
                                 struct vector_binding **out);

/* Takes the graph; what there was goes. */
void vector_entry_publish(struct vector_indexes *indexes, struct vector_entry *entry,
                          struct vector_graph *graph);

/* What an index would need. */
enum vector_verdict { VECTOR_GOOD, VECTOR_UPDATE, VECTOR_BUILD };
enum vector_verdict vector_binding_judge(const struct vector_binding *binding); /* NULL: build */

/* Has what there is opened and joined with this corpus, and, if that is not good enough, has it
 * built of it, or brought up to date. */
void vector_entry_want(struct vector_indexes *indexes, struct vector_entry *entry,
                       struct corpus *corpus);
/* Has the file opened, if there is one, and nothing built. */
void vector_entry_want_opened(struct vector_indexes *indexes, struct vector_entry *entry,
                              struct snapshot *snapshot);
/* Has the mapped graph copied into memory of its own. */
void vector_entry_want_copy(struct vector_indexes *indexes, struct vector_entry *entry);
/* Puts a copy in place of the graph, with a copy of what it was bound to. Takes it. */
void vector_entry_replace(struct vector_indexes *indexes, struct vector_entry *entry,
                          const struct vector_graph *graph, struct vector_graph *copy);

#endif
