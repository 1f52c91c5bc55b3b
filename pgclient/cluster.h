/* The cluster that a connection leads to, and the run and the history of it.
 *
 * Three ids:
 *
 *   the system identifier, of which a role may lose the right to ask, or get it, at any time;
 *   in its place a hash of the address and the database;
 *   the name, which is in the cache's paths, in records, in marks and in keys: what the first
 *       answer had of the two, and the same for the life of a mount (struct mounted).
 *
 * Two system identifiers tell two clusters apart. If one of the two is not known, the database's
 * oid and name must be the same, and the rest is proven as for any copy of a cluster: by the run of
 * the server, or by contents (version_key.h).
 *
 * Lifetime: filled by cluster_read, cluster_clear. Errors: as session.h.
 */
#ifndef PGCLIENT_CLUSTER_H
#define PGCLIENT_CLUSTER_H

#include "pgclient/connection.h"
#include "pgclient/version_key.h"

struct cluster {
    uint64_t name;
    /* if `system_id_known` is false: a hash of the address that was reached and of the database */
    uint64_t system_id;
    bool system_id_known;
    uint32_t timeline; /* 0: unknown (a standby, and the role may not ask) */
    uint32_t database;
    uint64_t database_name; /* a hash */
    bool standby;           /* or it may be one */
    char *run;              /* changes whenever the server is started, or recovers from a crash; "":
                          unknown */
    /* of WAL, not before what this answer's snapshot sees; 0: unknown. A standby has replayed it
     * before the snapshot of any later answer */
    uint64_t position;
    int refused;    /* cluster.c's own: which parts the server refuses */
    char *snapshot; /* pg_current_snapshot() of this answer */
    char *role;
    char *money; /* lc_monetary, by which values print, as the session has it by default */
};

/* The cluster that is mounted, as it was found. Threads: noted once, then read by all. */
struct mounted {
    atomic_bool noted; /* what follows holds */
    uint64_t name;
    bool system_id_known; /* it is the name */
    uint32_t database;
    uint64_t database_name;
};
void cluster_note_mounted(const struct cluster *cluster, struct mounted *out);

/* SQL for use in other statements, in any transaction, without what the server refuses: the run and
 * the position as text ("" if unknown), and the exported snapshot's name (NULL if unknown). */
const char *cluster_run_sql(const struct cluster *cluster);
const char *cluster_position_sql(const struct cluster *cluster);
const char *cluster_export_sql(const struct cluster *cluster);

/* Whether a statement with all three may have failed (`rc`) because snapshots must not be exported:
 * the connection's next cluster_read does without. */
bool cluster_does_without_export(const struct cluster *cluster, struct connection *connection,
                                 int rc);

/* Whether the run is known: if the role may not ask for it, nothing can be proven by it. */
bool cluster_run_known(const struct cluster *cluster);

/* The position that such text stands for. */
uint64_t cluster_position(const char *text);

/* -EAGAIN: the server has begun to refuse a part of it within this transaction, which has failed;
 * the next one does without that part. */
MUST_CHECK int cluster_read(struct connection *connection, struct cluster *out,
                            struct error *error);
void cluster_clear(struct cluster *cluster);

/* The mark (version_key.h) of a snapshot taken after cluster_read (or by it); `position` is not
 * before what it sees. */
MUST_CHECK int cluster_mark(const struct cluster *cluster, const char *snapshot, uint64_t position,
                            char **out);

/* Fills the part of a version key that is about the cluster. The caller clears the key. */
MUST_CHECK int cluster_key(const struct cluster *cluster, const char *snapshot, uint64_t position,
                           struct version_key *out);

#endif
