/* CRC-32 as gzip has it (polynomial 0x04C11DB7, bits reflected), which Parquet keeps of each page.
 * By eight bytes at a time, from tables ("slicing-by-8": Kounavis and Berry, 2005).
 *
 * Threads: any.
 */
#ifndef CODEC_CRC32_H
#define CODEC_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_of(const void *bytes, size_t size);

#endif
