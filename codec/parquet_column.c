#include "codec/parquet_column.h"

#include "codec/bytes.h"
#include "codec/parquet_levels.h"

#include <errno.h>
#include <stdlib.h>

/* ---- types ---- */

static const struct {
    enum parquet_type type;
    enum parquet_meaning meaning;
    enum parquet_shape shape;
    enum parquet_codec codec;
} types[COLUMNAR_KINDS] = {
    [COLUMNAR_BOOL] = {PARQUET_BOOLEAN, .codec = PARQUET_ZSTD},
    [COLUMNAR_INT16] = {PARQUET_INT32, PARQUET_INT16, .codec = PARQUET_ZSTD},
    [COLUMNAR_INT32] = {PARQUET_INT32, .codec = PARQUET_ZSTD},
    [COLUMNAR_INT64] = {PARQUET_INT64, .codec = PARQUET_ZSTD},
    [COLUMNAR_UINT32] = {PARQUET_INT32, PARQUET_UINT32, .codec = PARQUET_ZSTD},
    [COLUMNAR_FLOAT] = {PARQUET_FLOAT, .codec = PARQUET_ZSTD},
    [COLUMNAR_DOUBLE] = {PARQUET_DOUBLE, .codec = PARQUET_ZSTD},
    [COLUMNAR_DATE] = {PARQUET_INT32, PARQUET_DATE, .codec = PARQUET_ZSTD},
    [COLUMNAR_TIME] = {PARQUET_INT64, PARQUET_TIME, .codec = PARQUET_ZSTD},
    [COLUMNAR_TIMESTAMP] = {PARQUET_INT64, PARQUET_TIMESTAMP, .codec = PARQUET_ZSTD},
    [COLUMNAR_TIMESTAMPTZ] = {PARQUET_INT64, PARQUET_TIMESTAMPTZ, .codec = PARQUET_ZSTD},
    [COLUMNAR_DECIMAL] = {PARQUET_FIXED, PARQUET_DECIMAL, .codec = PARQUET_ZSTD},
    [COLUMNAR_FIXED] = {PARQUET_FIXED, .codec = PARQUET_ZSTD},
    [COLUMNAR_FLOATS] = {PARQUET_FLOAT, .shape = PARQUET_LIST, .codec = PARQUET_UNCOMPRESSED},
    [COLUMNAR_HALVES] = {PARQUET_FIXED, PARQUET_FLOAT16, PARQUET_LIST, PARQUET_UNCOMPRESSED},
    [COLUMNAR_TEXT] = {PARQUET_BYTE_ARRAY, PARQUET_STRING, .codec = PARQUET_ZSTD},
    [COLUMNAR_JSON] = {PARQUET_BYTE_ARRAY, PARQUET_JSON, .codec = PARQUET_ZSTD},
    [COLUMNAR_BINARY] = {PARQUET_BYTE_ARRAY, .codec = PARQUET_ZSTD},
    [COLUMNAR_SPARSE] = {PARQUET_FLOAT, .shape = PARQUET_SPARSE, .codec = PARQUET_ZSTD},
};

/* The fewest bytes whose signed numbers have so many digits: 10^digits < 2^(8 * bytes - 1). */
static uint32_t bytes_of_decimal(unsigned digits)
{
    __extension__ unsigned __int128 most = 1;
    uint32_t bytes = 1;
    for (; digits > 0; digits--)
        most *= 10;
    while (most > (__extension__(unsigned __int128) 1 << (8 * bytes - 1)))
        bytes++;
    return bytes;
}

static struct parquet_column column_of(const struct schema *schema, int number)
{
    const struct columnar_form form = columnar_form(&schema->columns[number]);
    struct parquet_column column = {.name = schema->columns[number].name,
                                    .number = number,
                                    .form = form,
                                    .shape = types[form.kind].shape,
                                    .type = types[form.kind].type,
                                    .meaning = types[form.kind].meaning,
                                    .codec = types[form.kind].codec};
    if (form.kind == COLUMNAR_DECIMAL)
        column.size = bytes_of_decimal(form.precision);
    else if (form.kind == COLUMNAR_HALVES)
        column.size = 2;
    else if (form.kind == COLUMNAR_FIXED)
        column.size = form.width;
    if (form.kind == COLUMNAR_FIXED && form.count == 0)
        column.meaning = PARQUET_UUID;
    return column;
}

