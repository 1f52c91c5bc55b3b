/* float4_texts (float_text.h has the contract) at one level of instructions (isa.h), which the
 * machine must have. */
#ifndef CODEC_FLOAT_TEXT_SIMD_H
#define CODEC_FLOAT_TEXT_SIMD_H

#include <stddef.h>
#include <stdint.h>

size_t float4_texts_scalar(const uint8_t *wire, size_t count, char *out, uint8_t *lengths);

#if defined(__x86_64__)
size_t float4_texts_avx2(const uint8_t *wire, size_t count, char *out, uint8_t *lengths);
size_t float4_texts_avx512(const uint8_t *wire, size_t count, char *out, uint8_t *lengths);
#endif

#endif
