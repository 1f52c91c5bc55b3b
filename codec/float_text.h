/* Shortest decimal text of binary floating point numbers, byte for byte as PostgreSQL 12 and later
 * print float4 and float8 with extra_float_digits >= 1: the fewest digits that read back as the
 * same number (of those, the closest; the interval's bounds are never accepted), fixed notation
 * while -4 <= exponent < 6 (float4) or 15 (float8), else d.ddde±XX with at least two digits of
 * exponent; -0, NaN, Infinity, -Infinity. Pure; no errors; nothing is terminated.
 */
#ifndef CODEC_FLOAT_TEXT_H
#define CODEC_FLOAT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define FLOAT4_TEXT_MAX                                                                            \
    16 /* bytes that float4_text may write to, though what it returns may be less */
#define FLOAT8_TEXT_MAX 32

/* Writes the text of the number with these IEEE 754 bits; returns its length. */
size_t float4_text(uint32_t bits, char *out);
size_t float8_text(uint64_t bits, char *out);

/* Writes the texts of big-endian numbers, a comma behind each, as the array of a vector has them;
 * returns how many bytes that is, 0 if there is no number or one is not finite. There must be room
 * for FLOAT4_TEXTS_MAX(count), and all of it may be overwritten. `lengths` (nullable) gets the size
 * of each text with its comma. Instructions are chosen by isa_level(). */
#define FLOAT4_TEXTS_MAX(count) (FLOAT4_TEXT_MAX * (size_t)(count) + 64)
size_t float4_texts(const uint8_t *wire, size_t count, char *out, uint8_t *lengths);

#endif
