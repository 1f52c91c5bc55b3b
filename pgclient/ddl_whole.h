/* The DDL of all relations of a database, from one pg_dump of it, whose archive pg_restore turns
 * into text. For each relation it is the text that ddl_read gives.
 *
 * Relations that the role may not lock, or that others have locked, are left out, and so is what is
 * made of relations that others have locked. If all locks together would be more than a quarter of
 * the server's, pg_dump runs once without any relation, and then several times, each time with as
 * many relations as may be locked at once, in the order of their schemas.
 *
 * Lifetime: ddl_whole_read, ddl_whole_free; then immutable. Errors: as of ddl.h, and -EFBIG: there
 * are too many relations, or their text is larger than it may be.
 */
#ifndef PGCLIENT_DDL_WHOLE_H
#define PGCLIENT_DDL_WHOLE_H

#include "pgclient/ddl.h"

struct ddl_whole;

/* Reads from the server that `signature` was read from; the signature must be older than this call.
 */
MUST_CHECK int ddl_whole_read(const struct ddl_way *way, const char *signature,
                              const atomic_bool *stop, struct ddl_whole **out, struct error *error);
void ddl_whole_free(struct ddl_whole *whole);

/* Appends the relation's DDL. -ENOENT: it is not here, and ddl_read has to be called; -ENOMEM,
 * -EIO. */
MUST_CHECK int ddl_whole_put(const struct ddl_whole *whole, uint32_t relation, struct buffer *out);

#endif
