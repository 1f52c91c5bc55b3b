/* The footer of a Parquet file (parquet.thrift of parquet-format, in compact Thrift): the schema,
 * and where which column of which row group is.
 *
 *   file     "PAR1" | row groups | FileMetaData | u32 its size, little-endian | "PAR1"
 *   group    of each column its leaves (parquet_layout.h), of each leaf its pages, one behind another
 *            (parquet_page.h)
 *
 * Every column may be NULL. A list is of three levels, as parquet-format's LogicalTypes.md wants it:
 *
 *   optional group NAME (LIST) { repeated group list { required TYPE element } }
 *
 * and the lists in the group of a sparse vector are required.
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

#include "codec/parquet_column.h"
#include "codec/thrift_compact.h"

#define PARQUET_MAGIC "PAR1"

/* A leaf of a row group. */
struct parquet_chunk {
    struct parquet_page_size size; /* of all its pages */
    struct parquet_counts counts;
};

struct parquet_footer {
    struct buffer *out;
    size_t start;
    struct thrift thrift;
    const struct parquet_column *columns;
    int count, leaves;
};

/* `groups` calls of parquet_footer_group follow. */
void parquet_footer_open(struct parquet_footer *footer, const struct parquet_column *columns,
                         int count, uint64_t rows, size_t groups, struct buffer *out);

/* A row group of the file. */
struct parquet_group {
    uint64_t offset, rows;
    const uint64_t *offsets;            /* where each column begins, from `offset` */
    const struct parquet_chunk *chunks; /* one for each leaf */
};

void parquet_footer_group(struct parquet_footer *footer, const struct parquet_group *group);

/* The rest of the file. */
MUST_CHECK int parquet_footer_close(struct parquet_footer *footer);

#endif
