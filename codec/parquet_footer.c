#include "codec/parquet_footer.h"

#include "codec/bytes.h"

#include <errno.h>

/* This is no version of the program, but of what it writes: files stay what they are. */
#define CREATED_BY "pgvecfs version 1.0.0 (build 1)"

enum { OPTIONAL = 1, REPEATED = 2, REQUIRED = 0 }; /* FieldRepetitionType */
enum { NONE = -1, CONVERTED_LIST = 3 };            /* ConvertedType */

/* Fields of LogicalType. */
enum { LIST = 3 };

static const struct {
    int logical;   /* the field of LogicalType; 0: there is none */
    int converted; /* ConvertedType */
} meanings[] = {
    [PARQUET_NO_MEANING] = {0, NONE}, [PARQUET_STRING] = {1, 0},
    [PARQUET_JSON] = {12, 19},        [PARQUET_UUID] = {14, NONE},
    [PARQUET_DATE] = {6, 6},          [PARQUET_TIME] = {7, 8},
    [PARQUET_TIMESTAMP] = {8, 10},    [PARQUET_TIMESTAMPTZ] = {8, 10},
    [PARQUET_DECIMAL] = {5, 5},       [PARQUET_INT16] = {10, 16},
    [PARQUET_UINT32] = {10, 13},      [PARQUET_FLOAT16] = {15, NONE},
};

/* ---- the schema ---- */

static void put_decimal_type(struct thrift *thrift, const struct parquet_column *column)
{
    thrift_i32(thrift, 1, column->form.scale);
    thrift_i32(thrift, 2, column->form.precision);
}

/* TimeType and TimestampType are the same. */
static void put_time_type(struct thrift *thrift, bool utc)
{
    thrift_bool(thrift, 1, utc);
    thrift_open_struct(thrift, 2); /* TimeUnit */
    thrift_open_struct(thrift, 2); /* MicroSeconds */
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
}

static void put_int_type(struct thrift *thrift, int8_t bits, bool is_signed)
{
    thrift_i8(thrift, 1, bits);
    thrift_bool(thrift, 2, is_signed);
}

static void put_logical_type(struct thrift *thrift, const struct parquet_column *column)
{
    int logical = meanings[column->meaning].logical;
    if (logical == 0)
        return;
    thrift_open_struct(thrift, 10);
    thrift_open_struct(thrift, logical);
    if (column->meaning == PARQUET_DECIMAL)
        put_decimal_type(thrift, column);
    else if (column->meaning == PARQUET_TIME || column->meaning == PARQUET_TIMESTAMP)
        put_time_type(thrift, false);
    else if (column->meaning == PARQUET_TIMESTAMPTZ)
        put_time_type(thrift, true);
    else if (column->meaning == PARQUET_INT16)
        put_int_type(thrift, 16, true);
    else if (column->meaning == PARQUET_UINT32)
        put_int_type(thrift, 32, false);
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
}

static void put_value_element(struct thrift *thrift, const struct parquet_column *column,
                              const char *name, int repetition)
{
    thrift_open_element(thrift);
    thrift_i32(thrift, 1, (int32_t)column->type);
    if (column->type == PARQUET_FIXED)
        thrift_i32(thrift, 2, (int32_t)column->size);
    thrift_i32(thrift, 3, repetition);
    thrift_text(thrift, 4, name);
    if (meanings[column->meaning].converted != NONE)
        thrift_i32(thrift, 6, meanings[column->meaning].converted);
    if (column->meaning == PARQUET_DECIMAL) {
        thrift_i32(thrift, 7, column->form.scale);
        thrift_i32(thrift, 8, column->form.precision);
    }
    put_logical_type(thrift, column);
    thrift_close_struct(thrift);
}

static void put_list_elements(struct thrift *thrift, const struct parquet_column *element,
                              const char *name, int repetition)
{
    thrift_open_element(thrift);
    thrift_i32(thrift, 3, repetition);
    thrift_text(thrift, 4, name);
    thrift_i32(thrift, 5, 1);
    thrift_i32(thrift, 6, CONVERTED_LIST);
    thrift_open_struct(thrift, 10);
    thrift_open_struct(thrift, LIST);
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
    thrift_open_element(thrift);
    thrift_i32(thrift, 3, REPEATED);
    thrift_text(thrift, 4, "list");
    thrift_i32(thrift, 5, 1);
    thrift_close_struct(thrift);
    put_value_element(thrift, element, "element", REQUIRED);
}

static const char *const sparse_names[] = {[PARQUET_SPARSE_DIM] = "dim",
                                           [PARQUET_SPARSE_INDICES] = "indices",
                                           [PARQUET_SPARSE_VALUES] = "values"};

static void put_sparse_elements(struct thrift *thrift, const struct parquet_column *column)
{
    thrift_open_element(thrift);
    thrift_i32(thrift, 3, OPTIONAL);
    thrift_text(thrift, 4, column->name);
    thrift_i32(thrift, 5, PARQUET_LEAVES_MOST);
    thrift_close_struct(thrift);
    for (int leaf = 0; leaf < PARQUET_LEAVES_MOST; leaf++) {
        const struct parquet_column values = {.type = parquet_leaf_type(column, leaf)};
        if (leaf == PARQUET_SPARSE_DIM)
            put_value_element(thrift, &values, sparse_names[leaf], REQUIRED);
        else
            put_list_elements(thrift, &values, sparse_names[leaf], REQUIRED);
    }
}

