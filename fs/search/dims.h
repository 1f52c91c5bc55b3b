/* How many dimensions a column's vectors have. */
#ifndef FS_SEARCH_DIMS_H
#define FS_SEARCH_DIMS_H

#include "codec/schema.h"
#include "index/span.h"

/* The number in vector(3), 1 for `bit`; 0: the type does not say. The number in bit varying(3) is
 * only a limit. */
uint32_t dims_declared(const struct column *column);

/* The dimensions of the first value; 0: there is none. -EBADMSG: it is no vector. */
MUST_CHECK int dims_stored(const struct span *spans, size_t count, enum element element,
                           uint32_t *out);

#endif
