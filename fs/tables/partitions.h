/* The names of a catalog's partitions below their parents' partitions/. A schema that is not the
 * parent's goes in front, followed by a dot; no other name has an escaped dot. The names are made
 * once for a catalog, so that finding one costs a binary search, however many there are.
 *
 * Lifetime: that of the catalog that it was made from, to whose relations it points. Threads: read
 * by all.
 */
#ifndef FS_TABLES_PARTITIONS_H
#define FS_TABLES_PARTITIONS_H

#include "codec/buffer.h"

struct catalog;
struct relation;

struct partition {
    const struct relation *relation;
    char *name;
};

struct partitions {
    struct partition *list; /* sorted by parent and name, bytes */
    size_t count;
};

MUST_CHECK int partitions_make(const struct catalog *catalog, struct partitions *out);
void partitions_clear(struct partitions *partitions);

/* The first partition of a parent, sorted by name; *count gets their number. */
const struct partition *partitions_of(const struct partitions *partitions, uint32_t parent,
                                      size_t *count);

/* NULL: there is none of that name. */
const struct relation *partitions_find(const struct partitions *partitions, uint32_t parent,
                                       const char *name);

#endif
