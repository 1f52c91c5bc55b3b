/* What stands for an encoder, a library that makes bytes which a file then has: two with the same
 * text make the same bytes of the same input.
 *
 * The library's version alone does not tell: builds of one version may differ by a patch, or choose
 * their ways by the processor. So the text ends with a hash of what it makes of a sample.
 *
 * Threads: pure functions.
 */
#ifndef CODEC_ENCODER_H
#define CODEC_ENCODER_H

#include "codec/buffer.h"

enum { ENCODER_SIZE = 96 };

/* Appends what it makes of `size` bytes at `raw`. */
typedef int encode_function(const void *raw, size_t size, struct buffer *out);

/* Writes "LIBRARY VERSION, level LEVEL, " and 8 hex digits; a version that is too long is cut. */
void encoder_describe(const char *library, const char *version, int level, encode_function *encode,
                      char out[ENCODER_SIZE]);

#endif
