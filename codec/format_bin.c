/* .bin: COPY BINARY, as it came. Header, tuples and trailer as drawn in copy_stream.h. */
#include "codec/bytes.h"
#include "codec/format.h"

#include <errno.h>
#include <stdlib.h>

static bool bin_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++)
        if (schema->columns[i].in_copy && schema->columns[i].part[PART_BINARY] == PART_NONE)
            return false;
    return true;
}

static int bin_head(const struct format_view *view, struct buffer *out)
{
    static const uint8_t header[19] = "PGCOPY\n\377\r\n";
    (void)view;
    return buffer_append(out, header, sizeof header);
}

static int bin_tail(const struct format_view *view, const struct note *notes,
                    const uint64_t *offsets, struct buffer *out)
{
    static const uint8_t trailer[2] = {0xFF, 0xFF};
    (void)view, (void)notes, (void)offsets;
    return buffer_append(out, trailer, sizeof trailer);
}

static int copied_columns(const struct schema *schema)
{
    int n = 0;
    for (int i = 0; i < schema->column_count; i++)
        n += schema->columns[i].in_copy;
    return n;
}

static uint64_t bin_size(const struct schema *schema, const struct rowgroup *group)
{
    uint64_t size = (uint64_t)group->rows * (2 + 4 * (uint64_t)copied_columns(schema));
    for (int i = 0; i < schema->column_count; i++)
        if (schema->columns[i].in_copy)
            size += group->runs[schema->columns[i].part[PART_BINARY]].size;
    return size;
}

static int bin_body_size(const struct schema *schema, const struct rowgroup *group, uint64_t *out)
{
    *out = bin_size(schema, group);
    return 0;
}

static int bin_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    (void)note;
    int rc = buffer_reserve(out, bin_size(schema, group));
    int columns = copied_columns(schema), n = 0;
    struct run_cursor *cursors = calloc((size_t)columns + 1, sizeof *cursors);
    if (rc < 0 || cursors == NULL) {
        free(cursors);
        return -ENOMEM;
    }
    for (int i = 0; i < schema->column_count; i++)
        if (schema->columns[i].in_copy)
            cursors[n++].run = &group->runs[schema->columns[i].part[PART_BINARY]];
    uint8_t *at = out->data + out->size;
    for (uint32_t row = 0; row < group->rows; row++) {
        store_be16(at, (uint16_t)columns);
        at += 2;
        for (int i = 0; i < columns; i++) {
            const uint8_t *bytes;
            size_t size;
            bool given = run_next(&cursors[i], &bytes, &size);
            store_be32(at, given ? (uint32_t)size : UINT32_MAX);
            at += 4;
            if (given) {
                copy_value(at, bytes, size);
                at += size;
            }
        }
    }
    out->size = (size_t)(at - out->data);
    free(cursors);
    return 0;
}

const struct format format_bin = {.name = "bin",
                                  .number = 1,
                                  .parts = 1 << PART_BINARY,
                                  .last = 0xFF,
                                  .possible = bin_possible,
                                  .head = bin_head,
                                  .body = bin_body,
                                  .tail = bin_tail,
                                  .body_size = bin_body_size,
                                  .at_once = true};
