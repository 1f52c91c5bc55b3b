/* Loads and stores of fixed-width numbers at any alignment. PostgreSQL's wire is big-endian (be),
 * the cache is little-endian (le), whatever the machine is. */
#ifndef CODEC_BYTES_H
#define CODEC_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BYTES_LOAD(name, type, swap)                                                               \
    static inline type name(const void *at)                                                        \
    {                                                                                              \
        type raw;                                                                                  \
        memcpy(&raw, at, sizeof raw);                                                              \
        return swap(raw);                                                                          \
    }
#define BYTES_STORE(name, type, swap)                                                              \
    static inline void name(void *at, type value)                                                  \
    {                                                                                              \
        type raw = swap(value);                                                                    \
        memcpy(at, &raw, sizeof raw);                                                              \
    }

BYTES_LOAD(load_be16, uint16_t, be16toh)
BYTES_LOAD(load_be32, uint32_t, be32toh)
BYTES_LOAD(load_be64, uint64_t, be64toh)
BYTES_STORE(store_be16, uint16_t, htobe16)
BYTES_STORE(store_be32, uint32_t, htobe32)
BYTES_STORE(store_be64, uint64_t, htobe64)
BYTES_LOAD(load_le16, uint16_t, le16toh)
BYTES_LOAD(load_le32, uint32_t, le32toh)
BYTES_LOAD(load_le64, uint64_t, le64toh)
BYTES_STORE(store_le16, uint16_t, htole16)
BYTES_STORE(store_le32, uint32_t, htole32)
BYTES_STORE(store_le64, uint64_t, htole64)

#undef BYTES_LOAD
#undef BYTES_STORE

/* memcpy that is fast for a few bytes. */
static inline void copy_value(void *to, const void *from, size_t size)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    if (size > 16) {
        memcpy(out, in, size);
    } else if (size == 4) {
        memcpy(out, in, 4);
    } else if (size >= 8) {
        uint64_t first, last;
        memcpy(&first, in, 8);
        memcpy(&last, in + size - 8, 8);
        memcpy(out, &first, 8);
        memcpy(out + size - 8, &last, 8);
    } else {
        for (size_t i = 0; i < size; i++)
            out[i] = in[i];
    }
}

#endif
