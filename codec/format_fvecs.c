/* .fvecs of a column of vectors: of each row the number of its dimensions (i32), then these as
 * floats, all little-endian. */
#include "codec/array_column.h"
#include "codec/bytes.h"
#include "codec/column_format.h"

#include <errno.h>

enum { FRONT = 4 };

static bool fvecs_possible(const struct schema *schema)
{
    const struct column *column = &schema->columns[0];
    return schema->column_count == 1 && column->type != NULL &&
           column->type == type_find("vector", "vector") && column->part[PART_BINARY] != PART_NONE;
}

/* Nothing: but all must have as many dimensions. */
static int fvecs_head(const struct format_view *view, struct buffer *out)
{
    uint32_t dims;
    (void)out;
    return array_numbers_of(view, &dims);
}

static int fvecs_formless(const struct schema *schema, const struct rowgroup *group,
                          struct formless *out)
{
    const struct run *run = &group->runs[schema->columns[0].part[PART_BINARY]];
    for (uint32_t row = 0; run->fixed == RUN_VARIABLE && row < group->rows; row++)
        if (run->sizes[row] < 0) {
            *out = (struct formless){0, row, "NULL"};
            return 0;
        }
    return array_formless(schema, group, out);
}

static int fvecs_survey(const struct schema *schema, const struct rowgroup *group,
                        struct buffer *note, uint64_t *size)
{
    struct formless formless;
    int rc = fvecs_formless(schema, group, &formless);
    if (rc != -ENOENT)
        return rc == 0 ? -EDOM : rc;
    return array_measure(schema, group, FRONT, note, size);
}

static int fvecs_body(const struct schema *schema, const struct rowgroup *group,
                      struct buffer *note, struct buffer *out)
{
    const struct column *column = &schema->columns[0];
    const struct array_kind *kind = array_kind_of(column);
    struct run_cursor cursor = {.run = &group->runs[column->part[PART_BINARY]]};
    struct buffer unasked = {0};
    uint64_t size;
    int rc = fvecs_survey(schema, group, note != NULL ? note : &unasked, &size);
    buffer_clear(&unasked);
    if (rc == 0)
        rc = buffer_reserve(out, size);
    if (rc < 0 || group->rows == 0)
        return rc;
    uint32_t dims = (uint32_t)((size / group->rows - FRONT) / kind->width);
    uint8_t *at = out->data + out->size;
    for (uint32_t row = 0; rc == 0 && row < group->rows; row++) {
        const uint8_t *wire;
        size_t wire_size;
        store_le32(at, dims);
        if (run_next(&cursor, &wire, &wire_size))
            rc = array_write(kind, column, dims, wire, wire_size, at + FRONT);
        at += FRONT + (size_t)kind->width * dims;
    }
    if (rc == 0)
        out->size += size;
    return rc;
}

const struct format format_fvecs = {.name = "fvecs",
                                    .number = 18,
                                    .parts = 1 << PART_BINARY,
                                    .notes = true,
                                    .possible = fvecs_possible,
                                    .head = fvecs_head,
                                    .body = fvecs_body,
                                    .survey = fvecs_survey,
                                    .formless = fvecs_formless,
                                    .whole = true};
