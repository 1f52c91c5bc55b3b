/* A strict reader of Arrow IPC files: it follows the format's own rules, not this program's writer, and
 * aborts (cmocka's assert) at the first thing that is not as the format says, or not aligned as this
 * program promises. Every table of the metadata must lie in its flatbuffer, aligned; every buffer in
 * its body, at a multiple of 64, with zeros behind it.
 */
#ifndef TESTS_ARROW_FILE_H
#define TESTS_ARROW_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "codec/buffer.h"
#include "codec/bytes.h"

#include <stdbool.h>
#include <stdlib.h>

/* ---- flatbuffers ---- */

struct fb {
    const uint8_t *bytes;
    size_t size;
};

static inline uint64_t fb_number(const struct fb *fb, size_t at, size_t size)
{
    uint8_t bytes[8] = {0};
    assert_true(size <= fb->size && at <= fb->size - size);
    assert_int_equal(at % size, 0);
    memcpy(bytes, fb->bytes + at, size);
    return load_le64(bytes);
}

static inline size_t fb_target(const struct fb *fb, size_t at)
{
    uint64_t distance = fb_number(fb, at, 4);
    assert_true(distance > 0 && distance <= INT32_MAX && at + distance < fb->size);
    return at + distance;
}

/* Where a field of a table is; 0: it has not got it. */
static inline size_t fb_field(const struct fb *fb, size_t table, int number, size_t size)
{
    size_t vtable = table - (size_t)(int32_t)fb_number(fb, table, 4);
    assert_true(vtable < fb->size);
    size_t vtable_size = fb_number(fb, vtable, 2), table_size = fb_number(fb, vtable + 2, 2);
    assert_true(vtable_size >= 4 && vtable_size % 2 == 0 && table_size >= 4);
    assert_true(vtable + vtable_size <= fb->size && table + table_size <= fb->size);
    if (4 + 2 * (size_t)number >= vtable_size)
        return 0;
    size_t at = fb_number(fb, vtable + 4 + 2 * (size_t)number, 2);
    if (at == 0)
        return 0;
    assert_true(at >= 4 && at + size <= table_size);
    return table + at;
}

static inline uint64_t fb_scalar(const struct fb *fb, size_t table, int number, size_t size,
                                 uint64_t otherwise)
{
    size_t at = fb_field(fb, table, number, size);
    return at == 0 ? otherwise : fb_number(fb, at, size);
}

/* What a field points to; 0: it has not got it. */
static inline size_t fb_at(const struct fb *fb, size_t table, int number)
{
    size_t at = fb_field(fb, table, number, 4);
    return at == 0 ? 0 : fb_target(fb, at);
}

/* A vector's first element. */
static inline size_t fb_vector(const struct fb *fb, size_t table, int number, size_t size,
                               size_t align, size_t *count)
{
    size_t at = fb_at(fb, table, number);
    *count = at != 0 ? fb_number(fb, at, 4) : 0;
    if (at == 0)
        return 0;
    assert_int_equal((at + 4) % align, 0);
    assert_true(*count <= (fb->size - at - 4) / size);
    return at + 4;
}

static inline const char *fb_string(const struct fb *fb, size_t table, int number)
{
    size_t count, at = fb_vector(fb, table, number, 1, 1, &count);
    if (at == 0)
        return NULL;
    assert_true(at + count < fb->size);
    assert_int_equal(fb->bytes[at + count], 0);
    assert_int_equal(strlen((const char *)fb->bytes + at), count);
    return (const char *)fb->bytes + at;
}

/* ---- a file ---- */

struct arrow_file {
    const uint8_t *bytes;
    size_t size;
    struct fb footer;
    size_t schema, fields, field_count;
    size_t blocks, block_count;
};

static inline size_t arrow_field(const struct fb *fb, size_t fields, size_t number)
{
    return fb_target(fb, fields + 4 * number);
}

static inline int arrow_type(const struct fb *fb, size_t field, size_t *type)
{
    *type = fb_at(fb, field, 3);
    assert_int_not_equal(*type, 0);
    return (int)fb_scalar(fb, field, 2, 1, 0);
}

