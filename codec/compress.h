/* zstd, for the blocks of the cache, and for files.
 *
 * Threads: pure functions.
 * Errors: -EBADMSG the bytes are not a frame of exactly that many raw bytes; -ENOMEM.
 */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "codec/buffer.h"

/* Appends one frame, made fast: for the cache. */
MUST_CHECK int compress_block(const void *raw, size_t size, struct buffer *out);

/* Fills exactly `size` bytes at `raw`. */
MUST_CHECK int decompress(const void *frame, size_t frame_size, void *raw, size_t size);

/* Appends one frame as `zstd -3` makes it, with its size and checksum: for files. By one thread, so
 * the bytes depend on the input and the encoder alone. */
MUST_CHECK int zstd_frame(const void *raw, size_t size, struct buffer *out);

/* What makes those frames (codec/encoder.h). */
const char *zstd_encoder(void);

#endif
