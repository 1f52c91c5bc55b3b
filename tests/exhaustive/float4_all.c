/* float4_text against PostgreSQL's own routine (libpgcommon).
 *
 *   float4_all        every one of the 2^32 bit patterns, on all processors
 *   float4_all N      the edges of every exponent, all integers up to 2^24, the neighbours of all
 * powers of ten, and N pseudo-random patterns
 */
#include "codec/float_text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int float_to_shortest_decimal_bufn(float f, char *result);

#define BLOCK (1U << 22)
#define BLOCKS 1024U

static atomic_uint next_block;
static atomic_bool failed;

static bool compare(uint32_t bits)
{
    char ours[FLOAT4_TEXT_MAX], theirs[32];
    float number;
    memcpy(&number, &bits, sizeof number);
    size_t n = float4_text(bits, ours);
    size_t m = (size_t)float_to_shortest_decimal_bufn(number, theirs);
    if (n == m && memcmp(ours, theirs, n) == 0)
        return true;
    if (!atomic_exchange(&failed, true))
        fprintf(stderr, "%08x: %.*s, expected %.*s\n", bits, (int)n, ours, (int)m, theirs);
    return false;
}

static void *compare_blocks(void *unused)
{
    (void)unused;
    for (;;) {
        unsigned block = atomic_fetch_add(&next_block, 1);
        if (block >= BLOCKS || atomic_load(&failed))
            return NULL;
        for (uint32_t i = 0; i < BLOCK; i++)
            if (!compare(block * BLOCK + i))
                return NULL;
        if (block % 64 == 63)
            fprintf(stderr, "%u of %u blocks\n", block + 1, BLOCKS);
    }
}

static int compare_all(void)
{
    pthread_t threads[64];
    long wanted = sysconf(_SC_NPROCESSORS_ONLN);
    int started = 0;
    while (started < 64 && started < wanted &&
           pthread_create(&threads[started], NULL, compare_blocks, NULL) == 0)
        started++;
    if (started == 0)
        compare_blocks(NULL);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&failed))
        return 1;
    puts("4294967296 float4 values equal");
    return 0;
}

static uint32_t float_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static bool compare_edges(uint64_t *count)
{
    static const uint32_t fractions[] = {0, 1, 2, 0x3fffff, 0x400000, 0x400001, 0x7ffffe, 0x7fffff};
    for (uint32_t top = 0; top < 512; top++)
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++, ++*count)
            if (!compare(top << 23 | fractions[i]))
                return false;
    for (uint32_t integer = 0; integer <= 1U << 24; integer++, ++*count)
        if (!compare(float_bits((float)integer)))
            return false;
    for (int exponent = -46; exponent <= 38; exponent++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", exponent);
        uint32_t bits = float_bits(strtof(text, NULL));
        for (uint32_t near = 0; near < 2000; near++, ++*count)
            if (!compare(bits + near - 1000))
                return false;
    }
    return true;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return compare_all();
    uint64_t count = 0, state = 1, wanted = strtoull(argv[1], NULL, 10);
    if (!compare_edges(&count))
        return 1;
    for (uint64_t i = 0; i < wanted; i++, count++)
        if (!compare((uint32_t)random_next(&state)))
            return 1;
    printf("%llu float4 values equal\n", (unsigned long long)count);
    return 0;
}
