/* Which entries of a cut archive are whose, and the dump of one relation, put together from them.
 *
 * It is byte for byte what `pg_dump --schema-only --table=… --extension=…` prints, with the
 * extensions that the types of the relation's columns come from. Where pg_dump may print something
 * else of one relation than of all, there is no such text here: a definition that it could not give
 * in one piece, because objects need each other in a circle; an order that the needs of others have
 * changed; what is an extension's; what is inherited over two generations.
 *
 * Lifetime: ddl_pieces_new, ddl_pieces_free; then immutable. Borrows the facts.
 */
#ifndef PGCLIENT_DDL_PIECES_H
#define PGCLIENT_DDL_PIECES_H

#include "pgclient/ddl_cut.h"
#include "pgclient/ddl_facts.h"

struct ddl_pieces;

/* Takes the cut, also on failure. -ENOMEM; -ESTALE: an entry is of an object that the facts do not
 * know, since it is younger, or does not say what it is of. */
MUST_CHECK int ddl_pieces_new(struct ddl_cut *cut, const struct ddl_facts *facts,
                              struct ddl_pieces **out);
void ddl_pieces_free(struct ddl_pieces *pieces);

/* Appends the relation's dump; its extensions are taken from `extensions`, which may be the same.
 * -ENOMEM; -ENOENT: there is none here, and pg_dump has to be asked for this relation. */
MUST_CHECK int ddl_pieces_put(const struct ddl_pieces *pieces, const struct ddl_pieces *extensions,
                              uint32_t relation, struct buffer *out);

#endif
