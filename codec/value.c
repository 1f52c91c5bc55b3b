#include "codec/value.h"

#include <errno.h>

int value_append(write_value *write, const uint8_t *wire, size_t size, struct buffer *out)
{
    int rc = buffer_reserve(out, VALUE_ROOM);
    if (rc < 0)
        return rc;
    uint8_t *end = write(NULL, out->data + out->size, wire, size);
    if (end == NULL)
        return -EBADMSG;
    out->size = (size_t)(end - out->data);
    return 0;
}
