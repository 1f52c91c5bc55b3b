/* One connection to the server, for pgclient/ alone: transactions, statements, COPY streams, and
 * the ending of those from outside.
 *
 * The connection may be a pooler's, which gives another session of the server to each transaction,
 * and that session to others afterwards. So nothing is set for a session, and nothing left in one:
 * what depends on a setting runs in a transaction that connection_begin has begun, which sets it
 * for that transaction.
 *
 * Every wait looks at a stop flag ten times a second, that of connecting (name resolution included)
 * too.
 *
 * Lifetime: connection_open, connection_close. The stop flag is borrowed.
 * Threads: one at a time; the stop flag is set by any.
 * Errors: -ENOTCONN, -EINTR, -EACCES, -ENOENT, -EAGAIN, -EBUSY, -EIO as session.h says, -ETIMEDOUT
 * no answer within the time given, -ENOMEM no memory, also for a single message of the server's;
 * after -ENOTCONN, -EINTR, -ETIMEDOUT and that one the connection is good for nothing but
 * connection_close. -EUSERS: the server takes no more connections.
 */
#ifndef PGCLIENT_CONNECTION_H
#define PGCLIENT_CONNECTION_H

#include "pgclient/lock_party.h"
#include "pgclient/server.h"
#include "pgclient/shape.h"

#include <libpq-fe.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct connection;
struct departing;

/* `also` (nullable) is looked at, and `patience_ms` (negative: none) bounds the time, until it is
 * open. If it is given up, and when it is closed, `departing` (shared) counts it until it has gone.
 */
MUST_CHECK int connection_open(const struct server *server, struct departing *departing,
                               const atomic_bool *stop, const atomic_bool *also, int patience_ms,
                               struct connection **out, struct error *error);
void connection_close(struct connection *connection);

/* Whether it can run a statement now. */
bool connection_usable(const struct connection *connection);
bool connection_in_transaction(const struct connection *connection);

/* A round trip; whether it succeeded in time, and before `stop` (nullable) was set. */
bool connection_ping(struct connection *connection, const atomic_bool *stop, int milliseconds);

int connection_backend(const struct connection *connection);          /* process id */
int connection_version(const struct connection *connection);          /* as 150004 */
const char *connection_encoding(const struct connection *connection); /* the database's */
bool connection_is_utf8(const struct connection *connection);
const char *connection_address(
    const struct connection *connection); /* of the server: host or socket directory */
const char *connection_port(const struct connection *connection);
const char *connection_hostaddr(const struct connection *connection); /* numeric; "": a socket */

/* Whether a pooler stands in between. */
bool connection_is_pooled(const struct connection *connection);

/* SQLSTATE of the last statement that the server refused; "": none yet, or none since a COPY
 * began. */
const char *connection_state(const struct connection *connection);

/* Whether that was for want of room for locks on the server: -EAGAIN. */
bool connection_lacks_locks(const struct connection *connection);

/* The smallest limit of time that the role has of its own, in milliseconds, where that held in the
 * last transaction with settings (below); 0: none. `of_locks`: it is that for locks. */
int connection_own_limit(const struct connection *connection, bool *of_locks);

/* SQL: sets the path that what users wrote is understood by, until the transaction ends: as the
 * role, the database or the connection string have it. */
const char *connection_own_path(const struct connection *connection);

/* How much has been found out not to be had of this server: a number that cluster.c keeps here. */
int connection_modesty(const struct connection *connection);
void connection_be_modest(struct connection *connection, int modesty);

/* What reading may do: as its server was told. */
struct reading connection_reading(const struct connection *connection);

/* What other threads see of a connection's transaction, and tell it. */
struct holding {
    atomic_int backend;    /* process id of the server's session that it is in; 0: there is none */
    _Atomic int64_t since; /* clock_ms() */
    /* When somebody else was seen to wait for a lock of it; 0: nobody was. */
    _Atomic int64_t wanted;
};

/* Keeps `holding` (borrowed; as long as the connection) as it is now. A statement that runs for
 * half a second more than `wanted` is broken off: -EAGAIN, and the connection is good for nothing
 * but connection_close. */
void connection_show(struct connection *connection, struct holding *holding);

/* ---- transactions: REPEATABLE READ, READ ONLY ---- */

/* No statement waits for a lock for longer than LOCK_PATIENCE_MS. A smaller limit of the role's own
 * is an error of what users wrote; a larger one, connection_own_limit, is for whoever tries again.
 */

