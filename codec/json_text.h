/* JSON strings, as PostgreSQL's escape_json prints them: \b \f \n \r \t \" \\ and \u00XX
 * (lower-case hex) for other bytes below 0x20; all other bytes as they are. The text is UTF-8,
 * which is not checked. Errors: -ENOMEM; functions with a pen report as pen.h says. */
#ifndef CODEC_JSON_TEXT_H
#define CODEC_JSON_TEXT_H

#include "codec/pen.h"

/* Appends the string with its quotes. */
MUST_CHECK int json_string(struct buffer *out, const void *text, size_t size);

/* The same for a text that may not be UTF-8: a path, a name in an SQL_ASCII database, somebody's
 * words. Each byte that belongs to no character becomes U+FFFD, so that JSON is JSON. */
MUST_CHECK int json_words(struct buffer *out, const char *text);

/* Writes the string with its quotes. A NUL byte is refused. */
MUST_CHECK uint8_t *json_write_string(struct pen *pen, uint8_t *at, const uint8_t *text,
                                      size_t size);

/* Writes a JSON value as the server wrote it, without the line breaks between its tokens, so that
 * it stays on one line: there are none inside of a JSON string. */
MUST_CHECK uint8_t *json_write_one_line(struct pen *pen, uint8_t *at, const uint8_t *json,
                                        size_t size);

#endif
