/* Which cluster, and which run and history of it, a connection is to.
 *
 * Lifetime: filled by cluster_read, cluster_clear. Errors: as session.h.
 */
#ifndef PGCLIENT_CLUSTER_H
#define PGCLIENT_CLUSTER_H

#include "pgclient/connection.h"

struct cluster {
    uint64_t system_id; /* where the role may not ask for it: a hash of the server's address and the
                           database */
    bool system_id_known;
    uint32_t timeline; /* 0: unknown (a standby, and the role may not ask) */
    uint32_t database;
    bool standby;
    char *run;      /* changes whenever the server is started, or recovers from a crash */
    char *replayed; /* of a standby: the position replayed before this answer's snapshot or any
                       later one; else "" */
    char *snapshot; /* pg_current_snapshot() of this answer */
    char *role;
};

MUST_CHECK int cluster_read(struct connection *connection, struct cluster *out,
                            struct error *error);
void cluster_clear(struct cluster *cluster);

/* catalog_mark() for a snapshot taken after cluster_read (or by it). */
MUST_CHECK int cluster_mark(const struct cluster *cluster, const char *snapshot, char **out);

#endif
