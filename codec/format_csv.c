/* .csv: as COPY … (FORMAT csv, HEADER) prints it. NULL is nothing; a value is quoted iff it is
 * empty, holds a comma, quote or line break, or is \. alone in its row; a quote is doubled. The
 * header follows the same rule. */
#include "codec/csv_text.h"
#include "codec/format.h"
#include "codec/integer_lanes.h"

#include <errno.h>
#include <stdlib.h>

static bool csv_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        enum part_kind kind = column->type != NULL ? PART_BINARY : PART_TEXT;
        if (column->in_copy && column->part[kind] == PART_NONE)
            return false;
    }
    return true;
}

/* How one column is written. */
struct writer {
    struct run_cursor cursor;
    struct integer_lanes *lanes; /* or, where there are none: */
    write_value *write;          /* or, where there is none: */
    const struct type *type;     /* renders it */
    uint8_t end;                 /* what stands behind the value */
};

/* A value whose text has commas at most: quoted in front at a guess, and unquoted again where there
 * were none. */
static int append_list(struct buffer *out, const struct type *type, const uint8_t *wire,
                       size_t size)
{
    size_t start = out->size;
    int rc = buffer_append_byte(out, '"');
    if (rc == 0)
        rc = type->text(wire, size, out);
    if (rc < 0)
        return rc;
    size_t text = out->size - start - 1;
    if (memchr(out->data + start + 1, ',', text) != NULL)
        return buffer_append_byte(out, '"');
    memmove(out->data + start, out->data + start + 1, text);
    out->size--;
    return 0;
}

/* A value of a type without a write function. */
static uint8_t *render(struct pen *pen, uint8_t *at, const struct writer *writer,
                       const uint8_t *wire, size_t size, struct buffer *scratch)
{
    const struct type *type = writer->type;
    if (type->csv == CSV_ANY) {
        scratch->size = 0;
        pen->rc = type->text(wire, size, scratch);
        return pen->rc < 0 ? NULL : csv_text(pen, at, scratch->data, scratch->size);
    }
    struct buffer *out = pen_lend(pen, at, RENDERED_AT_MOST * size + VALUE_ROOM);
    if (out == NULL)
        return NULL;
    pen->rc =
        type->csv == CSV_LIST ? append_list(out, type, wire, size) : type->text(wire, size, out);
    return pen->rc < 0 ? NULL : pen_resume(pen, out);
}

/* Row `row` of the block. */
static inline uint8_t *put_row(struct pen *pen, uint8_t *at, uint32_t row, struct writer *writers,
                               int columns, struct buffer *scratch)
{
    at = pen_room(pen, at, 0);
    for (struct writer *writer = writers; at != NULL && writer < writers + columns; writer++) {
        const uint8_t *bytes;
        size_t size;
        if (writer->lanes != NULL) {
            at = integer_lane_write(writer->lanes, row, at);
            continue;
        }
        if (run_next(&writer->cursor, &bytes, &size))
            at = writer->write != NULL ? writer->write(pen, at, bytes, size)
                                       : render(pen, at, writer, bytes, size, scratch);
        if (at == NULL)
            return NULL;
        *at++ = writer->end;
    }
    if (columns == 0 && at != NULL)
        *at++ = '\n';
    return at;
}

static uint8_t *put_block(struct pen *pen, uint8_t *at, uint32_t rows, struct writer *writers,
                          int columns, struct buffer *scratch)
{
    for (struct writer *writer = writers; writer < writers + columns; writer++)
        if (writer->lanes != NULL && !integer_lanes_fill(writer->lanes, &writer->cursor, rows,
                                                         writer->type->integer, writer->end))
            return NULL;
    for (uint32_t row = 0; at != NULL && row < rows; row++)
        at = put_row(pen, at, row, writers, columns, scratch);
    return at;
}

static int put_rows(struct writer *writers, int columns, uint32_t rows, struct buffer *out)
{
    struct buffer scratch = {0};
    struct pen pen = {
        .out = out, .spare = ((size_t)columns + 1) * (VALUE_ROOM + 1), .lone = columns == 1};
    uint8_t *at = pen_open(&pen);
    for (uint32_t row = 0; at != NULL && row < rows; row += LANES)
        at = put_block(&pen, at, rows - row < LANES ? rows - row : LANES, writers, columns,
                       &scratch);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    buffer_clear(&scratch);
    return rc;
}

static int csv_body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    (void)note;
    struct writer *writers = calloc((size_t)schema->column_count + 1, sizeof *writers);
    if (writers == NULL)
        return -ENOMEM;
    struct integer_lanes *lanes;
    int columns = 0, with_lanes = 0, rc = integer_lanes_new(schema, &lanes);
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        const struct type *type = column->type;
        int part = column->part[type != NULL ? PART_BINARY : PART_TEXT];
        bool in_lanes = lanes != NULL && type != NULL && type->integer > 0 &&
                        integer_lanes_pay(&group->runs[part]);
        writers[columns++] = (struct writer){.cursor = {.run = &group->runs[part]},
                                             .lanes = in_lanes ? &lanes[with_lanes++] : NULL,
                                             .write = type != NULL ? type->write_csv : csv_text,
                                             .type = type,
                                             .end = ','};
    }
    if (columns > 0)
        writers[columns - 1].end = '\n';
    if (rc == 0)
        rc = put_rows(writers, columns, group->rows, out);
    free(lanes);
    free(writers);
    return rc;
}

static int put_name(struct buffer *out, const char *name, bool lone)
{
    struct pen pen = {.out = out, .spare = VALUE_ROOM, .lone = lone};
    uint8_t *at = pen_open(&pen);
    if (at != NULL)
        at = csv_text(&pen, at, (const uint8_t *)name, strlen(name));
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc;
    pen_clear(&pen);
    return rc;
}

static int csv_head(const struct format_view *view, struct buffer *out)
{
    const struct schema *schema = view->schema;
    int columns = 0, written = 0, rc = 0;
    for (int i = 0; i < schema->column_count; i++)
        columns += schema->columns[i].in_copy;
    for (int i = 0; rc == 0 && i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        rc = written++ > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0)
            rc = put_name(out, column->name, columns == 1);
    }
    return rc < 0 ? rc : buffer_append_byte(out, '\n');
}

const struct format format_csv = {.name = "csv",
                                  .number = 0,
                                  .parts = 1 << PART_TEXT,
                                  .last = '\n',
                                  .possible = csv_possible,
                                  .head = csv_head,
                                  .body = csv_body};
