/* Hand-made relations, for tests that need rows without a server: a schema, and its rows as the
 * COPY stream that a server would send. Every value follows from its part and its row; all the
 * values that quoting cares about are among them.
 *
 * Failures of what is not under test here abort: the header serves cmocka, plain mains and fuzz
 * targets.
 */
#ifndef TESTS_ROWS_H
#define TESTS_ROWS_H

#include "codec/bytes.h"
#include "codec/format.h"

#include <stdlib.h>

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

/* The kinds of columns that there are here. */
enum rows_column {
    ROWS_INT4,
    ROWS_INT4_NULLS,
    ROWS_TEXT,
    ROWS_VECTOR,
    ROWS_SERVER,    /* rendered by the server: three parts */
    ROWS_GENERATED, /* the same, but only in the JSON */
    ROWS_NO_BINARY, /* a type without binary output */
    ROWS_ALL_NULL
};

enum { ROWS_COLUMNS_MOST = 8, ROWS_ALL_PARTS = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON };

struct rows_table {
    const char *name;
    bool with_row_ids;
    int count;
    enum rows_column columns[ROWS_COLUMNS_MOST];
};

static const struct rows_table rows_tables[] = {
    {"mixed", true, 5, {ROWS_INT4, ROWS_TEXT, ROWS_VECTOR, ROWS_SERVER, ROWS_GENERATED}},
    {"one text", true, 1, {ROWS_TEXT}},
    {"nulls", true, 3, {ROWS_INT4_NULLS, ROWS_ALL_NULL, ROWS_TEXT}},
    {"fixed", true, 2, {ROWS_INT4, ROWS_VECTOR}},
    {"no columns", true, 0, {0}},
    {"a stream", false, 2, {ROWS_SERVER, ROWS_INT4}},
    {"no binary", false, 2, {ROWS_NO_BINARY, ROWS_NO_BINARY}},
    {"nothing", false, 0, {0}},
};

enum { ROWS_TABLES = sizeof rows_tables / sizeof *rows_tables };

static inline struct schema *rows_schema(const struct rows_table *table)
{
    struct schema *schema;
    bool with_binary[ROWS_COLUMNS_MOST];
    must(schema_new(table->with_row_ids, &schema) == 0);
    for (int i = 0; i < table->count; i++) {
        enum rows_column column = table->columns[i];
        char name[16] = "c,0";
        name[2] = (char)('0' + i);
        const char *type = column == ROWS_TEXT ? "text" : column == ROWS_VECTOR ? "vector" : "int4";
        bool here = column != ROWS_SERVER && column != ROWS_GENERATED && column != ROWS_NO_BINARY;
        const struct type *found =
            here ? type_find(column == ROWS_VECTOR ? "vector" : NULL, type) : NULL;
        must(schema_add(schema, name, here ? type : "s.odd", found, column != ROWS_GENERATED) == 0);
        with_binary[i] = column != ROWS_NO_BINARY;
    }
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    return schema;
}

/* Texts that CSV or JSON must look at. */
static const char *const rows_texts[] = {
    "plain",       "",
    "a,b",         "q\"q",
    "line\nbreak", "cr\rx",
    "\\.",         "\\.x",
    " ",           "ü€",
    "\t",          "null",
    "\"",          "a fairly long text that repeats, repeats, repeats"};

enum { ROWS_TEXTS = sizeof rows_texts / sizeof *rows_texts };

static inline void rows_put_text(struct buffer *out, const char *text)
{
    must(buffer_append_text(out, text) == 0);
}

static inline void rows_put_be32(struct buffer *out, uint32_t value)
{
    uint8_t bytes[4];
    store_be32(bytes, value);
    must(buffer_append(out, bytes, sizeof bytes) == 0);
}

