/* A file of JSON, written member by member: a struct text that knows commas and layout, and
 * remembers its first error as that does.
 *
 * It is our own because the files mix two layouts (a member a line, and in that line whole objects)
 * and give each real its own number of digits. jansson has one indentation and one precision for a
 * whole text, and the files' bytes must stay what they are: their size is a part of their identity.
 *
 * JSON_LINES: each member stands on a line of its own, two spaces deeper than what it is in.
 * JSON_ONE_LINE: all of it stands on one line, and so does what is in it. Without members both are
 * {} or [].
 *
 * Lifetime: init to {0}; one value; json_end, which also frees.
 * Threads: none; one owner.
 * Errors: -ENOMEM; -EINVAL: more than JSON_DEPTH_MOST open at once, or closed more or less often
 * than opened.
 */
#ifndef CODEC_JSON_WRITER_H
#define CODEC_JSON_WRITER_H

#include "codec/text.h"

#include <stdbool.h>

enum json_layout { JSON_ONE_LINE, JSON_LINES };

enum { JSON_DEPTH_MOST = 8 };

struct json_writer {
    struct text text;
    int depth; /* how many objects and arrays are open */
    struct {
        enum json_layout layout;
        char end;
        bool has_members;
    } open[JSON_DEPTH_MOST];
};

/* `key`: of a member of an object; NULL: it is an element of an array, or in nothing. */
void json_open_object(struct json_writer *json, const char *key, enum json_layout layout);
void json_open_array(struct json_writer *json, const char *key, enum json_layout layout);
void json_close(struct json_writer *json); /* what was opened last */

/* A string; the text may be no UTF-8 (json_words, json_text.h). */
void json_put_words(struct json_writer *json, const char *key, const char *text);
void json_put_unsigned(struct json_writer *json, const char *key, uint64_t value);
void json_put_signed(struct json_writer *json, const char *key, int64_t value);
/* A number as a string: a reader that keeps numbers as doubles would round it. */
void json_put_digits(struct json_writer *json, const char *key, uint64_t value);
/* So many digits behind the point; the value is finite. */
void json_put_fixed(struct json_writer *json, const char *key, double value, int decimals);
/* As %g, at most so many digits that say something; the value is finite. */
void json_put_short(struct json_writer *json, const char *key, double value, int digits);
void json_put_bool(struct json_writer *json, const char *key, bool value);
void json_put_null(struct json_writer *json, const char *key);
/* Microseconds since 1970, as "2023-11-14T22:13:20.123456Z". */
void json_put_time(struct json_writer *json, const char *key, int64_t microseconds);
/* What is JSON already. */
void json_put_raw(struct json_writer *json, const char *key, const char *value);

/* Appends the text and a line's end. After an error `out` is as it was. */
MUST_CHECK int json_end(struct json_writer *json, struct buffer *out);

#endif
