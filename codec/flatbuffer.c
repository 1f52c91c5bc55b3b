#include "codec/flatbuffer.h"

#include "codec/bytes.h"

enum { POINTER = 4 };

/* Appends zeros; gives where they begin. */
static size_t put_zeros(struct flatbuffer *flatbuffer, size_t size)
{
    struct buffer *out = flatbuffer->out;
    size_t place = out->size;
    if (flatbuffer->rc == 0)
        flatbuffer->rc = buffer_reserve(out, size);
    if (flatbuffer->rc < 0)
        return place;
    if (size > 0)
        memset(out->data + place, 0, size);
    out->size += size;
    return place;
}

void flatbuffer_pad(struct flatbuffer *flatbuffer, size_t before, size_t to)
{
    size_t size = before + flatbuffer->out->size - flatbuffer->start;
    (void)put_zeros(flatbuffer, (to - size % to) % to);
}

void flatbuffer_set(struct flatbuffer *flatbuffer, size_t place, size_t size, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    if (flatbuffer->rc == 0)
        memcpy(flatbuffer->out->data + place, bytes, size);
}

void flatbuffer_point(struct flatbuffer *flatbuffer, size_t place, size_t target)
{
    flatbuffer_set(flatbuffer, place, POINTER, target - place);
}

size_t flatbuffer_begin(struct flatbuffer *flatbuffer) { return put_zeros(flatbuffer, POINTER); }

struct flatbuffer_table flatbuffer_table(struct flatbuffer *flatbuffer, const uint8_t *sizes,
                                         int count)
{
    struct flatbuffer_table table = {0};
    size_t at[FLATBUFFER_FIELDS_MOST] = {0}, size = POINTER;
    for (int i = 0; i < count; i++) {
        if (sizes[i] == 0)
            continue;
        size += (sizes[i] - size % sizes[i]) % sizes[i];
        at[i] = size;
        size += sizes[i];
    }
    flatbuffer_pad(flatbuffer, 0, 2);
    size_t vtable = put_zeros(flatbuffer, 4 + 2 * (size_t)count);
    flatbuffer_pad(flatbuffer, 0, 8);
    table.place = put_zeros(flatbuffer, size);
    flatbuffer_set(flatbuffer, vtable, 2, 4 + 2 * (uint64_t)count);
    flatbuffer_set(flatbuffer, vtable + 2, 2, size);
    flatbuffer_set(flatbuffer, table.place, 4, table.place - vtable);
    for (int i = 0; i < count; i++) {
        flatbuffer_set(flatbuffer, vtable + 4 + 2 * (size_t)i, 2, at[i]);
        table.field[i] = at[i] > 0 ? table.place + at[i] : 0;
    }
    return table;
}

size_t flatbuffer_vector(struct flatbuffer *flatbuffer, size_t count, size_t size, size_t align)
{
    flatbuffer_pad(flatbuffer, POINTER, align > POINTER ? align : POINTER);
    size_t place = put_zeros(flatbuffer, POINTER + count * size);
    flatbuffer_set(flatbuffer, place, POINTER, count);
    return place;
}

size_t flatbuffer_string(struct flatbuffer *flatbuffer, const char *text)
{
    size_t size = strlen(text);
    size_t place = flatbuffer_vector(flatbuffer, size + 1, 1, 1);
    flatbuffer_set(flatbuffer, place, POINTER, size);
    if (flatbuffer->rc == 0)
        memcpy(flatbuffer->out->data + place + POINTER, text, size);
    return place;
}
