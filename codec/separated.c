#include "codec/separated.h"

#include "codec/integer_lanes.h"

#include <errno.h>
#include <stdlib.h>

bool separated_possible(const struct schema *schema)
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
    bool quotes_lists;           /* a list that it renders holds delimiters, if it is one of many */
    uint8_t end;                 /* what stands behind the value */
};

/* A value whose text has commas at most, which delimit: quoted in front at a guess, and unquoted
 * again where there were none. */
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
        return pen->rc < 0 ? NULL : pen->quoted(pen, at, scratch->data, scratch->size);
    }
    struct buffer *out = pen_lend(pen, at, RENDERED_AT_MOST * size + VALUE_ROOM);
    if (out == NULL)
        return NULL;
    pen->rc =
        writer->quotes_lists ? append_list(out, type, wire, size) : type->text(wire, size, out);
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

static int put_rows(const struct separated *how, struct writer *writers, int columns, uint32_t rows,
                    struct buffer *out)
{
    struct buffer scratch = {0};
    struct pen pen = {.out = out,
                      .spare = ((size_t)columns + 1) * (VALUE_ROOM + 1),
                      .lone = columns == 1,
                      .quoted = how->quoted};
    uint8_t *at = pen_open(&pen);
    for (uint32_t row = 0; at != NULL && row < rows; row += LANES)
        at = put_block(&pen, at, rows - row < LANES ? rows - row : LANES, writers, columns,
                       &scratch);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    buffer_clear(&scratch);
    return rc;
}

/* Its text is made by the pen where the wire is the text, as it came from the server. */
static struct writer writer_of(const struct separated *how, const struct column *column,
                               const struct rowgroup *group)
{
    const struct type *type = column->type;
    bool text = type == NULL || type->csv == CSV_TEXT;
    int part = column->part[type != NULL ? PART_BINARY : PART_TEXT];
    return (struct writer){.cursor = {.run = &group->runs[part]},
                           .write = text ? how->quoted : type->write_csv,
                           .type = type,
                           .quotes_lists = !text && type->csv == CSV_LIST && how->delimiter == ',',
                           .end = how->delimiter};
}

int separated_body(const struct separated *how, const struct schema *schema,
                   const struct rowgroup *group, struct buffer *out)
{
    struct writer *writers = calloc((size_t)schema->column_count + 1, sizeof *writers);
    if (writers == NULL)
        return -ENOMEM;
    struct integer_lanes *lanes;
    int columns = 0, with_lanes = 0, rc = integer_lanes_new(schema, &lanes);
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        struct writer *writer = &writers[columns++];
        *writer = writer_of(how, column, group);
        if (lanes != NULL && column->type != NULL && column->type->integer > 0 &&
            integer_lanes_pay(writer->cursor.run))
            writer->lanes = &lanes[with_lanes++];
    }
    if (columns > 0)
        writers[columns - 1].end = '\n';
    if (rc == 0)
        rc = put_rows(how, writers, columns, group->rows, out);
    free(lanes);
    free(writers);
    return rc;
}

static int put_name(const struct separated *how, const char *name, bool lone, struct buffer *out)
{
    struct pen pen = {.out = out, .spare = VALUE_ROOM, .lone = lone, .quoted = how->quoted};
    uint8_t *at = pen_open(&pen);
    if (at != NULL)
        at = how->quoted(&pen, at, (const uint8_t *)name, strlen(name));
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc;
    pen_clear(&pen);
    return rc;
}

int separated_head(const struct separated *how, const struct schema *schema, struct buffer *out)
{
    int columns = 0, written = 0, rc = 0;
    for (int i = 0; i < schema->column_count; i++)
        columns += schema->columns[i].in_copy;
    for (int i = 0; rc == 0 && i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        rc = written++ > 0 ? buffer_append_byte(out, how->delimiter) : 0;
        if (rc == 0)
            rc = put_name(how, column->name, columns == 1, out);
    }
    return rc < 0 ? rc : buffer_append_byte(out, '\n');
}
