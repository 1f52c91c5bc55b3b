#include "codec/json_text.h"

#include <stdbool.h>

typedef uint8_t byte_block __attribute__((vector_size(16)));
typedef uint64_t word_block __attribute__((vector_size(16)));

static inline bool byte_needs_escape(uint8_t byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

/* How many of the bytes, from the first, stand for themselves. */
static size_t clean_run(const uint8_t *text, size_t size)
{
    size_t i = 0;
    for (byte_block block; size - i >= sizeof block; i += sizeof block) {
        memcpy(&block, text + i, sizeof block);
        word_block found = (word_block)((block < 0x20) | (block == '"') | (block == '\\'));
        if ((found[0] | found[1]) != 0)
            break;
    }
    while (i < size && !byte_needs_escape(text[i]))
        i++;
    return i;
}

static size_t write_escape(uint8_t byte, uint8_t *out)
{
    static const char names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    for (size_t i = 0; i < sizeof names - 1; i += 2) {
        if (byte == (uint8_t)names[i]) {
            out[1] = (uint8_t)names[i + 1];
            return 2;
        }
    }
    memcpy(out + 1, "u00", 3);
    out[4] = (uint8_t)hex[byte >> 4];
    out[5] = (uint8_t)hex[byte & 15];
    return 6;
}

int json_string(struct buffer *out, const void *text, size_t size)
{
    const uint8_t *from = text;
    int rc = buffer_append_byte(out, '"');
    while (rc == 0 && size > 0) {
        size_t run = clean_run(from, size);
        rc = buffer_append(out, from, run);
        from += run;
        size -= run;
        for (; rc == 0 && size > 0 && byte_needs_escape(*from); from++, size--) {
            rc = buffer_reserve(out, 6);
            if (rc == 0)
                out->size += write_escape(*from, out->data + out->size);
        }
    }
    return rc != 0 ? rc : buffer_append_byte(out, '"');
}

static const uint8_t *find_byte(const uint8_t *from, const uint8_t *end, uint8_t byte)
{
    const uint8_t *found = from < end ? memchr(from, byte, (size_t)(end - from)) : NULL;
    return found != NULL ? found : end;
}

int json_one_line(struct buffer *out, const void *json, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t *from = json, *end = from + size;
    const uint8_t *feed = find_byte(from, end, '\n'), *carriage = find_byte(from, end, '\r');
    for (;;) {
        const uint8_t *stop = feed < carriage ? feed : carriage;
        int rc = buffer_append(out, from, (size_t)(stop - from));
        if (rc != 0 || stop == end)
            return rc;
        from = stop + 1;
        if (stop == feed)
            feed = find_byte(from, end, '\n');
        else
            carriage = find_byte(from, end, '\r');
    }
}
