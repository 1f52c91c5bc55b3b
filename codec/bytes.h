/* Loads and stores of fixed-width numbers at any alignment. PostgreSQL's wire is big-endian (be),
 * the cache is little-endian (le), whatever the machine is. */
#ifndef CODEC_BYTES_H
#define CODEC_BYTES_H

#include <endian.h>
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
BYTES_LOAD(load_le32, uint32_t, le32toh)
BYTES_LOAD(load_le64, uint64_t, le64toh)
BYTES_STORE(store_le32, uint32_t, htole32)
BYTES_STORE(store_le64, uint64_t, htole64)

#undef BYTES_LOAD
#undef BYTES_STORE

#endif