static inline void arrow_check_field(const struct fb *fb, size_t field)
{
    size_t type, count, children = fb_vector(fb, field, 5, 4, 4, &count);
    int number = arrow_type(fb, field, &type);
    assert_non_null(fb_string(fb, field, 0));
    assert_int_equal(fb_scalar(fb, field, 1, 1, 0), 1);
    assert_int_equal(fb_at(fb, field, 4), 0);
    assert_int_equal(count, number == 12 || number == 16 ? 1 : number == 13 ? 3 : 0);
    for (size_t i = 0; i < count; i++)
        arrow_check_field(fb, arrow_field(fb, children, i));
    size_t pairs, metadata = fb_vector(fb, field, 6, 4, 4, &pairs);
    for (size_t i = 0; i < pairs; i++) {
        size_t pair = fb_target(fb, metadata + 4 * i);
        assert_non_null(fb_string(fb, pair, 0));
        assert_non_null(fb_string(fb, pair, 1));
    }
}

static inline size_t arrow_check_schema(const struct fb *fb, size_t schema, size_t *count)
{
    size_t fields = fb_vector(fb, schema, 1, 4, 4, count);
    assert_int_equal(fb_scalar(fb, schema, 0, 2, 0), 0); /* little-endian */
    assert_int_not_equal(fields, 0);
    for (size_t i = 0; i < *count; i++)
        arrow_check_field(fb, arrow_field(fb, fields, i));
    return fields;
}

/* Reads a message at `at`; gives its header, of this kind, and where the message ends. */
static inline size_t arrow_message(const struct arrow_file *file, size_t at, int kind,
                                   struct fb *fb, uint64_t *body, size_t *end)
{
    assert_int_equal(at % 8, 0);
    assert_true(at + 8 <= file->size);
    assert_int_equal(load_le32(file->bytes + at), UINT32_MAX);
    uint32_t size = load_le32(file->bytes + at + 4);
    assert_true(size > 0 && at + 8 + size <= file->size);
    *fb = (struct fb){file->bytes + at + 8, size};
    *end = at + 8 + size;
    assert_int_equal(*end % 64, 0);
    size_t message = fb_target(fb, 0);
    assert_int_equal(fb_scalar(fb, message, 0, 2, 0), 4); /* V5 */
    assert_int_equal(fb_scalar(fb, message, 1, 1, 0), kind);
    *body = fb_scalar(fb, message, 3, 8, 0);
    return fb_at(fb, message, 2);
}

static inline void arrow_open(const uint8_t *bytes, size_t size, struct arrow_file *file)
{
    *file = (struct arrow_file){.bytes = bytes, .size = size};
    assert_true(size >= 8 + 4 + 6);
    assert_memory_equal(bytes, "ARROW1\0\0", 8);
    assert_memory_equal(bytes + size - 6, "ARROW1", 6);
    uint32_t footer = load_le32(bytes + size - 10);
    assert_true(footer + 10 + 8 <= size);
    size_t start = size - 10 - footer;
    assert_int_equal(start % 8, 0);
    assert_memory_equal(bytes + start - 8, "\xFF\xFF\xFF\xFF\0\0\0\0", 8);
    file->footer = (struct fb){bytes + start, footer};
    size_t root = fb_target(&file->footer, 0), none;
    assert_int_equal(fb_scalar(&file->footer, root, 0, 2, 0), 4);
    file->schema = fb_at(&file->footer, root, 1);
    file->fields = arrow_check_schema(&file->footer, file->schema, &file->field_count);
    (void)fb_vector(&file->footer, root, 2, 24, 8, &none);
    assert_int_equal(none, 0);
    file->blocks = fb_vector(&file->footer, root, 3, 24, 8, &file->block_count);
    /* the stream within: schema, batches one behind another, end */
    struct fb head;
    uint64_t body;
    size_t at, count, schema = arrow_message(file, 8, 1, &head, &body, &at);
    (void)arrow_check_schema(&head, schema, &count);
    assert_int_equal(count, file->field_count);
    assert_int_equal(body, 0);
    for (size_t i = 0; i < file->block_count; i++) {
        size_t block = file->blocks + 24 * i;
        assert_int_equal(fb_number(&file->footer, block, 8), at);
        at += fb_number(&file->footer, block + 8, 4) + fb_number(&file->footer, block + 16, 8);
    }
    assert_int_equal(at, start - 8);
}

