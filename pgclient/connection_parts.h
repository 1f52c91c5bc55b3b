/* What connection.c and transaction.c share: the connection's inside. */
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
    char *others_locks;       /* advisory ones, that the session had before; NULL: not known */
    char *own_path;           /* behind a pooler: the statement that sets it; NULL: it needs none */
    int own_lock_limit_ms;    /* the role's lock_timeout; 0: none */
    int own_limit_ms;         /* the smallest of this and its other limits of time; 0: none */
    bool lock_limit_is_own;   /* in this transaction */
    int lock_patience_ms;     /* of transactions that begin */
    bool own_limits_hold;     /* in the last transaction with settings */
    char state[6];            /* SQLSTATE */
    bool lacks_locks;         /* it was that the server had no room for more */
    struct holding *holding;  /* may be NULL */
    bool ends;                /* the transaction is being ended */
    int64_t until;            /* clock_ms() when patience ends; 0: never */
    _Atomic int64_t asked_at; /* since when a pooler is waited for; 0: it is not */
};

/* Whether a stop flag is set. */
bool connection_stopped(const struct connection *connection);

/* Closes it; `departing` (nullable) counts it until it has gone. */
void connection_finish(PGconn *pg, struct departing *departing);

/* libpq's last words; the connection is broken. */
int connection_fail_lost(struct connection *connection, struct error *error);

/* How each transaction begins: so no statement of ours waits for a lock for long. The role's
 * limits, which may be a millisecond, are for what users wrote. */
#define BEGIN_READING                                                                              \
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0;"            \
    " SET LOCAL lock_timeout = " LOCK_PATIENCE ";"

/* Who somebody else has become in the session that a pooler lends, and has left it so. */
#define OWN_ROLE "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL role TO DEFAULT;"

/* A statement ends soon after its client has gone, though it has nothing to say to it yet. */
#define CHECK_CLIENT "SET LOCAL client_connection_check_interval = '10s';"
enum { CHECKS_CLIENTS = 140000 };

#endif
