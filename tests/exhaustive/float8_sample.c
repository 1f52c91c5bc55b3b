/* float8_text against PostgreSQL's own routine (libpgcommon): the edges of every exponent, powers
 * of two and ten with their neighbours, integers, numbers of few bits (where ties of the closest
 * digits are), and N (20 million) each of random bit patterns and of random decimal numbers with 1
 * to 17 digits. */
#include "codec/float_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int double_to_shortest_decimal_bufn(double f, char *result);

static uint64_t count;

static bool compare(uint64_t bits)
{
    char ours[FLOAT8_TEXT_MAX], theirs[40];
    double number;
    memcpy(&number, &bits, sizeof number);
    size_t n = float8_text(bits, ours);
    size_t m = (size_t)double_to_shortest_decimal_bufn(number, theirs);
    count++;
    if (n == m && memcmp(ours, theirs, n) == 0)
        return true;
    fprintf(stderr, "%016llx: %.*s, expected %.*s\n", (unsigned long long)bits, (int)n, ours,
            (int)m, theirs);
    return false;
}

static bool compare_number(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return compare(bits);
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static bool compare_edges(void)
{
    for (uint64_t top = 0; top < 4096; top++)
        for (uint64_t near = 0; near < 200; near++)
            if (!compare((top << 52) + near - 100) ||
                !compare((top << 52 | UINT64_C(1) << 51) + near - 100))
                return false;
    for (int exponent = -330; exponent <= 310; exponent++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", exponent);
        double power = strtod(text, NULL);
        uint64_t bits;
        memcpy(&bits, &power, sizeof bits);
        for (uint64_t near = 0; near < 2000; near++)
            if (!compare(bits + near - 1000))
                return false;
    }
    for (uint64_t integer = 0; integer < 3000000; integer++)
        if (!compare_number((double)integer) ||
            !compare_number((double)((UINT64_C(1) << 53) - 1500000 + integer)))
            return false;
    for (uint64_t top = 0; top < 2048; top++) /* every number of at most ten bits */
        for (uint64_t fraction = 0; fraction < 512; fraction++)
            if (!compare(top << 52 | fraction << 43) || !compare(top << 52 | fraction))
                return false;
    return true;
}

static bool compare_random(uint64_t wanted)
{
    uint64_t state = 1;
    for (uint64_t i = 0; i < wanted; i++)
        if (!compare(random_next(&state)))
            return false;
    for (uint64_t i = 0; i < wanted; i++) {
        uint64_t r = random_next(&state), digits = random_next(&state), limit = 10;
        for (uint64_t n = r % 17; n > 0; n--)
            limit *= 10;
        int exponent = r >> 20 & 1 ? (int)(r >> 32 & 31) - 24 : (int)((r >> 32) % 640) - 340;
        char text[48];
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)(digits % limit), exponent);
        if (!compare_number(strtod(text, NULL)))
            return false;
    }
    for (uint64_t i = 0; i < wanted / 4;
         i++) /* few bits at a random place: integers, dyadic fractions */
        if (!compare_number((double)(random_next(&state) >> (random_next(&state) & 63)) /
                            (double)(UINT64_C(1) << (i & 63))))
            return false;
    return true;
}

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000000;
    if (!compare_edges() || !compare_random(wanted))
        return 1;
    printf("%llu float8 values equal\n", (unsigned long long)count);
    return 0;
}