/* ---- record batches ---- */

struct arrow_batch {
    struct fb fb;
    const uint8_t *body;
    uint64_t body_size, rows;
    size_t nodes, node_count, buffers, buffer_count;
};

struct arrow_buffer {
    const uint8_t *bytes;
    uint64_t size;
};

static inline void arrow_batch_open(const struct arrow_file *file, size_t number,
                                    struct arrow_batch *batch)
{
    size_t block = file->blocks + 24 * number, end;
    size_t at = fb_number(&file->footer, block, 8);
    assert_int_equal(at % 64, 0);
    size_t header = arrow_message(file, at, 3, &batch->fb, &batch->body_size, &end);
    assert_int_equal(end - at, fb_number(&file->footer, block + 8, 4));
    assert_int_equal(batch->body_size, fb_number(&file->footer, block + 16, 8));
    assert_int_equal(batch->body_size % 64, 0);
    assert_true(batch->body_size <= file->size - end);
    batch->body = file->bytes + end;
    batch->rows = fb_scalar(&batch->fb, header, 0, 8, 0);
    batch->nodes = fb_vector(&batch->fb, header, 1, 16, 8, &batch->node_count);
    batch->buffers = fb_vector(&batch->fb, header, 2, 16, 8, &batch->buffer_count);
    assert_int_equal(fb_at(&batch->fb, header, 3), 0); /* not compressed */
    uint64_t expected = 0;
    for (size_t i = 0; i < batch->buffer_count; i++) {
        uint64_t offset = fb_number(&batch->fb, batch->buffers + 16 * i, 8);
        uint64_t size = fb_number(&batch->fb, batch->buffers + 16 * i + 8, 8);
        assert_int_equal(offset, expected);
        assert_true(offset + size <= batch->body_size);
        expected = (offset + size + 63) / 64 * 64;
        for (uint64_t k = offset + size; k < expected; k++)
            assert_int_equal(batch->body[k], 0);
    }
    assert_int_equal(expected, batch->body_size);
}

/* Walks over the nodes and buffers of a batch. */
struct arrow_walk {
    const struct arrow_batch *batch;
    size_t node, buffer;
};

static inline struct arrow_buffer arrow_next_buffer(struct arrow_walk *walk)
{
    const struct arrow_batch *batch = walk->batch;
    assert_true(walk->buffer < batch->buffer_count);
    size_t at = batch->buffers + 16 * walk->buffer++;
    return (struct arrow_buffer){batch->body + fb_number(&batch->fb, at, 8),
                                 fb_number(&batch->fb, at + 8, 8)};
}

static inline bool arrow_bit(const uint8_t *bits, uint64_t number)
{
    return bits[number / 8] >> number % 8 & 1;
}

/* The next node: its length, and its validity (bytes NULL: no NULLs), checked against its count. */
static inline uint64_t arrow_next_node(struct arrow_walk *walk, struct arrow_buffer *validity)
{
    const struct arrow_batch *batch = walk->batch;
    assert_true(walk->node < batch->node_count);
    size_t at = batch->nodes + 16 * walk->node++;
    uint64_t length = fb_number(&batch->fb, at, 8), nulls = fb_number(&batch->fb, at + 8, 8);
    *validity = arrow_next_buffer(walk);
    if (validity->size == 0) {
        assert_int_equal(nulls, 0);
        validity->bytes = NULL;
        return length;
    }
    assert_int_equal(validity->size, (length + 7) / 8);
    for (uint64_t i = 0; i < length; i++)
        nulls -= !arrow_bit(validity->bytes, i);
    assert_int_equal(nulls, 0);
    return length;
}

/* Checks int32 offsets of so many values; gives where the last ends. */
static inline uint64_t arrow_check_offsets(const struct arrow_buffer *offsets, uint64_t length)
{
    assert_int_equal(offsets->size, 4 * (length + 1));
    assert_int_equal(load_le32(offsets->bytes), 0);
    for (uint64_t i = 0; i < length; i++)
        assert_true(load_le32(offsets->bytes + 4 * i) <= load_le32(offsets->bytes + 4 * i + 4));
    return load_le32(offsets->bytes + 4 * length);
}

