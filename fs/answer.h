/* Answers to questions (question.h): from exact search over the row groups at hand, from an index,
 * or from the server; rendered as rows with their distance.
 *
 * Threads: any, without mount->lock; it may take long, and may talk to the server, as far as the
 * thread's patience goes (fs/patience.h): where that ends, what comes back is worth nothing.
 * Errors: -EINVAL the question does not fit the table (with a text for the user: in the session's
 * `error`), -ESTALE the snapshot is not the table's any more (filter: the server sees newer rows):
 * refresh and ask again, -ENOENT near/: no such key, -EINTR, -EIO, those of fetch_group.
 */
#ifndef FS_ANSWER_H
#define FS_ANSWER_H

#include "fs/mount.h"
#include "fs/question.h"
#include "fs/snapshot.h"

/* Appends the answer's bytes in this format (csv or jsonl): the columns asked for and "distance"
 * (float8) behind them; of a batch "query" (int4, from 0) in front of them. Rows are in order of
 * (query, distance, key). `plan` (nullable) gets plan.json's text, also when it fails. */
MUST_CHECK int answer_make(struct mount *mount, struct snapshot *snapshot,
                           const struct question *question, int format, const atomic_bool *stop,
                           struct buffer *out, struct buffer *plan, struct error *error);

#endif
