/* Reading a view from its beginning while its size is not known yet: the row groups are rendered as
 * they come from a fetch that is under way, or as far as one gets through a snapshot that nobody
 * has measured.
 *
 * Where the fetch is tried again, it goes on with the feed of the next attempt, if the groups that
 * it has had come there again.
 *
 * Lifetime: reference-counted. Threads: stream_read by one at a time (others wait), the rest by
 * any. Errors: those of fetch_group and of the fetch; -EINTR where `give_up` said so; -EBADMSG a
 * value that is not one of its type.
 */
#ifndef FS_VIEWS_STREAM_H
#define FS_VIEWS_STREAM_H

#include "fs/rows/feed.h"
#include "fs/rows/fetch.h"

struct stream;

/* Borrows the rendition's columns for the call. -EIO: it has not all that the format needs. */
MUST_CHECK int stream_new(const struct fetch_place *place, struct feed *feed,
                          const struct rendition *rendition, struct stream **out);
/* feed_id() of what it was made for. */
uint64_t stream_feed(const struct stream *stream);
struct stream *stream_ref(struct stream *stream);
void stream_unref(struct stream *stream); /* the caller does not wait; NULL is fine */

/* Appends the bytes [offset, offset + size) to `out`, fewer only where the view ends. Waits for
 * them as long as `give_up` (asked every 100 ms) says no. */
MUST_CHECK int stream_read(struct stream *stream, uint64_t offset, uint64_t size,
                           bool (*give_up)(void *context), void *context, struct buffer *out,
                           struct error *error);

#endif
