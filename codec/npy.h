/* Arrays as NumPy saves them (.npy): a header, which is the text of a Python dictionary, then
 * numbers.
 *
 *   \x93NUMPY | u8 major, u8 minor | header's size: u16 (version 1) or u32 (2, 3), little-endian
 *   | {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } and blanks | the numbers
 *
 * <f4 and <f8 are read, in C order, of one dimension (one row) or two. For writing the caller names
 * the type of the numbers, and writes them itself. Pure.
 * Errors: of reading -EINVAL, with a sentence; of writing -ENOMEM.
 */
#ifndef CODEC_NPY_H
#define CODEC_NPY_H

#include "codec/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum npy_element { NPY_FLOAT32, NPY_FLOAT64 };

struct npy {
    const uint8_t *data; /* of the bytes that were opened */
    enum npy_element element;
    size_t rows, columns;
};

/* Whether the bytes begin as such a file does. */
bool npy_is(const uint8_t *bytes, size_t size);
MUST_CHECK int npy_open(const uint8_t *bytes, size_t size, struct npy *out, struct error *error);

/* A number of the array, counted over all rows. One that is too large for float32 becomes
 * infinite. */
float npy_number(const struct npy *array, size_t number);

/* The numbers behind a header that was written begin at a multiple of this. */
enum { NPY_ALIGNMENT = 64 };

/* Appends the header (version 1) of an array in C order, whose shape has one number or two, to `out`,
 * which is empty. */
MUST_CHECK int npy_put_header(const char *descr, const uint64_t *shape, int dimensions,
                              struct buffer *out);

#endif
