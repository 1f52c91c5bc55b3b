/* Whether what a statement has read is the relation that was meant.
 *
 * A statement goes by name, and the name may be another relation by now than the one that is known;
 * and the relation's file, or a partition's, may be one that the transaction's snapshot does not
 * know. A statement locks what it reads, so what is true after it was true for it.
 *
 * Errors: as connection.h; -ESTALE: it is another one, or was written anew.
 */
#ifndef PGCLIENT_SAME_RELATION_H
#define PGCLIENT_SAME_RELATION_H

#include "pgclient/catalog.h"
#include "pgclient/connection.h"

/* Call it after the statement, in its transaction. */
MUST_CHECK int same_relation_check(struct connection *connection, const struct relation *relation,
                                   struct error *error);

#endif
