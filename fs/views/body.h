/* Rendered bodies: a row group as the bytes of one rendition, kept in memory up to a limit; the
 * least recently used go first. A body larger than half the limit is kept beyond it, until it has
 * been read to its end, or nobody has read it for ten seconds, or two others as large are read.
 *
 * Lifetime: body_get lends a body until body_release. Once the cache is over its limit it frees
 * bodies that are not lent. Threads: any. Threads that ask for the same body at once wait for one
 * rendering.
 */
#ifndef FS_VIEWS_BODY_H
#define FS_VIEWS_BODY_H

#include "fs/base/workers.h"
#include "fs/rows/fetch.h"

struct body;
struct body_cache;

/* Borrows the place; the workers, which render ahead and of which there are `threads`; and the
 * waiters, which fetch ahead what the cache on disk has lost (NULL: nothing is fetched ahead).
 * `limit` in bytes. */
MUST_CHECK int body_cache_new(const struct fetch_place *place, struct workers *workers, int threads,
                              struct waiters *waiters, uint64_t limit, struct body_cache **out);
void body_cache_free(struct body_cache *cache);

/* The body of a group of the view, by the group's number in the snapshot. It is rendered now if
 * need be, as far as the thread's patience goes (fs/base/patience.h). A view of some columns must
 * have a face. */
MUST_CHECK int body_get(struct body_cache *cache, const struct view *view, size_t group,
                        struct body **out, struct error *error);

/* The same if the body is there already; else -EAGAIN. */
MUST_CHECK int body_try(struct body_cache *cache, const struct view *view, size_t group,
                        struct body **out);

/* Begins to render this group and some more behind it, for a reader that reads on: enough to give
 * all threads work, as far as there is room. */
void body_ahead(struct body_cache *cache, const struct view *view, size_t group);

const struct buffer *body_bytes(const struct body *body);
/* `served`: bytes of it that a reader has got. A body of which every byte was read once goes
 * first. */
void body_release(struct body_cache *cache, struct body *body, uint64_t served);

/* Lets go of large bodies that nobody reads any more. To be called now and then. */
void body_cache_tend(struct body_cache *cache);

/* How many bodies have been rendered, also in vain. */
uint64_t body_cache_rendered(struct body_cache *cache);

/* Bytes kept now. */
uint64_t body_cache_used(struct body_cache *cache);

#endif
