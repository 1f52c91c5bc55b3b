/* An index in memory, with its basis (the rows that it was made of), and its file in the cache.
 *
 * Lifetime: reference-counted; once it is published nothing changes but the list of idle searchers.
 * Threads: any.
 */
#ifndef FS_SEARCH_VECTOR_GRAPH_H
#define FS_SEARCH_VECTOR_GRAPH_H

#include "fs/rows/fetch.h"
#include "index/hnsw.h"

enum { SEARCHERS_KEPT = 16 }; /* as many as requests are served at once */

/* The options of all indexes. */
enum { VECTOR_M = 16, VECTOR_EF_CONSTRUCTION = 200 };

/* What the rows of an index belong to. */
struct vector_basis {
    uint64_t system_id;
    uint32_t database, relation;
    uint64_t lineage; /* of the snapshot */
    bool lasting;     /* its keys name rows of all of the lineage, not of this snapshot alone */
    uint32_t column;
    char *name, *type; /* of the column */
    uint32_t m, ef_construction;
    uint64_t serial; /* of the snapshot */
    int64_t fetched_at;
};

/* Copies the strings. */
MUST_CHECK int vector_basis_init(struct vector_basis *basis, const struct snapshot *snapshot,
                                 int column);
void vector_basis_clear(struct vector_basis *basis);
/* Whether the keys of its rows mean anything in the snapshot. */
bool vector_basis_fits(const struct vector_basis *basis, const struct snapshot *snapshot,
                       int column);

struct vector_graph {
    atomic_uint refs;
    struct hnsw *hnsw;
    struct vector_basis basis;
    bool saved;              /* it has a file, */
    bool mapped;             /* and is used from there, not from memory of its own; */
    struct mapping *mapping; /* then this is the file's mapping */
    atomic_bool moving;      /* a copy into such memory has been asked for, or cannot be made */
    pthread_mutex_t lock;    /* guards what follows */
    struct hnsw_searcher *idle[SEARCHERS_KEPT];
    int idle_count;
};

/* Takes both, also when it fails. */
MUST_CHECK int vector_graph_new(struct hnsw *hnsw, struct vector_basis *basis,
                                struct vector_graph **out);
/* A copy in memory of its own, where it is searched faster. */
MUST_CHECK int vector_graph_copy(const struct vector_graph *from, struct vector_graph **out);
struct vector_graph *vector_graph_ref(struct vector_graph *graph);
void vector_graph_unref(struct vector_graph *graph);

/* False: its file was cut short while it was mapped; what was found in it must not be used. */
bool vector_graph_is_intact(const struct vector_graph *graph);

MUST_CHECK int vector_graph_searcher(struct vector_graph *graph, struct hnsw_searcher **out);
void vector_graph_done(struct vector_graph *graph, struct hnsw_searcher *searcher);

/* The id of the file for a column in this space. */
uint64_t vector_graph_id(int column, const struct space *space);

/* Maps the file, and reads all of it once. -ENOENT: there is none; -EBADMSG: it is damaged;
 * -ESTALE: it is whole, but its basis is another; -EINTR: stopped. */
MUST_CHECK int vector_graph_open(struct store *store, const struct snapshot *snapshot, int column,
                                 const struct space *space, const atomic_bool *stop,
                                 struct vector_graph **out, struct error *error);
/* Writes the file, before the graph is published. -ENOSPC: it finds no room below cache_size;
 * -EINTR: stopped. */
MUST_CHECK int vector_graph_save(struct vector_graph *graph, const struct fetch_place *place,
                                 const atomic_bool *stop, struct error *error);

#endif
