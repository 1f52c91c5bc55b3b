#include "codec/thrift_compact.h"

#include <errno.h>

int varint_put(struct buffer *out, uint64_t value)
{
    int rc = buffer_reserve(out, VARINT_BYTES_MOST);
    if (rc < 0)
        return rc;
    for (; value >= 0x80; value >>= 7)
        out->data[out->size++] = (uint8_t)(value | 0x80);
    out->data[out->size++] = (uint8_t)value;
    return 0;
}

static void note(struct thrift *thrift, int rc)
{
    if (thrift->failed == 0)
        thrift->failed = rc;
}

static void put_byte(struct thrift *thrift, uint8_t byte)
{
    if (thrift->failed == 0)
        note(thrift, buffer_append_byte(thrift->out, byte));
}

static void put_varint(struct thrift *thrift, uint64_t value)
{
    if (thrift->failed == 0)
        note(thrift, varint_put(thrift->out, value));
}

static void put_zigzag(struct thrift *thrift, int64_t value)
{
    put_varint(thrift, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void put_bytes(struct thrift *thrift, const void *bytes, size_t size)
{
    put_varint(thrift, size);
    if (thrift->failed == 0)
        note(thrift, buffer_append(thrift->out, bytes, size));
}

static void push(struct thrift *thrift)
{
    if (thrift->depth == THRIFT_DEPTH_MOST)
        note(thrift, -EINVAL);
    if (thrift->failed == 0)
        thrift->last[thrift->depth++] = 0;
}

static void put_field(struct thrift *thrift, int id, enum thrift_type type)
{
    if (thrift->failed < 0)
        return;
    int *last = &thrift->last[thrift->depth - 1], step = id - *last;
    if (step < 1 || id > INT16_MAX) {
        note(thrift, -EINVAL);
        return;
    }
    put_byte(thrift, (uint8_t)((step > 15 ? 0 : step) << 4 | (int)type));
    if (step > 15)
        put_zigzag(thrift, id);
    *last = id;
}

void thrift_open(struct thrift *thrift, struct buffer *out)
{
    *thrift = (struct thrift){.out = out};
    push(thrift);
}

void thrift_close_struct(struct thrift *thrift)
{
    put_byte(thrift, 0);
    if (thrift->failed == 0)
        thrift->depth--;
}

int thrift_close(struct thrift *thrift)
{
    thrift_close_struct(thrift);
    if (thrift->depth > 0)
        note(thrift, -EINVAL);
    return thrift->failed;
}

void thrift_bool(struct thrift *thrift, int id, bool value)
{
    put_field(thrift, id, value ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_i8(struct thrift *thrift, int id, int8_t value)
{
    put_field(thrift, id, THRIFT_I8);
    put_byte(thrift, (uint8_t)value);
}

void thrift_i32(struct thrift *thrift, int id, int32_t value)
{
    put_field(thrift, id, THRIFT_I32);
    put_zigzag(thrift, value);
}

void thrift_i64(struct thrift *thrift, int id, int64_t value)
{
    put_field(thrift, id, THRIFT_I64);
    put_zigzag(thrift, value);
}

void thrift_text(struct thrift *thrift, int id, const char *text)
{
    put_field(thrift, id, THRIFT_BYTES);
    put_bytes(thrift, text, strlen(text));
}

void thrift_open_struct(struct thrift *thrift, int id)
{
    put_field(thrift, id, THRIFT_STRUCT);
    push(thrift);
}

void thrift_list(struct thrift *thrift, int id, enum thrift_type element, size_t count)
{
    put_field(thrift, id, THRIFT_LIST);
    put_byte(thrift, (uint8_t)((count < 15 ? count : 15) << 4 | element));
    if (count >= 15)
        put_varint(thrift, count);
}

void thrift_element_i32(struct thrift *thrift, int32_t value) { put_zigzag(thrift, value); }

void thrift_element_text(struct thrift *thrift, const char *text)
{
    put_bytes(thrift, text, strlen(text));
}

void thrift_open_element(struct thrift *thrift) { push(thrift); }
