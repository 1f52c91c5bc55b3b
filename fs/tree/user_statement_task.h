/* The judging of a statement's text by the server, on one of the waiters (waiters.h), while the call
 * that has flushed it waits. While another session has a lock that it needs it waits without a
 * thread.
 *
 * Threads: guarded by mount->lock.
 */
#ifndef FS_TREE_USER_STATEMENT_TASK_H
#define FS_TREE_USER_STATEMENT_TASK_H

#include "fs/tree/user_statement.h"

/* Begins, for the text of this number, of which it keeps a reference. -EAGAIN: it has begun, and
 * *check is a new reference. */
MUST_CHECK int user_statement_task_begin(struct user_statement *statement, uint64_t number,
                                         char *text, struct value_check **check,
                                         struct error *error);

/* Stops those of the statement; all. */
void user_statement_task_stop_of(const struct user_statement *statement);
void user_statement_task_stop_all(struct mount *mount);

#endif
