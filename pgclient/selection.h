/* The SELECT that fetches a relation's rows as codec/schema.h lays them out. Pure; UTF-8 text,
 * terminated.
 *
 * Errors: -ENOMEM; -EOVERFLOW where it would have more columns than a SELECT may.
 */
#ifndef PGCLIENT_SELECTION_H
#define PGCLIENT_SELECTION_H

#include "pgclient/readpoint.h"

/* Appends SELECT … FROM …, without a terminator. `encoding`: the database's. Unless it is UTF8 the
 * parts rendered by the server are converted there, and come as bytea; but of SQL_ASCII text, whose
 * encoding nobody knows, only JSON, which is an error then if it is no UTF-8. `range` NULL: all
 * rows. */
MUST_CHECK int selection_put(struct buffer *sql, const struct schema *schema,
                             const struct source *source, const struct ctid_range *range,
                             const char *encoding);

/* Appends the WHERE that leaves a range of ctids; nothing where the range is everything. */
MUST_CHECK int selection_put_range(struct buffer *sql, const struct ctid_range *range);

#endif
