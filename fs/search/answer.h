/* Answers to questions (question.h): from exact search over the row groups at hand, from an index,
 * or from the server; rendered as rows with their distance.
 *
 * Threads: any, without mount->lock. An answer may take long, and may wait for the server, as far
 * as the thread's patience goes (fs/base/patience.h); if the patience ends, the result must not be
 * used. Errors: -EINVAL: the question does not fit the table (with a text for the user, in the
 * session's `error`); -ESTALE: the snapshot is not the table's any more (with a filter the server
 * sees newer rows): refresh and ask again; -ENOENT: below near/, there is no such key; -EINTR;
 * -EIO; those of fetch_group.
 */
#ifndef FS_SEARCH_ANSWER_H
#define FS_SEARCH_ANSWER_H

#include "fs/rows/snapshot.h"
#include "fs/search/question.h"
#include "fs/search/search.h"

struct answer_way {
    int format;              /* csv or jsonl */
    const atomic_bool *stop; /* NULL: none */
    /* it is not asked again after -ESTALE: if the table changes all the time, the server answers,
     * from the rows that it has then */
    bool last;
};

/* Appends the answer's bytes: the columns asked for, and "distance" (float8) behind them; a batch
 * has "query" (int4, from 0) in front of them. Each of these names has as many `_` behind it as it
 * takes to differ from all of the table's columns. Rows are in order of (query, distance, key).
 * `plan` (nullable) gets plan.json's text, also if it fails. */
MUST_CHECK int answer_make(struct search *search, struct snapshot *snapshot,
                           const struct question *question, const struct answer_way *way,
                           struct buffer *out, struct buffer *plan, struct error *error);

#endif
