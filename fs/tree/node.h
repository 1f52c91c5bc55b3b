/* Inodes. Three numbers must not be mixed up:
 *
 *   nodeid    what the kernel calls a node: handed out one after another, never used twice in a mount. All bytes that the kernel
 *             ever caches for one nodeid are the same, so a new version of a file is a new node.
 *   ino       st_ino, what tools compare: a hash of the cluster, the database and what the node stands for (of a table's file:
 *             relation, face and the version's serial), so that it is the same after a remount.
 *   version   what a table's file's bytes are (table_file.h).
 *
 * What a node does is its class (class.h), which embeds it. Directory nodes stand for paths, not for relations: they are made
 * once and stay as long as there is something of that name. File nodes go when the kernel has forgotten them, and so do the
 * directories below near/, which anybody can name, and those of what was dropped (leftovers.h).
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
    uint64_t lookups; /* that the kernel has not forgotten */
    struct node *parent;
    char *name; /* in its directory, as the user writes it */
    uint64_t ino;
    struct node *next_id;   /* in the bucket of its nodeid */
    struct node *next_path; /* of a directory: in the bucket of its ino */
    struct node *files;     /* of a directory: those in it that the kernel knows */
    struct node *next_file; /* among its directory's */
    unsigned below;         /* directories in it */
    int64_t absent_ms; /* of a directory: clock_ms() when somebody was told that there is none */
    bool nameless;     /* of a directory: its name leads to it no more */

    struct subject *
        subject; /* of a file that shows rows or DDL, or an answer about them; NULL until the relation is known
                                (node_set_subject) */
    int opens;
    int calls;    /* at work on it, or parked */
    bool told;    /* the kernel has its size, (request_open.c) */
    bool telling; /* or is being told: opens wait */
};

/* What the kernel is told of a file's size (kernel_size.h). */
struct size_news {
    uint64_t size;
    uint8_t last; /* its last byte */
    bool raise;   /* that is not known: the size is no more than one that the file may have */
    bool endless; /* neither is the size */
};

/* What is looked up. */
struct lookup {
    struct node *parent; /* the directory */
    const char *name;
    caller_id caller;
    bool waited; /* for a refresh, since this count of them: */
    unsigned refreshes_seen;
    bool changed; /* it is not over, but has found that the current version is superseded */
};

/* The root, of this class. */
MUST_CHECK int node_start(struct mount *mount, const struct node_class *root);
void node_free_all(struct mount *mount);

/* A new one in its parent, not counted as looked up. Errors: -ENOMEM, or what the class's begin says. */
MUST_CHECK int node_new(struct mount *mount, struct node *parent, const struct node_class *class,
                        const char *name, struct node **out);
/* The directory of this name and class, made if need be. */
MUST_CHECK int node_directory(struct mount *mount, struct node *parent,
                              const struct node_class *class, const char *name, struct node **out);

struct node *node_find(const struct mount *mount, uint64_t nodeid);
/* A directory that is known; NULL: none. */
struct node *node_named(const struct mount *mount, const struct node *parent, const char *name);

/* The child of this name, counted as looked up once; *out. -ENOENT: there can be none of that name. Never asks the server. */
MUST_CHECK int node_lookup(struct mount *mount, const struct lookup *lookup, struct node **out);
void node_forget(struct mount *mount, uint64_t nodeid, uint64_t lookups);

static inline bool node_is_directory(const struct node *node) { return S_ISDIR(node->class->mode); }

/* Whether a directory exists, by the catalog at hand. */
bool node_exists(const struct mount *mount, const struct node *node);

/* The same, for the class of a directory that is there as long as its parent and its name are. */
bool node_exists_in_parent(const struct mount *mount, const struct node *node);
/* For the class of a node that goes once the kernel has forgotten it. */
bool node_never_stays(const struct mount *mount, struct node *node);

/* The relation that a table's directory stands for now; NULL: none, or it is no table's. */
const struct relation *node_relation(const struct mount *mount, const struct node *node);
/* The nearest directory that stands for a relation, from the node itself upwards; NULL: none. */
struct node *node_table(struct node *node);
/* The rows of that relation; NULL: it is not known, or there is no memory. */
struct subject *node_rows(struct mount *mount, struct node *node);

/* Keeps with the nearest directory that does so why something below it failed, for the attribute that tells it. */
void node_keep_reason(struct node *node, uint64_t path, const char *reason);

/* The table stays as long. Not of one that is open: its subject counts it. */
void node_set_subject(struct node *node, struct subject *subject);

/* A number that stands for the path. */
uint64_t node_path(const struct node *parent, const char *name);
/* The inode number of a face of a relation's version. */
uint64_t node_ino(const struct mount *mount, uint32_t relation, int face, uint64_t serial);
/* The same of a subject's version: of some columns another one. */
uint64_t node_ino_of(const struct mount *mount, const struct subject *subject, int face,
                     uint64_t serial);

/* What stat says: of a file final once its size is known, else with size 0. */
void node_attributes(const struct mount *mount, const struct node *node, struct stat *out);

#endif
