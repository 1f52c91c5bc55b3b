/* Where the database is: a parsed connection string. It holds the password, and never prints it.
 *
 * Lifetime: server_parse, server_free (which wipes it). Threads: read by all.
 */
#ifndef PGCLIENT_SERVER_H
#define PGCLIENT_SERVER_H

#include "codec/error.h"

#include <stdbool.h>

struct server;

/* `conninfo` is a libpq keyword string or URI, or "" for the PG* environment, service and passfile.
 * -EINVAL: not a connection string (the error repeats no part of it that may be a password). */
MUST_CHECK int server_parse(const char *conninfo, struct server **out, struct error *error);

/* Whether the string itself holds a password: then the caller tells the user where passwords
 * belong. */
bool server_has_password(const struct server *server);

/* What reading may do on this server, beyond what is safe. Set it before the first connection. */
struct reading {
    /* policies may hide rows from the role (row_security is on); if false, that is an error */
    bool filter_rows;
    bool trust_all; /* a superuser's session may run functions of others (trust.h) */
};
void server_let_read(struct server *server, struct reading reading);
struct reading server_reading(const struct server *server);

/* For the log and the mount table: host, port, database, user, as `keyword='value'…` without any
 * secret. */
const char *server_name(const struct server *server);

/* For pgclient/ alone: the parameters as libpq's PQconnectdbParams takes them, our defaults and the
 * password included: two arrays that end with NULL. */
const char *const *server_keywords(const struct server *server);
const char *const *server_values(const struct server *server);

/* A second one, for a caller that does not know how long it needs it. */
MUST_CHECK int server_copy(const struct server *server, struct server **out);

/* A copy that has these parameters in place of its own: two arrays as above. A value of "" leaves
 * its own. */
MUST_CHECK int server_copy_with(const struct server *server, const char *const *keywords,
                                const char *const *values, struct server **out);

void server_free(struct server *server);

#endif
