/* What the queries of a mount share: the row groups at hand, the corpora of the latest snapshots,
 * and the relations' primary keys.
 *
 * Threads: any. Lifetime: corpus_cache_free after all corpora that were handed out.
 */
#ifndef FS_SEARCH_CORPUS_CACHE_H
#define FS_SEARCH_CORPUS_CACHE_H

#include "codec/key_compare.h"
#include "fs/rows/group_rows.h"

struct corpus;
struct corpus_cache;

/* `place`: the place that rows come from; borrowed. `memory`: bytes for unpacked parts. */
MUST_CHECK int corpus_cache_new(const struct fetch_place *place, uint64_t memory,
                                struct corpus_cache **out);
void corpus_cache_free(struct corpus_cache *corpora); /* NULL is fine */

const struct fetch_place *corpus_cache_place(const struct corpus_cache *corpora);
struct group_cache *corpus_cache_groups(struct corpus_cache *corpora);

/* Lets go of corpora that nobody has asked for in ten minutes, or in ten seconds if the corpus
 * keeps a read point open. To be called now and then. */
void corpus_cache_tend(struct corpus_cache *corpora);

/* The kept corpus of this snapshot, a new reference; NULL: none is kept. */
struct corpus *corpus_cache_find(struct corpus_cache *corpora, const struct snapshot *snapshot);
/* Keeps the corpus, and lets go of others of its relation. */
void corpus_cache_keep(struct corpus_cache *corpora, struct corpus *corpus);
void corpus_cache_drop(struct corpus_cache *corpora, const struct corpus *corpus);

enum { KEY_COLUMNS_MOST = 32 };

/* The key's columns, by their numbers in the schema, and how the values of each are ordered. */
struct key_columns {
    int count; /* 0: there is no key */
    int columns[KEY_COLUMNS_MOST];
    enum key_order orders[KEY_COLUMNS_MOST];
};

/* Whether the relation's key is known as of `mark`, the mark of the latest refresh (NULL: there is
 * none). The mark tells, since making or dropping a key changes nothing else. */
bool corpus_cache_find_key(struct corpus_cache *corpora, uint32_t relation, const char *mark,
                           struct key_columns *out);
void corpus_cache_keep_key(struct corpus_cache *corpora, uint32_t relation, const char *mark,
                           const struct key_columns *key);

#endif
