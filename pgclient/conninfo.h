/* libpq's list of connection parameters, in which there may be a password.
 *
 * Lifetime: made by libpq, conninfo_free. Threads: none of its own.
 */
#ifndef PGCLIENT_CONNINFO_H
#define PGCLIENT_CONNINFO_H

#include <libpq-fe.h>

/* Borrowed from the list (nullable). NULL: it has no value, or "". */
const char *conninfo_value(const PQconninfoOption *options, const char *keyword);

/* Wipes the values, too, which PQconninfoFree leaves in the heap. */
void conninfo_free(PQconninfoOption *options);

#endif
