/* Writing at the end of a buffer through a pointer: room is asked for once for many small pieces,
 * by an upper bound, and then only written.
 *
 * An owner may have reserved exactly what is to come; such a buffer must not grow because of a
 * bound. So what may not fit is written aside first, and appended when its size is known.
 *
 * Lifetime: init to {.out = …, .spare = …}; pen_open, then `at` is handed from call to call;
 * pen_flush brings what was written into the buffer; pen_clear. Threads: none; one owner.
 * Errors: NULL, and why is in `rc`.
 */
#ifndef CODEC_PEN_H
#define CODEC_PEN_H

#include "codec/buffer.h"

#include <stdbool.h>

struct pen;
typedef uint8_t *quote_text(struct pen *pen, uint8_t *at, const uint8_t *text, size_t size);

struct pen {
    struct buffer *out;
    size_t spare;       /* > 0; pen_room leaves that much beyond what it is asked for */
    bool lone;          /* the value is alone in its row */
    quote_text *quoted; /* how the file quotes a text; NULL: it has none */
    int rc;             /* why `at` became NULL; 0: bytes that are no value */
    struct buffer side; /* what may not fit */
    uint8_t *start;     /* where `at` began */
    uint8_t *limit;     /* where it must end */
};

/* Flushes, and gets room elsewhere. */
MUST_CHECK uint8_t *pen_move(struct pen *pen, const uint8_t *at, size_t room);

/* Room for no more than the spare. */
MUST_CHECK static inline uint8_t *pen_open(struct pen *pen) { return pen_move(pen, NULL, 0); }

/* `at`, or another place, where `room` bytes and the spare may be written. */
MUST_CHECK static inline uint8_t *pen_room(struct pen *pen, uint8_t *at, size_t room)
{
    return (size_t)(pen->limit - at) >= room + pen->spare ? at : pen_move(pen, at, room);
}

/* Writes that many bytes, and leaves the spare. */
MUST_CHECK uint8_t *pen_bytes(struct pen *pen, uint8_t *at, const uint8_t *bytes, size_t size);

/* Flushes, and lends a buffer to append to: `out` if that has `room`, else another. Then
 * pen_resume, which may be left out after an error. */
MUST_CHECK struct buffer *pen_lend(struct pen *pen, const uint8_t *at, size_t room);
MUST_CHECK uint8_t *pen_resume(struct pen *pen, const struct buffer *lent);

/* All up to `at` is in the buffer; write no more before pen_open. */
MUST_CHECK int pen_flush(struct pen *pen, const uint8_t *at);

void pen_clear(struct pen *pen);

#endif
