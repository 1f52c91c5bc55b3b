/* The SELECT that fetches a relation's rows as codec/schema.h lays them out. Pure; UTF-8 text.
 *
 * Errors, which the text remembers: -ENOMEM; -EOVERFLOW: it would have more columns than a SELECT
 * may.
 */
#ifndef PGCLIENT_SELECTION_H
#define PGCLIENT_SELECTION_H

#include "codec/schema.h"
#include "codec/text.h"
#include "pgclient/source.h"

/* Appends SELECT … FROM …. `encoding`: the database's. Unless it is UTF8 the parts rendered by the
 * server are converted there, and come as bytea; of SQL_ASCII text, whose encoding is unknown, only
 * JSON is; it is an error then if it is no UTF-8. `range` NULL: all rows. */
void selection_put(struct text *sql, const struct schema *schema, const struct source *source,
                   const struct ctid_range *range, const char *encoding);

/* Appends the WHERE that leaves a range of ctids; nothing if the range is everything. */
void selection_put_range(struct text *sql, const struct ctid_range *range);

#endif
