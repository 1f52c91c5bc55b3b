/* half_to_float4 for all 65,536 halves, against the definition of the format: (-1)^s * 1.f *
 * 2^(e-15), or 0.f * 2^-14 where e is 0; infinities and NaN with their fraction where it is 31. */
#include "codec/float_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

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

int main(void)
{
    for (uint32_t half = 0; half < 65536; half++) {
        uint32_t ours = half_to_float4((uint16_t)half), expected = reference((uint16_t)half);
        if (ours != expected) {
            fprintf(stderr, "%04x: %08x, expected %08x\n", half, ours, expected);
            return 1;
        }
    }
    puts("65536 halves equal");
    return 0;
}
