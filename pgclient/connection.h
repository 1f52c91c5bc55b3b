/* One connection to the server, for pgclient/ alone: statements, COPY streams, and the ending of
 * both from outside.
 *
 * Every wait looks at a stop flag ten times a second, that of connecting (name resolution included)
 * too.
 *
 * Lifetime: connection_open, connection_close. The stop flag is borrowed.
 * Threads: one at a time; the stop flag is set by any.
 * Errors: -ENOTCONN, -EINTR, -EACCES, -ENOENT, -EAGAIN, -EIO as session.h says; after -ENOTCONN and
 * -EINTR the connection is good for nothing but connection_close.
 */
#ifndef PGCLIENT_CONNECTION_H
#define PGCLIENT_CONNECTION_H

#include "pgclient/server.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

MUST_CHECK int connection_open(const struct server *server, const atomic_bool *stop,
                               struct connection **out, struct error *error);
void connection_close(struct connection *connection);

/* Whether it can run a statement now. */
bool connection_usable(const struct connection *connection);
bool connection_in_transaction(const struct connection *connection);

/* A round trip; whether it succeeded in time. */
bool connection_ping(struct connection *connection, int milliseconds);

int connection_backend(const struct connection *connection);          /* process id */
int connection_version(const struct connection *connection);          /* as 150004 */
const char *connection_encoding(const struct connection *connection); /* the database's */
bool connection_is_utf8(const struct connection *connection);
const char *connection_address(
    const struct connection *connection); /* of the server: host or socket directory */
const char *connection_port(const struct connection *connection);

/* Runs statements without parameters; several may be in `sql`. `out` (nullable) gets the last
 * result: text, in UTF-8 except in SQL_ASCII databases, whose bytes come as they are. */
MUST_CHECK int connection_run(struct connection *connection, const char *sql, PGresult **out,
                              struct error *error);

/* Runs one statement with text parameters. */
MUST_CHECK int connection_ask(struct connection *connection, const char *sql, int count,
                              const char *const *parameters, PGresult **out, struct error *error);

/* Has one statement parsed and analysed, not run. */
MUST_CHECK int connection_parse(struct connection *connection, const char *sql,
                                struct error *error);

/* Looks at this flag, too, as long as it is not set back to NULL. Borrowed. */
void connection_also_stop(struct connection *connection, const atomic_bool *stop);

/* Gets each message of a COPY stream. A negative return ends the COPY. */
typedef int copy_sink(void *context, const uint8_t *bytes, size_t size);

/* Runs one COPY … TO STDOUT. Returns the sink's error where it gave one, the statement cancelled.
 */
MUST_CHECK int connection_copy(struct connection *connection, const char *sql, copy_sink *sink,
                               void *context, struct error *error);

#endif
