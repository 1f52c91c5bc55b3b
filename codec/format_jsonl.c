/* .jsonl: one JSON object a row and a line, with the values of row_to_json under the columns'
 * names, in column order. NULL is null. Values rendered by the server lose the line breaks between
 * their tokens. */
#include "codec/format.h"
#include "codec/integer_lanes.h"
#include "codec/json_text.h"

#include <errno.h>
#include <stdlib.h>

static bool jsonl_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->part[column->type != NULL ? PART_BINARY : PART_JSON] == PART_NONE)
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
    struct buffer key;           /* what stands before the value, `{"name":` or `,"name":`, … */
    size_t key_size; /* … and then zeros up to a multiple of KEY_BLOCK, copied with it */
};

enum { KEY_BLOCK = 16 };

/* A value of a type without a write function. */
static uint8_t *render(struct pen *pen, uint8_t *at, const struct type *type, const uint8_t *wire,
                       size_t size)
{
    struct buffer *out = pen_lend(pen, at, RENDERED_AT_MOST * size + VALUE_ROOM);
    if (out == NULL)
        return NULL;
    pen->rc = type->json(wire, size, out);
    return pen->rc < 0 ? NULL : pen_resume(pen, out);
}

static uint8_t *put_key(uint8_t *at, const struct writer *writer)
{
    for (size_t i = 0; i < writer->key.size; i += KEY_BLOCK)
        memcpy(at + i, writer->key.data + i, KEY_BLOCK);
    return at + writer->key_size;
}

/* Row `row` of the block. */
static inline uint8_t *put_row(struct pen *pen, uint8_t *at, uint32_t row, struct writer *writers,
                               int columns)
{
    at = pen_room(pen, at, 0);
    for (struct writer *writer = writers; at != NULL && writer < writers + columns; writer++) {
        const uint8_t *bytes;
        size_t size;
        at = put_key(at, writer);
        if (writer->lanes != NULL && !integer_lane_is_null(writer->lanes, row)) {
            at = integer_lane_write(writer->lanes, row, at) - 1;
        } else if (writer->lanes == NULL && run_next(&writer->cursor, &bytes, &size)) {
            at = writer->write != NULL ? writer->write(pen, at, bytes, size)
                                       : render(pen, at, writer->type, bytes, size);
        } else {
            memcpy(at, "null", 4);
            at += 4;
        }
    }
    if (at == NULL)
        return NULL;
    if (columns == 0)
        *at++ = '{';
    memcpy(at, "}\n", 2);
    return at + 2;
}

static uint8_t *put_block(struct pen *pen, uint8_t *at, uint32_t rows, struct writer *writers,
                          int columns)
{
    for (struct writer *writer = writers; writer < writers + columns; writer++)
        if (writer->lanes != NULL &&
            !integer_lanes_fill(writer->lanes, &writer->cursor, rows, writer->type->integer, ','))
            return NULL;
    for (uint32_t row = 0; at != NULL && row < rows; row++)
        at = put_row(pen, at, row, writers, columns);
    return at;
}

static int make_key(struct writer *writer, const char *name, bool first)
{
    static const uint8_t zeros[KEY_BLOCK];
    struct buffer *key = &writer->key;
    int rc = buffer_append_byte(key, first ? '{' : ',');
    if (rc == 0)
        rc = json_words(key, name);
    if (rc == 0)
        rc = buffer_append_byte(key, ':');
    writer->key_size = key->size;
    return rc < 0 ? rc : buffer_append(key, zeros, -key->size % KEY_BLOCK);
}

static int put_rows(struct writer *writers, int columns, uint32_t rows, struct buffer *out)
{
    struct pen pen = {.out = out, .spare = sizeof "{}\n"};
    for (int i = 0; i < columns; i++)
        pen.spare += writers[i].key.size + VALUE_ROOM;
    uint8_t *at = pen_open(&pen);
    for (uint32_t row = 0; at != NULL && row < rows; row += LANES)
        at = put_block(&pen, at, rows - row < LANES ? rows - row : LANES, writers, columns);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    return rc;
}

static int jsonl_body(const struct schema *schema, const struct rowgroup *group,
                      struct buffer *note, struct buffer *out)
{
    (void)note;
    int columns = schema->column_count, with_lanes = 0;
    struct writer *writers = calloc((size_t)columns + 1, sizeof *writers);
    if (writers == NULL)
        return -ENOMEM;
    struct integer_lanes *lanes;
    int rc = integer_lanes_new(schema, &lanes);
    for (int i = 0; rc == 0 && i < columns; i++) {
        const struct column *column = &schema->columns[i];
        const struct type *type = column->type;
        int part = column->part[type != NULL ? PART_BINARY : PART_JSON];
        writers[i].cursor.run = &group->runs[part];
        writers[i].write = type != NULL ? type->write_json : json_write_one_line;
        writers[i].type = type;
        if (lanes != NULL && type != NULL && type->integer > 0 &&
            integer_lanes_pay(&group->runs[part]))
            writers[i].lanes = &lanes[with_lanes++];
        rc = make_key(&writers[i], column->name, i == 0);
    }
    if (rc == 0)
        rc = put_rows(writers, columns, group->rows, out);
    for (int i = 0; i < columns; i++)
        buffer_clear(&writers[i].key);
    free(lanes);
    free(writers);
    return rc;
}

const struct format format_jsonl = {.name = "jsonl",
                                    .number = 2,
                                    .parts = 1 << PART_JSON,
                                    .last = '\n',
                                    .possible = jsonl_possible,
                                    .body = jsonl_body};
