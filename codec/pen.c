#include "codec/pen.h"

#include <errno.h>

enum { SIDE_SIZE = 32 << 10 }; /* it stays in the processor's cache */

int pen_flush(struct pen *pen, const uint8_t *at)
{
    size_t written = (size_t)(at - pen->start);
    int rc = 0;
    if (pen->start == pen->side.data)
        rc = buffer_append(pen->out, pen->start, written);
    else
        pen->out->size += written;
    pen->start = NULL;
    return rc;
}

uint8_t *pen_move(struct pen *pen, const uint8_t *at, size_t room)
{
    int rc = at != NULL ? pen_flush(pen, at) : 0;
    struct buffer *out = pen->out;
    if (room > SIZE_MAX - pen->spare)
        rc = -ENOMEM;
    size_t wanted = room + pen->spare;
    if (rc == 0 && out->capacity - out->size >= wanted) {
        pen->start = out->data + out->size;
        pen->limit = out->data + out->capacity;
        return pen->start;
    }
    if (rc == 0)
        rc = buffer_reserve(&pen->side, wanted < SIDE_SIZE ? SIDE_SIZE : wanted);
    if (rc < 0) {
        pen->rc = rc;
        return NULL;
    }
    pen->start = pen->side.data;
    pen->limit = pen->side.data + pen->side.capacity;
    return pen->start;
}

uint8_t *pen_bytes(struct pen *pen, uint8_t *at, const uint8_t *bytes, size_t size)
{
    if ((size_t)(pen->limit - at) >= size && (size_t)(pen->limit - at) - size >= pen->spare) {
        if (size > 0)
            memcpy(at, bytes, size);
        return at + size;
    }
    int rc = pen_flush(pen, at);
    if (rc == 0)
        rc = buffer_append(pen->out, bytes, size);
    if (rc < 0) {
        pen->rc = rc;
        return NULL;
    }
    return pen_open(pen);
}

struct buffer *pen_lend(struct pen *pen, const uint8_t *at, size_t room)
{
    int rc = pen_flush(pen, at);
    if (rc < 0) {
        pen->rc = rc;
        return NULL;
    }
    if (pen->out->capacity - pen->out->size >= room)
        return pen->out;
    pen->side.size = 0;
    return &pen->side;
}

uint8_t *pen_resume(struct pen *pen, const struct buffer *lent)
{
    int rc = lent == pen->out ? 0 : buffer_append(pen->out, lent->data, lent->size);
    if (rc < 0) {
        pen->rc = rc;
        return NULL;
    }
    return pen_open(pen);
}

void pen_clear(struct pen *pen) { buffer_clear(&pen->side); }
