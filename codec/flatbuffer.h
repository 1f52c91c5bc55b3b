/* Writing a flatbuffer, from its root on: each table comes before what it points to, so a pointer is
 * set once its target is written. Verifiers of flatbuffers ask for no other order.
 *
 *   u32 pointer to the root | …
 *   table    i32 distance back to its vtable, then the fields; the vtable stands in front of it:
 *            u16 its size, u16 the table's size, u16 for each field where it is in the table, 0: it
 *            is not there
 *   vector   u32 count, then the elements; a string is one of bytes, and a 0 follows
 *   pointer  u32, the distance from itself to what it points to
 *
 * All is little-endian, and aligned to its own size from the start of the flatbuffer.
 *
 * Lifetime: init to {.out = …, .start = out->size}; places are counted from the start of `out`, and
 * stay right while it grows. Threads: one owner. Errors: the first stays in `rc` (-ENOMEM), and
 * whatever comes after it is nothing.
 *
 * The layout is that of https://flatbuffers.dev/internals.
 */
#ifndef CODEC_FLATBUFFER_H
#define CODEC_FLATBUFFER_H

#include "codec/buffer.h"

enum { FLATBUFFER_FIELDS_MOST = 8 };

struct flatbuffer {
    struct buffer *out;
    size_t start;
    int rc;
};

/* A table whose fields have these sizes in bytes, in the order of the schema; 0: the field is left
 * out. */
struct flatbuffer_table {
    size_t place;                         /* what points to it points here */
    size_t field[FLATBUFFER_FIELDS_MOST]; /* the place of each; of one left out: 0 */
};

/* The pointer to the root; a pointer, too. */
size_t flatbuffer_begin(struct flatbuffer *flatbuffer);

/* Appends a table, all zeros. */
struct flatbuffer_table flatbuffer_table(struct flatbuffer *flatbuffer, const uint8_t *sizes,
                                         int count);

/* Appends a vector, all zeros, whose elements have this size and alignment. Its first element is 4
 * bytes behind its place. */
size_t flatbuffer_vector(struct flatbuffer *flatbuffer, size_t count, size_t size, size_t align);
size_t flatbuffer_string(struct flatbuffer *flatbuffer, const char *text);

void flatbuffer_set(struct flatbuffer *flatbuffer, size_t place, size_t size, uint64_t value);
void flatbuffer_point(struct flatbuffer *flatbuffer, size_t place, size_t target);

/* Appends zeros until the flatbuffer, and `before` bytes in front of it, are a multiple of `to`. */
void flatbuffer_pad(struct flatbuffer *flatbuffer, size_t before, size_t to);

#endif
