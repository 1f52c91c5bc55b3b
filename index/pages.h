/* Large arrays in zeroed memory, in huge pages if the kernel has them: otherwise, each read at
 * random in them would miss the TLB. */
#ifndef INDEX_PAGES_H
#define INDEX_PAGES_H

#include <stddef.h>

/* Bytes behind the end that may be read, too. */
enum { PAGES_SLACK = 128 };

/* `size` bytes, all 0. NULL: no memory. */
void *pages_new(size_t size);
/* `size`: what pages_new was asked for. NULL is accepted. */
void pages_free(void *pages, size_t size);

/* Reads these bytes ahead, if they are mapped from a file: all of them are about to be read. */
void pages_fetch(const void *bytes, size_t size);

#endif
