/* The formats of files of one column, in the order in which they are listed. They are no formats of
 * whole tables, and not among those of format.h.
 *
 *   npy                            its values as an array
 *   null.npy                       which of them are NULL; of every column
 *   fvecs                          of vectors
 *   indptr.npy indices.npy data.npy  of sparse vectors: a CSR matrix
 *   arrow                          of all other columns: an Arrow file of this column alone
 *
 * `possible`, of a schema of one column alone, tells whether that column has such a file.
 */
#ifndef CODEC_COLUMN_FORMAT_H
#define CODEC_COLUMN_FORMAT_H

#include "codec/format.h"

enum { COLUMN_FORMAT_COUNT = 7 };

extern const struct format *const column_formats[COLUMN_FORMAT_COUNT];

/* The place of the format with this name of `size` bytes, -1: none. */
int column_format_find(const char *name, size_t size);

extern const struct format format_npy, format_null_npy, format_fvecs, format_indptr_npy,
    format_indices_npy, format_data_npy, format_column_arrow;

#endif
