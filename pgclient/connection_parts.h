/* The connection's inside, for pgclient/connection*.c, connect.c and transaction.c alone:
 *
 *     connect.c           opens it
 *     connection.c        waits, statements, COPY, errors
 *     connection_tree.c   how the server understands a statement
 *     connection_facts.c  what it is, and its end
 *     transaction.c       transactions and their settings
 */
#ifndef PGCLIENT_CONNECTION_PARTS_H
#define PGCLIENT_CONNECTION_PARTS_H

#include "pgclient/connection.h"

struct connection {
    PGconn *pg;
    struct departing *departing;
    const atomic_bool *stop, *also_stop; /* the second may be NULL */
    bool broken; /* a statement may be running still, or its end is unknown */
    bool pooled;
    bool checks_client; /* the server takes CHECK_CLIENT */
    struct reading reading;
    int modesty;
    bool users_words;         /* what users wrote may have run in this transaction */
    bool policies_choose;     /* row_security is on in this transaction, whatever `reading` says */
    char *others_locks;       /* advisory locks that the session had before; NULL: not known */
    char *own_path;           /* behind a pooler: the statement that sets it; NULL: it needs none */
    int own_lock_limit_ms;    /* the role's lock_timeout; 0: none */
    int own_limit_ms;         /* the smallest of this and its other limits of time; 0: none */
    bool lock_limit_is_own;   /* in this transaction */
    int lock_patience_ms;     /* of transactions that begin */
    bool own_limits_hold;     /* in the last transaction with settings */
    char state[6];            /* SQLSTATE */
    bool lacks_locks;         /* the error was that the server had no room for more locks */
    struct holding *holding;  /* may be NULL */
    bool ends;                /* the transaction is being ended */
    int64_t answered_at;      /* clock_ms() when the server last ended a statement; 0: never */
    int64_t until;            /* clock_ms() when patience ends; 0: never */
    _Atomic int64_t asked_at; /* since when it waits for a pooler; 0: it does not */
};

/* Whether a stop flag is set. */
bool connection_stopped(const struct connection *connection);

/* Closes it; `departing` (nullable) counts it until it has gone. */
void connection_finish(PGconn *pg, struct departing *departing);

/* Sets the error from libpq's last message; the connection is broken. */
int connection_fail_lost(struct connection *connection, struct error *error);

/* Each transaction begins with this: so no statement of ours waits long for a lock. The role's own
 * limits, which may be a millisecond, hold for what users wrote. */
#define BEGIN_READING                                                                              \
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;"            \
    " SET LOCAL lock_timeout = " LOCK_PATIENCE ";"

/* Goes back to our own role: another client may have changed it in the session that a pooler lends.
 */
#define OWN_ROLE "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT;"

/* With this a statement ends soon after its client has gone, also if it has nothing to send yet. */
#define CHECK_CLIENT "SET LOCAL client_connection_check_interval = '10s';"
enum { CHECKS_CLIENTS = 140000 };

#endif
