/* The filter's condition: the server says which rows meet it, by (table, ctid, xmin), and they
 * become bits of the snapshot's rows. */
#include "fs/search/answer_parts.h"

#include "pgclient/search.h"

#include <errno.h>
#include <stdlib.h>

/* -1: the snapshot does not know the table. */
static int source_of(const struct snapshot *snapshot, uint32_t table)
{
    for (size_t i = 0; i < snapshot->source_count; i++)
        if (snapshot->sources[i].oid == table)
            return (int)i;
    return -1;
}

/* Rows of a page that follow each other, and were written by one transaction. */
struct row_run {
    uint32_t table, block, xmin;
    uint16_t offset; /* of the first */
    uint16_t rows;   /* 0: there is no run yet */
};

/* The rows that the server names, kept as they come: what is to be known of a row may have to be
 * fetched, and a thread that has a session must not wait for another session. A run takes a few
 * bytes: numbers in groups of seven bits, as differences from the run before, modulo 2^32. */
struct named_rows {
    struct buffer bytes;
    struct row_run last; /* which is not among the bytes yet; */
    struct row_run from; /* and the one before it */
};

static int put_number(struct buffer *out, uint64_t number)
{
    int rc = 0;
    for (; number >= 0x80 && rc == 0; number >>= 7)
        rc = buffer_append_byte(out, (uint8_t)(number | 0x80));
    return rc == 0 ? buffer_append_byte(out, (uint8_t)number) : rc;
}

static uint64_t get_number(const uint8_t **at)
{
    uint64_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = *(*at)++;
        number |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return number;
    }
}

static int put_last(struct named_rows *rows)
{
    const struct row_run *run = &rows->last, *from = &rows->from;
    struct buffer *out = &rows->bytes;
    if (run->rows == 0)
        return 0;
    int rc = put_number(out, run->table - from->table);
    if (rc == 0)
        rc = put_number(out, run->block - from->block);
    if (rc == 0)
        rc = put_number(out, run->offset);
    if (rc == 0)
        rc = put_number(out, run->rows);
    if (rc == 0)
        rc = put_number(out, run->xmin - from->xmin);
    rows->from = rows->last;
    return rc;
}

static struct row_run get_run(const uint8_t **at, const struct row_run *from)
{
    struct row_run run;
    run.table = from->table + (uint32_t)get_number(at);
    run.block = from->block + (uint32_t)get_number(at);
    run.offset = (uint16_t)get_number(at);
    run.rows = (uint16_t)get_number(at);
    run.xmin = from->xmin + (uint32_t)get_number(at);
    return run;
}

static int note_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    struct named_rows *rows = context;
    struct row_run *last = &rows->last;
    bool next = last->rows > 0 && last->table == table && last->block == place.block &&
                last->xmin == xmin && (uint32_t)last->offset + last->rows == place.offset;
    int rc = next ? 0 : put_last(rows);
    if (next)
        last->rows++;
    else
        *last = (struct row_run){table, place.block, xmin, place.offset, 1};
    return rc;
}

static int mark_row(struct answer *answer, uint32_t table, struct ctid place, uint32_t xmin)
{
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

static int mark_run(struct answer *answer, const struct row_run *run)
{
    int rc = 0;
    if (answer->stop != NULL && *answer->stop)
        return error_set(answer->error, -EINTR, "stopped");
    for (unsigned i = 0; i < run->rows && rc == 0; i++)
        rc = mark_row(answer, run->table, (struct ctid){run->block, (uint16_t)(run->offset + i)},
                      run->xmin);
    return rc;
}

static int mark_rows(struct answer *answer, const struct named_rows *rows)
{
    const uint8_t *at = rows->bytes.data, *end = at;
    struct row_run run = {0};
    int rc = 0;
    if (rows->bytes.size > 0)
        end += rows->bytes.size;
    while (rc == 0 && at < end) {
        run = get_run(&at, &run);
        rc = mark_run(answer, &run);
    }
    return rc;
}

int answer_begin(struct answer *answer, struct session *session, struct version_key *now)
{
    const struct fetch_place *place = answer->search->place;
    int rc = search_begin(session, &answer->snapshot->relation, answer->stop, now, answer->error);
    return rc < 0 ? rc : mark_check(now->mark, place->system_id, place->database, answer->error);
}

/* Adds up what is known of each heap's rows over its row groups. */
static int add_up(const struct snapshot *snapshot, struct search_heap **out)
{
    struct search_heap *heaps = calloc(snapshot->source_count + 1, sizeof *heaps);
    if (heaps == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < snapshot->source_count; i++) {
        heaps[i].oid = snapshot->sources[i].oid;
        heaps[i].filenode = snapshot->sources[i].filenode;
    }
    for (size_t i = 0; i < snapshot->group_count; i++) {
        const struct group *group = snapshot->groups[i];
        if (group->source >= snapshot->source_count)
            continue;
        heaps[group->source].rows.rows += group->rows;
        heaps[group->source].rows.sum += group->row_id_sum;
    }
    *out = heaps;
    return 0;
}

/* Checks that the server sees the rows of the snapshot: the condition is about the former, the
 * answer about the latter. Row ids mean nothing under another run of the server. */
static int compare_rows(struct answer *answer, struct session *session,
                        const struct version_key *now)
{
    struct search_heap *heaps;
    if (!snapshot_believes(corpus_snapshot(answer->corpus), now))
        return error_set(answer->error, -ESTALE,
                         "the server has been started anew, or is another one, since the rows "
                         "were read");
    if (corpus_rows_hold(answer->corpus, now->mark))
        return 0;
    if (add_up(answer->snapshot, &heaps) < 0)
        return error_set(answer->error, -ENOMEM, "no memory for the filter");
    int rc = search_compare(session, &answer->snapshot->relation, heaps,
                            answer->snapshot->source_count, answer->stop, answer->error);
    free(heaps);
    if (rc == 0)
        corpus_note_rows(answer->corpus, now->mark);
    return rc;
}

static int ask_rows(struct answer *answer, struct session *session, const struct version_key *now,
                    void *context)
{
    struct named_rows *rows = context;
    int rc = compare_rows(answer, session, now);
    if (rc < 0)
        return rc;
    rows->bytes.size = 0;
    *rows = (struct named_rows){.bytes = rows->bytes};
    rc = search_rows(session, &answer->snapshot->relation, answer->question->filter, answer->stop,
                     note_row, rows, answer->error);
    return rc == 0 ? put_last(rows) : rc;
}

int answer_filter(struct answer *answer)
{
    answer->matched = answer->snapshot->rows;
    if (answer->question->filter == NULL)
        return 0;
    answer->matched = 0;
    answer->filter = calloc(answer->snapshot->rows / 64 + 1, sizeof *answer->filter);
    if (answer->filter == NULL)
        return error_set(answer->error, -ENOMEM, "no memory for the filter");
    struct named_rows rows = {0};
    int rc = answer_on_server(answer, ask_rows, &rows);
    if (rc == -ENOMEM)
        error_set(answer->error, rc, "no memory for the rows that match the filter");
    if (rc == 0)
        rc = mark_rows(answer, &rows);
    buffer_clear(&rows.bytes);
    return rc == -EBADMSG ? -EIO : rc;
}
