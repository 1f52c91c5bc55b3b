/* How many dimensions a column's vectors have. */
#ifndef FS_SEARCH_DIMS_H
#define FS_SEARCH_DIMS_H

#include "codec/schema.h"
#include "index/span.h"

/* The number in vector(3), 1 of `bit`; 0: the type does not say. That of bit varying(3) is but a
 * limit. */
uint32_t dims_declared(const struct column *column);

/* Those of the first value; 0: there is none. -EBADMSG: it is no vector. */
MUST_CHECK int dims_stored(const struct span *spans, size_t count, enum element element,
                           uint32_t *out);

#endif
