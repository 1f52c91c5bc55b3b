/* A list of columns as users write it: names with commas between, odd ones in double quotes (inner
 * ones doubled), others in lower case too, as in SQL.
 *
 * Threads: pure functions. Errors: -ENOMEM; -EINVAL, with words for people: it is not such a list,
 * there is no such column, or it is named twice.
 */
#ifndef CODEC_COLUMN_LIST_H
#define CODEC_COLUMN_LIST_H

#include "codec/error.h"
#include "codec/schema.h"

/* The columns' numbers, in the list's order: at least one, for the caller to free. */
MUST_CHECK int column_list_numbers(const char *list, const struct schema *schema, int **numbers,
                                   int *count, struct error *error);

#endif
