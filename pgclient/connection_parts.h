/* The connection's inside, for pgclient/connection*.c, connect.c and transaction.c alone:
 *
 *     connect.c           opens it
 *     connection.c        waits, statements, COPY, errors
 *     connection_plans.c  questions whose plans the server keeps
 *     connection_tree.c   how the server understands a statement
 *     connection_facts.c  what it is, and its end
 *     transaction.c       transactions and their settings
 */
#ifndef PGCLIENT_CONNECTION_PARTS_H
#define PGCLIENT_CONNECTION_PARTS_H

#include "pgclient/connection.h"

enum { QUESTIONS = 16 }; /* whose plans are kept at most */

/* A question of connection_ask. */
struct asked {
    uint64_t text; /* its hash */
    bool kept;     /* by the server, under its name */
};

struct connection {
    PGconn *pg;
    struct departing *departing;
    const atomic_bool *stop, *also_stop; /* the second may be NULL */
    bool broken; /* a statement may be running still, or its end is unknown */
    bool pooled;
    bool checks_client; /* the server takes CHECK_CLIENT */
    struct reading reading;
    int modesty;
    const struct mounted *mounted; /* may be NULL */
    bool users_words;              /* what users wrote may have run in this transaction */
    bool policies_choose;    /* row_security is on in this transaction, whatever `reading` says */
    char *others_locks;      /* advisory locks that the session had before; NULL: not known */
    char *own_path;          /* behind a pooler: the statement that sets it; NULL: it needs none */
    char *own_settings;      /* behind a pooler: OWN_SETTINGS and the application's name; or NULL */
    uint64_t settings;       /* connection_settings */
    int own_lock_limit_ms;   /* the role's lock_timeout; 0: none */
    int own_limit_ms;        /* the smallest of this and its other limits of time; 0: none */
    bool lock_limit_is_own;  /* in this transaction */
    int lock_patience_ms;    /* of transactions that begin */
    bool own_limits_hold;    /* in the last transaction with settings */
    char state[6];           /* SQLSTATE */
    bool lacks_locks;        /* the error was that the server had no room for more locks */
    struct holding *holding; /* may be NULL */
    bool keeps_plans;        /* connection_ask is to have plans kept */
    bool keeps_none;         /* it does without kept plans, for good */
    struct asked asked[QUESTIONS];
    int asked_count;
    bool ends;                /* the transaction is being ended */
    int64_t answered_at;      /* clock_ms() when the server last ended a statement; 0: never */
    bool answered;            /* since it was lent again; true of a new one */
    int64_t until;            /* clock_ms() when patience ends; 0: never */
    _Atomic int64_t asked_at; /* since when it waits for a pooler; 0: it does not */
};

/* connection.c: sends what is left to send, which may have failed to begin; reads the answer, of any
 * shape or of this one. */
int connection_flush(struct connection *connection, bool begun, struct error *error);
int connection_take_answer(struct connection *connection, PGresult **out, struct error *error);
int connection_take_rows(struct connection *connection, struct shape shape, PGresult **out,
                         struct error *error);

/* connection_plans.c: throws away what is kept. */
int connection_drop_plans(struct connection *connection, struct error *error);

/* connection_plans.c: whether the question is asked by name now; if so, asks it. */
bool connection_plan_is_kept(struct connection *connection, const char *sql);
int connection_ask_by_name(struct connection *connection, const char *sql, int count,
                           const char *const *parameters, struct shape shape, PGresult **out,
                           struct error *error);

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

/* All settings as the role, the database or the server has them: an extension's, too, can decide
 * which rows a view gives, and another client may have changed any. It takes no snapshot. What the
 * client has set comes back if the transaction ends with ROLLBACK, and only then. Our application's
 * name has to be set again, since the pooler has begun the session. */
#define OWN_SETTINGS "RESET ALL; SET LOCAL statement_timeout = 0;"

/* With this a statement ends soon after its client has gone, also if it has nothing to send yet. */
#define CHECK_CLIENT "SET LOCAL client_connection_check_interval = '10s';"
enum { CHECKS_CLIENTS = 140000 };

#endif
