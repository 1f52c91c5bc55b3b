/* To which relation each entry of a cut archive belongs, and the dump of one relation, put together
 * from its entries.
 *
 * The dump is byte for byte what `pg_dump --schema-only --table=… --extension=…` prints, with the
 * extensions that the types of the relation's columns come from. If pg_dump may print something
 * else for one relation than for all, there is no dump here. That is so for a definition that it
 * could not give in one piece, because objects need each other in a circle; for an order that the
 * needs of others have changed; for what belongs to an extension; and for what is inherited over
 * two generations.
 *
 * Lifetime: ddl_pieces_new, ddl_pieces_free; then immutable. Borrows the facts.
 */
#ifndef PGCLIENT_DDL_PIECES_H
#define PGCLIENT_DDL_PIECES_H

#include "pgclient/ddl_cut.h"
#include "pgclient/ddl_facts.h"

struct ddl_pieces;

/* Takes the cut, also on failure. -ENOMEM; -ESTALE: an entry's object is younger than the facts,
 * which do not know it, or the entry does not say what its object is. */
MUST_CHECK int ddl_pieces_new(struct ddl_cut *cut, const struct ddl_facts *facts,
                              struct ddl_pieces **out);
void ddl_pieces_free(struct ddl_pieces *pieces);

/* Appends the relation's dump; its extensions come from `extensions`, which may be `pieces` itself.
 * -ENOMEM; -ENOENT: there is no dump here, and pg_dump has to be run for this relation. */
MUST_CHECK int ddl_pieces_put(const struct ddl_pieces *pieces, const struct ddl_pieces *extensions,
                              uint32_t relation, struct buffer *out);

#endif
