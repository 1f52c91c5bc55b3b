/* VDF_META.json, the file by which import tools of vector databases know a directory: it says that
 * the directory's .parquet files hold vectors, in which columns, and of how many dimensions.
 *
 * Source: the Vector Dataset Format of the Vector IO project. Its tools take each element of an index
 * for a set of vectors of its own, so each column of vectors has one.
 */
#ifndef FS_VIEWS_VDF_H
#define FS_VIEWS_VDF_H

#include "fs/rows/snapshot_view.h"

/* Appends the text. */
MUST_CHECK int vdf_write(const struct snapshot *snapshot, struct buffer *out);

#endif
