/* Inodes. Three numbers must not be mixed up:
 *
 *   nodeid    what the kernel calls a node: handed out one after another, never used twice in a
 * mount. All bytes that the kernel ever caches for one nodeid are the same, so a new version of a
 * file is a new node. ino       st_ino, what tools compare: a hash of the cluster, the database and
 * what the node stands for (for a file: relation, face and the version's serial), so that it is the
 * same after a remount. version   what a file's bytes are (table.h). A file's node is pending until
 * its version is known, and then keeps it for ever.
 *
 * Directory nodes stand for paths, not for relations: they are made once and stay as long as there
 * is something of that name. File nodes go when the kernel has forgotten them, and so do the
 * directories below near/, which anybody can name, and those of what was dropped (leftovers.h).
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_NODE_H
#define FS_TREE_NODE_H

#include "fs/tree/opened.h"
#include "fs/tree/result.h"
#include "fs/tree/tree.h"

#include <sys/stat.h>
#include <time.h>

enum node_kind {
    NODE_ROOT,
    NODE_CONTROL,
    NODE_SCHEMA,
    NODE_TABLE,
    NODE_PARTITIONS,
    NODE_QUERY,   /* query/ of a table */
    NODE_NEAR,    /* near/ in it, and what is below: COLUMN/METRIC/K/ */
    NODE_INDEXES, /* index/ */
    NODE_SESSION, /* one that a user has made there */
    NODE_FILE,
    NODE_TEXT,
    NODE_ANSWER, /* below query/: a result (result.h) */
    NODE_VALUE,  /* of a session (query_session.h) */
    NODE_ASK     /* ask.h */
};

struct handle;
struct lookup;

struct node {
    uint64_t nodeid;
    uint64_t lookups; /* that the kernel has not forgotten */
    enum node_kind kind;
    struct node *parent;
    char *name; /* in its directory, as the user writes it */
    uint64_t ino;
    struct node *next_id;   /* in the bucket of its nodeid */
    struct node *next_path; /* of a directory: in the bucket of its ino */
    struct node *files;     /* of a directory: those in it that the kernel knows */
    struct node *next_file; /* among its directory's */
    unsigned below;         /* directories in it */
    int64_t absent_ms; /* of a directory: clock_ms() when somebody was told that there is none */

    char *schema, *relation; /* SQL names: of a schema, of a table */

    int face;                /* of a file */
    struct subject *subject; /* of a file or an answer; NULL until the relation is known
                                (node_set_subject) */
    struct version *version; /* of a file; NULL: pending */
    int opens;
    struct handle *handles; /* of a file: them */
    int streams;            /* of them those that were opened before its size was known */
    bool streamed;          /* something was read from one of them */
    bool filling; /* its page cache is being filled by a job: what it will be is decided when that
                      ends */
    bool offered; /* to such a job; until its size is known who looks up the name gets another */
    bool own;     /* for one process that was told ESTALE: others do not share it */
    bool spoiled; /* its page cache holds bytes of no version: it is never shown again */
    bool told;    /* the kernel has its size (kernel_size.h), */
    bool telling; /* or is being told: opens wait */
    bool direct;  /* it was opened before its size was known: it is read past the page cache, until
                      it is looked up again (lookup.c) */
    caller_id read_by; /* who has opened it so last */
    bool exact;        /* of a direct one: the size has been answered to somebody */

    struct buffer text;       /* of a control file */
    int64_t made_ms;          /* clock_ms(), */
    time_t made_at;           /* and by the calendar */
    struct promises promises; /* of a control file: to those who have looked it up: they may be
                                 about to open it */

    /* Below query/. */
    int level;                     /* of NODE_NEAR: 0 near/ itself, to 3 */
    int field;                     /* of a value */
    struct draft *drafts;          /* of a value: of the files of it that are open */
    bool removed;                  /* a value's file that was unlinked: its name is another's */
    struct query_session *session; /* of NODE_SESSION and what is in it */
    bool ended;                    /* of NODE_SESSION: it has no name any more */
    struct result_key key;         /* of an answer; its asked is a reference */
    uint64_t shows;                /* the number of its result; 0: pending (shown.h) */
    struct result *result;         /* a reference; NULL: pending, or not in use */
    int requests;                  /* at work on it, or parked */
    int stale_answers;             /* so many in a row, to the last, have failed with -ESTALE */
    char *reason;                  /* of NODE_QUERY: why an answer has failed last, */
    uint64_t reason_path;          /* and which */
};

MUST_CHECK int node_start(struct mount *mount);
void node_free_all(struct mount *mount);

struct node *node_find(const struct mount *mount, uint64_t nodeid);

/* The child with this name, counted as looked up once; *out. -ENOENT: there can be none of that
 * name. Never asks the server: a name that the catalog does not know yet gives a node that is
 * checked later; of a file see lookup.h. */
MUST_CHECK int node_lookup(struct mount *mount, struct lookup *lookup, struct node **out);
void node_forget(struct mount *mount, uint64_t nodeid, uint64_t lookups);

static inline bool node_is_directory(const struct node *node) { return node->kind < NODE_FILE; }

/* The directory of the table, or of its query/, that the node is in or is itself; NULL: none. */
struct node *node_table(struct node *node);
struct node *node_query(struct node *node);
/* Keeps with its query/ why something failed there, for the attribute that tells it: a copy. */
void node_keep_reason(struct node *node, const char *reason);

/* The relation that a NODE_TABLE stands for now; NULL: none. */
const struct relation *node_relation(const struct mount *mount, const struct node *node);

/* Whether a directory exists, by the catalog at hand. */
bool node_exists(const struct mount *mount, const struct node *node);

/* What a file or an answer is of; NULL: not known any more. The table stays as long. Not of one that
 * is open: its subject counts it. */
void node_set_subject(struct node *node, struct subject *subject);

/* Binds a pending file to a version. */
void node_bind(struct node *node, struct version *version);

/* Whether the file is what this version's is: also a format of rows that were only written anew since
 * (snapshot_take_identity). NULL: whether it is pending. */
bool node_is_of(const struct node *node, const struct version *version);
/* If what the caller has looked up last is this file, or another of its version: what is known of
 * that; else NULL. */
const struct promise *node_shown(const struct node *file, caller_id caller);
/* Whether the caller has the file open itself: then nothing tells its stat from its fstat. */
bool node_is_opened_by(const struct node *node, caller_id caller);
/* If nobody has it open it goes on as the current version's, if it is the same. */
void node_renew(struct node *node);

/* What stat says: of a file final once its version's face is sized, else with size 0. */
void node_attributes(const struct mount *mount, const struct node *node, struct stat *out);

/* For query.c. A new one in its parent, not counted as looked up; NULL: no memory. */
struct node *node_new(struct mount *mount, struct node *parent, enum node_kind kind,
                      const char *name);
/* A directory that is known; NULL: none. */
struct node *node_named(const struct mount *mount, const struct node *parent, const char *name);
/* A number that stands for the path. */
uint64_t node_path(const struct node *parent, const char *name);
/* The inode number of a face of a relation's version. */
uint64_t node_ino(const struct mount *mount, uint32_t relation, int face, uint64_t serial);

/* What a directory lists. */
struct entry {
    char *name;
    uint64_t ino;
    bool directory;
};
struct listing {
    struct opened opened;
    struct entry *entries;
    size_t count;
};
MUST_CHECK int listing_add(struct listing *listing, const char *name, uint64_t ino, bool directory);
MUST_CHECK int node_list(struct mount *mount, struct node *node, struct listing **out);
void listing_free(struct listing *listing); /* mount->lock is held */

#endif
