/* By libcrypto, which libpq brings into the process in any case. */
#include "codec/keyed_hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

int keyed_hash_text(const uint8_t key[KEYED_HASH_KEY], const void *bytes, size_t size,
                    char out[KEYED_HASH_TEXT])
{
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (HMAC(EVP_sha256(), key, KEYED_HASH_KEY, bytes, size, hash, &n) == NULL ||
        n != (KEYED_HASH_TEXT - 1) / 2)
        return -EIO;
    for (unsigned i = 0; i < n; i++)
        snprintf(out + (size_t)2 * i, 3, "%02x", hash[i]);
    return 0;
}
