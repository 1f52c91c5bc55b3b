/* A statement of the user's, a SELECT, as a relation: RELATION_STATEMENT. Its rows are read as those
 * of a view are: as one stream, under the role's own search_path and limits.
 *
 * It has no oid. The number in its place is below STATEMENT_NUMBERS.
 *
 * Errors: as session.h; -EINVAL: the user's words are at fault, in the server's words or in ours.
 */
#ifndef PGCLIENT_STATEMENT_H
#define PGCLIENT_STATEMENT_H

#include "pgclient/catalog.h"
#include "pgclient/session.h"

/* The size of a text without the blanks and semicolons at its end; 0: there is nothing else in it.
 */
size_t statement_size(const char *text);

/* Checks that the text is one whole statement, that it gives rows, and that this mount may run it;
 * nothing of it is run, but what the planner evaluates. Sets relation->has_vectors and refuses_json. */
MUST_CHECK int statement_check(struct session *session, struct relation *relation,
                               struct error *error);

#endif
