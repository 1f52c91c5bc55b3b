/* Rendered bodies: a row group as the bytes of one format, kept in memory up to a limit, the least
 * recently used going first.
 *
 * Lifetime: body_get lends a body until body_release. The cache frees what nobody borrows once it
 * is over its limit. Threads: any. Several who ask for the same body at once wait for one
 * rendering.
 */
#ifndef FS_BODY_H
#define FS_BODY_H

#include "fs/fetch.h"
#include "fs/workers.h"

struct body;
struct body_cache;

/* Borrows the place and the workers, of which there are `threads`, and which render ahead. `limit`
 * in bytes. */
MUST_CHECK int body_cache_new(const struct fetch_place *place, struct workers *workers, int threads,
                              uint64_t limit, struct body_cache **out);
void body_cache_free(struct body_cache *cache);

/* The body; rendered now if need be. */
MUST_CHECK int body_get(struct body_cache *cache, struct snapshot *snapshot, int format,
                        size_t group, struct body **out, struct error *error);

/* The same only if it is there already; else -EAGAIN. */
MUST_CHECK int body_try(struct body_cache *cache, struct snapshot *snapshot, int format,
                        size_t group, struct body **out);

/* Begins to render this group and some more behind it, for somebody who reads on: enough for all
 * threads to have work, as far as there is room. */
void body_ahead(struct body_cache *cache, struct snapshot *snapshot, int format, size_t group);

const struct buffer *body_bytes(const struct body *body);
/* `served`: bytes of it that a reader has got. A body whose every byte was read once goes first. */
void body_release(struct body_cache *cache, struct body *body, uint64_t served);

/* Bytes kept now. */
uint64_t body_cache_used(struct body_cache *cache);

#endif
