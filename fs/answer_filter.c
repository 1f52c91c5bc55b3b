/* A condition: the server says which rows meet it, by (table, ctid, xmin); these are bits of the
 * snapshot's rows. */
#include "fs/answer_parts.h"

#include "pgclient/search.h"

#include <errno.h>
#include <stdlib.h>

/* -1: a table that the snapshot does not know. */
static int source_of(const struct snapshot *snapshot, uint32_t table)
{
    for (size_t i = 0; i < snapshot->source_count; i++)
        if (snapshot->sources[i].oid == table)
            return (int)i;
    return -1;
}

static int mark_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    struct answer *answer = context;
    int source = source_of(answer->snapshot, table);
    struct row_key key = {(uint64_t)source << 48 | (uint64_t)place.block << 16 | place.offset,
                          xmin};
    uint64_t row;
    int rc = source < 0 ? 0 : corpus_find_row(answer->corpus, &key, &row, answer->error);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(answer->error, -ESTALE, "the table has changed in the meantime");
    answer->filter[row / 64] |= UINT64_C(1) << (row % 64);
    answer->matched++;
    return 0;
}

int answer_begin(struct answer *answer, struct session *session)
{
    const struct mount *mount = answer->mount;
    struct version_key now = {0};
    int rc = search_begin(session, answer->stop, &now, answer->error);
    if (rc < 0)
        return rc;
    rc = mark_check(now.mark, mount->system_id, mount->database, answer->error);
    if (rc == 0 && !snapshot_believes(corpus_snapshot(answer->corpus), &now))
        rc = error_set(answer->error, -ESTALE,
                       "the server has been started anew, or is another one, since the rows were "
                       "read");
    version_key_clear(&now);
    return rc;
}

int answer_filter(struct answer *answer)
{
    const char *condition = answer->question->filter;
    struct session *session;
    answer->matched = answer->snapshot->rows;
    if (condition == NULL)
        return 0;
    answer->matched = 0;
    answer->filter = calloc(answer->snapshot->rows / 64 + 1, sizeof *answer->filter);
    if (answer->filter == NULL)
        return error_set(answer->error, -ENOMEM, "no memory for the filter");
    int rc = patience_ask(answer->error);
    if (rc == 0)
        rc = session_take(answer->mount->pool, true, &session, answer->error);
    if (rc < 0)
        return rc;
    rc = answer_begin(answer, session);
    if (rc == 0)
        rc = search_rows(session, &answer->snapshot->relation, condition, answer->stop, mark_row,
                         answer, answer->error);
    session_give(session);
    return rc == -EBADMSG ? -EIO : rc;
}
