/* XXH3, the only checksum here: 128 bits for contents and the manifest, and their low half for
 * blocks of row groups; 64 bits for all else. */
#ifndef CODEC_HASH_H
#define CODEC_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash128 {
    uint64_t high, low;
};

uint64_t hash64(const void *bytes, size_t size);
struct hash128 hash128(const void *bytes, size_t size);

/* A hash over bytes that come in pieces. NULL from hash_stream_new: no memory. */
struct hash_stream;
struct hash_stream *hash_stream_new(void);
void hash_stream_add(struct hash_stream *stream, const void *bytes, size_t size);
struct hash128 hash_stream_value(const struct hash_stream *stream);
void hash_stream_free(struct hash_stream *stream);

/* Writes 32 lower-case hex digits, as xxhsum -H2 prints them, and a NUL. */
void hash128_text(struct hash128 hash, char out[33]);

static inline int hash128_equal(struct hash128 a, struct hash128 b)
{
    return a.high == b.high && a.low == b.low;
}

#endif
