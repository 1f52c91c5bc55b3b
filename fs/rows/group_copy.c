#include "fs/rows/group_copy.h"

#include "codec/bytes.h"

#include <errno.h>

enum { BYTES_AT_MOST = 4 << 20 };

int group_copy_init(struct group_copy *copy, const struct schema *schema,
                    const struct ctid_range *range, group_sink *sink, void *context,
                    struct error *error)
{
    *copy = (struct group_copy){.stream = {.fields = rowgroup_fields(schema)},
                                .schema = schema,
                                .group_bytes = BYTES_AT_MOST,
                                .group_rows = ROWGROUP_ROWS_MOST,
                                .range = {.end = {UINT32_MAX, 0}},
                                .sink = sink,
                                .context = context,
                                .error = error};
    if (range != NULL)
        copy->range = *range;
    return rowgroup_builder_new(schema, &copy->builder);
}

static int hand_out(struct group_copy *copy, struct ctid end)
{
    struct rowgroup *rows;
    int rc = rowgroup_builder_finish(copy->builder, &rows);
    if (rc < 0)
        return error_set(copy->error, rc, "no memory for a row group");
    struct ctid_range range = {copy->range.first, end};
    copy->range.first = end;
    return copy->sink(copy->context, rows, &range);
}

/* The row's ctid: the tuple's first field. The builder checks the tuple; this function only does
 * not read beyond the end of a short one. */
static struct ctid tuple_ctid(const struct group_copy *copy, const uint8_t *tuple, size_t size)
{
    if (!copy->schema->with_row_ids || size < 10)
        return (struct ctid){0, 0};
    return (struct ctid){load_be32(tuple + 4), load_be16(tuple + 8)};
}

/* Whether the row is the first one behind a cut; that cut is then used up. */
static bool is_cut(struct group_copy *copy, struct ctid row, struct ctid *cut)
{
    if (copy->cut_count == 0 || ctid_before(row, copy->cuts[0]))
        return false;
    *cut = copy->cuts[0];
    for (; copy->cut_count > 0 && !ctid_before(row, copy->cuts[0]); copy->cut_count--)
        copy->cuts++;
    return true;
}

static int add_tuple(void *context, const uint8_t *tuple, size_t size)
{
    struct group_copy *copy = context;
    uint32_t rows = rowgroup_builder_rows(copy->builder);
    struct ctid row = tuple_ctid(copy, tuple, size), end = row;
    bool full = rows >= copy->group_rows ||
                rowgroup_builder_bytes(copy->builder) + size > copy->group_bytes;
    if (is_cut(copy, row, &end) || full) {
        int rc = rows > 0 ? hand_out(copy, end) : 0;
        if (rc < 0)
            return rc;
    }
    return rowgroup_builder_add(copy->builder, tuple, size, copy->error);
}

int group_copy_feed(void *context, const uint8_t *bytes, size_t size)
{
    struct group_copy *copy = context;
    return copy_stream_feed(&copy->stream, bytes, size, add_tuple, copy, copy->error);
}

int group_copy_finish(struct group_copy *copy, uint64_t said)
{
    int rc = copy_stream_end(&copy->stream, said, copy->error);
    if (rc < 0 || rowgroup_builder_rows(copy->builder) == 0)
        return rc;
    return hand_out(copy, copy->range.end);
}

void group_copy_clear(struct group_copy *copy)
{
    copy_stream_clear(&copy->stream);
    rowgroup_builder_free(copy->builder);
    copy->builder = NULL;
}
