/* Reading a view (fs/rows/snapshot_view.h): prefix sums, then the bodies of the row groups that the
 * range meets. */
#ifndef FS_VIEWS_VIEW_H
#define FS_VIEWS_VIEW_H

#include "fs/views/body.h"

enum { VIEW_PIECES = 32 };

/* Bytes of a view, where they lie: in bodies that stay borrowed until view_bytes_clear. */
struct view_bytes {
    struct iovec pieces[VIEW_PIECES];
    struct body *bodies[VIEW_PIECES]; /* of each piece; NULL: none */
    int count;
    size_t size;            /* of all pieces together */
    struct buffer gathered; /* where there were more pieces than that, they were copied */
};

/* The bytes [offset, offset + size), cut at the end of the view, into `out`, which is empty (zero).
 * It has been measured. `patient`: false: -EAGAIN where that would mean to render. To be
 * cleared in any case. */
MUST_CHECK int view_read(struct body_cache *cache, const struct view *view, uint64_t offset,
                         uint64_t size, bool patient, struct view_bytes *out, struct error *error);
void view_bytes_clear(struct body_cache *cache, struct view_bytes *bytes);

/* XXH3-128 of the whole view, which has been measured, computed once and kept in its face. */
MUST_CHECK int view_hash(struct body_cache *cache, const struct view *view, const atomic_bool *stop,
                         struct hash128 *out, struct error *error);

#endif
