/* manifest.json: rows, columns and types, bytes and XXH3-128 of each listed view, version and point
 * in time of a table snapshot. Its size does not depend on the hashes: it is known before they
 * are. */
#ifndef FS_VIEWS_MANIFEST_H
#define FS_VIEWS_MANIFEST_H

#include "fs/rows/snapshot_view.h"

/* Appends the text. The listed formats (mask) have been measured or refused. `hashes` false: zeros
 * stand for the hashes. */
MUST_CHECK int manifest_write(const struct snapshot *snapshot, unsigned listed, bool hashes,
                              struct buffer *out);

#endif
