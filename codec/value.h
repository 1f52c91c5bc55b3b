/* The functions that render values of one type (type.h), each as the text or the JSON that stands
 * in a file.
 *
 * A value arrives as its COPY BINARY bytes (big-endian, without the length in front).
 *
 * Threads: everything here is pure.
 * Errors: -EBADMSG if the bytes are not a value of the type (they come from the network), -ENOMEM.
 * After an error the buffer may hold a part of the value; its owner drops it.
 */
#ifndef CODEC_VALUE_H
#define CODEC_VALUE_H

#include "codec/pen.h"

/* Appends one value that is not NULL. */
typedef int render_value(const uint8_t *wire, size_t size, struct buffer *out);

/* Writes one value that is not NULL, as it stands in a file, and returns its end (pen.h). NULL
 * while the pen's rc is 0: the bytes are not a value of the type. There is room for VALUE_ROOM
 * bytes, and the function may overwrite all of them. If it needs more, it asks the pen, and leaves
 * as much. */
typedef uint8_t *write_value(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size);

#define VALUE_ROOM 64

/* A value of n bytes is rendered into a room of RENDERED_AT_MOST * n + VALUE_ROOM bytes; a longer
 * text costs more, but nothing else. */
#define RENDERED_AT_MOST 9

/* Renders by a write function that does not use its pen. */
MUST_CHECK int value_append(write_value *write, const uint8_t *wire, size_t size,
                            struct buffer *out);

#define RENDER_BY_WRITE(render, write)                                                             \
    int render(const uint8_t *wire, size_t size, struct buffer *out)                               \
    {                                                                                              \
        return value_append(write, wire, size, out);                                               \
    }

#endif
