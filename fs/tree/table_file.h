/* A file of a table's directory: one face (table.h) of its rows or its DDL.
 *
 * What its bytes are is its version. The node is pending until its version is known, and then keeps it for ever. What a call for
 * it has to wait for, if anything, is found out in table_ready.c; which node a name leads to in table_lookup.c.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_TABLE_FILE_H
#define FS_TREE_TABLE_FILE_H

#include "fs/tree/call.h"

struct table_handle;

struct table_file {
    struct node node;
    int face;
    struct version *version; /* NULL: pending */
    struct table_handle *handles;
    int streams;   /* of them those that were opened before its size was known */
    bool streamed; /* something was read from one of them */
    bool
        filling; /* its page cache is being filled by a job: what it will be is decided when that ends */
    bool offered; /* to such a job; until its size is known who looks up the name gets another */
    bool own;     /* for one process that was told ESTALE: others do not share it */
    bool spoiled; /* its page cache holds bytes of no version: it is never shown again */
    bool
        direct; /* it was opened before its size was known: it is read past the page cache, until it is looked up again */
    bool exact; /* of a direct one: the size has been answered to somebody */
    caller_id read_by; /* who has opened it so last */
};

/* The second of some columns, of which anybody can name as many as he likes. */
extern const struct node_class table_file_class, table_selection_class;

static inline bool is_table_file(const struct node *node)
{
    return node->class == &table_file_class || node->class == &table_selection_class;
}

static inline struct table_file *table_file(const struct node *node)
{
    return (struct table_file *)node;
}

/* A new one, pending. */
MUST_CHECK int table_file_new(struct mount *mount, struct node *parent, const char *name, int face,
                              struct subject *subject, struct table_file **out);

/* Binds a pending file to a version. */
void table_file_bind(struct table_file *file, struct version *version);
/* If nobody has it open it goes on as the current version's, if it is the same. */
void table_file_renew(struct table_file *file);

/* Whether the file is what this version's is: also a format of rows that were only written anew since
 * (snapshot_take_identity). NULL: whether it is pending. */
bool table_file_is_of(const struct table_file *file, const struct version *version);
/* If what the caller has looked up last is this file, or another of its version: what is known of that; else NULL. */
const struct promise *table_file_shown(const struct table_file *file, caller_id caller);
/* Whether the caller has the file open itself: then nothing tells its stat from its fstat. */
bool table_file_is_opened_by(const struct table_file *file, caller_id caller);

/* What a call for it lacks: as node_class.ready and .overdue. */
MUST_CHECK int table_ready(struct mount *mount, struct call *call);
bool table_ready_overdue(const struct call *call);

#endif
