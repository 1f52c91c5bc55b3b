/* The frame of a COPY BINARY stream, whatever pieces it arrives in:
 *
 *   header   "PGCOPY\n\377\r\n\0", int32 flags, int32 extension size, extension
 *   tuple    int16 number of fields, then for each: int32 size (-1: NULL), bytes
 *   trailer  int16 -1
 *
 * All numbers are big-endian. Tuples are handed out whole, as they stand in the stream; a tuple is
 * copied only if it arrives in more than one piece.
 *
 * Lifetime: init to {0} with `fields` set; copy_stream_clear.
 * Errors: -EBADMSG bytes that are not such a stream, bytes behind the trailer, an end before it,
 * and tuples that were lost or doubled on the way.
 */
#ifndef CODEC_COPY_STREAM_H
#define CODEC_COPY_STREAM_H

#include "codec/buffer.h"

#include <stdbool.h>
#include <sys/types.h>

/* `tuple` begins with the first field's size. A negative return ends the feed, which returns it. */
typedef int tuple_sink(void *context, const uint8_t *tuple, size_t size);

struct copy_stream {
    int fields;          /* that every tuple must have */
    uint64_t tuples;     /* handed out so far */
    struct buffer carry; /* the beginning of a header or tuple whose end has not come yet */
    size_t scanned;      /* bytes of it whose fields have been looked at */
    int fields_scanned;
    enum { COPY_HEADER, COPY_TUPLES, COPY_ENDED } state;
};

MUST_CHECK int copy_stream_feed(struct copy_stream *stream, const uint8_t *bytes, size_t size,
                                tuple_sink *sink, void *context, struct error *error);

/* Whether the stream has come to its end, with as many tuples as the server says that it has
 * sent. */
MUST_CHECK int copy_stream_end(const struct copy_stream *stream, uint64_t said,
                               struct error *error);

void copy_stream_clear(struct copy_stream *stream);

#endif
