/* What trust_ask said of all relations at once, for as long as nothing has changed on the server: so
 * it need not be asked for each of a thousand tables that are read one after the other.
 *
 * Lifetime: verdicts_new, verdicts_free. One for each pool of sessions: all are of one role.
 * Threads: any.
 */
#ifndef PGCLIENT_VERDICTS_H
#define PGCLIENT_VERDICTS_H

#include "codec/error.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct verdicts;

struct verdicts *verdicts_new(void); /* NULL: no memory */
void verdicts_free(struct verdicts *verdicts);

/* Takes over the answer of trust_ask for all relations, in the place of the one before. `mark`
 * (version_key.h) is not later than what was looked at. */
MUST_CHECK int verdicts_keep(struct verdicts *verdicts, const char *mark, PGresult *rows);

/* Whether it is known at this mark that nothing of the relation is refused. If it is not, the
 * question must be asked for this relation alone: asked for all, it may refuse more, since what one
 * of them makes of a table that others read counts for these, too. */
bool verdicts_allow(struct verdicts *verdicts, const char *mark, uint32_t relation);

/* The first row of such an answer, which is ordered, that is about the relation or a later one. */
int verdicts_find(const PGresult *rows, uint32_t relation);

#endif
