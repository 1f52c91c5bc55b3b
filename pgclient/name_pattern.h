/* Patterns of pg_dump that match some names of a schema, and no others.
 *
 * The server matches such a pattern, a regular expression, against the name of each relation. If it
 * listed the names, the server would compare each of these with each of those (8 s for 3,000
 * relations, measured); so what several names begin with is in it once: "small_"("1"("0"|"1")|"2").
 *
 * Errors: -ENOMEM, -EINVAL as identifier.h.
 */
#ifndef PGCLIENT_NAME_PATTERN_H
#define PGCLIENT_NAME_PATTERN_H

#include "codec/buffer.h"

/* Appends the pattern. The names are ordered by strcmp, and there is at least one. */
MUST_CHECK int name_pattern_put(struct buffer *out, const char *schema, const char *const *names,
                                size_t count);

#endif
