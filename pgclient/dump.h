/* One run of pg_dump, for the DDL of one relation or of all those selected; and pg_restore, which
 * prints what is in pg_dump's archive.
 *
 * The connection's parameters, the password too, go into its environment, never into its
 * arguments.
 */
#ifndef PGCLIENT_DUMP_H
#define PGCLIENT_DUMP_H

#include "pgclient/catalog.h"
#include "pgclient/child.h"
#include "pgclient/connection.h"

enum { DUMP_LOCK_MS = 1000 }; /* pg_dump waits no longer than this for a table's lock */
enum { DUMP_ADDRESS = 3 };

/* What pg_dump is to be told. Init to {0}; dump_clear. */
struct dump {
    char program[512];
    char **selection; /* arguments: which objects, and in which form; NULL-terminated */
    /* for PGOPTIONS: settings that the database or the role changes, and pg_dump does not set
     * itself */
    struct buffer settings;
    /* host, hostaddr and port of the server that was asked ("": none): of several behind one name
     * pg_dump is to reach the same */
    char *address[DUMP_ADDRESS];
    /* the caller sets it, owned: a snapshot that the server has exported, and that any other server
     * refuses; NULL: none */
    char *snapshot;
    bool ascii;
};

/* Asks through a connection to the server that pg_dump will connect to, with no transaction open,
 * and tries the lock that pg_dump will take. -EBUSY: others hold it; -EACCES: the role may not
 * lock the table. */
MUST_CHECK int dump_ask(struct connection *connection, const struct relation *relation,
                        struct dump *out, struct error *error);
/* The same in a transaction of TRANSACTION_TABLES, for no relation: nothing is selected yet. */
MUST_CHECK int dump_ask_any(struct connection *connection, struct dump *out, struct error *error);
void dump_clear(struct dump *dump);

/* Adds a selection: the argument `option`, directly followed by `value` (which may be "").
 * dump_select_nothing removes all selections. -ENOMEM. */
MUST_CHECK int dump_select(struct dump *dump, const char *option, const char *value);
void dump_select_nothing(struct dump *dump);

/* Why pg_dump failed. */
enum dump_failure {
    DUMP_FAILED,
    DUMP_NOT_CONNECTED, /* it got no connection */
    DUMP_NOT_LOCKED,    /* it did not get the table's lock */
    DUMP_NO_SNAPSHOT    /* its server does not have the snapshot: it is another one */
};

/* The `server` that pg_dump will connect to, with the same address, and with this application name
 * ("": its own): so what stands in between leads both to the same server. server_free it. */
MUST_CHECK int dump_server(const struct dump *dump, const struct server *server,
                           const char *application, struct server **out);

/* Runs pg_dump under this application name, and appends what it prints. Returns what `look`
 * returns, if that is negative; -ENOENT: pg_dump is not installed; -EIO with pg_dump's own words,
 * of which *failure tells the kind. */
MUST_CHECK int dump_run(const struct dump *dump, const struct server *server,
                        const char *application, child_look *look, void *context,
                        struct buffer *out, enum dump_failure *failure, struct error *error);

/* Has the pg_restore of the same version read an archive, and appends what it prints; `options`
 * (NULL-terminated) say what that is. Errors as of dump_run. */
MUST_CHECK int dump_restore(const struct dump *dump, const char *archive,
                            const char *const *options, child_look *look, void *context,
                            struct buffer *out, struct error *error);

#endif
