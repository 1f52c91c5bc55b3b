#include "codec/json_writer.h"

#include "codec/json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <time.h>

static void put_string(struct json_writer *json, const char *text)
{
    if (json->text.failed == 0)
        json->text.failed = json_words(&json->text.bytes, text);
}

static void break_line(struct json_writer *json)
{
    text_put_byte(&json->text, '\n');
    for (int i = 0; i < json->depth; i++)
        text_put(&json->text, "  ");
}

/* What stands in front of a value: a comma, its place in the layout, its key. */
static void begin_member(struct json_writer *json, const char *key)
{
    if (json->depth > 0) {
        bool follows = json->open[json->depth - 1].has_members;
        json->open[json->depth - 1].has_members = true;
        if (json->open[json->depth - 1].layout == JSON_ONE_LINE) {
            text_put(&json->text, follows ? ", " : "");
        } else {
            text_put(&json->text, follows ? "," : "");
            break_line(json);
        }
    }
    if (key != NULL) {
        put_string(json, key);
        text_put(&json->text, ": ");
    }
}

static void open_one(struct json_writer *json, const char *key, enum json_layout layout,
                     const char brackets[2])
{
    if (json->depth == JSON_DEPTH_MOST) {
        text_fail(&json->text, -EINVAL);
        return;
    }
    begin_member(json, key);
    text_put_byte(&json->text, brackets[0]);
    json->open[json->depth].layout = layout;
    json->open[json->depth].end = brackets[1];
    json->open[json->depth].has_members = false;
    json->depth++;
}

void json_open_object(struct json_writer *json, const char *key, enum json_layout layout)
{
    open_one(json, key, layout, "{}");
}

void json_open_array(struct json_writer *json, const char *key, enum json_layout layout)
{
    open_one(json, key, layout, "[]");
}

void json_close(struct json_writer *json)
{
    if (json->depth == 0) {
        text_fail(&json->text, -EINVAL);
        return;
    }
    json->depth--;
    if (json->open[json->depth].has_members && json->open[json->depth].layout == JSON_LINES)
        break_line(json);
    text_put_byte(&json->text, json->open[json->depth].end);
}

void json_put_words(struct json_writer *json, const char *key, const char *text)
{
    begin_member(json, key);
    put_string(json, text);
}

void json_put_unsigned(struct json_writer *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    text_printf(&json->text, "%" PRIu64, value);
}

void json_put_signed(struct json_writer *json, const char *key, int64_t value)
{
    begin_member(json, key);
    text_printf(&json->text, "%" PRId64, value);
}

void json_put_digits(struct json_writer *json, const char *key, uint64_t value)
{
    begin_member(json, key);
    text_printf(&json->text, "\"%" PRIu64 "\"", value);
}

void json_put_fixed(struct json_writer *json, const char *key, double value, int decimals)
{
    begin_member(json, key);
    text_printf(&json->text, "%.*f", decimals, value);
}

void json_put_short(struct json_writer *json, const char *key, double value, int digits)
{
    begin_member(json, key);
    text_printf(&json->text, "%.*g", digits, value);
}

void json_put_bool(struct json_writer *json, const char *key, bool value)
{
    json_put_raw(json, key, value ? "true" : "false");
}

void json_put_null(struct json_writer *json, const char *key) { json_put_raw(json, key, "null"); }

void json_put_time(struct json_writer *json, const char *key, int64_t microseconds)
{
    char text[40];
    struct tm utc;
    time_t seconds = (time_t)(microseconds / 1000000);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    begin_member(json, key);
    text_printf(&json->text, "\"%s.%06dZ\"", text, (int)(microseconds % 1000000));
}

void json_put_raw(struct json_writer *json, const char *key, const char *value)
{
    begin_member(json, key);
    text_put(&json->text, value);
}

int json_end(struct json_writer *json, struct buffer *out)
{
    if (json->depth != 0)
        text_fail(&json->text, -EINVAL);
    text_put_byte(&json->text, '\n');
    int rc = json->text.failed;
    if (rc == 0)
        rc = buffer_append(out, json->text.bytes.data, json->text.bytes.size);
    text_clear(&json->text);
    json->depth = 0;
    return rc;
}
