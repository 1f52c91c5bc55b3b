#include "codec/npy.h"

#include "codec/bytes.h"

#include <errno.h>
#include <stdio.h>

static const uint8_t magic[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

enum { FRONT = sizeof magic + 2 };

bool npy_is(const uint8_t *bytes, size_t size)
{
    return size >= FRONT && memcmp(bytes, magic, sizeof magic) == 0;
}

/* The header's text. */
struct header {
    const char *at;
    size_t size;
};

/* What stands behind 'key': and blanks; NULL: the header has no such key. */
static const char *value_of(const struct header *header, const char *key)
{
    const char *end = header->at + header->size;
    const char *found = memmem(header->at, header->size, key, strlen(key));
    if (found == NULL)
        return NULL;
    found += strlen(key);
    while (found < end && (*found == ' ' || *found == ':'))
        found++;
    return found;
}

static bool begins(const struct header *header, const char *at, const char *with)
{
    size_t n = strlen(with);
    return at != NULL && (size_t)(header->at + header->size - at) >= n && memcmp(at, with, n) == 0;
}

/* Reads (3,) or (2, 3). The number of dimensions; 0: it is something else. */
static int read_shape(const struct header *header, size_t shape[2])
{
    const char *at = value_of(header, "'shape'"), *end = header->at + header->size;
    int count = 0;
    if (at == NULL || at == end || *at++ != '(')
        return 0;
    while (at < end && *at != ')') {
        if (*at == ' ' || *at == ',') {
            at++;
            continue;
        }
        size_t value = 0;
        const char *start = at;
        for (; at < end && *at >= '0' && *at <= '9' && value < (size_t)1 << 40; at++)
            value = value * 10 + (size_t)(*at - '0');
        if (at == start || count == 2)
            return 0;
        shape[count++] = value;
    }
    return at < end ? count : 0;
}

static int find_header(const uint8_t *bytes, size_t size, struct header *out, size_t *data)
{
    size_t wide = bytes[sizeof magic] == 1 ? 2 : 4;
    if (bytes[sizeof magic] < 1 || bytes[sizeof magic] > 3 || size < FRONT + wide)
        return -EINVAL;
    size_t length = wide == 2 ? load_le16(bytes + FRONT) : load_le32(bytes + FRONT);
    if (length > size - FRONT - wide)
        return -EINVAL;
    *out = (struct header){(const char *)bytes + FRONT + wide, length};
    *data = FRONT + wide + length;
    return 0;
}

int npy_open(const uint8_t *bytes, size_t size, struct npy *out, struct error *error)
{
    struct header header;
    size_t data, shape[2];
    if (!npy_is(bytes, size) || find_header(bytes, size, &header, &data) < 0)
        return error_set(error, -EINVAL, "a .npy file whose header is cut short or unknown");
    const char *descr = value_of(&header, "'descr'");
    bool wide = begins(&header, descr, "'<f8'");
    if (!wide && !begins(&header, descr, "'<f4'"))
        return error_set(error, -EINVAL,
                         "a .npy file whose numbers are not '<f4': save it with "
                         ".astype(numpy.float32)");
    int count = read_shape(&header, shape);
    if (count == 0)
        return error_set(error, -EINVAL, "a .npy file must have one or two dimensions");
    if (count == 2 && !begins(&header, value_of(&header, "'fortran_order'"), "False"))
        return error_set(error, -EINVAL,
                         "a .npy file in Fortran order: save it with numpy.ascontiguousarray()");
    struct npy array = {.data = bytes + data,
                        .element = wide ? NPY_FLOAT64 : NPY_FLOAT32,
                        .rows = count == 2 ? shape[0] : 1,
                        .columns = shape[count - 1]};
    size_t each = wide ? 8 : 4, room = (size - data) / each;
    bool whole = array.columns == 0 || array.rows == 0 ||
                 (array.rows <= room / array.columns && array.rows * array.columns == room &&
                  (size - data) % each == 0);
    if (!whole)
        return error_set(error, -EINVAL, "a .npy file of %zu bytes, which its shape does not fit",
                         size);
    *out = array;
    return 0;
}

float npy_number(const struct npy *array, size_t number)
{
    if (array->element == NPY_FLOAT32) {
        uint32_t bits = load_le32(array->data + 4 * number);
        float value;
        memcpy(&value, &bits, sizeof value);
        return value;
    }
    uint64_t bits = load_le64(array->data + 8 * number);
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

/* NumPy ends the text with a line break, and has blanks before it. */
int npy_put_header(const char *descr, const uint64_t *shape, int dimensions, struct buffer *out)
{
    char text[256], second[32] = "";
    if (dimensions > 1)
        snprintf(second, sizeof second, " %llu", (unsigned long long)shape[1]);
    int written =
        snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%llu,%s), }",
                 descr, (unsigned long long)shape[0], second);
    size_t length = written > 0 && (size_t)written < sizeof text ? (size_t)written : 0;
    size_t size = FRONT + 2 + length + 1;
    size += (NPY_ALIGNMENT - size % NPY_ALIGNMENT) % NPY_ALIGNMENT;
    int rc = buffer_reserve(out, size);
    if (rc < 0)
        return rc;
    uint8_t *at = out->data + out->size;
    memset(at, ' ', size);
    memcpy(at, magic, sizeof magic);
    at[sizeof magic] = 1;
    at[sizeof magic + 1] = 0;
    store_le16(at + FRONT, (uint16_t)(size - FRONT - 2));
    memcpy(at + FRONT + 2, text, length);
    at[size - 1] = '\n';
    out->size += size;
    return 0;
}
