/* A row group put together from single values, a few rows picked from others. It has no row ids, no
 * content hash and is not for the cache.
 *
 * Errors: -ENOMEM, those of the caller's function.
 */
#ifndef CODEC_ROWGROUP_PICK_H
#define CODEC_ROWGROUP_PICK_H

#include "codec/rowgroup.h"

enum { PICK_VALUE, PICK_NULL };

/* Appends the value of a row of this run to `out`: PICK_VALUE, or PICK_NULL and nothing; or a
 * negative errno. */
typedef int pick_value(void *context, int run, uint32_t row, struct buffer *out);

/* Asks for the values run by run, each from row 0 on. */
MUST_CHECK int rowgroup_pick(int runs, uint32_t rows, pick_value *value, void *context,
                             struct rowgroup **out);

#endif
