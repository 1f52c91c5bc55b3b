/* JSON strings, as PostgreSQL's escape_json prints them: \b \f \n \r \t \" \\ and \u00XX
 * (lower-case hex) for other bytes below 0x20; everything else as it is. Input is UTF-8 and is not
 * checked. Errors: -ENOMEM. */
#ifndef CODEC_JSON_TEXT_H
#define CODEC_JSON_TEXT_H

#include "codec/buffer.h"

/* Appends the string with its quotes. */
MUST_CHECK int json_string(struct buffer *out, const void *text, size_t size);

/* Appends a JSON value as the server wrote it, without the line breaks between its tokens (inside a
 * JSON string there are none, or it would not be JSON), so that it stays on one line. */
MUST_CHECK int json_one_line(struct buffer *out, const void *json, size_t size);

#endif
