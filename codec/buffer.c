#include "codec/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int buffer_grow(struct buffer *buffer, size_t extra)
{
    if (extra > SIZE_MAX / 2 - buffer->size)
        return -ENOMEM;
    size_t wanted = buffer->size + extra;
    size_t capacity = buffer->capacity < 64 ? 64 : buffer->capacity + buffer->capacity / 2;
    if (capacity < wanted)
        capacity = wanted;
    uint8_t *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

void buffer_clear(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_fit(struct buffer *buffer)
{
    uint8_t *data = buffer->size > 0 ? realloc(buffer->data, buffer->size) : NULL;
    if (data == NULL)
        return;
    buffer->data = data;
    buffer->capacity = buffer->size;
}

int buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    int rc = n < 0 ? -EINVAL : buffer_reserve(buffer, (size_t)n + 1);
    if (rc == 0) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)n + 1, format, args);
        buffer->size += (size_t)n;
    }
    return rc;
}

int buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = buffer_vprintf(buffer, format, args);
    va_end(args);
    return rc;
}
