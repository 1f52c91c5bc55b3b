/* One connection to the server, for pgclient/ alone: transactions, statements, COPY streams, and
 * how other threads end them.
 *
 * The connection may lead to a pooler, which gives each transaction another session of the server,
 * and gives that session to other clients afterwards. So no setting is made for a session, and
 * nothing is left in one: a statement that depends on a setting runs in a transaction of
 * connection_begin, which makes the setting for that transaction. Whatever other clients have set
 * there does not hold in it.
 *
 * Every wait looks at a stop flag ten times a second; connecting and name resolution do so, too.
 *
 * Lifetime: connection_open, connection_close. The stop flag is borrowed.
 * Threads: one at a time; any thread sets the stop flag.
 * Errors: -ENOTCONN, -EINTR, -EACCES, -ENOENT, -EAGAIN, -EBUSY, -EIO as session.h says, -ETIMEDOUT
 * no answer within the time given, -ENOMEM no memory, also if it is lacking for a single message of
 * the server. After -ENOTCONN, -EINTR, -ETIMEDOUT and -ENOMEM the connection is good for nothing
 * but connection_close. -EUSERS: the server takes no more connections.
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
struct mounted;

/* Until the connection is open, the flag `also` (nullable) stops it, too, and `patience_ms`
 * (negative: no limit) bounds the time. If the attempt is given up, and when the connection is
 * closed, `departing` (shared) counts it until it has gone. */
MUST_CHECK int connection_open(const struct server *server, struct departing *departing,
                               const atomic_bool *stop, const atomic_bool *also, int patience_ms,
                               struct connection **out, struct error *error);
void connection_close(struct connection *connection);

/* Whether it can run a statement now. */
bool connection_usable(const struct connection *connection);
bool connection_in_transaction(const struct connection *connection);

/* It is lent to somebody now, after another use. connection_had_gone: nothing has been answered
 * since, and nothing will be: the connection had gone before. */
void connection_lend(struct connection *connection);
bool connection_had_gone(const struct connection *connection);

/* Whether the server is there: it has answered a moment ago, or does so in time, and before `stop`
 * (nullable) is set. */
bool connection_ping(struct connection *connection, const atomic_bool *stop, int milliseconds);

int connection_backend(const struct connection *connection);          /* for tests: process id */
int connection_version(const struct connection *connection);          /* as 150004 */
const char *connection_encoding(const struct connection *connection); /* the database's */
bool encoding_is_utf8(const char *encoding); /* by the name that the server has for it */
bool connection_is_utf8(const struct connection *connection);
/* The server's host or socket directory. */
const char *connection_address(const struct connection *connection);
const char *connection_port(const struct connection *connection);
/* The same of the host that the connection string names first, whichever of its hosts was reached.
 * free() both. */
MUST_CHECK int connection_first_host(const struct connection *connection, char **address,
                                     char **port);
const char *connection_hostaddr(const struct connection *connection); /* numeric; "": a socket */

/* A hash of the settings that the role and the database had when it began; 0: unknown, as behind a
 * pooler. A change of them by ALTER ROLE or ALTER DATABASE holds for connections that begin later. */
uint64_t connection_settings(const struct connection *connection);

/* Whether a pooler stands in between. */
bool connection_is_pooled(const struct connection *connection);

/* SQLSTATE of the last statement that the server refused; "": none yet, or none since a COPY
 * began. */
const char *connection_state(const struct connection *connection);

/* Whether the server refused it for lack of room for locks: -EAGAIN. */
bool connection_lacks_locks(const struct connection *connection);

/* The role's own smallest time limit, in milliseconds, if it held in the last transaction with
 * settings (below); 0: none. `of_locks`: it is the limit for locks. */
int connection_own_limit(const struct connection *connection, bool *of_locks);

/* SQL that sets, until the transaction ends, the search path for what users wrote: the one that the
 * role, the database or the connection string has. */
const char *connection_own_path(const struct connection *connection);