/* Appends a value; false: NULL. */
static inline bool rows_value(enum rows_column column, enum part_kind kind, uint32_t row,
                              struct buffer *out)
{
    uint32_t mixed = row * 2654435761U;
    switch (column) {
    case ROWS_ALL_NULL:
        return false;
    case ROWS_INT4_NULLS:
        if (row % 3 == 1)
            return false; /* not the first: the sizes differ only from the second row on */
        rows_put_be32(out, mixed);
        return true;
    case ROWS_INT4:
        rows_put_be32(out, row % 5 == 4 ? mixed : row);
        return true;
    case ROWS_TEXT:
        if (row % 7 == 0)
            return false;
        rows_put_text(out, rows_texts[row % ROWS_TEXTS]);
        return true;
    case ROWS_VECTOR:
        rows_put_be32(out, 2 << 16);
        rows_put_be32(out, row % 2 != 0 ? 0x3f800000 : 0xbe99999a); /* 1, -0.3 */
        rows_put_be32(out, 0x40490fdb);
        return true;
    default: /* rendered by the server */
        if (row % 4 == 2)
            return false;
        if (kind == PART_BINARY) {
            for (uint32_t i = 0; i < row % 6; i++)
                must(buffer_append_byte(out, (uint8_t)(mixed >> i)) == 0);
        } else if (kind == PART_TEXT) {
            rows_put_text(out, rows_texts[(row + 1) % ROWS_TEXTS]);
        } else {
            rows_put_text(out, row % 2 != 0 ? "{\"a\":\n [1,\r\n2]}" : "17");
        }
        return true;
    }
}

/* The column that has part `part`. */
static inline int rows_column_of(const struct schema *schema, enum part_kind kind, int part)
{
    for (int i = 0; i < schema->column_count; i++)
        if (schema->columns[i].part[kind] == part)
            return i;
    abort();
}

static inline void rows_put_field(struct buffer *out, const struct rows_table *table,
                                  const struct schema *schema, enum part_kind kind, int part,
                                  uint32_t row)
{
    struct buffer value = {0};
    int column = rows_column_of(schema, kind, part);
    bool given = rows_value(table->columns[column], kind, row, &value);
    rows_put_be32(out, given ? (uint32_t)value.size : UINT32_MAX);
    must(buffer_append(out, value.data, given ? value.size : 0) == 0);
    buffer_clear(&value);
}

/* A one-dimensional text[]. */
static inline void rows_put_array(struct buffer *out, const struct rows_table *table,
                                  const struct schema *schema, enum part_kind kind, int first,
                                  uint32_t row)
{
    int count = schema->part_count[kind];
    if (count == 0)
        return;
    struct buffer array = {0};
    const uint32_t head[] = {1, 1, 25, (uint32_t)count, 1};
    for (size_t i = 0; i < 5; i++)
        rows_put_be32(&array, head[i]);
    for (int i = 0; i < count; i++)
        rows_put_field(&array, table, schema, kind, first + i, row);
    rows_put_be32(out, (uint32_t)array.size);
    must(buffer_append(out, array.data, array.size) == 0);
    buffer_clear(&array);
}

/* Appends a row's tuple, without its number of fields. Row r is at ctid (r / 3, r % 3 + 1). */
static inline void rows_put_tuple(struct buffer *out, const struct rows_table *table,
                                  const struct schema *schema, uint32_t row)
{
    if (schema->with_row_ids) {
        rows_put_be32(out, 6);
        rows_put_be32(out, row / 3);
        must(buffer_append_byte(out, 0) == 0 &&
             buffer_append_byte(out, (uint8_t)(row % 3 + 1)) == 0);
        rows_put_be32(out, 4);
        rows_put_be32(out, 700 + row);
    }
    int binary = schema->part_count[PART_BINARY], text = schema->part_count[PART_TEXT];
    for (int part = 0; part < binary; part++)
        rows_put_field(out, table, schema, PART_BINARY, part, row);
    rows_put_array(out, table, schema, PART_TEXT, binary, row);
    rows_put_array(out, table, schema, PART_JSON, binary + text, row);
}

/* Rows [first, end) as a row group. */
static inline struct rowgroup *rows_group(const struct rows_table *table,
                                          const struct schema *schema, uint32_t first, uint32_t end)
{
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    must(rowgroup_builder_new(schema, &builder) == 0);
    for (uint32_t row = first; row < end; row++) {
        struct buffer tuple = {0};
        rows_put_tuple(&tuple, table, schema, row);
        must(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL) == 0);
        buffer_clear(&tuple);
    }
    must(rowgroup_builder_finish(builder, &group) == 0);
    rowgroup_builder_free(builder);
    return group;
}

