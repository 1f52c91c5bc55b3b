#include "codec/string_text.h"

#include "codec/json_text.h"

#include <errno.h>

static bool holds_nul(const uint8_t *wire, size_t size)
{
    return size > 0 && memchr(wire, 0, size) != NULL;
}

int text_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return holds_nul(wire, size) ? -EBADMSG : buffer_append(out, wire, size);
}

int text_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return holds_nul(wire, size) ? -EBADMSG : json_string(out, wire, size);
}

int json_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 0 ? -EBADMSG : text_render(wire, size, out);
}

int json_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 0 || holds_nul(wire, size) ? -EBADMSG : json_one_line(out, wire, size);
}

int jsonb_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size < 2 || wire[0] != 1 ? -EBADMSG : json_render(wire + 1, size - 1, out);
}

int jsonb_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size < 2 || wire[0] != 1 ? -EBADMSG : json_render_json(wire + 1, size - 1, out);
}

static char *write_hex(char *at, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

static int append_hex(const char *before, const uint8_t *wire, size_t size, const char *after,
                      struct buffer *out)
{
    if (size > SIZE_MAX / 4)
        return -EBADMSG;
    int rc = buffer_append_text(out, before);
    if (rc == 0)
        rc = buffer_reserve(out, 2 * size);
    if (rc == 0 && size > 0) {
        write_hex((char *)out->data + out->size, wire, size);
        out->size += 2 * size;
    }
    return rc != 0 ? rc : buffer_append_text(out, after);
}

int bytea_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_hex("\\x", wire, size, "", out);
}

int bytea_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_hex("\"\\\\x", wire, size, "\"", out);
}

#define UUID_TEXT_SIZE 36

static void write_uuid(char *at, const uint8_t *wire)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    for (size_t i = 0; i < sizeof groups; wire += groups[i++]) {
        if (i > 0)
            *at++ = '-';
        at = write_hex(at, wire, groups[i]);
    }
}

int uuid_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 16)
        return -EBADMSG;
    char text[UUID_TEXT_SIZE];
    write_uuid(text, wire);
    return buffer_append(out, text, sizeof text);
}

int uuid_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 16)
        return -EBADMSG;
    char text[UUID_TEXT_SIZE + 2] = "\"";
    write_uuid(text + 1, wire);
    text[UUID_TEXT_SIZE + 1] = '"';
    return buffer_append(out, text, sizeof text);
}
