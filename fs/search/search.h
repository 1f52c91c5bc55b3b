/* What all searches of a mount share.
 *
 * Threads: filled before they are started, and not changed afterwards; its parts say what guards
 * them.
 */
#ifndef FS_SEARCH_SEARCH_H
#define FS_SEARCH_SEARCH_H

#include "fs/rows/fetch.h"
#include "fs/search/answer_room.h"

struct corpus_cache;
struct vector_indexes;

struct search {
    const struct fetch_place *place; /* the place that rows come from */
    struct corpus_cache *corpora;    /* those rows, in memory */
    uint64_t memory;         /* bytes that the mount may take; an answer may take a part of it */
    struct answer_room room; /* for large answers */
    struct vector_indexes *indexes;
};

#endif
