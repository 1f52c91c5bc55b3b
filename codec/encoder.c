#include "codec/encoder.h"

#include "codec/hash.h"

#include <stdio.h>

enum { SAMPLE_SIZE = 16 << 10 };

/* Lines of numbers and words, some of which come again. */
static void fill(char *sample, size_t size)
{
    static const char *const words[] = {"alpha", "beta", "gamma", "delta"};
    uint64_t state = 1;
    size_t n = 0;
    while (n < size) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int written = snprintf(sample + n, size - n, "%zu,%s,-0.%07u\n", n, words[state >> 62],
                               (unsigned)(state >> 40) % 10000000);
        n += (size_t)written;
    }
}

void encoder_describe(const char *library, const char *version, int level, encode_function *encode,
                      char out[ENCODER_SIZE])
{
    char sample[SAMPLE_SIZE];
    uint8_t room[2 * SAMPLE_SIZE]; /* enough: it never grows */
    struct buffer encoded = {.data = room, .capacity = sizeof room};
    fill(sample, sizeof sample);
    uint64_t hash = encode(sample, sizeof sample, &encoded) == 0
                        ? hash64(encoded.data, encoded.size)
                        : 0; /* no memory: the next process finds another encoder */
    snprintf(out, ENCODER_SIZE, "%s %.40s, level %d, %08x", library, version, level,
             (unsigned)hash);
}
