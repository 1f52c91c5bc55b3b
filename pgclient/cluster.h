/* Which cluster, and which run and history of it, a connection is to.
 *
 * Lifetime: filled by cluster_read, cluster_clear. Errors: as session.h.
 */
#ifndef PGCLIENT_CLUSTER_H
#define PGCLIENT_CLUSTER_H

#include "pgclient/connection.h"
#include "pgclient/version_key.h"

struct cluster {
    uint64_t system_id; /* where the role may not ask for it: a hash of the server's address and the
                           database */
    bool system_id_known;
    uint32_t timeline; /* 0: unknown (a standby, and the role may not ask) */
    uint32_t database;
    bool standby;
    char *run;         /* changes whenever the server is started, or recovers from a crash */
    uint64_t position; /* of WAL, not before what this answer's snapshot sees; 0: unknown. Of a
                          standby: replayed before the snapshot of any later answer */
    char *snapshot;    /* pg_current_snapshot() of this answer */
    char *role;
};

/* SQL for more statements, in any transaction: text of the run, of the position ("" where it is
 * unknown) and of the snapshot. */
#define CLUSTER_RUN                                                                                \
    "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text"                   \
    " OPERATOR(pg_catalog.||) '-' OPERATOR(pg_catalog.||)"                                         \
    " coalesce(extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time())"              \
    "::pg_catalog.text, '')"
#define CLUSTER_POSITION                                                                           \
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()"            \
    " ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text"

/* Of such text. */
uint64_t cluster_position(const char *text);

MUST_CHECK int cluster_read(struct connection *connection, struct cluster *out,
                            struct error *error);
void cluster_clear(struct cluster *cluster);

/* The mark (version_key.h) of a snapshot taken after cluster_read (or by it); `position` is not
 * before what it sees. */
MUST_CHECK int cluster_mark(const struct cluster *cluster, const char *snapshot, uint64_t position,
                            char **out);

/* What of a version key is the cluster's: the caller clears it. */
MUST_CHECK int cluster_key(const struct cluster *cluster, const char *snapshot, uint64_t position,
                           struct version_key *out);

#endif
