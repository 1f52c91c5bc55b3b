/* Filling lanes (integer_lanes.h) on one level of instructions (isa.h), which the machine must
 * have: `count`, a multiple of 16, of big-endian integers; but for the byte behind the last. */
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
