#include "codec/crc32.h"

#include "codec/bytes.h"

#include <pthread.h>

enum { REFLECTED = (int)0xEDB88320 };

/* tables[n][byte]: what the byte does to the sum if n zero bytes follow it. */
static uint32_t tables[8][256];

static void make_tables(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ ((sum & 1) != 0 ? (uint32_t)REFLECTED : 0);
        tables[0][byte] = sum;
    }
    for (int n = 1; n < 8; n++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t before = tables[n - 1][byte];
            tables[n][byte] = before >> 8 ^ tables[0][before & 0xFF];
        }
}

static uint32_t by_eight(uint32_t sum, const uint8_t *at)
{
    uint64_t x = load_le64(at) ^ sum;
    sum = 0;
    for (int n = 7; n >= 0; n--, x >>= 8)
        sum ^= tables[n][x & 0xFF];
    return sum;
}

uint32_t crc32_of(const void *bytes, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_tables);
    const uint8_t *at = bytes;
    uint32_t sum = UINT32_MAX;
    for (; size >= 8; size -= 8, at += 8)
        sum = by_eight(sum, at);
    for (; size > 0; size--, at++)
        sum = sum >> 8 ^ tables[0][(sum ^ *at) & 0xFF];
    return ~sum;
}