/* The width of a type's values in bytes; 0: they have none. */
static inline uint64_t arrow_width(const struct fb *fb, int number, size_t type)
{
    switch (number) {
    case 2:
        return fb_scalar(fb, type, 0, 4, 0) / 8;
    case 3:
        return (uint64_t)2 << fb_scalar(fb, type, 0, 2, 0);
    case 7:
        return fb_scalar(fb, type, 2, 4, 128) / 8;
    case 8:
        assert_int_equal(fb_scalar(fb, type, 0, 2, 1), 0); /* days */
        return 4;
    case 9:
        assert_int_equal(fb_scalar(fb, type, 0, 2, 1), 2); /* microseconds */
        return fb_scalar(fb, type, 1, 4, 32) / 8;
    case 10:
        assert_int_equal(fb_scalar(fb, type, 0, 2, 0), 2);
        return 8;
    case 15:
        return fb_scalar(fb, type, 0, 4, 0);
    default:
        return 0;
    }
}

enum { ARROW_CHILDREN_MOST = 3 };

/* A column of a batch, with its buffers. */
struct arrow_column {
    int type;
    uint64_t length, width, list; /* list: the size of a fixed-size list */
    struct arrow_buffer validity, offsets, data;
    int count;
    struct arrow_column *children[ARROW_CHILDREN_MOST];
};

static inline void arrow_column_free(struct arrow_column *column)
{
    for (int i = 0; i < column->count; i++)
        arrow_column_free(column->children[i]);
    free(column);
}

static inline struct arrow_column *arrow_column(const struct fb *fb, size_t field,
                                                struct arrow_walk *walk, uint64_t length)
{
    struct arrow_column *column = calloc(1, sizeof *column);
    size_t type, count, children = fb_vector(fb, field, 5, 4, 4, &count);
    uint64_t inner = length;
    assert_non_null(column);
    column->type = arrow_type(fb, field, &type);
    column->length = arrow_next_node(walk, &column->validity);
    assert_int_equal(column->length, length);
    column->width = arrow_width(fb, column->type, type);
    if (column->type == 4 || column->type == 5 || column->type == 12) {
        column->offsets = arrow_next_buffer(walk);
        inner = arrow_check_offsets(&column->offsets, length);
    }
    if (column->type == 16)
        inner = length * (column->list = fb_scalar(fb, type, 0, 4, 0));
    if (count == 0) {
        column->data = arrow_next_buffer(walk);
        assert_int_equal(column->data.size, column->type == 6   ? (length + 7) / 8
                                            : column->width > 0 ? length * column->width
                                                                : inner);
    }
    for (size_t i = 0; i < count; i++)
        column->children[column->count++] =
            arrow_column(fb, arrow_field(fb, children, i), walk, inner);
    return column;
}

/* Appends the bytes of a value: of lists and structs, those of all its elements. false: NULL. */
static inline bool arrow_value(const struct arrow_column *column, uint64_t row, struct buffer *out)
{
    int rc = 0;
    if (column->validity.bytes != NULL && !arrow_bit(column->validity.bytes, row))
        return false;
    uint64_t first = row, end = row + 1;
    if (column->offsets.bytes != NULL) {
        first = load_le32(column->offsets.bytes + 4 * row);
        end = load_le32(column->offsets.bytes + 4 * row + 4);
    } else if (column->type == 16) {
        first = row * column->list;
        end = first + column->list;
    }
    if (column->type == 6)
        rc = buffer_append_byte(out, arrow_bit(column->data.bytes, row));
    else if (column->type == 4 || column->type == 5)
        rc = buffer_append(out, column->data.bytes + first, end - first);
    else if (column->count == 0)
        rc = buffer_append(out, column->data.bytes + row * column->width, column->width);
    assert_int_equal(rc, 0);
    for (int i = 0; i < column->count; i++)
        for (uint64_t k = first; k < end; k++)
            assert_true(arrow_value(column->children[i], k, out));
    return true;
}

#endif
