/* A page of a Parquet file, data page of version 1: the values of a column in a row group of ours,
 * which are a column chunk or a part of one.
 *
 *   page     PageHeader (parquet.thrift of parquet-format, in compact Thrift) | contents
 *   contents the repetition levels, if any; the definition levels (parquet_levels.h); the values,
 *            PLAIN. All of them as one zstd frame if the codec is PARQUET_ZSTD.
 *
 * The header has the CRC-32 of the contents as they are stored. No page knows where it stands.
 */
#ifndef CODEC_PARQUET_PAGE_H
#define CODEC_PARQUET_PAGE_H

#include "codec/buffer.h"

/* As parquet.thrift numbers them. */
enum parquet_codec { PARQUET_UNCOMPRESSED = 0, PARQUET_ZSTD = 6 };
enum { PARQUET_PLAIN = 0, PARQUET_RLE = 3 };

/* The sizes have the header in them, as a column chunk counts them. */
struct parquet_page_size {
    uint64_t stored, raw;
};

/* Appends the page with these contents; `values` counts NULLs, too. -EFBIG: a page has fewer than
 * 2^31 bytes; -ENOMEM. */
MUST_CHECK int parquet_page_put(const struct buffer *contents, uint64_t values,
                                enum parquet_codec codec, struct buffer *out,
                                struct parquet_page_size *size);

#endif
