/* Planes: the bytes of `count` values of `size` (>= 1) bytes each in another order, the first byte
 * of all, then the second of all, … Bytes of the same weight look alike in numbers: as planes,
 * numbers shrink far more, in a third of the time. Pure.
 */
#ifndef CODEC_BYTE_PLANES_H
#define CODEC_BYTE_PLANES_H

#include <stddef.h>
#include <stdint.h>

void byte_planes_split(const uint8_t *values, size_t count, size_t size, uint8_t *planes);

void byte_planes_join(const uint8_t *planes, size_t count, size_t size, uint8_t *values);

#endif
