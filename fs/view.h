/* A view: format × table snapshot, a byte sequence of exact size. Reading is prefix sums, then the
 * bodies of the row groups that the range meets. */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include "fs/body.h"

/* Appends the bytes [offset, offset + size), cut at the end of the view. The format has been
 * measured. `patient`: false: -EAGAIN where that would mean to render. */
MUST_CHECK int view_read(struct body_cache *cache, struct snapshot *snapshot, int format,
                         uint64_t offset, uint64_t size, bool patient, struct buffer *out,
                         struct error *error);

/* XXH3-128 of the whole view, computed once and kept in the snapshot. */
MUST_CHECK int view_hash(struct body_cache *cache, struct snapshot *snapshot, int format,
                         const atomic_bool *stop, struct hash128 *out, struct error *error);

#endif
