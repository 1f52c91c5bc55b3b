/* A relation's primary key, as the server tells it.
 *
 * Threads: as sessions. Errors: those of session.h, and what the sink returns.
 */
#ifndef PGCLIENT_PRIMARY_KEY_H
#define PGCLIENT_PRIMARY_KEY_H

#include "pgclient/session.h"
#include "pgclient/version_key.h"

/* Gets the columns of the primary key, in the key's order; none if there is no key. `type` is the
 * typname, for a domain that of its base type, or "" if that type is not in pg_catalog. A negative
 * return ends the call. `now`, empty before, gets which run of which server has answered, and its
 * mark; the caller clears it, also after an error. */
typedef int primary_key_sink(void *context, const char *name, const char *type);
MUST_CHECK int primary_key_read(struct session *session, uint32_t relation, struct version_key *now,
                                primary_key_sink *sink, void *context, struct error *error);

#endif
