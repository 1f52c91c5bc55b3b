/* The framing of a COPY BINARY stream: header, tuples, trailer, whatever pieces it arrives in.
 *
 *   header   "PGCOPY\n\377\r\n\0", int32 flags, int32 extension size, extension
 *   tuple    int16 number of fields, then for each: int32 size (-1: NULL), bytes
 *   trailer  int16 -1
 *
 * All numbers are big-endian. A tuple is handed out whole, as it stands in the stream; when a piece
 * holds it whole it is not copied.
 *
 * Lifetime: init to {0} with `fields` set; copy_stream_clear.
 * Errors: -EBADMSG for anything that is not such a stream, also more bytes behind the trailer, also
 * its end before it; and for tuples that were lost or doubled on the way.
 */
#ifndef CODEC_COPY_STREAM_H
#define CODEC_COPY_STREAM_H

#include "codec/buffer.h"

#include <stdbool.h>
#include <sys/types.h>

/* `tuple` begins with the first field's size; a negative return ends the feed and is handed on. */
typedef int tuple_sink(void *context, const uint8_t *tuple, size_t size);

struct copy_stream {
    int fields;          /* that every tuple must have */
    uint64_t tuples;     /* handed out so far */
    struct buffer carry; /* the beginning of a header or tuple whose end has not come */
    size_t scanned;      /* bytes of it whose fields have been walked */
    int fields_scanned;
    enum { COPY_HEADER, COPY_TUPLES, COPY_ENDED } state;
};

MUST_CHECK int copy_stream_feed(struct copy_stream *stream, const uint8_t *bytes, size_t size,
                                tuple_sink *sink, void *context, struct error *error);

/* Whether the stream came to its end, with as many tuples as the server says to have sent. */
MUST_CHECK int copy_stream_end(const struct copy_stream *stream, uint64_t said,
                               struct error *error);

void copy_stream_clear(struct copy_stream *stream);

#endif
