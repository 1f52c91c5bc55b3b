/* Inodes. Three numbers must not be mixed up:
 *
 *   nodeid    the kernel's number of a node: given out one after another, never used twice in a
 *             mount. All bytes that the kernel ever caches for one nodeid are the same, so a new
 *             version of a file is a new node.
 *   ino       st_ino, which tools compare: a hash of the cluster, the database and what the node
 *             stands for (for a table's file: relation, face and the version's serial), so that it
 *             is the same after a remount.
 *   version   says what the bytes of a table's file are (table_file.h).
 *
 * A node's class (class.h) says what it does, and embeds it. Directory nodes stand for paths, not
 * for relations: they are made once, and stay as long as there is something of that name. File
 * nodes go when the kernel has forgotten them. So do the directories below near/, which any user
 * can name, and those of what was dropped (leftovers.h).
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_NODE_H
#define FS_TREE_NODE_H

#include "fs/tables/table.h"
#include "fs/tree/class.h"
#include "fs/tree/tree.h"

struct node {
    const struct node_class *class;
    uint64_t nodeid;
    uint64_t lookups; /* look-ups that the kernel has not forgotten */
    struct node *parent;
    char *name; /* the name in its directory, as the user writes it */
    uint64_t ino;
    struct node *next_id;   /* in the bucket of its nodeid */
    struct node *next_path; /* for a directory: in the bucket of its ino */
    struct node *files;     /* for a directory: the files in it that the kernel knows */
    struct node *next_file; /* among the files of its directory */
    unsigned below;         /* directories in it */
    /* for a directory: clock_ms() when a caller was told that it does not exist */
    int64_t absent_ms;
    bool nameless; /* for a directory: its name does not lead to it any more */

    /* for a file that shows rows or DDL, or an answer about them; NULL until the relation is known
     * (node_set_subject) */
    struct subject *subject;
    int opens;
    int calls;    /* calls at work on it, or parked */
    bool told;    /* the kernel has its size (request_open.c) */
    bool telling; /* the kernel is being told its size: opens wait */
};

/* What the kernel is told about a file's size (kernel_size.h). */
struct size_news {
    uint64_t size;
    uint8_t last; /* the file's last byte */
    bool raise;   /* the last byte is not known: the file may have this size or more */
    bool endless; /* the size is not known, either */
};

/* What is looked up. */
struct lookup {
    struct node *parent; /* the directory */
    const char *name;
    caller_id caller;
    bool waited; /* it has waited for a refresh since the count of these was: */
    unsigned refreshes_seen;
    /* the refresh is not over, but has found that the current version is superseded */
    bool changed;
};

/* Makes the root, of this class. */
MUST_CHECK int node_start(struct mount *mount, const struct node_class *root);
void node_free_all(struct mount *mount);

/* Makes a node in its parent, not counted as looked up. Errors: -ENOMEM, or those of the class's
 * `begin`. */
MUST_CHECK int node_new(struct mount *mount, struct node *parent, const struct node_class *class,
                        const char *name, struct node **out);
/* Gives the directory of this name and class, made if need be. */
MUST_CHECK int node_directory(struct mount *mount, struct node *parent,
                              const struct node_class *class, const char *name, struct node **out);

struct node *node_find(const struct mount *mount, uint64_t nodeid);
/* The known directory of this name; NULL: none. */
struct node *node_named(const struct mount *mount, const struct node *parent, const char *name);

/* *out gets the child of this name, counted as looked up once. -ENOENT: there can be none of that
 * name. Never asks the server. */
MUST_CHECK int node_lookup(struct mount *mount, const struct lookup *lookup, struct node **out);
void node_forget(struct mount *mount, uint64_t nodeid, uint64_t lookups);

static inline bool node_is_directory(const struct node *node) { return S_ISDIR(node->class->mode); }

/* Whether a directory exists, by the catalog at hand. */
bool node_exists(const struct mount *mount, const struct node *node);

/* The same, for the class of a directory that exists as long as its parent and its name do. */
bool node_exists_in_parent(const struct mount *mount, const struct node *node);
/* `stays` for the class of a node that goes once the kernel has forgotten it. */
bool node_never_stays(const struct mount *mount, struct node *node);

/* The relation that a table's directory stands for now; NULL: none, or it is not a table's
 * directory. */
const struct relation *node_relation(const struct mount *mount, const struct node *node);
/* The nearest directory that stands for a relation, from the node itself upwards; NULL: none. */
struct node *node_table(struct node *node);
/* The rows of that relation; NULL: the relation is not known, or there is no memory. */
struct subject *node_rows(struct mount *mount, struct node *node);

/* Keeps why a node failed, for the attribute that tells it, with the nearest directory above that
 * keeps reasons. */
void node_keep_reason(struct node *node, uint64_t path, const char *reason);

/* Sets the node's subject; the table stays as long. Not for an open node, since its subject counts
 * it. */
void node_set_subject(struct node *node, struct subject *subject);

/* The number that stands for the path. */
uint64_t node_path(const struct node *parent, const char *name);
/* The inode number of a face of a relation's version. */
uint64_t node_ino(const struct mount *mount, uint32_t relation, int face, uint64_t serial);
/* The same of a version of the subject's: of some columns another one, and of what a library's new
 * version makes anew. */
uint64_t node_ino_of(const struct mount *mount, const struct subject *subject, int face,
                     const struct version *version);

/* What stat says. For a file it is final once its size is known; until then the size is 0. */
void node_attributes(const struct mount *mount, const struct node *node, struct stat *out);

#endif
