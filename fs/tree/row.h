/* What the server has said of one row, in one format: the bytes of a file below rows/. They never
 * change once they are there; a row that has changed is another struct row.
 *
 * Those that were used last are kept, so that a stat and the open after it are one question.
 *
 * Lifetime: reference-counted (row_task.h). Threads: guarded by mount->lock; the bytes, once they are
 * there, are read without it.
 */
#ifndef FS_TREE_ROW_H
#define FS_TREE_ROW_H

#include "fs/tables/promise.h"
#include "fs/tree/row_task.h"

struct row {
    struct row_task task;
    struct row *next, **at; /* among mount->tree->rows, if it is kept; the last used first */
    uint64_t path;          /* of the file */
    struct row_name name;
    int format;
    struct buffer bytes;
    uint64_t contents; /* a hash of the bytes and the relation */
    int64_t since;     /* seconds since 1970: when this mount first saw these contents there */
    int64_t asked_ms;  /* clock_ms() when the server was asked */
    struct promises promises; /* to callers that were told of it */
};

/* Begins to ask for the row of this name, whose contents it takes, also on failure. *out is a new
 * reference. */
MUST_CHECK int row_ask(struct mount *mount, const struct relation *relation, uint64_t path,
                       struct row_name *name, int format, struct row **out);
static inline struct row *row_ref(struct row *row)
{
    (void)row_task_ref(&row->task);
    return row;
}
static inline void row_unref(struct row *row) /* NULL is fine */
{
    row_task_unref(row != NULL ? &row->task : NULL);
}

/* The kept row of the path that was asked for last. Borrowed; NULL: there is none. */
struct row *row_find(struct mount *mount, uint64_t path);
/* The one that the caller was promised a moment ago; NULL: none. Borrowed. */
struct row *row_promised(struct mount *mount, uint64_t path, caller_id caller);
/* Promises it to a caller that was told of it, and keeps it as long. `repeat`: without asking the
 * server (promise_repeat). */
void row_promise(struct row *row, caller_id caller, bool repeat);
/* Whether it need not be asked for again. */
bool row_is_fresh(const struct row *row);

/* A file of it is opened, or closed: called for a node's first open, and its last close. -ENOBUFS,
 * with what to do: what is open would take too much memory. */
MUST_CHECK int row_open(struct row *row, struct error *error);
void row_close(struct row *row);

/* Makes what all rows of the mount share, if it is not there yet. */
MUST_CHECK int row_begin_all(struct mount *mount);
void row_free_all(struct mount *mount);

#endif