/* What this server was found not to tell: a number that cluster.c keeps here. */
int connection_modesty(const struct connection *connection);
void connection_be_modest(struct connection *connection, int modesty);

/* The cluster that is mounted (cluster.h); NULL: none is known. Borrowed. */
const struct mounted *connection_mounted(const struct connection *connection);
void connection_set_mounted(struct connection *connection, const struct mounted *mounted);

/* What reading may do, as struct server was told. */
struct reading connection_reading(const struct connection *connection);

/* What other threads see of a connection's transaction, and what they tell it. */
struct holding {
    /* process id of the server's session that the transaction is in; 0: there is none */
    atomic_int backend;
    _Atomic int64_t since; /* clock_ms() */
    /* When another client was seen to wait for one of its locks; 0: none was. */
    _Atomic int64_t wanted;
};

/* Keeps `holding` (borrowed; lives as long as the connection) up to date. A statement that runs for
 * more than half a second after `wanted` is broken off: -EAGAIN, and the connection is good for
 * nothing but connection_close. */
void connection_show(struct connection *connection, struct holding *holding);

/* ---- transactions: REPEATABLE READ, READ ONLY ---- */

/* No statement waits for a lock for longer than LOCK_PATIENCE_MS. If the role's own limit is
 * smaller, reaching it is an error of what users wrote. If it is larger (connection_own_limit), it
 * is for the caller, who tries again. */

enum transaction_kind {
    TRANSACTION_TABLES, /* what we ask of tables and catalogs: search_path is SEARCH_PATH_OURS, and
                           no limit of time holds */
    TRANSACTION_USER    /* what users wrote: search_path and limits as the role, the database or the
                        connection string have them */
};

/* Transactions that begin from now on wait this long for a lock, not LOCK_PATIENCE_MS; at least a
 * millisecond. connection_wait_as_usual takes that back, also for the present transaction. */
void connection_lock_patience(struct connection *connection, int milliseconds);
MUST_CHECK int connection_wait_as_usual(struct connection *connection, struct error *error);

/* Begins a transaction in which values print the same everywhere, and runs `more` (nullable), its
 * first statements. That is one round trip, and no snapshot is taken before `more`. After an error
 * there is no transaction. */
MUST_CHECK int connection_begin(struct connection *connection, enum transaction_kind kind,
                                const char *more, struct error *error);

/* The same; `out` gets the rows of the last statement of `more`. */
MUST_CHECK int connection_begin_rows(struct connection *connection, enum transaction_kind kind,
                                     const char *more, struct shape shape, PGresult **out,
                                     struct error *error);

/* In a transaction of TRANSACTION_USER: gives the settings the values back that they had at its
 * beginning, and runs `more`. What users wrote may have changed them, even how a literal is read.
 * After an error there is no transaction. */
MUST_CHECK int connection_set_again(struct connection *connection, const char *more,
                                    struct error *error);

/* In a transaction of TRANSACTION_USER: from now on, until it ends, policies choose rows in
 * silence. To be called only if they hide none from the role (pgclient/policies.h). */
MUST_CHECK int connection_let_policies_choose(struct connection *connection, struct error *error);

/* Ends the transaction, if there is one. Advisory locks that functions have taken in it, and that
 * would outlive it, are released. What it has read stays valid. The connection may be unusable
 * afterwards. */
void connection_end(struct connection *connection);

/* The rows of one statement in a transaction of its own: one round trip. */
MUST_CHECK int connection_read(struct connection *connection, enum transaction_kind kind,
                               const char *sql, struct shape shape, PGresult **out,
                               struct error *error);

/* The rows of one statement that depends on no setting: every function, operator, type and relation
 * in it is qualified. One round trip; in the present transaction, if there is one. */
MUST_CHECK int connection_question(struct connection *connection, const char *sql,
                                   struct shape shape, PGresult **out, struct error *error);

/* ---- statements ---- */

