/* A value's JSON, by whichever of its two functions the type has. */
#ifndef TYPE_JSON_H
#define TYPE_JSON_H

#include "codec/type.h"

#include <errno.h>

static inline int type_json(const struct type *type, const uint8_t *wire, size_t size,
                            struct buffer *out)
{
    if (type->json != NULL)
        return type->json(wire, size, out);
    struct pen pen = {.out = out, .spare = VALUE_ROOM};
    uint8_t *at = pen_open(&pen);
    if (at != NULL)
        at = type->write_json(&pen, at, wire, size);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    return rc;
}

#endif
