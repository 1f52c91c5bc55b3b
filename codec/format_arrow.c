/* .arrow: the Arrow IPC file format, version 1.0 (metadata V5), one record batch for each row group,
 * not compressed.
 *
 *   head   "ARROW1\0\0" | message: Schema
 *   body   message: RecordBatch | its buffers
 *   tail   FFFFFFFF 00000000 | flatbuffer: Footer | i32 its size | "ARROW1"
 *
 *   message   FFFFFFFF | i32 size of what follows | flatbuffer: Message | zeros
 *
 * All but the tail is padded to a multiple of 64 bytes, each buffer too, so each buffer begins at
 * such a place wherever its body stands. Where that is only the tail says. The metadata of every
 * record batch of a file has the same size, since it holds only numbers of fixed width.
 *
 * Which type a column has follows from its form (columnar.h), and its name in PostgreSQL is the
 * field's metadata `postgresql.type`. FLOATS and HALVES are FixedSizeList, or List if they have no
 * width; SPARSE is Struct<dim: Int32, indices: List<Int32>, values: List<Float>>, indices from 1 on.
 * Every field may be NULL; its validity buffer is left out if nothing is. What is under a NULL is
 * zeros, or empty.
 *
 * The numbers of the metadata's fields are those of Schema.fbs, Message.fbs and File.fbs, at
 * https://github.com/apache/arrow/tree/main/format. */
#include "codec/array_column.h"
#include "codec/bytes.h"
#include "codec/column_format.h"
#include "codec/columnar.h"
#include "codec/flatbuffer.h"

#include <errno.h>
#include <stdlib.h>

enum { ALIGN = 64, PREFIX = 8, METADATA_V5 = 4 };

static uint64_t padded(uint64_t size) { return (size + ALIGN - 1) / ALIGN * ALIGN; }

/* ---- the schema ---- */

enum type_number {
    TYPE_INT = 2,
    TYPE_FLOAT = 3,
    TYPE_BINARY = 4,
    TYPE_UTF8 = 5,
    TYPE_BOOL = 6,
    TYPE_DECIMAL = 7,
    TYPE_DATE = 8,
    TYPE_TIME = 9,
    TYPE_TIMESTAMP = 10,
    TYPE_LIST = 12,
    TYPE_STRUCT = 13,
    TYPE_FIXED_SIZE_BINARY = 15,
    TYPE_FIXED_SIZE_LIST = 16
};

enum { HALF = 0, SINGLE = 1, DOUBLE = 2, DAY = 0, MICROSECOND = 2 };

/* A type, and the fields of its table: their sizes, and values. */
struct arrow_type {
    enum type_number number;
    int count;
    uint8_t sizes[3];
    uint32_t values[3];
    bool utc;
};

static struct arrow_type integer(uint32_t bits, bool is_signed)
{
    return (struct arrow_type){TYPE_INT, 2, {4, 1}, {bits, is_signed}, false};
}

static struct arrow_type floating(uint32_t precision)
{
    return (struct arrow_type){TYPE_FLOAT, 1, {2}, {precision}, false};
}

static struct arrow_type type_of(const struct columnar_form *form)
{
    switch (form->kind) {
    case COLUMNAR_BOOL:
        return (struct arrow_type){.number = TYPE_BOOL};
    case COLUMNAR_INT16:
        return integer(16, true);
    case COLUMNAR_INT32:
        return integer(32, true);
    case COLUMNAR_INT64:
        return integer(64, true);
    case COLUMNAR_UINT32:
        return integer(32, false);
    case COLUMNAR_FLOAT:
        return floating(SINGLE);
    case COLUMNAR_DOUBLE:
        return floating(DOUBLE);
    case COLUMNAR_DATE:
        return (struct arrow_type){TYPE_DATE, 1, {2}, {DAY}, false};
    case COLUMNAR_TIME:
        return (struct arrow_type){TYPE_TIME, 2, {2, 4}, {MICROSECOND, 64}, false};
    case COLUMNAR_TIMESTAMP:
        return (struct arrow_type){TYPE_TIMESTAMP, 1, {2}, {MICROSECOND}, false};
    case COLUMNAR_TIMESTAMPTZ:
        return (struct arrow_type){TYPE_TIMESTAMP, 2, {2, 4}, {MICROSECOND}, true};
    case COLUMNAR_DECIMAL:
        return (struct arrow_type){
            TYPE_DECIMAL, 3, {4, 4, 4}, {form->precision, form->scale, 128}, false};
    case COLUMNAR_FIXED:
        return (struct arrow_type){TYPE_FIXED_SIZE_BINARY, 1, {4}, {form->width}, false};
    case COLUMNAR_FLOATS:
    case COLUMNAR_HALVES:
        return form->width > 0
                   ? (struct arrow_type){TYPE_FIXED_SIZE_LIST, 1, {4}, {form->count}, false}
                   : (struct arrow_type){.number = TYPE_LIST};
    case COLUMNAR_BINARY:
        return (struct arrow_type){.number = TYPE_BINARY};
    case COLUMNAR_SPARSE:
        return (struct arrow_type){.number = TYPE_STRUCT};
    case COLUMNAR_TEXT:
    case COLUMNAR_JSON:
    case COLUMNAR_KINDS:
        break;
    }
    return (struct arrow_type){.number = TYPE_UTF8};
}

