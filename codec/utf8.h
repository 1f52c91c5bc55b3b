/* Which bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
#ifndef CODEC_UTF8_H
#define CODEC_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at `at`, of a terminated text; 0: there is none. */
size_t utf8_size(const char *at);

/* Whether the whole text is UTF-8. */
bool utf8_is(const char *text);

#endif
