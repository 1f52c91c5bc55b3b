/* Where the columns lie in a body. The kernel asks for pages of 4096 bytes: if each of them has
 * bytes of one column only, a reader of that column meets no other.
 *
 *   file     "PAR1" | body | body | ... | footer
 *   body     column | zeros | column | zeros | ... | 4 zeros
 *
 * Each column but the first of a body begins at a multiple of 4096 in the file, and each body, with
 * its first column, 4 bytes behind one, as the first body does. This is so only if the zeros are at
 * most 1/32 of the columns' bytes: else a body has none, and what follows it may begin anywhere.
 *
 * Threads: pure functions.
 */
#ifndef CODEC_PARQUET_LAYOUT_H
#define CODEC_PARQUET_LAYOUT_H

#include <stdint.h>

/* What tells this layout from others: files that have another one are other files. */
#define PARQUET_LAYOUT "columns at 4096"

/* The first multiple of 4096 at or behind `end`, which is an offset in a body, as the file counts:
 * as an offset in the body. */
uint64_t parquet_layout_next(uint64_t end);

/* Gets where each of the columns of these sizes begins in the body. Returns the body's size. */
uint64_t parquet_layout(const uint64_t *sizes, int count, uint64_t *offsets);

#endif
