/* What searches have in common, for pgclient/search*.c alone: the transaction that they run in, the
 * user's condition, and whose functions a statement would run.
 *
 *     search.c          the transaction, and whether it sees the rows that are known
 *     search_rows.c     the rows that meet a condition; checks that it is one expression
 *     search_nearest.c  the nearest rows, by the server's own search
 *
 * Threads, errors: as pgclient/search.h says.
 */
#ifndef PGCLIENT_SEARCH_PARTS_H
#define PGCLIENT_SEARCH_PARTS_H

#include "pgclient/connection.h"
#include "pgclient/same_relation.h"
#include "pgclient/search.h"
#include "pgclient/search_path.h"
#include "pgclient/sql_text.h"
#include "pgclient/user_words.h"

/* Without this a condition makes the planner evaluate what is constant in the checks of partitions.
 */
#define SEARCH_NO_EXCLUSION "SET LOCAL constraint_exclusion = off"

/* Begins the transaction, if there is none yet. A condition may call functions that change
 * settings: they go back with the transaction. If `later` is given, *later says whether what is to
 * be run, and the relation with it, must be judged before it runs. If it is NULL the relation is
 * judged now. */
MUST_CHECK int search_open(struct session *session, const struct relation *relation, bool *later,
                           struct error *error);

/* Asks whose functions the statement would run, and, if `json`, those for JSON of the relation's
 * columns. The server may have found other functions than the user meant, by their names and their
 * places in search_path: the one that fits the arguments better wins. */
MUST_CHECK int search_judge(struct connection *connection, const struct relation *relation,
                            const char *statement, bool json, struct error *error);

/* Checks that the condition is one whole expression of type boolean. If it has an open comment,
 * string or bracket, nothing behind it closes that. If it closes a bracket of ours, it makes sense
 * inside ( ) or inside [ ], but not inside both. */
MUST_CHECK int search_check_condition(struct connection *connection,
                                      const struct relation *relation, const char *condition,
                                      bool judged, struct error *error);

/* Puts " FROM " and the relation. */
void search_put_from(struct text *sql, const struct relation *relation);

/* Puts the condition on lines of its own, so that a comment at its end does not swallow the rest.
 */
void search_put_condition(struct text *sql, const char *before, const char *condition,
                          const char *behind);

#endif