int parquet_columns(const struct schema *schema, struct parquet_column **out, int *count,
                    int *leaves)
{
    struct parquet_column *columns = calloc((size_t)schema->column_count + 1, sizeof *columns);
    int n = 0, all = 0;
    if (columns == NULL)
        return -ENOMEM;
    for (int i = 0; i < schema->column_count; i++)
        if (schema->columns[i].in_copy) {
            columns[n] = column_of(schema, i);
            all += parquet_column_leaves(&columns[n++]);
        }
    *out = columns;
    *count = n;
    *leaves = all;
    return 0;
}

enum parquet_type parquet_leaf_type(const struct parquet_column *column, int leaf)
{
    return column->shape == PARQUET_SPARSE && leaf != PARQUET_SPARSE_VALUES ? PARQUET_INT32
                                                                            : column->type;
}

/* ---- levels ---- */

/* The number of elements of a list. */
static uint32_t count_elements(const struct parquet_column *column, const uint8_t *wire,
                               size_t size)
{
    static const uint32_t element[] = {
        [COLUMNAR_FLOATS] = 4, [COLUMNAR_HALVES] = 2, [COLUMNAR_SPARSE] = 8};
    return (uint32_t)(columnar_value_size(&column->form, wire, size) / element[column->form.kind]);
}

/* Appends a row's levels of a list: 0 begins it, 1 goes on; 0 is NULL, 1 an empty list, 2 an
 * element. */
static void put_list(struct levels *levels, bool repetition, bool given, uint32_t count)
{
    if (repetition) {
        levels_put(levels, 0, 1);
        levels_put(levels, 1, count > 0 ? count - 1 : 0);
    } else {
        levels_put(levels, !given ? 0 : count == 0 ? 1 : 2, count > 0 ? count : 1);
    }
}

static int put_list_levels(const struct parquet_column *column, const struct run *run,
                           uint32_t rows, bool repetition, struct buffer *out,
                           struct parquet_counts *counts)
{
    struct run_cursor cursor = {.run = run};
    struct levels levels;
    *counts = (struct parquet_counts){0};
    levels_open(&levels, repetition ? 1 : 2, out);
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *wire;
        size_t size;
        bool given = run_next(&cursor, &wire, &size);
        uint32_t count = given ? count_elements(column, wire, size) : 0;
        put_list(&levels, repetition, given, count);
        counts->values += count > 0 ? count : 1;
        counts->nulls += count == 0;
    }
    return levels_close(&levels);
}

static int put_levels(const struct run *run, uint32_t rows, struct buffer *out,
                      struct parquet_counts *counts)
{
    struct levels levels;
    *counts = (struct parquet_counts){.values = rows};
    levels_open(&levels, 1, out);
    if (run->fixed != RUN_VARIABLE)
        levels_put(&levels, 1, rows);
    for (uint32_t row = 0; run->fixed == RUN_VARIABLE && row < rows; row++) {
        levels_put(&levels, run->sizes[row] >= 0, 1);
        counts->nulls += run->sizes[row] < 0;
    }
    return levels_close(&levels);
}

/* ---- values ---- */

/* As columnar.h has them: `bytes` of them. */
static int put_as_they_are(const struct columnar_form *form, const struct run *run, uint32_t rows,
                           size_t bytes, struct buffer *out)
{
    int rc = buffer_reserve(out, bytes);
    if (rc == 0)
        rc = columnar_fill(form, run, rows, false, out->data + out->size);
    if (rc == 0)
        out->size += bytes;
    return rc;
}

static int put_bools(const struct run *run, uint32_t rows, struct buffer *out)
{
    int rc = buffer_reserve(out, ((size_t)rows + 7) / 8);
    if (rc == 0)
        out->size += ((size_t)columnar_bits(run, rows, false, out->data + out->size) + 7) / 8;
    return rc;
}

/* Appends a value that is not NULL. */
typedef int put_value(const struct parquet_column *column, const uint8_t *wire, size_t size,
                      struct buffer *out);

static int put_each(const struct parquet_column *column, const struct run *run, uint32_t rows,
                    put_value *put, struct buffer *out)
{
    struct run_cursor cursor = {.run = run};
    int rc = 0;
    for (uint32_t row = 0; rc == 0 && row < rows; row++) {
        const uint8_t *wire;
        size_t size;
        if (run_next(&cursor, &wire, &size))
            rc = put(column, wire, size, out);
    }
    return rc;
}