static size_t put_type(struct flatbuffer *flatbuffer, const struct arrow_type *type)
{
    struct flatbuffer_table table = flatbuffer_table(flatbuffer, type->sizes, type->count);
    for (int i = 0; i < type->count; i++)
        flatbuffer_set(flatbuffer, table.field[i], type->sizes[i], type->values[i]);
    if (type->utc)
        flatbuffer_point(flatbuffer, table.field[1], flatbuffer_string(flatbuffer, "UTC"));
    return table.place;
}

enum {
    FIELD_NAME,
    FIELD_NULLABLE,
    FIELD_TYPE_NUMBER,
    FIELD_TYPE,
    FIELD_CHILDREN = 5,
    FIELD_METADATA
};

/* Puts a Field with room for so many children; gives its table, and the vector of children. */
static struct flatbuffer_table put_field(struct flatbuffer *flatbuffer, const char *name,
                                         const struct arrow_type *type, bool metadata,
                                         size_t children, size_t *vector)
{
    const uint8_t sizes[] = {4, 1, 1, 4, 0, 4, metadata ? 4 : 0};
    struct flatbuffer_table field = flatbuffer_table(flatbuffer, sizes, 7);
    flatbuffer_set(flatbuffer, field.field[FIELD_NULLABLE], 1, true);
    flatbuffer_set(flatbuffer, field.field[FIELD_TYPE_NUMBER], 1, type->number);
    flatbuffer_point(flatbuffer, field.field[FIELD_NAME], flatbuffer_string(flatbuffer, name));
    flatbuffer_point(flatbuffer, field.field[FIELD_TYPE], put_type(flatbuffer, type));
    *vector = flatbuffer_vector(flatbuffer, children, 4, 4);
    flatbuffer_point(flatbuffer, field.field[FIELD_CHILDREN], *vector);
    return field;
}

static void put_child(struct flatbuffer *flatbuffer, size_t vector, size_t number,
                      const struct flatbuffer_table *child)
{
    flatbuffer_point(flatbuffer, vector + 4 + 4 * number, child->place);
}

/* A field without children. */
static void put_leaf(struct flatbuffer *flatbuffer, const char *name, struct arrow_type type,
                     size_t vector, size_t number)
{
    size_t none;
    struct flatbuffer_table field = put_field(flatbuffer, name, &type, false, 0, &none);
    put_child(flatbuffer, vector, number, &field);
}

static void put_list(struct flatbuffer *flatbuffer, const char *name, struct arrow_type item,
                     size_t vector, size_t number)
{
    size_t items;
    const struct arrow_type list = {.number = TYPE_LIST};
    struct flatbuffer_table field = put_field(flatbuffer, name, &list, false, 1, &items);
    put_child(flatbuffer, vector, number, &field);
    put_leaf(flatbuffer, "item", item, items, 0);
}

static size_t put_metadata(struct flatbuffer *flatbuffer, const char *key, const char *value)
{
    size_t vector = flatbuffer_vector(flatbuffer, 1, 4, 4);
    struct flatbuffer_table pair = flatbuffer_table(flatbuffer, (const uint8_t[]){4, 4}, 2);
    flatbuffer_point(flatbuffer, vector + 4, pair.place);
    flatbuffer_point(flatbuffer, pair.field[0], flatbuffer_string(flatbuffer, key));
    flatbuffer_point(flatbuffer, pair.field[1], flatbuffer_string(flatbuffer, value));
    return vector;
}

