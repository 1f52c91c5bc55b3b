/* Rendered bodies: a row group as the bytes of one rendition, kept in memory up to a limit, the least
 * recently used going first. One that is larger than half the limit is kept beyond it, until it has
 * been read to its end, or nobody reads it for ten seconds, or two others as large are read.
 *
 * Lifetime: body_get lends a body until body_release. The cache frees what nobody borrows once it
 * is over its limit. Threads: any. Several who ask for the same body at once wait for one
 * rendering.
 */
#ifndef FS_VIEWS_BODY_H
#define FS_VIEWS_BODY_H

#include "fs/base/workers.h"
#include "fs/rows/fetch.h"

struct body;
struct body_cache;

/* Borrows the place, the workers, of which there are `threads`, and which render ahead, and the
 * waiters, which fetch ahead what the cache on disk has lost (NULL: nobody does). `limit` in bytes.
 */
MUST_CHECK int body_cache_new(const struct fetch_place *place, struct workers *workers, int threads,
                              struct waiters *waiters, uint64_t limit, struct body_cache **out);
void body_cache_free(struct body_cache *cache);

/* The body of a group of the view, by its number in the snapshot; rendered now if need be, as far
 * as the thread's patience goes (fs/base/patience.h). A view of some columns must have a face. */
MUST_CHECK int body_get(struct body_cache *cache, const struct view *view, size_t group,
                        struct body **out, struct error *error);

/* The same only if it is there already; else -EAGAIN. */
MUST_CHECK int body_try(struct body_cache *cache, const struct view *view, size_t group,
                        struct body **out);

/* Begins to render this group and some more behind it, for somebody who reads on: enough for all
 * threads to have work, as far as there is room. */
void body_ahead(struct body_cache *cache, const struct view *view, size_t group);

const struct buffer *body_bytes(const struct body *body);
/* `served`: bytes of it that a reader has got. A body whose every byte was read once goes first. */
void body_release(struct body_cache *cache, struct body *body, uint64_t served);

/* Lets go of large ones that nobody reads any more. Called now and then. */
void body_cache_tend(struct body_cache *cache);

/* How many have been rendered, also in vain. */
uint64_t body_cache_rendered(struct body_cache *cache);

/* Bytes kept now. */
uint64_t body_cache_used(struct body_cache *cache);

#endif