static int put_bytes(const struct parquet_column *column, const uint8_t *wire, size_t size,
                     struct buffer *out)
{
    uint64_t bytes = columnar_value_size(&column->form, wire, size);
    int rc = buffer_reserve(out, 4 + bytes);
    if (rc < 0)
        return rc;
    store_le32(out->data + out->size, (uint32_t)bytes);
    rc = columnar_write(&column->form, wire, size, out->data + out->size + 4);
    if (rc == 0)
        out->size += 4 + bytes;
    return rc;
}

static int put_int16(const struct parquet_column *column, const uint8_t *wire, size_t size,
                     struct buffer *out)
{
    uint8_t value[2], wide[4];
    int rc = columnar_write(&column->form, wire, size, value);
    if (rc < 0)
        return rc;
    store_le32(wide, (uint32_t)(int16_t)load_le16(value));
    return buffer_append(out, wide, sizeof wide);
}

static int put_decimal(const struct parquet_column *column, const uint8_t *wire, size_t size,
                       struct buffer *out)
{
    uint8_t value[16];
    int rc = columnar_write(&column->form, wire, size, value);
    for (uint32_t i = column->size; rc == 0 && i-- > 0;)
        rc = buffer_append_byte(out, value[i]);
    return rc;
}

static int put_numbers(const uint8_t *from, uint32_t count, uint32_t added, struct buffer *out)
{
    int rc = buffer_reserve(out, 4 * (size_t)count);
    for (uint32_t i = 0; rc == 0 && i < count; i++, out->size += 4)
        store_le32(out->data + out->size, load_be32(from + 4 * (size_t)i) + added);
    return rc;
}

static int put_sparse_dim(const struct parquet_column *column, const uint8_t *wire, size_t size,
                          struct buffer *out)
{
    struct columnar_sparse sparse;
    int rc = columnar_sparse(wire, size, &sparse);
    uint8_t dim[4];
    (void)column;
    if (rc < 0)
        return rc;
    store_le32(dim, sparse.dim);
    return buffer_append(out, dim, sizeof dim);
}

static int put_sparse_indices(const struct parquet_column *column, const uint8_t *wire, size_t size,
                              struct buffer *out)
{
    struct columnar_sparse sparse;
    int rc = columnar_sparse(wire, size, &sparse);
    (void)column;
    return rc < 0 ? rc : put_numbers(sparse.indices, sparse.count, 1, out);
}

static int put_sparse_values(const struct parquet_column *column, const uint8_t *wire, size_t size,
                             struct buffer *out)
{
    struct columnar_sparse sparse;
    int rc = columnar_sparse(wire, size, &sparse);
    (void)column;
    return rc < 0 ? rc : put_numbers(sparse.values, sparse.count, 0, out);
}

static int put_values(const struct parquet_column *column, int leaf, const struct run *run,
                      uint32_t rows, size_t bytes, struct buffer *out)
{
    static put_value *const sparse[] = {[PARQUET_SPARSE_DIM] = put_sparse_dim,
                                        [PARQUET_SPARSE_INDICES] = put_sparse_indices,
                                        [PARQUET_SPARSE_VALUES] = put_sparse_values};
    switch (column->form.kind) {
    case COLUMNAR_BOOL:
        return put_bools(run, rows, out);
    case COLUMNAR_INT16:
        return put_each(column, run, rows, put_int16, out);
    case COLUMNAR_DECIMAL:
        return put_each(column, run, rows, put_decimal, out);
    case COLUMNAR_TEXT:
    case COLUMNAR_JSON:
    case COLUMNAR_BINARY:
        return put_each(column, run, rows, put_bytes, out);
    case COLUMNAR_SPARSE:
        return put_each(column, run, rows, sparse[leaf], out);
    default:
        return put_as_they_are(&column->form, run, rows, bytes, out);
    }
}

int parquet_leaf_contents(const struct parquet_column *column, int leaf, const struct run *run,
                          uint32_t rows, struct buffer *out, struct parquet_counts *counts)
{
    bool list = column->shape == PARQUET_LIST ||
                (column->shape == PARQUET_SPARSE && leaf != PARQUET_SPARSE_DIM);
    struct columnar_size size;
    int rc = columnar_measure(&column->form, run, rows, &size);
    if (rc == 0 && list)
        rc = put_list_levels(column, run, rows, true, out, counts);
    if (rc == 0)
        rc = list ? put_list_levels(column, run, rows, false, out, counts)
                  : put_levels(run, rows, out, counts);
    return rc < 0 ? rc : put_values(column, leaf, run, rows, size.bytes, out);
}
