#include "codec/copy_stream.h"
#include "codec/bytes.h"

#include <errno.h>
#include <inttypes.h>

static const uint8_t signature[11] = "PGCOPY\n\377\r\n";

enum { FIXED_HEADER = sizeof signature + 8, CRITICAL_FLAGS = (int)0xFFFF0000 };

/* The walks below look at what has come of a header or tuple. They return its size once it is
 * whole, 0 while bytes are missing, or an error. */

static ssize_t walk_header(const uint8_t *at, size_t size, struct error *error)
{
    size_t n = size < sizeof signature ? size : sizeof signature;
    if (memcmp(at, signature, n) != 0)
        return error_set(error, -EBADMSG, "the server's COPY stream has no COPY BINARY signature");
    if (size < FIXED_HEADER)
        return 0;
    if ((load_be32(at + sizeof signature) & (uint32_t)CRITICAL_FLAGS) != 0)
        return error_set(error, -EBADMSG, "the server's COPY stream has flags that are not known");
    uint32_t extension = load_be32(at + sizeof signature + 4);
    if (extension > INT32_MAX)
        return error_set(error, -EBADMSG, "the server's COPY header has a negative size");
    size_t whole = FIXED_HEADER + (size_t)extension;
    return size < whole ? 0 : (ssize_t)whole;
}

static ssize_t walk_tuple(struct copy_stream *stream, const uint8_t *at, size_t size,
                          struct error *error)
{
    if (stream->scanned == 0) {
        if (size < 2)
            return 0;
        int fields = (int16_t)load_be16(at);
        if (fields == -1)
            stream->state = COPY_ENDED;
        else if (fields != stream->fields)
            return error_set(error, -EBADMSG,
                             "a row of the server's COPY stream has %d fields instead of %d",
                             fields, stream->fields);
        stream->scanned = 2;
        if (fields == -1)
            return 2;
    }
    while (stream->fields_scanned < stream->fields) {
        if (size - stream->scanned < 4)
            return 0;
        int32_t n = (int32_t)load_be32(at + stream->scanned);
        if (n < -1)
            return error_set(error, -EBADMSG, "a field of the server's COPY stream has size %d", n);
        size_t whole = 4 + (n > 0 ? (size_t)n : 0);
        if (size - stream->scanned < whole)
            return 0;
        stream->scanned += whole;
        stream->fields_scanned++;
    }
    return (ssize_t)stream->scanned;
}

/* Hands out the tuples that stand whole at `at`, as most do: libpq hands out whole rows. Anything
 * else is left to consume_one(). */
static ssize_t consume_whole(struct copy_stream *stream, const uint8_t *at, size_t size,
                             tuple_sink *sink, void *context)
{
    size_t done = 0;
    if (stream->state != COPY_TUPLES || stream->scanned > 0)
        return 0;
    while (size - done >= 2 && load_be16(at + done) == stream->fields) {
        size_t end = done + 2;
        for (int i = 0; i < stream->fields; i++) {
            if (size - end < 4)
                return (ssize_t)done;
            uint32_t n = load_be32(at + end);
            end += 4;
            n = n == UINT32_MAX ? 0 : n;
            if (n > INT32_MAX || size - end < n)
                return (ssize_t)done;
            end += n;
        }
        int rc = sink(context, at + done + 2, end - done - 2);
        if (rc < 0)
            return rc;
        stream->tuples++;
        done = end;
    }
    return (ssize_t)done;
}

/* Consumes one header, tuple or trailer at `at`. Returns its size; 0: it is not whole yet. */
static ssize_t consume_one(struct copy_stream *stream, const uint8_t *at, size_t size,
                           tuple_sink *sink, void *context, struct error *error)
{
    if (size == 0)
        return 0;
    if (stream->state == COPY_HEADER) {
        ssize_t n = walk_header(at, size, error);
        if (n > 0)
            stream->state = COPY_TUPLES;
        return n;
    }
    if (stream->state == COPY_ENDED)
        return error_set(error, -EBADMSG, "the server's COPY stream goes on behind its trailer");
    ssize_t n = walk_tuple(stream, at, size, error);
    if (n <= 0)
        return n;
    stream->scanned = 0;
    stream->fields_scanned = 0;
    if (stream->state == COPY_ENDED)
        return n;
    int rc = sink(context, at + 2, (size_t)n - 2);
    stream->tuples++;
    return rc < 0 ? rc : n;
}

int copy_stream_feed(struct copy_stream *stream, const uint8_t *bytes, size_t size,
                     tuple_sink *sink, void *context, struct error *error)
{
    bool carried = stream->carry.size > 0;
    if (carried) {
        int rc = buffer_append(&stream->carry, bytes, size);
        if (rc < 0)
            return rc;
        bytes = stream->carry.data;
        size = stream->carry.size;
    }
    size_t done = 0;
    ssize_t n;
    do {
        n = consume_whole(stream, bytes + done, size - done, sink, context);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
        n = consume_one(stream, bytes + done, size - done, sink, context, error);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
    } while (n > 0);
    if (!carried)
        return done == size ? 0 : buffer_append(&stream->carry, bytes + done, size - done);
    memmove(stream->carry.data, bytes + done, size - done);
    stream->carry.size = size - done;
    return 0;
}

int copy_stream_end(const struct copy_stream *stream, uint64_t said, struct error *error)
{
    if (stream->state != COPY_ENDED || stream->carry.size > 0)
        return error_set(error, -EBADMSG, "the server's COPY stream ended before its trailer");
    if (stream->tuples == said)
        return 0;
    return error_set(error, -EBADMSG,
                     "%" PRIu64 " rows came from the server, which says that it sent %" PRIu64,
                     stream->tuples, said);
}

void copy_stream_clear(struct copy_stream *stream)
{
    buffer_clear(&stream->carry);
    *stream = (struct copy_stream){.fields = stream->fields};
}
