/* Whose functions reading a relation would run, where the role is a superuser: with its rights a
 * function may do anything, so none runs that belongs to somebody who is not one.
 *
 * What is looked at: the definitions of views and of what they read, policies of what views read,
 * checks of domains that are cast to, casts that are looked for by a value's type, what the planner
 * puts in an operator's place or asks to estimate a range, and what it evaluates of each table that
 * is read: the expressions of indexes, extended statistics and partition keys; the functions of
 * column types. What a superuser's own function calls is the superuser's affair.
 *
 * In definitions that belong to somebody else even the server's own functions count, where that
 * owner might not call them, where they do more than compute, or where they may be told in a text
 * or by an object's number what to run: they, too, run with the role's rights. The last holds for a
 * statement, too.
 *
 * Errors: as connection.h.
 */
#ifndef PGCLIENT_TRUST_H
#define PGCLIENT_TRUST_H

#include "pgclient/connection.h"

/* Columns of the answer: oid of the relation; 't' if its rows must not be read, else its JSON must
 * not; why. Ordered by these; at most one row of each kind for a relation. */
enum { TRUST_RELATION, TRUST_ROWS, TRUST_REASON };

/* What must not be read, in a transaction for tables: of one relation, or of all (0). None if the
 * role is no superuser and cannot become one. `tree` (nullable): of a statement about this relation
 * (connection_parse_tree), which calls what it names at the role's own will. */
MUST_CHECK int trust_ask(struct connection *connection, uint32_t relation, const char *tree,
                         PGresult **out, struct error *error);

/* -EACCES, with the reason, if its rows must not be read, or the statement not run; with `json`
 * also if its JSON must not be read. */
MUST_CHECK int trust_check(struct connection *connection, uint32_t relation, const char *tree,
                           bool json, struct error *error);

/* Whether that must be asked at all: the role is such a one, and trust=all was not given. */
MUST_CHECK int trust_is_asked(struct connection *connection, bool *out, struct error *error);

/* SQL: whether the role is a superuser, or can become one. */
#define TRUST_IS_SUPERUSER                                                                         \
    "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolsuper"                                   \
    " AND pg_catalog.pg_has_role(session_user, s.oid, 'MEMBER'))"

/* SQL: whether `owner`, an oid, is a superuser. */
#define TRUST_OF_SUPERUSER(owner)                                                                  \
    "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolsuper AND s.oid = " owner ")"

#endif
