/* float4_text, and float4_texts on every level of instructions that the machine has, against
 * PostgreSQL's own routine (libpgcommon).
 *
 *   float4_all        every one of the 2^32 bit patterns, on all processors
 *   float4_all N      the edges of every exponent, all integers up to 2^24, the neighbours of all
 * powers of ten, and N pseudo-random patterns
 */
#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/isa.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int float_to_shortest_decimal_bufn(float f, char *result);

static bool complain(uint32_t bits, const char *ours, size_t n, const char *theirs, size_t m)
{
    fprintf(stderr, "%08x: %.*s, expected %.*s\n", bits, (int)n, ours, (int)m, theirs);
    return false;
}

static size_t expected_text(uint32_t bits, char *out)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return (size_t)float_to_shortest_decimal_bufn(number, out);
}

static bool compare_one(uint32_t bits)
{
    char ours[FLOAT4_TEXT_MAX], theirs[32];
    size_t n = float4_text(bits, ours), m = expected_text(bits, theirs);
    return (n == m && memcmp(ours, theirs, n) == 0) || complain(bits, ours, n, theirs, m);
}

/* Finite numbers until there are enough to be worth a call. */
#define BATCH 4096

struct batch {
    uint32_t count;
    uint8_t wire[4 * BATCH];
    char theirs[FLOAT4_TEXTS_MAX(BATCH)], ours[FLOAT4_TEXTS_MAX(BATCH)];
    uint8_t lengths[BATCH];
};

static bool compare_each(const struct batch *batch, size_t size)
{
    const char *theirs = batch->theirs, *ours = batch->ours;
    for (uint32_t i = 0; i < batch->count; i++) {
        size_t m = (size_t)(strchr(theirs, ',') + 1 - theirs), n = batch->lengths[i];
        if (n != m || memcmp(ours, theirs, n) != 0)
            return complain(load_be32(batch->wire + 4 * i), ours, n, theirs, m);
        ours += n;
        theirs += n;
    }
    return size == (size_t)(theirs - batch->theirs) || complain(0, "too long", 8, "", 0);
}

static bool compare_batch(struct batch *batch)
{
    static const enum isa levels[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
    char *end = batch->theirs;
    for (uint32_t i = 0; i < batch->count; i++) {
        end += expected_text(load_be32(batch->wire + 4 * i), end);
        *end++ = ',';
    }
    size_t size = (size_t)(end - batch->theirs);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (isa_force(levels[i]) != levels[i])
            continue;
        memset(batch->lengths, 0, sizeof batch->lengths);
        size_t n = float4_texts(batch->wire, batch->count, batch->ours, batch->lengths);
        if ((n != size || memcmp(batch->ours, batch->theirs, n) != 0) && !compare_each(batch, n))
            return false;
    }
    batch->count = 0;
    return true;
}

/* A number that is not finite is in no batch. */
static bool compare(struct batch *batch, uint32_t bits)
{
    if ((bits & 0x7f800000) == 0x7f800000)
        return compare_one(bits);
    store_be32(batch->wire + 4 * batch->count++, bits);
    return batch->count < BATCH || compare_batch(batch);
}

#define PARTS 1024U

/* All numbers whose fraction lies in a part, those next to each other of all signs and exponents.
 * Smaller ones are kept apart: a few among others would send these to the scalar code. */
static bool compare_part(uint32_t part, struct batch *usual, struct batch *tiny)
{
    uint32_t from = part * ((1U << 23) / PARTS), to = from + (1U << 23) / PARTS;
    for (uint32_t fraction = from; fraction < to; fraction++)
        for (uint32_t top = 0; top < 512; top++) {
            uint32_t bits = top << 23 | ((fraction + top * 7919) & 0x7fffff);
            if (!compare((top & 0xff) > 1 ? usual : tiny, bits))
                return false;
        }
    return compare_batch(usual) && compare_batch(tiny);
}

/* Processes, as each forces levels for itself. */
static bool compare_parts(unsigned worker, unsigned workers)
{
    struct batch *batches = calloc(2, sizeof *batches);
    bool same = batches != NULL;
    for (unsigned part = worker; same && part < PARTS; part += workers) {
        same = compare_part(part, &batches[0], &batches[1]);
        if (part % 64 == 63)
            fprintf(stderr, "%u of %u parts\n", part + 1, PARTS);
    }
    free(batches);
    return same;
}

static int compare_all(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned workers = processors > 1 ? (unsigned)processors : 1;
    for (unsigned i = 0; i < workers; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return 1;
        if (pid == 0)
            _exit(compare_parts(i, workers) ? 0 : 1);
    }
    bool same = true;
    int status;
    while (wait(&status) > 0)
        same = same && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (same)
        puts("4294967296 float4 values equal");
    return same ? 0 : 1;
}

static uint32_t float_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static bool compare_edges(struct batch *batch, uint64_t *count)
{
    static const uint32_t fractions[] = {0, 1, 2, 0x3fffff, 0x400000, 0x400001, 0x7ffffe, 0x7fffff};
    for (uint32_t top = 0; top < 512; top++)
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++, ++*count)
            if (!compare(batch, top << 23 | fractions[i]))
                return false;
    for (uint32_t integer = 0; integer <= 1U << 24; integer++, ++*count)
        if (!compare(batch, float_bits((float)integer)))
            return false;
    for (int exponent = -46; exponent <= 38; exponent++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", exponent);
        uint32_t bits = float_bits(strtof(text, NULL));
        for (uint32_t near = 0; near < 2000; near++, ++*count)
            if (!compare(batch, bits + near - 1000))
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
    static struct batch batch;
    uint64_t count = 0, state = 1, wanted = strtoull(argv[1], NULL, 10);
    if (!compare_edges(&batch, &count))
        return 1;
    for (uint64_t i = 0; i < wanted; i++, count++)
        if (!compare(&batch, (uint32_t)random_next(&state)))
            return 1;
    if (!compare_batch(&batch))
        return 1;
    printf("%llu float4 values equal\n", (unsigned long long)count);
    return 0;
}
