/* Reading a view from its beginning while its size is not known yet. The row groups are rendered as
 * they come from a fetch under way, or one after another from a snapshot that has not been
 * measured.
 *
 * If the fetch is tried again, the stream goes on with the feed of the next attempt, if the groups
 * that it has had come again there.
 *
 * Lifetime: reference-counted. Threads: one at a time reads by stream_read (others wait); any may
 * call the rest. Errors: those of fetch_group and of the fetch; -EINTR if `give_up` said so;
 * -EBADMSG a value that is not one of its type.
 */
#ifndef FS_VIEWS_STREAM_H
#define FS_VIEWS_STREAM_H

#include "fs/rows/feed.h"
#include "fs/rows/fetch.h"

struct stream;

/* Borrows the rendition's columns for the call. -EIO: the rows lack something that the format
 * needs. */
MUST_CHECK int stream_new(const struct fetch_place *place, struct feed *feed,
                          const struct rendition *rendition, struct stream **out);
/* feed_id() of the feed that it was made for. */
uint64_t stream_feed(const struct stream *stream);
struct stream *stream_ref(struct stream *stream);
void stream_unref(struct stream *stream); /* the caller does not wait; NULL is fine */

/* Appends the bytes [offset, offset + size) to `out`, fewer only if the view ends there. Waits for
 * them until `give_up`, which is asked every 100 ms, says yes. */
MUST_CHECK int stream_read(struct stream *stream, uint64_t offset, uint64_t size,
                           bool (*give_up)(void *context), void *context, struct buffer *out,
                           struct error *error);

#endif
