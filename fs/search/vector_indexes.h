/* The indexes of a mount: vector_indexes.c has their list and bounds what they take,
 * vector_index.c answers what queries ask of them, and vector_builder.c builds.
 *
 * Memory: once it is used, an index is in memory of its own, in huge pages, unless it alone takes
 * more than memory=: then it stays mapped from its file. The indexes loaded may take a quarter of
 * memory= together, or one alone may take more. The least recently used go, and are mapped again
 * when they are asked for. What a build needs beyond that is not counted.
 *
 * Locks: indexes->lock is held for a moment only, and no other lock is taken inside of it.
 * entry->making is held while a file is mapped or rows are joined with slots, so that this is done
 * once. Rows may be fetched inside of it, so it is taken with patience (fs/base/patience.h).
 */
#ifndef FS_SEARCH_VECTOR_INDEXES_H
#define FS_SEARCH_VECTOR_INDEXES_H

#include "fs/search/vector_binding.h"

/* One column in one space. It is absent (it has nothing of what follows), opening, being built,
 * ready (it has a graph), failed, or impossible. */
struct vector_entry {
    struct vector_entry *next;
    uint32_t relation;
    int column;
    struct space space;
    pthread_mutex_t making;

    /* Guarded by indexes->lock: */
    struct vector_graph *graph;   /* NULL: none in memory */
    struct vector_binding *bound; /* the binding of the graph to the corpus last asked for */
    uint64_t used;                /* indexes->turn of the last request */
    int users;                    /* number of threads that use it */
    uint64_t no_file_for;  /* the lineage for which the disk has no file; 0: not looked yet */
    int unopened;          /* the error for which its file cannot be opened for now; 0: it can */
    int64_t unopened_at;   /* clock_ms() when that was seen */
    struct corpus *wanted; /* the corpus to bind to, or else to build from; NULL: none */
    bool judged;           /* the index for it is to be built */
    /* the snapshot for which the file is to be opened; NULL: none */
    struct snapshot *unread;
    bool opening;     /* the file is being opened, or its rows are being joined */
    bool copy_wanted; /* the mapped graph is to be copied into memory of its own */
    bool building;
    uint64_t total; /* number of rows to be inserted */
    int64_t began;  /* clock_ms() */
    int failed;     /* the error of the last build; 0: it did not fail */
    /* and it would fail again, until the rows change; only the thread that builds it writes this */
    bool impossible;
    struct error error;
    int64_t failed_at;      /* clock_ms() */
    uint64_t failed_serial; /* serial of the snapshot then */

    atomic_ulong done;
    atomic_bool stop;
};

/* A thread, started when something is wanted for the first time. */
struct vector_worker {
    bool running;
    pthread_t thread;
};

struct vector_indexes {
    const struct fetch_place *place;
    uint64_t memory;  /* bytes that graphs may take together, */
    uint64_t alone;   /* and one graph alone, in memory of its own */
    uint64_t at_once; /* bytes of a file that the thread that asks opens itself */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* something is wanted, or the end has come */
    struct vector_entry *entries;
    size_t entry_count;
    bool said_full;
    uint64_t turn;
    struct vector_worker opener, builder;
    atomic_bool ending;
};

/* The entry, made if need be; it stays until the caller calls vector_entry_leave. If there are too
 * many entries, one that has nothing goes. NULL: no memory, or all have something. */
struct vector_entry *vector_entry_find(struct vector_indexes *indexes, uint32_t relation,
                                       int column, const struct space *space);
void vector_entry_leave(struct vector_indexes *indexes, struct vector_entry *entry);

/* The graph of these rows: that in memory, else its file's. *out is a new reference; NULL: there is
 * none. -ENOMEM, -ENOSPC (of mappings), -EMFILE, -ENFILE, -EAGAIN: there may be one, but it cannot
 * be opened for now. The caller holds entry->making. */
MUST_CHECK int vector_entry_load(struct vector_indexes *indexes, struct vector_entry *entry,
                                 const struct snapshot *snapshot, struct vector_graph **out);

/* Whether the disk may have a file for these rows. *size: its bytes. */
bool vector_entry_has_file(struct vector_indexes *indexes, struct vector_entry *entry,
                           const struct snapshot *snapshot, uint64_t *size);

/* Whether there is no graph in memory, but a file that takes long to read, or a graph that is being
 * made. */
bool vector_entry_is_unread(struct vector_indexes *indexes, struct vector_entry *entry,
                            const struct snapshot *snapshot);

/* The graph bound to the corpus. *out is a new reference; NULL: there is none. Without `long_ways`,
 * *out is also NULL if the graph is large and its file was not read or its rows were not joined
 * yet, or if a thread is making it. Errors: those of patience_ask, since it may have to wait for
 * rows, or for the thread that joins them; those of vector_entry_load. */
MUST_CHECK int vector_entry_bind(struct vector_indexes *indexes, struct vector_entry *entry,
                                 struct corpus *corpus, bool long_ways,
                                 struct vector_binding **out);

/* Takes the graph, which replaces the one before. */
void vector_entry_publish(struct vector_indexes *indexes, struct vector_entry *entry,
                          struct vector_graph *graph);

/* What an index needs. */
enum vector_verdict { VECTOR_GOOD, VECTOR_UPDATE, VECTOR_BUILD };
enum vector_verdict vector_binding_judge(const struct vector_binding *binding); /* NULL: build */

/* Has the graph opened and bound to this corpus; if it is not good enough, has it built from the
 * corpus, or brought up to date. */
void vector_entry_want(struct vector_indexes *indexes, struct vector_entry *entry,
                       struct corpus *corpus);
/* Has the file opened, if there is one, and nothing built. */
void vector_entry_want_opened(struct vector_indexes *indexes, struct vector_entry *entry,
                              struct snapshot *snapshot);
/* Has the mapped graph copied into memory of its own. */
void vector_entry_want_copy(struct vector_indexes *indexes, struct vector_entry *entry);
/* Replaces the graph by a copy, and its binding by a copy. Takes the copy. */
void vector_entry_replace(struct vector_indexes *indexes, struct vector_entry *entry,
                          const struct vector_graph *graph, struct vector_graph *copy);

#endif
