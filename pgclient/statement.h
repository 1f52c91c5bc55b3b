/* A statement of the user's, a SELECT, as a relation: RELATION_STATEMENT. Its rows are read as those
 * of a view are: as one stream, under the role's own search_path and limits.
 *
 * It has no oid. The number in its place is below STATEMENT_NUMBERS: no relation of a server has one
 * so small.
 *
 * Errors: as session.h; -EINVAL: the user's words are at fault, in the server's words or in ours.
 */
#ifndef PGCLIENT_STATEMENT_H
#define PGCLIENT_STATEMENT_H

#include "pgclient/catalog.h"
#include "pgclient/connection.h"

enum { STATEMENT_NUMBERS = 100 };

/* The size of a text without the blanks and semicolons at its end; 0: there is nothing else in it.
 */
size_t statement_size(const char *text);

/* Checks that the text is one whole statement, that it gives rows, and that this mount may run it;
 * nothing of it is run, but what the planner evaluates. Sets relation->has_vectors and refuses_json. */
MUST_CHECK int statement_check(struct session *session, struct relation *relation,
                               struct error *error);

/* In a transaction for users under their own settings, which it leaves as it found them: what a
 * superuser's mount must not run. -EACCES, with the reason. *json_refused (nullable): why its JSON
 * must not be read, for the caller to free; NULL: it may. */
MUST_CHECK int statement_judge(struct connection *connection, const struct relation *relation,
                               char **json_refused, struct error *error);

/* The columns of an answer, as the questions of describe.c take them: a JSON array of [name, type's
 * oid, its modifier]. free() it. -EINVAL: two have one name. */
MUST_CHECK int statement_columns(const PGresult *present, char **out, struct error *error);

/* The same, asked of the server, under the user's settings. */
MUST_CHECK int statement_probe(struct connection *connection, const struct relation *relation,
                               char **out, struct error *error);

/* Reserves room for the locks that the present transaction has taken (lock_room.h): those of a
 * statement are known only once it is planned. */
MUST_CHECK int statement_take_lock_room(struct session *session, struct error *error);

#endif
