/* A file of a table's directory: one face (table.h) of its rows or its DDL; or a view of its rows
 * that its name tells, which may be another one in each version, or none.
 *
 * Its version says what its bytes are. The node is pending until its version is known, and then
 * keeps it for ever. table_ready.c finds out what a call for it has to wait for, table_lookup.c
 * which node a name leads to.
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
    /* of FACE_VIEW: which of the version's views; NULL: it is not known yet, or there is none */
    struct version_view *view;
    int missing; /* why there is none: -ENOENT or -ENOMEM */
    struct table_handle *handles;
    int streams;   /* open files that were opened before its size was known */
    bool streamed; /* something was read from one of those */
    bool filling;  /* a job fills its page cache: what the file shows is decided when that ends */
    /* it was offered to such a job: until its size is known, look-ups of the name get another node
     */
    bool offered;
    bool own;     /* for one process that was told ESTALE; others do not share the node */
    bool spoiled; /* its page cache holds bytes of no version: the node is never shown again */
    /* it was opened before its size was known: it is read past the page cache until it is looked up
     * again */
    bool direct;
    bool exact;        /* for a direct file: its size has been answered to a caller */
    caller_id read_by; /* the caller that last opened it so */
};

/* The second of some columns, of which anybody can name as many as he likes. */
extern const struct node_class table_file_class, table_selection_class;
/* Of those whose directory lets them be removed. */
extern const struct node_class table_removable_class;
/* Of those whose face is FACE_VIEW. */
extern const struct node_class table_view_class;

static inline bool is_table_file(const struct node *node)
{
    return node->class == &table_file_class || node->class == &table_selection_class ||
           node->class == &table_removable_class || node->class == &table_view_class;
}

static inline struct table_file *table_file(const struct node *node)
{
    return (struct table_file *)node;
}

/* Makes a new file, pending. */
MUST_CHECK int table_file_new(struct mount *mount, struct node *parent, const char *name, int face,
                              struct subject *subject, struct table_file **out);

/* Binds a pending file to a version. */
void table_file_bind(struct table_file *file, struct version *version);
/* If no process has the file open, and its version is the same as the current one, binds it to the
 * current one. */
void table_file_renew(struct table_file *file);

/* Whether the file is the same as this version's: also if it is a format of rows that were only
 * written anew since (snapshot_take_identity). NULL: whether it is pending. */
bool table_file_is_of(const struct table_file *file, const struct version *version);
/* What is known of what the file shows. */
enum face_state table_file_state(const struct table_file *file);
static inline bool table_file_has_size(const struct table_file *file)
{
    enum face_state state = table_file_state(file);
    return state == FACE_SIZED || state == FACE_READABLE;
}
uint64_t table_file_size(const struct table_file *file); /* once it has one */
int table_file_rc(const struct table_file *file);        /* why it has failed */

/* What the caller's last look-up has shown, if that was this file, or another one of its version;
 * else NULL. */
const struct promise *table_file_shown(const struct table_file *file, caller_id caller);
/* Whether the caller has the file open itself: then nothing tells its stat from its fstat. */
bool table_file_is_opened_by(const struct table_file *file, caller_id caller);

/* What a call for the file lacks: as node_class.ready and .overdue. */
MUST_CHECK int table_ready(struct mount *mount, struct call *call);
bool table_ready_overdue(const struct call *call);

#endif