static struct flatbuffer_table put_column(struct flatbuffer *flatbuffer,
                                          const struct column *column)
{
    const struct columnar_form form = columnar_form(column);
    const struct arrow_type type = type_of(&form);
    bool vectors = form.kind == COLUMNAR_FLOATS || form.kind == COLUMNAR_HALVES;
    size_t count = vectors ? 1 : form.kind == COLUMNAR_SPARSE ? 3 : 0, children;
    struct flatbuffer_table field =
        put_field(flatbuffer, column->name, &type, true, count, &children);
    flatbuffer_point(flatbuffer, field.field[FIELD_METADATA],
                     put_metadata(flatbuffer, "postgresql.type", column->type_name));
    if (vectors)
        put_leaf(flatbuffer, "item", floating(form.kind == COLUMNAR_FLOATS ? SINGLE : HALF),
                 children, 0);
    if (form.kind == COLUMNAR_SPARSE) {
        put_leaf(flatbuffer, "dim", integer(32, true), children, 0);
        put_list(flatbuffer, "indices", integer(32, true), children, 1);
        put_list(flatbuffer, "values", floating(SINGLE), children, 2);
    }
    return field;
}

static int columns_of(const struct schema *schema)
{
    int count = 0;
    for (int i = 0; i < schema->column_count; i++)
        count += schema->columns[i].in_copy;
    return count;
}

static size_t put_schema(struct flatbuffer *flatbuffer, const struct schema *schema)
{
    struct flatbuffer_table table = flatbuffer_table(flatbuffer, (const uint8_t[]){2, 4}, 2);
    size_t fields = flatbuffer_vector(flatbuffer, (size_t)columns_of(schema), 4, 4), number = 0;
    flatbuffer_point(flatbuffer, table.field[1], fields);
    for (int i = 0; i < schema->column_count; i++) {
        if (!schema->columns[i].in_copy)
            continue;
        struct flatbuffer_table field = put_column(flatbuffer, &schema->columns[i]);
        put_child(flatbuffer, fields, number++, &field);
    }
    return table.place;
}

/* ---- messages ---- */

enum { HEADER_SCHEMA = 1, HEADER_RECORD_BATCH = 3 };

/* Begins a message; gives the pointer to its header, which is written next. */
static size_t begin_message(struct flatbuffer *flatbuffer, int header, uint64_t body)
{
    struct buffer *out = flatbuffer->out;
    flatbuffer->rc = buffer_reserve(out, PREFIX);
    if (flatbuffer->rc == 0) {
        memset(out->data + out->size, 0xFF, PREFIX);
        out->size += PREFIX;
    }
    flatbuffer->start = out->size;
    size_t root = flatbuffer_begin(flatbuffer);
    struct flatbuffer_table message =
        flatbuffer_table(flatbuffer, (const uint8_t[]){2, 1, 4, 8}, 4);
    flatbuffer_point(flatbuffer, root, message.place);
    flatbuffer_set(flatbuffer, message.field[0], 2, METADATA_V5);
    flatbuffer_set(flatbuffer, message.field[1], 1, (uint64_t)header);
    flatbuffer_set(flatbuffer, message.field[3], 8, body);
    return message.field[2];
}

/* `before`: bytes of the file in front of the message. */
static int end_message(struct flatbuffer *flatbuffer, size_t before)
{
    flatbuffer_pad(flatbuffer, before + PREFIX, ALIGN);
    flatbuffer_set(flatbuffer, flatbuffer->start - 4, 4, flatbuffer->out->size - flatbuffer->start);
    return flatbuffer->rc;
}

/* ---- record batches ---- */

enum content {
    CONTENT_NOTHING,
    CONTENT_VALIDITY,
    CONTENT_BITS,
    CONTENT_VALUES, /* NULLs take as much as others */
    CONTENT_BYTES,  /* NULLs take nothing */
    CONTENT_OFFSETS,
    CONTENT_DIMS, /* of sparse vectors */
    CONTENT_INDICES,
    CONTENT_ELEMENTS
};

struct piece {
    enum content content;
    uint32_t unit; /* of offsets */
    uint64_t size;
};

enum { NODES_MOST = 6, PIECES_MOST = 11 };

/* What a record batch has of one column. */
struct layout {
    struct columnar_form form;
    const struct run *run;
    struct columnar_size size;
    int node_count, piece_count;
    struct {
        uint64_t length, nulls;
    } nodes[NODES_MOST];
    struct piece pieces[PIECES_MOST];
};

