/* A text that is put together piece by piece and remembers its first error: from then on nothing is
 * appended, so its maker asks once, at the end.
 *
 * Lifetime: init to {0}; text_clear or text_take ends it, and it may begin anew.
 * Threads: none; one owner.
 * Errors: -ENOMEM, or what text_fail was told.
 */
#ifndef CODEC_TEXT_H
#define CODEC_TEXT_H

#include "codec/buffer.h"

struct text {
    struct buffer bytes;
    int failed; /* 0, or the first error */
};

void text_put(struct text *text, const char *piece);
void text_put_bytes(struct text *text, const void *bytes, size_t size);
void text_put_byte(struct text *text, char byte);
void text_printf(struct text *text, const char *format, ...) PRINTF_LIKE(2, 3);

/* `error`: 0, or a negative errno, which is remembered if it is the first. */
void text_fail(struct text *text, int error);

/* The text with a NUL behind it, good until the text is changed; NULL: it has failed. */
const char *text_string(struct text *text);

/* The same, newly allocated, for the caller to free; the text is empty afterwards, in any case. */
char *text_take(struct text *text);

void text_clear(struct text *text);

#endif
