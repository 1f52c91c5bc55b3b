/* An array that grows by one element at a time: it has room for as many elements as the next power
 * of two of their number says, so it needs no member for that.
 */
#ifndef CODEC_ARRAY_H
#define CODEC_ARRAY_H

#include "codec/error.h"

#include <stddef.h>

/* The array (NULL: none yet), in which there is room for one more behind its `count` elements;
 * NULL: no memory, and it is where it was. */
MUST_CHECK void *array_room(void *array, size_t count, size_t element_size);

#endif
