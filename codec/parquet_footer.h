/* The footer of a Parquet file (parquet.thrift of parquet-format, in compact Thrift): the schema,
 * and where which column of which row group is.
 *
 *   file     "PAR1" | row groups | FileMetaData | u32 its size, little-endian | "PAR1"
 *   group    of each column its pages, one behind another (parquet_page.h)
 *
 * Every column may be NULL. A list is of three levels, as parquet-format's LogicalTypes.md wants it:
 *
 *   optional group NAME (LIST) { repeated group list { required TYPE element } }
 *
 * Deprecated converted types stand beside the logical ones, for readers that know only those. Of
 * statistics there is the number of NULLs alone. A group tells nothing that depends on its number.
 *
 * Lifetime: parquet_footer_open … parquet_footer_close; it borrows the columns and the buffer.
 * Threads: none; one owner. Errors: remembered, and told by parquet_footer_close; -ENOMEM; -EFBIG:
 * a footer of 4 GiB or more.
 */
#ifndef CODEC_PARQUET_FOOTER_H
#define CODEC_PARQUET_FOOTER_H

#include "codec/parquet_page.h"
#include "codec/thrift_compact.h"

#define PARQUET_MAGIC "PAR1"

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

/* What the values mean, by their logical types. */
enum parquet_meaning {
    PARQUET_NO_MEANING,
    PARQUET_STRING,
    PARQUET_JSON,
    PARQUET_UUID,
    PARQUET_DATE,
    PARQUET_TIME,        /* microseconds, of no zone */
    PARQUET_TIMESTAMP,   /* the same */
    PARQUET_TIMESTAMPTZ, /* microseconds, UTC */
    PARQUET_DECIMAL,
    PARQUET_INT16,
    PARQUET_UINT32,
    PARQUET_FLOAT16
};

struct parquet_column {
    const char *name; /* UTF-8 */
    enum parquet_type type;
    enum parquet_meaning meaning;
    int32_t size;             /* of each value of PARQUET_FIXED */
    int32_t precision, scale; /* of PARQUET_DECIMAL */
    bool list;                /* of such values */
    enum parquet_codec codec;
};

/* A column of a row group. */
struct parquet_chunk {
    struct parquet_page_size size; /* of all its pages */
    uint64_t values;               /* what the levels count: a NULL or an empty list is one */
    uint64_t nulls;                /* those of them that have no value */
};

struct parquet_footer {
    struct buffer *out;
    size_t start;
    struct thrift thrift;
    const struct parquet_column *columns;
    int count;
};

/* `groups` calls of parquet_footer_group follow. */
void parquet_footer_open(struct parquet_footer *footer, const struct parquet_column *columns,
                         int count, uint64_t rows, size_t groups, struct buffer *out);

/* `offset`: where the pages of the first column begin; `chunks`: one for each column. */
void parquet_footer_group(struct parquet_footer *footer, uint64_t offset, uint64_t rows,
                          const struct parquet_chunk *chunks);

/* The rest of the file. */
MUST_CHECK int parquet_footer_close(struct parquet_footer *footer);

#endif
