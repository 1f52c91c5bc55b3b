/* The DDL of one relation, in pg_dump's words: CREATE EXTENSION for the extensions that its
 * columns' types come from, then what `pg_dump --schema-only` prints for it, without what changes
 * from run to run (the versions in its head, the \restrict key).
 *
 * pg_dump is run as a child, with the connection's parameters in its environment, never in its
 * arguments, and a password through a pipe-backed passfile or PGPASSWORD, never in argv. Errors:
 * -ENOENT pg_dump is not installed, -EINTR `stop` was set, else -EIO with pg_dump's own words.
 */
#ifndef PGCLIENT_DDL_H
#define PGCLIENT_DDL_H

#include "codec/buffer.h"
#include "pgclient/catalog.h"

#include <stdatomic.h>

MUST_CHECK int ddl_read(const struct server *server, const struct relation *relation,
                        const atomic_bool *stop, struct buffer *out, struct error *error);

#endif
