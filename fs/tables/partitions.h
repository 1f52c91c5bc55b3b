/* How the partitions of a catalog are called below their parents' partitions/: a foreign schema
 * goes in front, behind it a dot that no other name has escaped. The names are made once a catalog,
 * so that finding one costs a binary search, however many there are.
 *
 * Lifetime: of the catalog that it was made of, whose relations it points to. Threads: read by all.
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

/* Those of a parent, the first of *count; sorted by name. */
const struct partition *partitions_of(const struct partitions *partitions, uint32_t parent,
                                      size_t *count);

/* NULL: there is none of that name. */
const struct relation *partitions_find(const struct partitions *partitions, uint32_t parent,
                                       const char *name);

#endif