static size_t elements(const struct parquet_footer *footer)
{
    static const size_t of_shape[] = {
        [PARQUET_ONE] = 1, [PARQUET_LIST] = 3, [PARQUET_SPARSE] = 1 + 1 + 3 + 3};
    size_t count = 1;
    for (int i = 0; i < footer->count; i++)
        count += of_shape[footer->columns[i].shape];
    return count;
}

static void put_schema(struct parquet_footer *footer)
{
    struct thrift *thrift = &footer->thrift;
    thrift_list(thrift, 2, THRIFT_STRUCT, elements(footer));
    thrift_open_element(thrift);
    thrift_text(thrift, 4, "schema");
    thrift_i32(thrift, 5, footer->count);
    thrift_close_struct(thrift);
    for (int i = 0; i < footer->count; i++) {
        const struct parquet_column *column = &footer->columns[i];
        if (column->shape == PARQUET_LIST)
            put_list_elements(thrift, column, column->name, OPTIONAL);
        else if (column->shape == PARQUET_SPARSE)
            put_sparse_elements(thrift, column);
        else
            put_value_element(thrift, column, column->name, OPTIONAL);
    }
}

/* ---- the groups ---- */

static void put_path(struct thrift *thrift, const struct parquet_column *column, int leaf)
{
    bool sparse = column->shape == PARQUET_SPARSE;
    bool list = column->shape == PARQUET_LIST || (sparse && leaf != PARQUET_SPARSE_DIM);
    thrift_list(thrift, 3, THRIFT_BYTES, 1 + sparse + (list ? 2U : 0U));
    thrift_element_text(thrift, column->name);
    if (sparse)
        thrift_element_text(thrift, sparse_names[leaf]);
    if (list) {
        thrift_element_text(thrift, "list");
        thrift_element_text(thrift, "element");
    }
}

static void put_chunk(struct thrift *thrift, const struct parquet_column *column, int leaf,
                      const struct parquet_chunk *chunk, uint64_t offset)
{
    thrift_open_element(thrift);
    thrift_i64(thrift, 2, 0); /* file_offset: not used any more, but required */
    thrift_open_struct(thrift, 3);
    thrift_i32(thrift, 1, (int32_t)parquet_leaf_type(column, leaf));
    thrift_list(thrift, 2, THRIFT_I32, 2);
    thrift_element_i32(thrift, PARQUET_PLAIN);
    thrift_element_i32(thrift, PARQUET_RLE);
    put_path(thrift, column, leaf);
    thrift_i32(thrift, 4, (int32_t)column->codec);
    thrift_i64(thrift, 5, (int64_t)chunk->counts.values);
    thrift_i64(thrift, 6, (int64_t)chunk->size.raw);
    thrift_i64(thrift, 7, (int64_t)chunk->size.stored);
    thrift_i64(thrift, 9, (int64_t)offset);
    thrift_open_struct(thrift, 12); /* Statistics */
    thrift_i64(thrift, 3, (int64_t)chunk->counts.nulls);
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
    thrift_close_struct(thrift);
}

void parquet_footer_group(struct parquet_footer *footer, const struct parquet_group *group)
{
    struct thrift *thrift = &footer->thrift;
    const struct parquet_chunk *chunk = group->chunks;
    uint64_t raw = 0;
    thrift_open_element(thrift);
    thrift_list(thrift, 1, THRIFT_STRUCT, (size_t)footer->leaves);
    for (int i = 0; i < footer->count; i++) {
        uint64_t offset = group->offset + group->offsets[i];
        for (int leaf = 0; leaf < parquet_column_leaves(&footer->columns[i]); leaf++, chunk++) {
            put_chunk(thrift, &footer->columns[i], leaf, chunk, offset);
            offset += chunk->size.stored;
            raw += chunk->size.raw;
        }
    }
    thrift_i64(thrift, 2, (int64_t)raw);
    thrift_i64(thrift, 3, (int64_t)group->rows);
    thrift_close_struct(thrift);
}

/* ---- the whole ---- */

void parquet_footer_open(struct parquet_footer *footer, const struct parquet_column *columns,
                         int count, uint64_t rows, size_t groups, struct buffer *out)
{
    *footer =
        (struct parquet_footer){.out = out, .start = out->size, .columns = columns, .count = count};
    for (int i = 0; i < count; i++)
        footer->leaves += parquet_column_leaves(&columns[i]);
    thrift_open(&footer->thrift, out);
    thrift_i32(&footer->thrift, 1, 1); /* the format's version */
    put_schema(footer);
    thrift_i64(&footer->thrift, 3, (int64_t)rows);
    thrift_list(&footer->thrift, 4, THRIFT_STRUCT, groups);
}

int parquet_footer_close(struct parquet_footer *footer)
{
    uint8_t end[8];
    thrift_text(&footer->thrift, 6, CREATED_BY);
    int rc = thrift_close(&footer->thrift);
    size_t size = footer->out->size - footer->start;
    if (rc == 0 && size > UINT32_MAX)
        rc = -EFBIG;
    store_le32(end, (uint32_t)size);
    memcpy(end + 4, PARQUET_MAGIC, 4);
    return rc < 0 ? rc : buffer_append(footer->out, end, sizeof end);
}
