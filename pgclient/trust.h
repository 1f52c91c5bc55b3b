/* Whose functions reading a relation would run, if the role is a superuser: with its rights a
 * function may do anything, so no function runs whose owner is not a superuser.
 *
 * What is looked at: the definitions of views and of what they read, policies of what views read,
 * checks of domains that are cast to, casts that are looked for by a value's type, what the planner
 * puts in an operator's place or calls to estimate a range, and what it evaluates for each table
 * that is read: the expressions of indexes, extended statistics and partition keys; the functions
 * of column types. What a superuser's own function calls is the superuser's affair.
 *
 * In definitions of other owners even the server's own functions count, if that owner may not call
 * them, if they do more than compute, or if a text or an object's oid may tell them what to run:
 * they, too, run with the role's rights. The last of these holds for a statement, too.
 *
 * Errors: as connection.h.
 */
#ifndef PGCLIENT_TRUST_H
#define PGCLIENT_TRUST_H

#include "pgclient/connection.h"

/* Columns of the answer: oid of the relation; 't': its rows must not be read, else only its JSON
 * must not; why. Ordered by these; at most one row of each kind for a relation. */
enum { TRUST_RELATION, TRUST_ROWS, TRUST_REASON };

/* Asks, in a transaction for tables, what must not be read of one relation, or of all (0). There is
 * nothing if the role is no superuser and cannot become one. `tree` (nullable): that of a statement
 * about this relation (connection_parse_tree), which calls what it names at the role's own will. */
MUST_CHECK int trust_ask(struct connection *connection, uint32_t relation, const char *tree,
                         PGresult **out, struct error *error);

/* -EACCES, with the reason: the relation's rows must not be read, or the statement must not run;
 * with `json` also: its JSON must not be read. */
MUST_CHECK int trust_check(struct connection *connection, uint32_t relation, const char *tree,
                           bool json, struct error *error);

/* Whether that must be asked at all: the role is a superuser or can become one, and trust=all was
 * not given. */
MUST_CHECK int trust_is_asked(struct connection *connection, bool *out, struct error *error);

/* SQL: whether the role is a superuser, or can become one. */
#define TRUST_IS_SUPERUSER                                                                         \
    "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolsuper"                                   \
    " AND pg_catalog.pg_has_role(session_user, s.oid, 'MEMBER'))"

/* SQL: whether `owner`, an oid, is a superuser. */
#define TRUST_OF_SUPERUSER(owner)                                                                  \
    "EXISTS (SELECT FROM pg_catalog.pg_roles s WHERE s.rolsuper AND s.oid = " owner ")"

#endif
