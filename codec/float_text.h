/* The shortest decimal text of floating point numbers, byte for byte as PostgreSQL 12 and later
 * print float4 and float8 with extra_float_digits >= 1: the fewest digits that read back as the
 * same number, of these the closest (bounds of the interval do not count). Notation is fixed if -4
 * <= exponent < 6 (float4) or 15 (float8), else d.ddde±XX with at least two digits of exponent; and
 * -0, NaN, Infinity, -Infinity. No NUL stands behind a text. Pure; no errors.
 */
#ifndef CODEC_FLOAT_TEXT_H
#define CODEC_FLOAT_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that float4_text and float8_text may write to; the text may be shorter. */
#define FLOAT4_TEXT_MAX 16
#define FLOAT8_TEXT_MAX 32

/* Writes the text of the number with these IEEE 754 bits. Returns its length. */
size_t float4_text(uint32_t bits, char *out);
size_t float8_text(uint64_t bits, char *out);

/* Writes the texts of big-endian numbers, as a vector has them, a comma behind each. Returns how
 * many bytes that is; 0: there is no number, or one is not finite. There must be room for
 * FLOAT4_TEXTS_MAX(count) bytes, and all of it may be overwritten. `lengths` (nullable) gets the
 * size of each text with its comma. isa_level() chooses the instructions. */
#define FLOAT4_TEXTS_MAX(count) (FLOAT4_TEXT_MAX * (size_t)(count) + 64)
size_t float4_texts(const uint8_t *wire, size_t count, char *out, uint8_t *lengths);

#endif