/* Runs statements without parameters; several may be in `sql`. Rows are not looked at. */
MUST_CHECK int connection_run(struct connection *connection, const char *sql, struct error *error);

/* The same; the answer is that of the last statement that gives rows. It is text: in a transaction
 * it is UTF-8, but the bytes of an SQL_ASCII database come as they are. */
MUST_CHECK int connection_rows(struct connection *connection, const char *sql, struct shape shape,
                               PGresult **out, struct error *error);

/* Runs one statement with text parameters. */
MUST_CHECK int connection_ask(struct connection *connection, const char *sql, int count,
                              const char *const *parameters, struct shape shape, PGresult **out,
                              struct error *error);

/* The same with parameters of these types (oids), each as its type's text; the values of the answer
 * are binary, as in COPY BINARY. */
MUST_CHECK int connection_ask_binary(struct connection *connection, const char *sql, int count,
                                     const uint32_t *types, const char *const *parameters,
                                     PGresult **out, struct error *error);

/* Has one statement parsed and analysed, not run. */
MUST_CHECK int connection_parse(struct connection *connection, const char *sql,
                                struct error *error);

/* The same in the present transaction; *out is how the server understands the statement: the tree
 * of nodes, in the server's own notation, which names each function, operator, type and relation by
 * its oid. free() it. The server's log gets the tree only if the role may not keep it out. After an
 * error the transaction is good for nothing but connection_end. */
MUST_CHECK int connection_parse_tree(struct connection *connection, const char *sql, char **out,
                                     struct error *error);

/* ---- questions that are asked of one relation after the other ---- */

/* To plan a question to the catalog takes the server longer than to answer it. So the server keeps
 * the plans of what is asked again, in prepared statements, where that is safe:
 *
 *   in sessions that are ours alone, not a pooler's;
 *   in transactions for tables: what users wrote is to find no statements of ours, so they are
 *       thrown away before a transaction of TRANSACTION_USER;
 *   as long as no statement is there that a function has prepared, which could have the name of one
 *       of ours, and another answer. */

/* SQL, of the present session: whether functions may have prepared statements. To be asked as a
 * part of a question that connection_ask has without a kept plan, and nothing that users wrote may
 * run from then on as long as plans are kept. If the role has lost the right to ask, the question
 * fails; after connection_keep_no_plans it does not. */
const char *connection_others_plans(const struct connection *connection);
void connection_keep_no_plans(struct connection *connection);

/* From now on, until the transaction ends or this is taken back, connection_ask has the server keep
 * the plan of what is asked for the second time in this session. CONNECTION_KEEP_PLANS must be set,
 * so that any parameters get the same plan. connection_ask may then also give -ESTALE: what was kept
 * is gone, or the name is taken; a transaction that begins anew does without. */
void connection_keep_plans(struct connection *connection, bool keep);
#define CONNECTION_KEEP_PLANS "SET LOCAL plan_cache_mode = force_generic_plan;"
#define CONNECTION_PLAN_AS_USUAL "SET LOCAL plan_cache_mode = DEFAULT;"

/* The time (clock_ms) since which it has waited for a pooler to lend it a session of the server; 0:
 * it does not wait. Any thread. */
int64_t connection_waits_since(const struct connection *connection);

/* What does not end within this time from now is given up with -ETIMEDOUT; negative: there is no
 * limit, as at the beginning. */
void connection_patience(struct connection *connection, int milliseconds);

/* The connection looks at this flag, too, until this is set back to NULL. Borrowed. */
void connection_also_stop(struct connection *connection, const atomic_bool *stop);

/* Gets each message of a COPY stream. A negative return ends the COPY. */
typedef int copy_sink(void *context, const uint8_t *bytes, size_t size);

/* Runs one COPY … TO STDOUT. `said` gets the number of rows that the server says it has sent. If
 * the sink gave an error, the statement is cancelled and that error returned. */
MUST_CHECK int connection_copy(struct connection *connection, const char *sql, copy_sink *sink,
                               void *context, uint64_t *said, struct error *error);

#endif
