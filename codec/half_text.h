/* The text of half-precision numbers (IEEE 754 binary16): that of the float4 that they equal, as
 * pgvector prints them. Threads: any. No errors. */
#ifndef CODEC_HALF_TEXT_H
#define CODEC_HALF_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The float4 bits of a half (exact). */
uint32_t half_to_float4(uint16_t half);

/* As float4_texts, for big-endian halves. */
size_t half_texts(const uint8_t *wire, size_t count, char *out);

#endif
