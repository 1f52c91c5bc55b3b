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

/* The rows that the server names, kept as they come: what is to be known of a row may have to be
 * fetched, and a thread that has a session must not wait for another session. Most rows are the
 * next one of the same page and transaction, and take a few bytes each: numbers in groups of seven
 * bits. */
struct named_rows {
    struct buffer bytes;
    uint64_t count;
    uint32_t table, block, xmin; /* of the last row */
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

/* Appends a row, as differences from the last one, modulo 2^32. */
static int note_row(void *context, uint32_t table, struct ctid place, uint32_t xmin)
{
    struct named_rows *rows = context;
    int rc = put_number(&rows->bytes, table - rows->table);
    if (rc == 0)
        rc = put_number(&rows->bytes, place.block - rows->block);
    if (rc == 0)
        rc = put_number(&rows->bytes, place.offset);
    if (rc == 0)
        rc = put_number(&rows->bytes, xmin - rows->xmin);
    rows->table = table;
    rows->block = place.block;
    rows->xmin = xmin;
    rows->count++;
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

static int mark_rows(struct answer *answer, const struct named_rows *rows)
{
    enum { LOOK_UP_EACH = 1024 };
    const uint8_t *at = rows->bytes.data;
    uint32_t table = 0, block = 0, xmin = 0;
    int rc = 0;
    for (uint64_t i = 0; i < rows->count && rc == 0; i++) {
        table += (uint32_t)get_number(&at);
        block += (uint32_t)get_number(&at);
        uint16_t offset = (uint16_t)get_number(&at);
        xmin += (uint32_t)get_number(&at);
        if (i % LOOK_UP_EACH == 0 && answer->stop != NULL && *answer->stop)
            return error_set(answer->error, -EINTR, "stopped");
        rc = mark_row(answer, table, (struct ctid){block, offset}, xmin);
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
    return search_rows(session, &answer->snapshot->relation, answer->question->filter, answer->stop,
                       note_row, rows, answer->error);
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