static void add_piece(struct layout *layout, enum content content, uint32_t unit, uint64_t size)
{
    layout->pieces[layout->piece_count++] = (struct piece){content, unit, size};
}

static void add_node(struct layout *layout, uint64_t length, uint64_t nulls)
{
    layout->nodes[layout->node_count].length = length;
    layout->nodes[layout->node_count++].nulls = nulls;
    add_piece(layout, nulls > 0 ? CONTENT_VALIDITY : CONTENT_NOTHING, 0,
              nulls > 0 ? (length + 7) / 8 : 0);
}

/* A list within a sparse vector: each element is 4 bytes of the 8 that they have. */
static void add_sparse_list(struct layout *layout, uint64_t rows, enum content items)
{
    uint64_t count = layout->size.bytes / 8;
    add_node(layout, rows, 0);
    add_piece(layout, CONTENT_OFFSETS, 8, 4 * (rows + 1));
    add_node(layout, count, 0);
    add_piece(layout, items, 0, 4 * count);
}

/* The nodes and buffers, in the order of the fields, parents first. */
static void lay_out(struct layout *layout, uint64_t rows)
{
    const struct columnar_form *form = &layout->form;
    uint32_t element = form->kind == COLUMNAR_FLOATS ? 4 : 2;
    add_node(layout, rows, layout->size.nulls);
    switch (form->kind) {
    case COLUMNAR_BOOL:
        add_piece(layout, CONTENT_BITS, 0, (rows + 7) / 8);
        break;
    case COLUMNAR_TEXT:
    case COLUMNAR_JSON:
    case COLUMNAR_BINARY:
        add_piece(layout, CONTENT_OFFSETS, 1, 4 * (rows + 1));
        add_piece(layout, CONTENT_BYTES, 0, layout->size.bytes);
        break;
    case COLUMNAR_FLOATS:
    case COLUMNAR_HALVES:
        if (form->width > 0) {
            add_node(layout, rows * form->count, 0);
            add_piece(layout, CONTENT_VALUES, 0, rows * form->width);
        } else {
            add_piece(layout, CONTENT_OFFSETS, element, 4 * (rows + 1));
            add_node(layout, layout->size.bytes / element, 0);
            add_piece(layout, CONTENT_BYTES, 0, layout->size.bytes);
        }
        break;
    case COLUMNAR_SPARSE:
        add_node(layout, rows, 0);
        add_piece(layout, CONTENT_DIMS, 0, 4 * rows);
        add_sparse_list(layout, rows, CONTENT_INDICES);
        add_sparse_list(layout, rows, CONTENT_ELEMENTS);
        break;
    default:
        add_piece(layout, CONTENT_VALUES, 0, rows * form->width);
        break;
    }
}

struct batch {
    uint32_t rows;
    int columns;
    struct layout *layouts; /* of each */
    size_t nodes, pieces;   /* of all */
    uint64_t body;          /* bytes of the buffers */
};

/* `group` NULL: a batch of no rows. */
static int batch_plan(const struct schema *schema, const struct rowgroup *group,
                      struct batch *batch)
{
    int columns = columns_of(schema), rc = 0;
    *batch = (struct batch){.rows = group != NULL ? group->rows : 0};
    batch->layouts = calloc((size_t)columns + 1, sizeof *batch->layouts);
    if (batch->layouts == NULL)
        return -ENOMEM;
    for (int i = 0; rc == 0 && i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        struct layout *layout = &batch->layouts[batch->columns];
        if (!column->in_copy)
            continue;
        batch->columns++;
        layout->form = columnar_form(column);
        if (group != NULL) {
            layout->run = columnar_run(column, &layout->form, group);
            rc = columnar_measure(&layout->form, layout->run, group->rows, &layout->size);
        }
        lay_out(layout, batch->rows);
        batch->nodes += (size_t)layout->node_count;
        batch->pieces += (size_t)layout->piece_count;
        for (int k = 0; k < layout->piece_count; k++)
            batch->body += padded(layout->pieces[k].size);
    }
    if (rc < 0)
        free(batch->layouts);
    return rc;
}

