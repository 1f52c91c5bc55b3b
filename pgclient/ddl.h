/* The DDL of one relation, in pg_dump's words: CREATE EXTENSION for the extensions that its
 * columns' types come from, then what `pg_dump --schema-only` prints for it, as ddl_text.h
 * says.
 *
 * pg_dump is run as a child, with the connection's parameters, the password too, in its
 * environment, never in its arguments. Errors: -ENOENT pg_dump is not installed, -EINTR `stop` was
 * set, else -EIO with pg_dump's own words.
 */
#ifndef PGCLIENT_DDL_H
#define PGCLIENT_DDL_H

#include "codec/buffer.h"
#include "codec/keyed_hash.h"
#include "pgclient/catalog.h"

#include <stdatomic.h>

/* A text that is equal at two times only if no DDL of the database has changed in between, so that
 * pg_dump would print the same: the number of rows, and the sum of the hashes of (ctid, xmin), of
 * each catalog that it reads, those of temporary tables left out; and the server's start. Newly
 * allocated. Read it before ddl_read. */
MUST_CHECK int ddl_signature(struct session *session, char **out, struct error *error);

MUST_CHECK int ddl_read(const struct server *server, const struct relation *relation,
                        const uint8_t secret[KEYED_HASH_KEY], const atomic_bool *stop,
                        struct buffer *out, struct error *error);

#endif
