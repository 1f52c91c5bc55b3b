#include "codec/text.h"

#include <stdarg.h>

void text_fail(struct text *text, int error)
{
    if (text->failed == 0)
        text->failed = error;
}

void text_put_bytes(struct text *text, const void *bytes, size_t size)
{
    if (text->failed == 0)
        text->failed = buffer_append(&text->bytes, bytes, size);
}

void text_put(struct text *text, const char *piece) { text_put_bytes(text, piece, strlen(piece)); }

void text_put_byte(struct text *text, char byte) { text_put_bytes(text, &byte, 1); }

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (text->failed == 0)
        text->failed = buffer_vprintf(&text->bytes, format, args);
    va_end(args);
}

const char *text_string(struct text *text)
{
    text_put_byte(text, '\0');
    if (text->failed != 0)
        return NULL;
    text->bytes.size--;
    return (const char *)text->bytes.data;
}

char *text_take(struct text *text)
{
    char *string = NULL;
    if (text_string(text) != NULL) {
        string = (char *)text->bytes.data;
        text->bytes = (struct buffer){0};
    }
    text_clear(text);
    return string;
}

void text_clear(struct text *text)
{
    buffer_clear(&text->bytes);
    text->failed = 0;
}
