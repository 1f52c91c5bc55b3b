/* HMAC-SHA-256: a hash that can be made only with the key. */
#ifndef CODEC_KEYED_HASH_H
#define CODEC_KEYED_HASH_H

#include "codec/error.h"

#include <stddef.h>
#include <stdint.h>

enum { KEYED_HASH_KEY = 32, KEYED_HASH_TEXT = 65 };

/* Writes 64 lower-case hex digits and a NUL. -EIO: libcrypto refuses. */
MUST_CHECK int keyed_hash_text(const uint8_t key[KEYED_HASH_KEY], const void *bytes, size_t size,
                               char out[KEYED_HASH_TEXT]);

#endif
