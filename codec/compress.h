/* zstd, for the blocks of the cache.
 *
 * Errors: -EBADMSG the bytes are not a frame of exactly that many raw bytes; -ENOMEM.
 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "codec/buffer.h"

/* Appends one frame. */
MUST_CHECK int compress(const void *raw, size_t size, struct buffer *out);

/* Fills exactly `size` bytes at `raw`. */
MUST_CHECK int decompress(const void *frame, size_t frame_size, void *raw, size_t size);

#endif
