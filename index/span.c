#include "index/span.h"

#include "codec/bytes.h"
#include "codec/vector_limits.h"

#include <errno.h>

/* Whether all numbers are 0 or -0; each has `width` bytes, the sign in the first. */
static bool all_zero(const uint8_t *numbers, size_t size, size_t width)
{
    for (size_t i = 0; i < size; i++)
        if ((i % width == 0 ? numbers[i] & 0x7f : numbers[i]) != 0)
            return false;
    return true;
}

bool value_has_place(const struct space *space, const uint8_t *value, size_t size)
{
    if (size == 0 || space->metric != METRIC_COSINE)
        return size != 0;
    if (space->element == ELEMENT_SPARSE) {
        size_t half = size > 12 ? (size - 12) / 2 : 0; /* dimensions, then numbers */
        return !all_zero(value + size - half, half, 4);
    }
    return size > 4 && !all_zero(value + 4, size - 4, space->element == ELEMENT_FLOAT16 ? 2 : 4);
}

static int dense_dims(const uint8_t *value, size_t size, size_t width, uint32_t *out)
{
    if (size < 4)
        return -EBADMSG;
    uint32_t dims = load_be16(value);
    if (dims < 1 || dims > VECTOR_DIMS_MOST || load_be16(value + 2) != 0 ||
        size != 4 + width * dims)
        return -EBADMSG;
    *out = dims;
    return 0;
}

static int sparse_dims(const uint8_t *value, size_t size, uint32_t *out)
{
    if (size < 12)
        return -EBADMSG;
    uint32_t dims = load_be32(value), n = load_be32(value + 4);
    if (dims < 1 || dims > SPARSEVEC_DIMS_MOST || n > dims || load_be32(value + 8) != 0 ||
        size != 12 + 8 * (size_t)n)
        return -EBADMSG;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t dim = load_be32(value + 12 + 4 * (size_t)i);
        if (dim >= dims || (i > 0 && dim <= load_be32(value + 8 + 4 * (size_t)i)))
            return -EBADMSG;
    }
    *out = dims;
    return 0;
}

static int bit_dims(const uint8_t *value, size_t size, uint32_t *out)
{
    if (size < 4)
        return -EBADMSG;
    uint32_t bits = load_be32(value);
    if (bits > INT32_MAX || size != 4 + ((size_t)bits + 7) / 8)
        return -EBADMSG;
    if (bits % 8 != 0 && (value[size - 1] & 0xff >> bits % 8) != 0)
        return -EBADMSG;
    *out = bits;
    return 0;
}

int value_dims(enum element element, const uint8_t *value, size_t size, uint32_t *out)
{
    switch (element) {
    case ELEMENT_FLOAT32:
        return dense_dims(value, size, 4, out);
    case ELEMENT_FLOAT16:
        return dense_dims(value, size, 2, out);
    case ELEMENT_SPARSE:
        return sparse_dims(value, size, out);
    case ELEMENT_BIT:
        return bit_dims(value, size, out);
    default:
        return -EBADMSG;
    }
}
