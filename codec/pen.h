/* Writing at the end of a buffer through a pointer: the writer asks for room once for many small
 * pieces, by an upper bound, and then only writes.
 *
 * The buffer's owner may have reserved exactly what will come; such a buffer must not grow because
 * of a bound. So what may not fit is written aside first, and appended when its size is known.
 *
 * Lifetime: init to {.out = …, .spare = …}; pen_open; then each call takes `at` and returns the
 * next; pen_flush brings what was written into the buffer; pen_clear. Threads: one owner.
 * Errors: NULL, and `rc` says why.
 */
#ifndef CODEC_PEN_H
#define CODEC_PEN_H

#include "codec/buffer.h"

#include <stdbool.h>

struct pen;
typedef uint8_t *quote_text(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size);

struct pen {
    struct buffer *out;
    size_t spare;       /* > 0: room that is always there, beyond what is asked for */
    bool lone;          /* the value is alone in its row */
    quote_text *quoted; /* how the file quotes a text; NULL: it has none */
    int rc;             /* why `at` became NULL; 0: the bytes were not a value */
    struct buffer side; /* for what may not fit */
    uint8_t *start;     /* where `at` began */
    uint8_t *limit;     /* where it must end */
};

/* Flushes, and returns a place with room. */
MUST_CHECK uint8_t *pen_move(struct pen *pen, const uint8_t *at, size_t room);

/* Begins, with room for the spare. */
MUST_CHECK static inline uint8_t *pen_open(struct pen *pen) { return pen_move(pen, NULL, 0); }

/* A place, `at` or another, with room for `room` bytes and the spare. */
MUST_CHECK static inline uint8_t *pen_room(struct pen *pen, uint8_t *at, size_t room)
{
    return (size_t)(pen->limit - at) >= room + pen->spare ? at : pen_move(pen, at, room);
}

/* Writes the bytes, and leaves the spare. */
MUST_CHECK uint8_t *pen_bytes(struct pen *pen, uint8_t *at, const uint8_t *bytes, size_t size);

/* Flushes, and lends a buffer to append to: `out` if it has `room`, else another. pen_resume gives
 * it back; after an error that may be left out. */
MUST_CHECK struct buffer *pen_lend(struct pen *pen, const uint8_t *at, size_t room);
MUST_CHECK uint8_t *pen_resume(struct pen *pen, const struct buffer *lent);

/* Brings all up to `at` into the buffer. Write no more before pen_open. */
MUST_CHECK int pen_flush(struct pen *pen, const uint8_t *at);

void pen_clear(struct pen *pen);

#endif