static int put_batch_message(const struct batch *batch, struct buffer *out)
{
    struct flatbuffer flatbuffer = {.out = out};
    size_t header = begin_message(&flatbuffer, HEADER_RECORD_BATCH, batch->body);
    struct flatbuffer_table table = flatbuffer_table(&flatbuffer, (const uint8_t[]){8, 4, 4}, 3);
    flatbuffer_point(&flatbuffer, header, table.place);
    flatbuffer_set(&flatbuffer, table.field[0], 8, batch->rows);
    size_t nodes = flatbuffer_vector(&flatbuffer, batch->nodes, 16, 8);
    flatbuffer_point(&flatbuffer, table.field[1], nodes);
    size_t buffers = flatbuffer_vector(&flatbuffer, batch->pieces, 16, 8);
    flatbuffer_point(&flatbuffer, table.field[2], buffers);
    uint64_t offset = 0;
    nodes += 4;
    buffers += 4;
    for (int i = 0; i < batch->columns; i++) {
        const struct layout *layout = &batch->layouts[i];
        for (int k = 0; k < layout->node_count; k++, nodes += 16) {
            flatbuffer_set(&flatbuffer, nodes, 8, layout->nodes[k].length);
            flatbuffer_set(&flatbuffer, nodes + 8, 8, layout->nodes[k].nulls);
        }
        for (int k = 0; k < layout->piece_count; k++, buffers += 16) {
            flatbuffer_set(&flatbuffer, buffers, 8, offset);
            flatbuffer_set(&flatbuffer, buffers + 8, 8, layout->pieces[k].size);
            offset += padded(layout->pieces[k].size);
        }
    }
    return end_message(&flatbuffer, 0);
}

/* The parts of sparse vectors: their number of dimensions, of NULL too, or their elements. */
static int write_sparse(const struct run *run, uint32_t rows, enum content content, uint8_t *out)
{
    struct run_cursor cursor = {.run = run};
    for (uint32_t row = 0; row < rows; row++) {
        struct columnar_sparse sparse = {0};
        const uint8_t *wire;
        size_t size;
        int rc = run_next(&cursor, &wire, &size) ? columnar_sparse(wire, size, &sparse) : 0;
        if (rc < 0)
            return rc;
        if (content == CONTENT_DIMS) {
            store_le32(out, sparse.dim);
            out += 4;
            continue;
        }
        bool indices = content == CONTENT_INDICES;
        for (uint32_t i = 0; i < sparse.count; i++, out += 4)
            store_le32(out, indices ? load_be32(sparse.indices + 4 * (size_t)i) + 1
                                    : load_be32(sparse.values + 4 * (size_t)i));
    }
    return 0;
}

static int write_piece(const struct layout *layout, const struct piece *piece, uint32_t rows,
                       uint8_t *out)
{
    switch (piece->content) {
    case CONTENT_NOTHING:
        return 0;
    case CONTENT_VALIDITY:
        columnar_validity(layout->run, rows, out);
        return 0;
    case CONTENT_BITS:
        (void)columnar_bits(layout->run, rows, true, out);
        return 0;
    case CONTENT_VALUES:
    case CONTENT_BYTES:
        return columnar_fill(&layout->form, layout->run, rows, piece->content == CONTENT_VALUES,
                             out);
    case CONTENT_OFFSETS:
        columnar_offsets(&layout->form, layout->run, rows, piece->unit, out);
        return 0;
    case CONTENT_DIMS:
    case CONTENT_INDICES:
    case CONTENT_ELEMENTS:
        break;
    }
    return write_sparse(layout->run, rows, piece->content, out);
}

static int put_buffers(const struct batch *batch, struct buffer *out)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < batch->columns; i++) {
        const struct layout *layout = &batch->layouts[i];
        for (int k = 0; rc == 0 && k < layout->piece_count; k++) {
            const struct piece *piece = &layout->pieces[k];
            uint8_t *at = out->data + out->size;
            rc = write_piece(layout, piece, batch->rows, at);
            if (piece->size > 0)
                memset(at + piece->size, 0, padded(piece->size) - piece->size);
            out->size += padded(piece->size);
        }
    }
    return rc;
}

/* Bytes of a record batch's message in every file of this schema. */
static int message_size(const struct schema *schema, uint64_t *out)
{
    struct buffer message = {0};
    struct batch batch;
    int rc = batch_plan(schema, NULL, &batch);
    if (rc < 0)
        return rc;
    rc = put_batch_message(&batch, &message);
    *out = message.size;
    buffer_clear(&message);
    free(batch.layouts);
    return rc;
}

/* ---- the file ---- */

static const char magic[8] = "ARROW1";

