/* Asks the server to end the statement that runs on a connection. Each asking opens a connection of
 * its own, in a helper (helper.h), since that blocks.
 *
 * Threads: that of the connection.
 */
#ifndef PGCLIENT_CANCEL_H
#define PGCLIENT_CANCEL_H

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Asks once, for a connection that is kept: what comes in is for the caller to read. True: the
 * server has been told within `milliseconds`, and `stop` (nullable) was not set meanwhile. */
bool cancel_once(PGconn *pg, const atomic_bool *stop, int milliseconds);

/* For a connection that the caller closes at once, and without waiting. A server that has not begun
 * the statement yet ignores the asking; so it is asked again, a few times in some seconds, until
 * the backend has closed its socket. */
void cancel_for_good(PGconn *pg);

#endif
