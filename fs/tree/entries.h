/* What a directory lists, as it was when the directory was opened.
 *
 * Lifetime: entries_new until entries_free, or the end of the mount (opened.h). Threads: guarded by
 * mount->lock, but once filled it does not change.
 */
#ifndef FS_TREE_ENTRIES_H
#define FS_TREE_ENTRIES_H

#include "fs/tree/node.h"
#include "fs/tree/opened.h"

struct entry {
    char *name;
    uint64_t ino;
    bool directory;
};

struct entries {
    struct opened opened;
    struct entry *list;
    size_t count;
};

/* Makes the entries of the directory, with "." and "..". Errors: -ENOMEM, or those of its class. */
MUST_CHECK int entries_of(struct mount *mount, struct node *directory, struct entries **out);
void entries_free(struct entries *entries); /* NULL is fine */

/* For the classes: adds an entry of this name, with the number of its path in the directory. */
MUST_CHECK int entries_add(struct entries *entries, const struct node *directory, const char *name,
                           bool is_directory);
/* The same with another number. */
MUST_CHECK int entries_add_ino(struct entries *entries, const char *name, uint64_t ino,
                               bool is_directory);
/* The same for a directory that is named as in SQL. */
MUST_CHECK int entries_add_sql(struct entries *entries, const struct node *directory,
                               const char *sql);

#endif
