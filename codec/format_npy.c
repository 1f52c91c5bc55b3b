/* .npy of one column: an array of its values, NULL as zeros; and .null.npy: which of them are NULL. */
#include "codec/array_column.h"
#include "codec/big_endian.h"
#include "codec/column_format.h"
#include "codec/npy.h"

#include <errno.h>

static bool npy_possible(const struct schema *schema)
{
    return schema->column_count == 1 && array_kind_of(&schema->columns[0]) != NULL &&
           schema->columns[0].part[PART_BINARY] != PART_NONE;
}

static int npy_head(const struct format_view *view, struct buffer *out)
{
    const struct array_kind *kind = array_kind_of(&view->schema->columns[0]);
    uint32_t numbers;
    int rc = array_numbers_of(view, &numbers);
    const uint64_t shape[] = {view->rows, numbers};
    return rc < 0 ? rc : npy_put_header(kind->descr, shape, kind->numbers == 1 ? 1 : 2, out);
}

static int npy_survey(const struct schema *schema, const struct rowgroup *group,
                      struct buffer *note, uint64_t *size)
{
    return array_measure(schema, group, 0, note, size);
}

static int write_rows(const struct column *column, const struct rowgroup *group, uint32_t numbers,
                      uint8_t *at)
{
    const struct array_kind *kind = array_kind_of(column);
    struct run_cursor cursor = {.run = &group->runs[column->part[PART_BINARY]]};
    size_t stride = (size_t)kind->width * numbers;
    int rc = 0;
    for (uint32_t row = 0; rc == 0 && row < group->rows; row++, at += stride) {
        const uint8_t *wire;
        size_t size;
        if (run_next(&cursor, &wire, &size))
            rc = array_write(kind, column, numbers, wire, size, at);
        else
            memset(at, 0, stride);
    }
    return rc;
}

static int npy_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    const struct column *column = &schema->columns[0];
    const struct array_kind *kind = array_kind_of(column);
    const struct run *run = &group->runs[column->part[PART_BINARY]];
    struct buffer unasked = {0};
    uint64_t size;
    int rc = array_measure(schema, group, 0, note != NULL ? note : &unasked, &size);
    buffer_clear(&unasked);
    if (rc == 0)
        rc = buffer_reserve(out, size);
    if (rc < 0)
        return rc;
    uint8_t *at = out->data + out->size;
    if (array_is_plain(kind, run))
        big_endian_copy(at, run->bytes, run->size / kind->width, kind->width);
    else if (group->rows > 0)
        rc = write_rows(column, group, (uint32_t)(size / group->rows / kind->width), at);
    if (rc == 0)
        out->size += size;
    return rc;
}

const struct format format_npy = {.name = "npy",
                                  .number = 16,
                                  .parts = 1 << PART_BINARY,
                                  .notes = true,
                                  .possible = npy_possible,
                                  .head = npy_head,
                                  .body = npy_body,
                                  .survey = npy_survey,
                                  .formless = array_formless,
                                  .whole = true};

/* ---- which values are NULL ---- */

/* A part that tells; PART_NONE: nothing of the column was fetched. */
static int telling_part(const struct column *column)
{
    int kind = 0;
    while (kind < PART_KINDS && column->part[kind] == PART_NONE)
        kind++;
    return kind < PART_KINDS ? column->part[kind] : PART_NONE;
}

static bool null_possible(const struct schema *schema)
{
    return schema->column_count == 1 && telling_part(&schema->columns[0]) != PART_NONE;
}

static int null_head(const struct format_view *view, struct buffer *out)
{
    return npy_put_header("|b1", &view->rows, 1, out);
}

static int null_body_size(const struct schema *schema, const struct rowgroup *group, uint64_t *out)
{
    (void)schema;
    *out = group->rows;
    return 0;
}

static int null_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                     struct buffer *out)
{
    const struct run *run = &group->runs[telling_part(&schema->columns[0])];
    (void)note;
    int rc = buffer_reserve(out, group->rows);
    if (rc < 0)
        return rc;
    uint8_t *at = out->data + out->size;
    for (uint32_t row = 0; row < group->rows; row++)
        at[row] = run->fixed == RUN_VARIABLE && run->sizes[row] < 0;
    out->size += group->rows;
    return 0;
}

const struct format format_null_npy = {.name = "null.npy",
                                       .number = 17,
                                       .possible = null_possible,
                                       .head = null_head,
                                       .body = null_body,
                                       .body_size = null_body_size,
                                       .whole = true};
