#include "codec/json_text.h"

#include "codec/utf8.h"

#include "codec/byte_block.h"

enum {
    PIECE = 4096, /* bytes of a text for which room is asked at once */
    ESCAPE_MAX = 6
};

static inline byte_block json_special(byte_block block)
{
    byte_block marks = block_or(block_equal(block, '"'), block_equal(block, '\\'));
    return block_or(marks, block_control(block));
}

static inline byte_block line_break(byte_block block)
{
    return block_or(block_equal(block, '\n'), block_equal(block, '\r'));
}

static inline uint8_t *write_escape(uint8_t *at, uint8_t byte)
{
    static const char letters['\\' + 1] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                           ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    at[0] = '\\';
    at[1] = (uint8_t)letters[byte];
    if (at[1] != 0)
        return at + 2;
    memcpy(at + 1, "u00", 3);
    at[4] = (uint8_t)hex[byte >> 4];
    at[5] = (uint8_t)hex[byte & 15];
    return at + 6;
}

/* There must be room for ESCAPE_MAX times the size, and a block. */
static uint8_t *escape_piece(uint8_t *at, const uint8_t *text, size_t size, bool refuse_nul)
{
    for (;;) {
        size_t clean = block_copy(at, text, size, json_special);
        at += clean;
        if (clean == size)
            return at;
        if (text[clean] == 0 && refuse_nul)
            return NULL;
        at = write_escape(at, text[clean]);
        text += clean + 1;
        size -= clean + 1;
    }
}

/* There must be room for the size, and a block. */
static uint8_t *join_piece(uint8_t *at, const uint8_t *json, size_t size)
{
    for (;;) {
        size_t clean = block_copy(at, json, size, line_break);
        at += clean;
        if (clean == size)
            return at;
        json += clean + 1;
        size -= clean + 1;
    }
}

int json_string(struct buffer *out, const void *text, size_t size)
{
    const uint8_t *from = text;
    int rc = buffer_append_byte(out, '"');
    while (rc == 0 && size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        rc = buffer_reserve(out, ESCAPE_MAX * piece + BLOCK_SIZE);
        if (rc < 0)
            break;
        out->size = (size_t)(escape_piece(out->data + out->size, from, piece, false) - out->data);
        from += piece;
        size -= piece;
    }
    return rc != 0 ? rc : buffer_append_byte(out, '"');
}

uint8_t *json_write_string(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size)
{
    at = pen_room(pen, at, 2);
    if (at == NULL)
        return NULL;
    *at++ = '"';
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        at = pen_room(pen, at, ESCAPE_MAX * piece + BLOCK_SIZE);
        if (at != NULL)
            at = escape_piece(at, text, piece, true);
        if (at == NULL)
            return NULL;
        text += piece;
        size -= piece;
    }
    *at++ = '"';
    return at;
}

uint8_t *json_write_one_line(struct pen *pen, uint8_t *at, const uint8_t *json, size_t size)
{
    while (at != NULL && size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        at = pen_room(pen, at, piece + BLOCK_SIZE);
        if (at != NULL)
            at = join_piece(at, json, piece);
        json += piece;
        size -= piece;
    }
    return at;
}

int json_words(struct buffer *out, const char *text)
{
    if (utf8_is(text))
        return json_string(out, text, strlen(text));
    struct buffer clean = {0};
    int rc = 0;
    for (const char *at = text; rc == 0 && *at != '\0';) {
        size_t n = utf8_size(at);
        rc = n > 0 ? buffer_append(&clean, at, n) : buffer_append_text(&clean, "\uFFFD");
        at += n > 0 ? n : 1;
    }
    if (rc == 0)
        rc = json_string(out, clean.data, clean.size);
    buffer_clear(&clean);
    return rc;
}
