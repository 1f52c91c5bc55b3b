/* What the queries of a mount share: the row groups at hand, the corpora of the latest snapshots,
 * and the relations' primary keys.
 *
 * Threads: any. Lifetime: corpora_free after all corpora that were handed out.
 */
#ifndef FS_SEARCH_CORPORA_H
#define FS_SEARCH_CORPORA_H

#include "codec/key_compare.h"
#include "fs/rows/group_rows.h"

struct corpus;
struct corpora;

/* `memory`: bytes for what is unpacked. */
MUST_CHECK int corpora_new(uint64_t memory, struct corpora **out);
void corpora_free(struct corpora *corpora); /* NULL is fine */

struct group_cache *corpora_groups(struct corpora *corpora);

/* Lets go of corpora that nobody has asked for in ten minutes, or ten seconds if that keeps a read
 * point open. Called now and then. */
void corpora_tend(struct corpora *corpora);

/* The kept corpus of this snapshot, a new reference; NULL: none is. */
struct corpus *corpora_find(struct corpora *corpora, const struct snapshot *snapshot);
/* Keeps it, and not the others of its relation. */
void corpora_keep(struct corpora *corpora, struct corpus *corpus);
void corpora_drop(struct corpora *corpora, const struct corpus *corpus);

enum { KEY_COLUMNS_MOST = 32 };

/* Columns by their numbers in the schema, and how the values of each are ordered. */
struct key_columns {
    int count; /* 0: there is no key */
    int columns[KEY_COLUMNS_MOST];
    enum key_order orders[KEY_COLUMNS_MOST];
};

/* Whether the relation's key is known, as of the mark (NULL: none), at which a refresh has found
 * what it has found. To make a key, or to drop it, changes nothing else. */
bool corpora_find_key(struct corpora *corpora, uint32_t relation, const char *mark,
                      struct key_columns *out);
void corpora_keep_key(struct corpora *corpora, uint32_t relation, const char *mark,
                      const struct key_columns *key);

#endif