enum transaction_kind {
    TRANSACTION_TABLES, /* what we ask of tables and catalogs: search_path is SEARCH_PATH_OURS, and
                           no limit of time holds */
    TRANSACTION_USER    /* what users wrote: search_path and limits as the role, the database or the
                        connection string have them */
};

/* Transactions that begin from now on wait for a lock so long, not for LOCK_PATIENCE_MS; at least a
 * millisecond. connection_wait_as_usual takes that back, for the transaction there is, too. */
void connection_lock_patience(struct connection *connection, int milliseconds);
MUST_CHECK int connection_wait_as_usual(struct connection *connection, struct error *error);

/* Begins one, in which values print the same everywhere, and runs `more` (nullable), statements
 * that need such a transaction to begin with: one round trip, no snapshot taken before `more`.
 * After an error there is no transaction. */
MUST_CHECK int connection_begin(struct connection *connection, enum transaction_kind kind,
                                const char *more, struct error *error);

/* In a transaction of TRANSACTION_USER: gives its settings back the values that it began with, and
 * runs `more`. What users wrote may have changed them, even how a literal is read. After an error
 * there is no transaction. */
MUST_CHECK int connection_set_again(struct connection *connection, const char *more,
                                    struct error *error);

/* In a transaction of TRANSACTION_USER: from now on, until it ends, policies choose rows in
 * silence. Where they hide none from the role (pgclient/policies.h). */
MUST_CHECK int connection_let_policies_choose(struct connection *connection, struct error *error);

/* Ends the transaction, if there is one. Advisory locks that functions have taken in it, which
 * would outlive it, go. What it has read is no less true. The connection may be unusable
 * afterwards. */
void connection_end(struct connection *connection);

/* The rows of one statement in a transaction of its own: one round trip. */
MUST_CHECK int connection_read(struct connection *connection, enum transaction_kind kind,
                               const char *sql, struct shape shape, PGresult **out,
                               struct error *error);

/* The rows of one statement that depends on no setting: every function, operator, type and relation
 * in it is qualified. One round trip; within the transaction, if there is one. */
MUST_CHECK int connection_question(struct connection *connection, const char *sql,
                                   struct shape shape, PGresult **out, struct error *error);

/* ---- statements ---- */

/* Runs statements without parameters; several may be in `sql`. Rows are not looked at. */
MUST_CHECK int connection_run(struct connection *connection, const char *sql, struct error *error);

/* The same, of whose statements the last one that gives rows is the answer: text, in a transaction
 * in UTF-8 except in SQL_ASCII databases, whose bytes come as they are. */
MUST_CHECK int connection_rows(struct connection *connection, const char *sql, struct shape shape,
                               PGresult **out, struct error *error);

/* Runs one statement with text parameters. */
MUST_CHECK int connection_ask(struct connection *connection, const char *sql, int count,
                              const char *const *parameters, struct shape shape, PGresult **out,
                              struct error *error);

/* Has one statement parsed and analysed, not run. */
MUST_CHECK int connection_parse(struct connection *connection, const char *sql,
                                struct error *error);

/* The same in the transaction there is, and how the server understands it: the tree of nodes, in
 * the server's own words, which name each function, operator, type and relation by its oid. free()
 * it. The server's log gets it only where the role may not keep it out. After an error the
 * transaction is good for nothing but connection_end. */
MUST_CHECK int connection_parse_tree(struct connection *connection, const char *sql, char **out,
                                     struct error *error);

/* Since when (clock_ms) it has waited for a pooler to lend it a session of the server; 0: it
 * does not. Any thread. */
int64_t connection_waits_since(const struct connection *connection);

/* What does not end within this time from now is given up with -ETIMEDOUT; negative: there is no
 * such limit, as in the beginning. */
void connection_patience(struct connection *connection, int milliseconds);

/* Looks at this flag, too, as long as it is not set back to NULL. Borrowed. */
void connection_also_stop(struct connection *connection, const atomic_bool *stop);

/* Gets each message of a COPY stream. A negative return ends the COPY. */
typedef int copy_sink(void *context, const uint8_t *bytes, size_t size);

/* Runs one COPY … TO STDOUT. `said` gets the number of rows that the server says to have sent.
 * Returns the sink's error where it gave one, the statement cancelled. */
MUST_CHECK int connection_copy(struct connection *connection, const char *sql, copy_sink *sink,
                               void *context, uint64_t *said, struct error *error);

#endif
