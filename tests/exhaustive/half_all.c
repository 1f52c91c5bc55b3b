/* half_to_float4 for all 65,536 halves, against the definition of the format: (-1)^s * 1.f *
 * 2^(e-15), or 0.f * 2^-14 where e is 0; infinities and NaN with their fraction where it is 31.
 * half_texts for all that are finite, one by one and together, against float4_text. */
#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/half_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

static uint32_t reference(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    if (exponent == 31)
        return (half >> 15 ? 0xff800000U : 0x7f800000U) | (uint32_t)fraction << 13;
    float number = exponent == 0 ? ldexpf((float)fraction, -24)
                                 : ldexpf((float)(1024 + fraction), exponent - 25);
    if (half >> 15)
        number = -number;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

#define FINITE (2 * 31 * 1024)

static bool compare_texts(void)
{
    static uint8_t wire[2 * (FINITE + 1)];
    static char expected[FLOAT4_TEXTS_MAX(FINITE)], ours[FLOAT4_TEXTS_MAX(FINITE)];
    size_t count = 0, size = 0;
    for (uint32_t half = 0; half < 65536; half++) {
        char text[FLOAT4_TEXTS_MAX(1)];
        uint8_t *at = wire + 2 * count;
        store_be16(at, (uint16_t)half);
        bool finite = (half & 0x7c00) != 0x7c00;
        size_t n = float4_text(reference((uint16_t)half), expected + size);
        expected[size + n++] = ',';
        if (half_texts(at, 1, text) != (finite ? n : 0) ||
            (finite && memcmp(text, expected + size, n) != 0)) {
            fprintf(stderr, "%04x: not %.*s\n", half, (int)n, expected + size);
            return false;
        }
        size += finite ? n : 0;
        count += finite;
    }
    return half_texts(wire, count, ours) == size && memcmp(ours, expected, size) == 0;
}

int main(void)
{
    for (uint32_t half = 0; half < 65536; half++) {
        uint32_t ours = half_to_float4((uint16_t)half), expected = reference((uint16_t)half);
        if (ours != expected) {
            fprintf(stderr, "%04x: %08x, expected %08x\n", half, ours, expected);
            return 1;
        }
    }
    if (!compare_texts())
        return 1;
    puts("65536 halves equal");
    return 0;
}
