/* Large arrays: zeroed memory in huge pages where the kernel has them, since what is read here and
 * there in them would else miss the TLB each time. */
#ifndef INDEX_PAGES_H
#define INDEX_PAGES_H

#include <stddef.h>

enum { PAGES_SLACK = 128 }; /* bytes behind the end that may be read, too */

/* `size` bytes, zero; NULL: no memory. */
void *pages_new(size_t size);
/* `size` as it was asked for; NULL is accepted. */
void pages_free(void *pages, size_t size);

/* All of these bytes are about to be read: if they are mapped from a file, it is read ahead. */
void pages_fetch(const void *bytes, size_t size);

#endif
