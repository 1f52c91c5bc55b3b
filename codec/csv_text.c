#include "codec/csv_text.h"

#include "codec/byte_block.h"

enum { PIECE = 4096 }; /* bytes of a text for which room is asked at once */

static inline byte_block special(byte_block block, uint8_t delimiter)
{
    byte_block breaks = block_or(block_equal(block, '\n'), block_equal(block, '\r'));
    byte_block marks = block_or(block_equal(block, delimiter), block_equal(block, '"'));
    return block_or(block_or(breaks, marks), block_equal(block, 0));
}

static inline byte_block special_of_csv(byte_block block) { return special(block, ','); }
static inline byte_block special_of_tsv(byte_block block) { return special(block, '\t'); }

static inline byte_block quote_or_nul(byte_block block)
{
    return block_or(block_equal(block, '"'), block_equal(block, 0));
}

/* Doubles quotes. NULL: there is a NUL byte. */
static uint8_t *copy_piece(uint8_t *at, const uint8_t *text, size_t size)
{
    for (;;) {
        size_t clean = block_copy(at, text, size, quote_or_nul);
        at += clean;
        if (clean == size)
            return at;
        if (text[clean] == 0)
            return NULL;
        at[0] = at[1] = '"';
        at += 2;
        text += clean + 1;
        size -= clean + 1;
    }
}

static uint8_t *write_quoted(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size)
{
    at = pen_room(pen, at, 2);
    if (at == NULL)
        return NULL;
    *at++ = '"';
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        at = pen_room(pen, at, 2 * piece + BLOCK_SIZE);
        if (at != NULL)
            at = copy_piece(at, text, piece);
        if (at == NULL)
            return NULL;
        text += piece;
        size -= piece;
    }
    *at++ = '"';
    return at;
}

__attribute__((always_inline)) static inline uint8_t *write_separated(struct pen *pen, uint8_t *at,
                                                                      const uint8_t *text,
                                                                      size_t size,
                                                                      block_search *search)
{
    _Static_assert(VALUE_ROOM >= BLOCK_SIZE, "a short text needs no room asked for");
    if (size < BLOCK_SIZE) {
        byte_block block = block_load_part(text, size);
        byte_mask found = block_mask(search(block)) & block_mask_part(size);
        bool end_mark = pen->lone && size == 2 && memcmp(text, "\\.", 2) == 0;
        if (found != 0 || size == 0 || end_mark)
            return write_quoted(pen, at, text, size);
        block_store(at, block);
        return at + size;
    }
    bool quote = block_find(text, size, search) < size;
    return quote ? write_quoted(pen, at, text, size) : pen_bytes(pen, at, text, size);
}

uint8_t *csv_text(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size)
{
    return write_separated(pen, at, text, size, special_of_csv);
}

uint8_t *tsv_text(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size)
{
    return write_separated(pen, at, text, size, special_of_tsv);
}
