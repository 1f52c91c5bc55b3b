/* One run of pg_dump, for the DDL of one relation, or of as many as it is told; and pg_restore,
 * which tells what is in its archive.
 *
 * The connection's parameters, the password too, go into its environment, never into its
 * arguments.
 */
#ifndef PGCLIENT_DUMP_H
#define PGCLIENT_DUMP_H

#include "pgclient/catalog.h"
#include "pgclient/child.h"
#include "pgclient/connection.h"

enum { DUMP_LOCK_MS = 1000 }; /* pg_dump waits no longer for a table's lock */
enum { DUMP_ADDRESS = 3 };

/* What pg_dump has to be asked for. Init to {0}; dump_clear. */
struct dump {
    char program[512];
    char **selection;            /* arguments: which objects, and in which form; NULL-terminated */
    struct buffer settings;      /* for PGOPTIONS: what the database or the role sets otherwise, and
                               pg_dump leaves as it is */
    char *address[DUMP_ADDRESS]; /* of the server that was asked: of several behind one name pg_dump
                                    is to reach the same. host, hostaddr, port; "": none */
    char *snapshot; /* to be set by the caller, owned: one that the server has exported, which
                       another refuses; NULL: none */
    bool ascii;
};

/* Asks through a connection to the server that pg_dump will connect to, with no transaction open,
 * and tries the lock that pg_dump will take. -EBUSY: others hold it; -EACCES: the role may not
 * lock the table. */
MUST_CHECK int dump_ask(struct connection *connection, const struct relation *relation,
                        struct dump *out, struct error *error);
/* The same in a transaction of TRANSACTION_TABLES, of no relation: nothing is selected yet. */
MUST_CHECK int dump_ask_any(struct connection *connection, struct dump *out, struct error *error);
void dump_clear(struct dump *dump);

/* Selects: the argument `option` with `value` (which may be "") behind it. dump_select_nothing
 * takes all back. -ENOMEM. */
MUST_CHECK int dump_select(struct dump *dump, const char *option, const char *value);
void dump_select_nothing(struct dump *dump);

/* Why pg_dump has failed. */
enum dump_failure {
    DUMP_FAILED,
    DUMP_NOT_CONNECTED, /* it has not got its connection */
    DUMP_NOT_LOCKED,    /* nor the table's lock */
    DUMP_NO_SNAPSHOT    /* its server does not have the snapshot: it is another one */
};

/* `server` as pg_dump is told it, with the same address, under this application name ("": its own),
 * so that what stands in between leads both to the same. server_free it. */
MUST_CHECK int dump_server(const struct dump *dump, const struct server *server,
                           const char *application, struct server **out);

/* Runs it under this application name, and appends what it prints. What `look` returns, if that is
 * negative; -ENOENT: pg_dump is not installed; -EIO with pg_dump's own words, *failure telling more
 * of them. */
MUST_CHECK int dump_run(const struct dump *dump, const struct server *server,
                        const char *application, child_look *look, void *context,
                        struct buffer *out, enum dump_failure *failure, struct error *error);

/* Has the pg_restore of the same version read an archive, told by `options` (NULL-terminated) what
 * to print, and appends that. Errors as of dump_run. */
MUST_CHECK int dump_restore(const struct dump *dump, const char *archive,
                            const char *const *options, child_look *look, void *context,
                            struct buffer *out, struct error *error);

#endif
