#include "codec/row_id.h"

#include "codec/bytes.h"

/* Bob Jenkins' lookup3 (public domain), for a key of six bytes: the block's upper half, its lower
 * half, the offset, each of two little-endian bytes. PostgreSQL starts it from a constant of its
 * own, and first stirs in the two halves of the seed. */

enum { KEY_SIZE = 6 };

struct state {
    uint32_t a, b, c;
};

static uint32_t rotate(uint32_t x, int bits) { return x << bits | x >> (32 - bits); }

static void mix(struct state *s)
{
    s->a = (s->a - s->c) ^ rotate(s->c, 4), s->c += s->b;
    s->b = (s->b - s->a) ^ rotate(s->a, 6), s->a += s->c;
    s->c = (s->c - s->b) ^ rotate(s->b, 8), s->b += s->a;
    s->a = (s->a - s->c) ^ rotate(s->c, 16), s->c += s->b;
    s->b = (s->b - s->a) ^ rotate(s->a, 19), s->a += s->c;
    s->c = (s->c - s->b) ^ rotate(s->b, 4), s->b += s->a;
}

static void finish(struct state *s)
{
    s->c = (s->c ^ s->b) - rotate(s->b, 14);
    s->a = (s->a ^ s->c) - rotate(s->c, 11);
    s->b = (s->b ^ s->a) - rotate(s->a, 25);
    s->c = (s->c ^ s->b) - rotate(s->b, 16);
    s->a = (s->a ^ s->c) - rotate(s->c, 4);
    s->b = (s->b ^ s->a) - rotate(s->a, 14);
    s->c = (s->c ^ s->b) - rotate(s->b, 24);
}

static inline struct state begin(uint32_t xmin)
{
    uint32_t start = 0x9e3779b9u + KEY_SIZE + 3923095u;
    struct state s = {start, start, start};
    if (xmin != 0) { /* the seed's upper half is always 0 */
        s.b += xmin;
        mix(&s);
    }
    return s;
}

static inline uint64_t end(struct state s, uint32_t block, uint16_t offset)
{
    s.a += block >> 16 | block << 16;
    s.b += offset;
    finish(&s);
    return (uint64_t)s.b << 32 | s.c;
}

uint64_t row_id_sum(const uint8_t *row_ids, size_t rows)
{
    uint64_t sum = 0;
    uint32_t xmin = 0;
    struct state begun = begin(xmin); /* most rows have the xmin of the row before */
    for (const uint8_t *at = row_ids, *last = at + 10 * rows; at < last; at += 10) {
        if (load_le32(at + 4) != xmin) {
            xmin = load_le32(at + 4);
            begun = begin(xmin);
        }
        sum += end(begun, load_le32(at), load_le16(at + 8));
    }
    return sum;
}
