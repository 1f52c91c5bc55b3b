/* Which server pg_dump is to meet, and what that has to be asked before.
 *
 * Errors: as of ddl.h.
 */
#ifndef PGCLIENT_DDL_SERVER_H
#define PGCLIENT_DDL_SERVER_H

#include "pgclient/cluster.h"
#include "pgclient/ddl.h"

bool ddl_server_same(const struct cluster *a, const struct cluster *b);
/* -EREMCHG, in words. */
int ddl_server_elsewhere(struct error *error);

/* Asks through a connection to that server, without a transaction. Locks that a transaction will
 * take are reserved with `session`, which may be a place alone. */
typedef int ddl_question(void *context, struct connection *connection, struct session *session,
                         struct error *error);

struct ddl_asking {
    const struct ddl_way *way;
    const char *signature; /* of the server that is meant; NULL: any that the pool leads to */
    int lock_ms;           /* how long a lock is waited for */
    const atomic_bool *stop;
    ddl_question *ask;
    void *context;
};

/* `ours`: the server that the pool leads to; `theirs`: the one that `direct` leads to, if there is
 * such. Both are {0} at first, and the caller's to clear, also after an error. */
MUST_CHECK int ddl_server_ask(const struct ddl_asking *asking, struct cluster *ours,
                              struct cluster *theirs, struct error *error);

#endif
