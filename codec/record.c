#include "codec/record.h"

#include "codec/bytes.h"

#include <stdlib.h>
#include <time.h>

void record_put_u8(struct text *out, uint8_t value) { text_put_bytes(out, &value, 1); }

void record_put_u32(struct text *out, uint32_t value)
{
    uint8_t bytes[4];
    store_le32(bytes, value);
    text_put_bytes(out, bytes, sizeof bytes);
}

void record_put_u64(struct text *out, uint64_t value)
{
    uint8_t bytes[8];
    store_le64(bytes, value);
    text_put_bytes(out, bytes, sizeof bytes);
}

void record_put_string(struct text *out, const char *text)
{
    record_put_bytes(out, text, strlen(text));
}

void record_put_bytes(struct text *out, const void *bytes, size_t size)
{
    record_put_u32(out, (uint32_t)size);
    text_put_bytes(out, bytes, size);
}

/* The next n bytes; NULL, and bad: there are fewer, or a read before has failed. */
static const uint8_t *next_bytes(struct record_reader *in, size_t n)
{
    if (in->bad || (size_t)(in->end - in->at) < n) {
        in->bad = true;
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += n;
    return at;
}

uint8_t record_get_u8(struct record_reader *in)
{
    const uint8_t *at = next_bytes(in, 1);
    return at == NULL ? 0 : *at;
}

uint32_t record_get_u32(struct record_reader *in)
{
    const uint8_t *at = next_bytes(in, 4);
    return at == NULL ? 0 : load_le32(at);
}

uint64_t record_get_u64(struct record_reader *in)
{
    const uint8_t *at = next_bytes(in, 8);
    return at == NULL ? 0 : load_le64(at);
}

uint32_t record_get_u32_to(struct record_reader *in, uint32_t most)
{
    uint32_t value = record_get_u32(in);
    in->bad |= value > most;
    return in->bad ? 0 : value;
}

uint64_t record_get_u64_to(struct record_reader *in, uint64_t most)
{
    uint64_t value = record_get_u64(in);
    in->bad |= value > most;
    return in->bad ? 0 : value;
}

int64_t record_seconds_most(void)
{
    int64_t now = (int64_t)time(NULL);
    int64_t most = (now > 0 ? now : 0) + RECORD_SECONDS_AHEAD;
    return most < RECORD_SECONDS_MOST ? most : RECORD_SECONDS_MOST;
}

int64_t record_get_seconds(struct record_reader *in)
{
    return (int64_t)record_get_u64_to(in, (uint64_t)record_seconds_most());
}

int64_t record_get_microseconds(struct record_reader *in)
{
    return (int64_t)record_get_u64_to(in, (uint64_t)record_seconds_most() * 1000000);
}

const uint8_t *record_get_bytes(struct record_reader *in, size_t *size)
{
    uint32_t n = record_get_u32(in);
    const uint8_t *at = next_bytes(in, n);
    *size = at != NULL ? n : 0;
    return at;
}

char *record_get_string(struct record_reader *in)
{
    size_t n;
    const uint8_t *at = record_get_bytes(in, &n);
    if (at == NULL)
        return NULL;
    char *text = memchr(at, 0, n) == NULL ? malloc(n + 1) : NULL;
    if (text == NULL) {
        in->bad = true;
        return NULL;
    }
    memcpy(text, at, n);
    text[n] = '\0';
    return text;
}
