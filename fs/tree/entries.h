/* What a directory lists, as it was when the directory was opened.
 *
 * Lifetime: entries_of until entries_free, or the end of the mount (opened.h). Threads: guarded by
 * mount->lock, but once filled it does not change.
 */
#ifndef FS_TREE_ENTRIES_H
#define FS_TREE_ENTRIES_H

#include "fs/base/name_file.h"
#include "fs/tree/node.h"
#include "fs/tree/opened.h"

struct entry {
    char *name;
    uint64_t ino;
    bool directory;
};

enum { ENTRY_ENDINGS_MOST = 2 };

struct entries {
    struct opened opened;
    struct entry *list;
    size_t count;
    /* behind those of the list: files, whose names are on disk. A reference; NULL: none */
    struct name_file *file;
    const char *endings[ENTRY_ENDINGS_MOST]; /* each name stands there once with each of these */
    int ending_count;
    uint64_t directory; /* number of the directory's path */
};

/* An entry as a READDIR needs it; its name has two pieces, the second NULL or "" if there is none. */
struct entry_piece {
    const char *name, *ending;
    size_t size; /* of `name` */
    uint64_t ino;
    bool directory;
    uint64_t next; /* the place of the entry behind it */
};

/* The entry at a place, which is 0, or what `next` was before. False: there is none. */
bool entries_at(const struct entries *entries, uint64_t place, struct entry_piece *out);

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
/* For a class that calls it last: adds the names in the file, each with each of these endings, which
 * are constants. Takes a reference of its own. */
void entries_add_file(struct entries *entries, const struct node *directory, struct name_file *file,
                      const char *const *endings, int count);

#endif
