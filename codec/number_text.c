#include "codec/number_text.h"

#include "codec/bytes.h"
#include "codec/float_text.h"

#include <errno.h>

size_t integer_text(int64_t number, char *out)
{
    char digits[INTEGER_TEXT_MAX];
    size_t at = sizeof digits;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

static int append_integer(int64_t number, struct buffer *out)
{
    int rc = buffer_reserve(out, INTEGER_TEXT_MAX);
    if (rc == 0)
        out->size += integer_text(number, (char *)out->data + out->size);
    return rc;
}

int bool_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 1 || wire[0] > 1)
        return -EBADMSG;
    return buffer_append_byte(out, wire[0] ? 't' : 'f');
}

int bool_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 1 || wire[0] > 1)
        return -EBADMSG;
    return buffer_append_text(out, wire[0] ? "true" : "false");
}

int int2_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 2 ? append_integer((int16_t)load_be16(wire), out) : -EBADMSG;
}

int int4_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 4 ? append_integer((int32_t)load_be32(wire), out) : -EBADMSG;
}

int int8_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 8 ? append_integer((int64_t)load_be64(wire), out) : -EBADMSG;
}

int oid_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 4 ? append_integer(load_be32(wire), out) : -EBADMSG;
}

static int append_quoted(render_value *render, const uint8_t *wire, size_t size, struct buffer *out)
{
    int rc = buffer_append_byte(out, '"');
    if (rc == 0)
        rc = render(wire, size, out);
    return rc != 0 ? rc : buffer_append_byte(out, '"');
}

int oid_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    return append_quoted(oid_render, wire, size, out);
}

int float4_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 4)
        return -EBADMSG;
    int rc = buffer_reserve(out, FLOAT4_TEXT_MAX);
    if (rc == 0)
        out->size += float4_text(load_be32(wire), (char *)out->data + out->size);
    return rc;
}

int float4_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 4)
        return -EBADMSG;
    bool finite = (load_be32(wire) & 0x7f800000) != 0x7f800000;
    return finite ? float4_render(wire, size, out) : append_quoted(float4_render, wire, size, out);
}

int float8_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 8)
        return -EBADMSG;
    int rc = buffer_reserve(out, FLOAT8_TEXT_MAX);
    if (rc == 0)
        out->size += float8_text(load_be64(wire), (char *)out->data + out->size);
    return rc;
}

int float8_render_json(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size != 8)
        return -EBADMSG;
    bool finite = (load_be64(wire) >> 52 & 0x7ff) != 0x7ff;
    return finite ? float8_render(wire, size, out) : append_quoted(float8_render, wire, size, out);
}
