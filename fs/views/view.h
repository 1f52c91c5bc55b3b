/* Reading a view (fs/rows/snapshot_view.h): prefix sums find the row groups that the range meets,
 * then their bodies are read. */
#ifndef FS_VIEWS_VIEW_H
#define FS_VIEWS_VIEW_H

#include "fs/views/body.h"

enum { VIEW_PIECES = 32 };

/* Bytes of a view, not copied: they are in bodies that stay borrowed until view_bytes_clear. */
struct view_bytes {
    struct iovec pieces[VIEW_PIECES];
    struct body *bodies[VIEW_PIECES];   /* the body of each piece; NULL: none */
    struct buffer counted[VIEW_PIECES]; /* of a format that counts: the pieces themselves */
    int count;
    size_t size;            /* of all pieces */
    struct buffer gathered; /* a copy of the pieces, if there were more than VIEW_PIECES */
};

/* The first of `count` groups whose body ends behind `offset`; `count`: the offset is in the
 * tail. */
size_t view_group_at(const struct face *face, size_t count, uint64_t offset);

/* Reads the bytes [offset, offset + size), cut at the end of the view, into `out`, which is empty
 * (zero). The view has been measured. `patient` false: -EAGAIN if a body would have to be rendered.
 * `out` is to be cleared in any case. */
MUST_CHECK int view_read(struct body_cache *cache, const struct view *view, uint64_t offset,
                         uint64_t size, bool patient, struct view_bytes *out, struct error *error);
void view_bytes_clear(struct body_cache *cache, struct view_bytes *bytes);

/* XXH3-128 of the whole view, which has been measured. Computed once, and kept in its face. */
MUST_CHECK int view_hash(struct body_cache *cache, const struct view *view, const atomic_bool *stop,
                         struct hash128 *out, struct error *error);

#endif
