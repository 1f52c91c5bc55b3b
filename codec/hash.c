#include "codec/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

uint64_t hash64(const void *bytes, size_t size) { return XXH3_64bits(bytes, size); }

static struct hash128 from_xxh(XXH128_hash_t value)
{
    return (struct hash128){.high = value.high64, .low = value.low64};
}

struct hash128 hash128(const void *bytes, size_t size)
{
    return from_xxh(XXH3_128bits(bytes, size));
}

struct hash_stream *hash_stream_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state != NULL)
        XXH3_128bits_reset(state);
    return (struct hash_stream *)state;
}

void hash_stream_add(struct hash_stream *stream, const void *bytes, size_t size)
{
    XXH3_128bits_update((XXH3_state_t *)stream, bytes, size);
}

struct hash128 hash_stream_value(const struct hash_stream *stream)
{
    return from_xxh(XXH3_128bits_digest((const XXH3_state_t *)stream));
}

void hash_stream_free(struct hash_stream *stream) { XXH3_freeState((XXH3_state_t *)stream); }

void hash128_text(struct hash128 hash, char out[33])
{
    snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, hash.high, hash.low);
}
