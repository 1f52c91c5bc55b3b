/* What stands behind FROM, to read the rows of a relation. */
#ifndef PGCLIENT_FROM_CLAUSE_H
#define PGCLIENT_FROM_CLAUSE_H

#include "pgclient/catalog.h"
#include "pgclient/sql_text.h"

/* A table without those that inherit from it; a statement on lines of its own, so that a comment at
 * its end does not swallow the rest, under the relation's name. */
void from_put(struct text *sql, const struct relation *relation);

#endif
