/* Which server pg_dump is to meet, and what must be asked of that server before.
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

/* Asks through a connection to that server, which has no transaction open. Locks that a transaction
 * will take are reserved with `session`, which may be a mere place. */
typedef int ddl_question(void *context, struct connection *connection, struct session *session,
                         struct error *error);

struct ddl_asking {
    const struct ddl_way *way;
    const char *signature; /* names the server that is meant; NULL: any that the pool leads to */
    int lock_ms;           /* how long to wait for a lock */
    const atomic_bool *stop;
    ddl_question *ask;
    void *context;
};

/* `ours`: the server that the pool leads to; `theirs`: the one that `direct` leads to, if there is
 * such. Both are {0} at first; the caller clears them, also after an error. */
MUST_CHECK int ddl_server_ask(const struct ddl_asking *asking, struct cluster *ours,
                              struct cluster *theirs, struct error *error);

#endif
