/* Fills lanes (integer_lanes.h) at one level of instructions (isa.h), which the machine must have,
 * with `count` big-endian integers, a multiple of 16. The byte behind the last one is not
 * written. */
#ifndef CODEC_INTEGER_LANES_SIMD_H
#define CODEC_INTEGER_LANES_SIMD_H

#include <stddef.h>
#include <stdint.h>

typedef void fill_lanes(const uint8_t *wire, size_t count, uint8_t end, uint8_t *text,
                        uint8_t *length);

#if defined(__x86_64__)
fill_lanes int4_lanes_avx2, int8_lanes_avx2;
fill_lanes int4_lanes_avx512, int8_lanes_avx512;
#endif

#endif
