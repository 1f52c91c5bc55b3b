/* Which bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes of the character at `at`, in a terminated text; 0: there is none. */
size_t utf8_size(const char *at);

/* Whether the whole text is UTF-8. */
bool utf8_is(const char *text);

/* Whether these bytes are; there may be zeros among them. */
bool utf8_holds(const void *bytes, size_t size);

/* Takes off the beginning of a character at the end of a text that was cut. */
void utf8_trim(char *text);

/* Puts '?' in place of each byte that belongs to no character. */
void utf8_mend(char *text);

#endif
