/* A question about rows of a table that the server answers, on one of the waiters (waiters.h), while
 * calls wait for it: for one row (row.h), or for the keys of all (row_names.h), which embed this as
 * their first member. While another session has a lock that it needs it waits without a thread.
 *
 * Lifetime: reference-counted. Threads: guarded by mount->lock, but for what says otherwise.
 */
#ifndef FS_TREE_ROW_TASK_H
#define FS_TREE_ROW_TASK_H

#include "fs/rows/row_fetch.h"
#include "fs/tables/mount.h"

struct row_task;

struct row_task_class {
    /* Asks; called without the lock. */
    int (*ask)(struct row_task *task, const struct row_source *source, struct error *error);
    void (*asked)(struct row_task *task); /* that is over; `rc` is set. NULL: nothing to do */
    void (*free)(struct row_task *task);
};

struct row_task {
    const struct row_task_class *class;
    atomic_uint refs;
    struct mount *mount;
    struct relation relation;    /* owns its names */
    struct row_task *next, **at; /* among those under way: mount->tree->row_tasks */
    bool making;
    int rc;              /* of the question that is over; -EINTR: no call waited for it */
    char *reason;        /* why it failed; NULL: it has not */
    struct wait waiting; /* calls that wait for its end */
    atomic_bool stop;
    struct lock_turn turn;
    struct waiters_task resuming;
};

/* Fills what the class has allocated, as zeroes. -ENOMEM: then it is only good for free(). */
MUST_CHECK int row_task_init(struct row_task *task, const struct row_task_class *class,
                             struct mount *mount, const struct relation *relation);
struct row_task *row_task_ref(struct row_task *task);
void row_task_unref(struct row_task *task); /* NULL is fine */

/* Begins to ask, if it can: else it is over, with its rc. */
void row_task_begin(struct row_task *task);
/* No call waits for it any more. */
void row_task_stop(struct row_task *task);
void row_task_stop_all(struct mount *mount);

/* The errno that a user is told. */
int row_task_errno(int rc);

#endif
