/* A column as Parquet has it: its types there, and the values of a row group as the contents of
 * pages.
 *
 * form (columnar.h)    type                     meaning
 * BOOL                 BOOLEAN
 * INT16, UINT32        INT32                    INTEGER(16, signed), INTEGER(32, unsigned)
 * INT32, INT64         INT32, INT64
 * FLOAT, DOUBLE        FLOAT, DOUBLE
 * DATE                 INT32                    DATE
 * TIME, TIMESTAMP      INT64                    of microseconds, of no time zone
 * TIMESTAMPTZ          INT64                    of microseconds, of UTC
 * DECIMAL              FIXED_LEN_BYTE_ARRAY     DECIMAL: big-endian, as few bytes as the digits need
 * FIXED                FIXED_LEN_BYTE_ARRAY     UUID, or nothing if it is bits
 * TEXT, JSON, BINARY   BYTE_ARRAY               STRING, JSON, nothing
 * FLOATS, HALVES       a list of FLOAT, or of FIXED_LEN_BYTE_ARRAY(2) FLOAT16
 * SPARSE               a group: INT32 dim, a list of INT32 indices, which count from 1, as in the
 *                      type's text, a list of FLOAT values
 *
 * A column has a leaf for each sequence of values that it is made of: one, or three if it is SPARSE.
 * Each leaf has pages of its own.
 *
 * Threads: pure functions.
 * Errors: those of columnar.h.
 */
#ifndef CODEC_PARQUET_COLUMN_H
#define CODEC_PARQUET_COLUMN_H

#include "codec/columnar.h"
#include "codec/parquet_page.h"

/* Type, as parquet.thrift numbers it. */
enum parquet_type {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
    PARQUET_FIXED = 7 /* FIXED_LEN_BYTE_ARRAY */
};

/* Logical types. */
enum parquet_meaning {
    PARQUET_NO_MEANING,
    PARQUET_STRING,
    PARQUET_JSON,
    PARQUET_UUID,
    PARQUET_DATE,
    PARQUET_TIME,
    PARQUET_TIMESTAMP,
    PARQUET_TIMESTAMPTZ,
    PARQUET_DECIMAL,
    PARQUET_INT16,
    PARQUET_UINT32,
    PARQUET_FLOAT16
};

enum parquet_shape { PARQUET_ONE, PARQUET_LIST, PARQUET_SPARSE };

/* The leaves of PARQUET_SPARSE, in their order. */
enum { PARQUET_SPARSE_DIM, PARQUET_SPARSE_INDICES, PARQUET_SPARSE_VALUES, PARQUET_LEAVES_MOST };

struct parquet_column {
    const char *name; /* UTF-8 */
    int number;       /* of the column in its schema */
    struct columnar_form form;
    enum parquet_shape shape;
    enum parquet_type type; /* of its values, or of a list's elements; not of SPARSE */
    enum parquet_meaning meaning;
    uint32_t size; /* bytes of each value of PARQUET_FIXED */
    enum parquet_codec codec;
};

/* The columns of a file: those of the schema that are in_copy. *out is from malloc, *leaves the
 * number of all their leaves. They borrow from the schema. */
MUST_CHECK int parquet_columns(const struct schema *schema, struct parquet_column **out, int *count,
                               int *leaves);

static inline int parquet_column_leaves(const struct parquet_column *column)
{
    return column->shape == PARQUET_SPARSE ? PARQUET_LEAVES_MOST : 1;
}

enum parquet_type parquet_leaf_type(const struct parquet_column *column, int leaf);

/* What the levels count: a NULL or an empty list is a value, one of those that have none. */
struct parquet_counts {
    uint64_t values, nulls;
};

/* Appends levels and values of a leaf for all rows of the group. */
MUST_CHECK int parquet_leaf_contents(const struct parquet_column *column, int leaf,
                                     const struct run *run, uint32_t rows, struct buffer *out,
                                     struct parquet_counts *counts);

#endif