static int arrow_head(const struct format_view *view, struct buffer *out)
{
    struct flatbuffer flatbuffer = {.out = out};
    int rc = buffer_append(out, magic, sizeof magic);
    if (rc < 0)
        return rc;
    size_t header = begin_message(&flatbuffer, HEADER_SCHEMA, 0);
    flatbuffer_point(&flatbuffer, header, put_schema(&flatbuffer, view->schema));
    return end_message(&flatbuffer, sizeof magic);
}

static int arrow_body_size(const struct schema *schema, const struct rowgroup *group, uint64_t *out)
{
    struct batch batch;
    uint64_t size;
    int rc = batch_plan(schema, group, &batch);
    if (rc < 0)
        return rc;
    free(batch.layouts);
    rc = message_size(schema, &size);
    if (rc == 0)
        *out = size + batch.body;
    return rc;
}

static int arrow_body(const struct schema *schema, const struct rowgroup *group,
                      struct buffer *note, struct buffer *out)
{
    struct batch batch;
    (void)note;
    int rc = batch_plan(schema, group, &batch);
    if (rc < 0)
        return rc;
    rc = put_batch_message(&batch, out);
    if (rc == 0)
        rc = buffer_reserve(out, batch.body);
    if (rc == 0)
        rc = put_buffers(&batch, out);
    free(batch.layouts);
    return rc;
}

/* struct Block: i64 offset, i32 size of the message, 4 bytes of nothing, i64 size of the buffers. */
static void put_blocks(struct flatbuffer *flatbuffer, size_t place, size_t groups,
                       const uint64_t *offsets, uint64_t message)
{
    enum { BLOCK = 24 };
    for (size_t i = 0; i < groups; i++, place += BLOCK) {
        flatbuffer_set(flatbuffer, place, 8, offsets[i]);
        flatbuffer_set(flatbuffer, place + 8, 4, message);
        flatbuffer_set(flatbuffer, place + 16, 8, offsets[i + 1] - offsets[i] - message);
    }
}

static int put_footer(const struct format_view *view, const uint64_t *offsets, uint64_t message,
                      struct buffer *out)
{
    struct flatbuffer flatbuffer = {.out = out, .start = out->size};
    size_t root = flatbuffer_begin(&flatbuffer);
    struct flatbuffer_table footer =
        flatbuffer_table(&flatbuffer, (const uint8_t[]){2, 4, 4, 4}, 4);
    flatbuffer_point(&flatbuffer, root, footer.place);
    flatbuffer_set(&flatbuffer, footer.field[0], 2, METADATA_V5);
    flatbuffer_point(&flatbuffer, footer.field[1], put_schema(&flatbuffer, view->schema));
    flatbuffer_point(&flatbuffer, footer.field[2], flatbuffer_vector(&flatbuffer, 0, 24, 8));
    size_t blocks = flatbuffer_vector(&flatbuffer, view->groups, 24, 8);
    flatbuffer_point(&flatbuffer, footer.field[3], blocks);
    put_blocks(&flatbuffer, blocks + 4, view->groups, offsets, message);
    flatbuffer_pad(&flatbuffer, 0, 8);
    return flatbuffer.rc;
}

static int arrow_tail(const struct format_view *view, const struct note *notes,
                      const uint64_t *offsets, struct buffer *out)
{
    static const uint8_t end[8] = {0xFF, 0xFF, 0xFF, 0xFF};
    uint64_t message;
    uint8_t size[4];
    (void)notes;
    int rc = message_size(view->schema, &message);
    if (rc == 0)
        rc = buffer_append(out, end, sizeof end);
    size_t start = out->size;
    if (rc == 0)
        rc = put_footer(view, offsets, message, out);
    store_le32(size, (uint32_t)(out->size - start));
    if (rc == 0)
        rc = buffer_append(out, size, sizeof size);
    return rc == 0 ? buffer_append_text(out, magic) : rc;
}

#define ARROW                                                                                      \
    .name = "arrow", .parts = COLUMNAR_PARTS, .last = '1', .whole = true,                          \
    .formless = columnar_formless, .head = arrow_head, .body = arrow_body, .tail = arrow_tail,     \
    .body_size = arrow_body_size

const struct format format_arrow = {ARROW, .number = 6, .possible = columnar_possible};

/* A column that is no array of numbers in any other file. */
static bool is_no_array(const struct schema *schema)
{
    return schema->column_count == 1 && array_kind_of(&schema->columns[0]) == NULL &&
           !format_indptr_npy.possible(schema) && columnar_possible(schema);
}

const struct format format_column_arrow = {ARROW, .number = 22, .possible = is_no_array};
