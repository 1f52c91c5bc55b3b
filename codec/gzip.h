/* gzip (RFC 1952), which zlib makes. A file may be several members, one behind the other.
 *
 * Threads: pure functions. Errors: -ENOMEM.
 */
#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H

#include "codec/buffer.h"

enum { GZIP_SIZE_MOST = 1 << 30 };

/* Appends a member of these bytes, GZIP_SIZE_MOST at most, without a name or a time. */
MUST_CHECK int gzip_member(const void *raw, size_t size, struct buffer *out);

/* What makes them (codec/encoder.h). */
const char *gzip_encoder(void);

#endif
