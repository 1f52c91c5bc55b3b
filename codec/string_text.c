#include "codec/string_text.h"

#include "codec/byte_block.h"
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

uint8_t *text_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    return json_write_string(pen, at, wire, size);
}

int json_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return size == 0 ? -EBADMSG : text_render(wire, size, out);
}

uint8_t *json_write_csv(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    return size == 0 ? NULL : pen->quoted(pen, at, wire, size);
}

uint8_t *json_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    return size == 0 || holds_nul(wire, size) ? NULL : json_write_one_line(pen, at, wire, size);
}

static bool is_jsonb(const uint8_t *wire, size_t size) { return size >= 2 && wire[0] == 1; }

int jsonb_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    return is_jsonb(wire, size) ? json_render(wire + 1, size - 1, out) : -EBADMSG;
}

uint8_t *jsonb_write_csv(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    return is_jsonb(wire, size) ? json_write_csv(pen, at, wire + 1, size - 1) : NULL;
}

uint8_t *jsonb_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    return is_jsonb(wire, size) ? json_write_json(pen, at, wire + 1, size - 1) : NULL;
}

/* Four bytes as eight digits: each half byte gets a byte, and those above 9 are moved on by the
 * distance from '9' + 1 to 'a'. */
static inline void write_hex4(uint8_t *at, const uint8_t *bytes)
{
    uint64_t spread = load_le32(bytes);
    spread = (spread | spread << 16) & UINT64_C(0x0000ffff0000ffff);
    spread = (spread | spread << 8) & UINT64_C(0x00ff00ff00ff00ff);
    spread = (spread >> 4 | spread << 8) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    uint64_t above = (spread + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
    store_le64(at, spread + UINT64_C(0x3030303030303030) + above * ('a' - '9' - 1));
}

static uint8_t *write_hex(uint8_t *at, const uint8_t *bytes, size_t size)
{
    for (; size >= 4; bytes += 4, size -= 4, at += 8)
        write_hex4(at, bytes);
    if (size == 0)
        return at;
    uint8_t last[4] = {0}, digits[8];
    memcpy(last, bytes, size);
    write_hex4(digits, last);
    memcpy(at, digits, 2 * size);
    return at + 2 * size;
}

int bytea_render(const uint8_t *wire, size_t size, struct buffer *out)
{
    if (size > SIZE_MAX / 4)
        return -EBADMSG;
    int rc = buffer_append_text(out, "\\x");
    if (rc == 0)
        rc = buffer_reserve(out, 2 * size);
    if (rc == 0 && size > 0) {
        write_hex(out->data + out->size, wire, size);
        out->size += 2 * size;
    }
    return rc;
}

/* There are VALUE_ROOM bytes at `at`, and at what is returned. */
static uint8_t *write_long_hex(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    enum { PIECE = 4096 };
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        at = pen_room(pen, at, 2 * piece);
        if (at == NULL)
            return NULL;
        at = write_hex(at, wire, piece);
        wire += piece;
        size -= piece;
    }
    return at;
}

uint8_t *bytea_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    at = pen_room(pen, at, 2);
    if (at == NULL)
        return NULL;
    memcpy(at, "\\x", 2);
    return write_long_hex(pen, at + 2, wire, size);
}

uint8_t *bytea_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    at = pen_room(pen, at, 4);
    if (at == NULL)
        return NULL;
    memcpy(at, "\"\\\\x", 4);
    at = write_long_hex(pen, at + 4, wire, size);
    at = at != NULL ? pen_room(pen, at, 1) : NULL;
    if (at != NULL)
        *at++ = '"';
    return at;
}

uint8_t *uuid_write(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    (void)pen;
    if (size != 16)
        return NULL;
    uint8_t digits[32];
    write_hex(digits, wire, 16);
    memcpy(at, digits, 8);
    at[8] = at[13] = at[18] = at[23] = '-';
    memcpy(at + 9, digits + 8, 4);
    memcpy(at + 14, digits + 12, 4);
    memcpy(at + 19, digits + 16, 4);
    memcpy(at + 24, digits + 20, 12);
    return at + 36;
}

uint8_t *uuid_write_json(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size)
{
    *at = '"';
    at = uuid_write(pen, at + 1, wire, size);
    if (at != NULL)
        *at++ = '"';
    return at;
}

RENDER_BY_WRITE(uuid_render, uuid_write)
