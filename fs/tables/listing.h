/* The relations that the mount shows: the last catalog read, and whether it still holds.
 *
 * A look-up is answered from memory, always at once. A question about the present (does this
 * directory exist? what is in it?) waits in GETATTR or OPENDIR for listing_check. */
#ifndef FS_TABLES_LISTING_H
#define FS_TABLES_LISTING_H

#include "fs/tables/mount.h"

/* Stands for the catalog, when a request asks which relations there are. */
extern const struct relation listing_relations;

/* Reads the first catalog, before the mount. */
MUST_CHECK int listing_start(struct mount *mount, struct error *error);

/* Begins to ask the server whether the catalog still holds. Called with the lock held. */
void listing_check(struct mount *mount);

/* The next check must read the catalog again, whatever its mark says. Called with the lock held. */
void listing_doubt(struct mount *mount);
static inline bool listing_is_doubted(const struct mount *mount)
{
    return mount->catalog_mark == NULL;
}

/* The present, as a number; and whether the catalog at hand was asked for after such a number was
 * taken, so that it has all that had been committed then. Called with the lock held. */
static inline unsigned listing_now(const struct mount *mount) { return mount->catalog_asks; }
static inline bool listing_is_after(const struct mount *mount, unsigned then)
{
    return (int)(mount->catalog_answered - then) > 0;
}

/* NULL: there is none. Called with the lock held; good until it is released. */
const struct relation *listing_find(const struct mount *mount, const char *schema,
                                    const char *name);
/* Also of a statement, which is in no catalog. */
bool listing_has_oid(const struct mount *mount, uint32_t oid);
/* Keeps only those of these relations that are not in the catalog any more, and returns their
 * number. Takes the lock. */
size_t listing_keep_gone(struct mount *mount, uint32_t *relations, size_t count);
bool listing_has_schema(const struct mount *mount, const char *schema);

#endif
