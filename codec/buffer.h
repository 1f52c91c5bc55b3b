/* A growing run of bytes.
 *
 * Lifetime: init to {0}, then append; buffer_clear frees. The bytes move when it grows.
 * Threads: one owner.
 * Errors: -ENOMEM; then the contents are as before.
 */
#ifndef CODEC_BUFFER_H
#define CODEC_BUFFER_H

#include "codec/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};

/* Grows to a capacity of at least size + extra. */
MUST_CHECK int buffer_grow(struct buffer *buffer, size_t extra);

void buffer_clear(struct buffer *buffer);

/* Gives back what is not in use. For a buffer that will not grow any more. */
void buffer_fit(struct buffer *buffer);

/* Room for `extra` bytes at data + size; the caller writes them, and adds to size. */
MUST_CHECK static inline int buffer_reserve(struct buffer *buffer, size_t extra)
{
    return buffer->capacity - buffer->size >= extra ? 0 : buffer_grow(buffer, extra);
}

MUST_CHECK static inline int buffer_append(struct buffer *buffer, const void *bytes, size_t n)
{
    int rc = buffer_reserve(buffer, n);
    if (rc == 0 && n > 0) {
        memcpy(buffer->data + buffer->size, bytes, n);
        buffer->size += n;
    }
    return rc;
}

MUST_CHECK static inline int buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    int rc = buffer_reserve(buffer, 1);
    if (rc == 0)
        buffer->data[buffer->size++] = byte;
    return rc;
}

MUST_CHECK static inline int buffer_append_text(struct buffer *buffer, const char *text)
{
    return buffer_append(buffer, text, strlen(text));
}

MUST_CHECK int buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
MUST_CHECK int buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    PRINTF_LIKE(2, 0);

#endif
