/* What reading a statement (statement.h) needs, for the files of pgclient/ that read relations.
 *
 * Threads, errors: as pgclient/statement.h says.
 */
#ifndef PGCLIENT_STATEMENT_PARTS_H
#define PGCLIENT_STATEMENT_PARTS_H

#include "pgclient/connection.h"
#include "pgclient/statement.h"

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