/* Appends the whole COPY stream of rows [0, rows). */
static inline void rows_stream(const struct rows_table *table, const struct schema *schema,
                               uint32_t rows, struct buffer *out)
{
    must(buffer_append(out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19) == 0);
    for (uint32_t row = 0; row < rows; row++) {
        uint8_t fields[2];
        store_be16(fields, (uint16_t)rowgroup_fields(schema));
        must(buffer_append(out, fields, 2) == 0);
        rows_put_tuple(out, table, schema, row);
    }
    must(buffer_append(out, "\377\377", 2) == 0);
}

/* An encoded group's file, in one piece from malloc, as a store would hand it out. */
static inline uint8_t *rows_file(const struct rowgroup *group, const struct schema *schema,
                                 size_t *size)
{
    struct rowgroup_image image;
    must(rowgroup_encode(group, schema, true, &image) == 0);
    uint8_t *file = malloc(image.size);
    must(file != NULL);
    *size = 0;
    for (int i = 0; i < image.count; i++) {
        memcpy(file + *size, image.pieces[i].iov_base, image.pieces[i].iov_len);
        *size += image.pieces[i].iov_len;
    }
    must(*size == image.size);
    rowgroup_image_clear(&image);
    return file;
}

/* Whether two groups hold the same values. */
static inline bool rows_same_run(const struct run *a, const struct run *b, uint32_t rows)
{
    struct run_cursor left = {.run = a}, right = {.run = b};
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *x = NULL, *y = NULL;
        size_t n = 0, m = 0;
        bool given = run_next(&left, &x, &n);
        if (given != run_next(&right, &y, &m) || n != m || (given && n > 0 && memcmp(x, y, n) != 0))
            return false;
    }
    return left.at == a->size && right.at == b->size;
}

static inline bool rows_same_group(const struct rowgroup *a, const struct rowgroup *b)
{
    if (a->rows != b->rows || a->run_count != b->run_count ||
        !hash128_equal(a->content, b->content) || a->row_id_sum != b->row_id_sum ||
        a->row_ids.size != b->row_ids.size ||
        (a->row_ids.size > 0 && memcmp(a->row_ids.bytes, b->row_ids.bytes, a->row_ids.size) != 0))
        return false;
    for (int i = 0; i < a->run_count; i++)
        if (!rows_same_run(&a->runs[i], &b->runs[i], a->rows))
            return false;
    return true;
}

/* Appends the file of rows [first, end) as it must be, in groups of `each`, without a store.
 * `schema`: the table's; `chosen`: of the file's columns. */
static inline void rows_view(const struct rows_table *table, const struct schema *schema,
                             const struct schema *chosen, const struct format *format,
                             uint32_t first, uint32_t end, uint32_t each, struct buffer *out)
{
    enum { GROUPS_MOST = 64 };
    uint64_t offsets[GROUPS_MOST + 1];
    struct buffer made[GROUPS_MOST] = {{0}};
    struct note notes[GROUPS_MOST];
    const struct format_view told = {
        .schema = chosen, .rows = end - first, .groups = (end - first + each - 1) / each};
    size_t before = out->size;
    must(told.groups <= GROUPS_MOST);
    must(format_head(format, &told, out) == 0);
    offsets[0] = out->size - before;
    for (size_t i = 0; i < told.groups; i++) {
        uint32_t from = first + (uint32_t)i * each;
        struct rowgroup *rows =
            rows_group(table, schema, from, from + each < end ? from + each : end);
        must(format->body(chosen, rows, &made[i], out) == 0);
        notes[i] = (struct note){made[i].data, made[i].size};
        offsets[i + 1] = out->size - before;
        rowgroup_free(rows);
    }
    must(format_tail(format, &told, format->notes ? notes : NULL, offsets, out) == 0);
    for (size_t i = 0; i < told.groups; i++)
        buffer_clear(&made[i]);
}

#endif
