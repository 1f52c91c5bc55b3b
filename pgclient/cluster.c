#include "pgclient/cluster.h"

#include "codec/buffer.h"

#include <errno.h>
#include <stdlib.h>

/* pg_control_*() may be forbidden to a role, and a mere mention of them then fails: so there are
 * two wordings.
 *
 * The timeline of a primary is in the name of the WAL file that it writes; a standby knows that of
 * its last restart point and that of the last position its files depend on, of which the later is
 * nearer to the truth.
 *
 * A crash that the postmaster survives leaves its start time as it was, but loses all statistics.
 */
#define QUESTION(system_id, standby_timeline)                                                      \
    "SELECT " system_id ", CASE WHEN pg_catalog.pg_is_in_recovery() THEN " standby_timeline        \
    " ELSE ('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name("             \
    "pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::pg_catalog.int8 END,"                      \
    " pg_catalog.pg_is_in_recovery(),"                                                             \
    " extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text"                  \
    " OPERATOR(pg_catalog.||) '-' OPERATOR(pg_catalog.||)"                                         \
    " coalesce(extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time())"              \
    "::pg_catalog.text, ''),"                                                                      \
    " CASE WHEN pg_catalog.pg_is_in_recovery()"                                                    \
    " THEN pg_catalog.pg_last_wal_replay_lsn()::pg_catalog.text ELSE '' END,"                      \
    " pg_catalog.pg_current_snapshot(), d.oid, d.datname, current_user"                            \
    " FROM pg_catalog.pg_database d"                                                               \
    " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"

static const char full_question[] =
    QUESTION("(SELECT system_identifier FROM pg_catalog.pg_control_system())",
             "(SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)"
             " FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r)");
static const char modest_question[] = QUESTION("NULL", "0");

static uint64_t hash_more(uint64_t hash, const char *text) /* FNV-1a */
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    while (*text++ != '\0');
    return hash;
}

static uint64_t substitute_id(struct connection *connection, const PGresult *row)
{
    uint64_t hash = 0xcbf29ce484222325u;
    hash = hash_more(hash, connection_address(connection));
    hash = hash_more(hash, connection_port(connection));
    hash = hash_more(hash, PQgetvalue(row, 0, 6));
    return hash_more(hash, PQgetvalue(row, 0, 7));
}

int cluster_read(struct connection *connection, struct cluster *out, struct error *error)
{
    PGresult *row = NULL;
    int rc = connection_question(connection, full_question, &row, error);
    if (rc == -EACCES)
        rc = connection_question(connection, modest_question, &row, error);
    if (rc != 0)
        return rc;
    if (PQntuples(row) != 1) {
        PQclear(row);
        return error_set(error, -ENOENT, "the database has been dropped or renamed");
    }
    bool known = !PQgetisnull(row, 0, 0);
    struct cluster cluster = {
        .system_id =
            known ? strtoull(PQgetvalue(row, 0, 0), NULL, 10) : substitute_id(connection, row),
        .system_id_known = known,
        .timeline = (uint32_t)strtoul(PQgetvalue(row, 0, 1), NULL, 10),
        .standby = PQgetvalue(row, 0, 2)[0] == 't',
        .database = (uint32_t)strtoul(PQgetvalue(row, 0, 6), NULL, 10),
        .run = strdup(PQgetvalue(row, 0, 3)),
        .replayed = strdup(PQgetvalue(row, 0, 4)),
        .snapshot = strdup(PQgetvalue(row, 0, 5)),
        .role = strdup(PQgetvalue(row, 0, 8)),
    };
    PQclear(row);
    if (cluster.run == NULL || cluster.replayed == NULL || cluster.snapshot == NULL ||
        cluster.role == NULL) {
        cluster_clear(&cluster);
        return error_set(error, -ENOMEM, "out of memory");
    }
    *out = cluster;
    return 0;
}

void cluster_clear(struct cluster *cluster)
{
    free(cluster->run);
    free(cluster->replayed);
    free(cluster->snapshot);
    free(cluster->role);
    *cluster = (struct cluster){0};
}

/* A standby's snapshot says nothing (its list of running transactions is empty), and its position
 * everything. */
int cluster_mark(const struct cluster *cluster, const char *snapshot, char **out)
{
    struct buffer mark = {0};
    int rc = buffer_printf(&mark, "%llu/%u/%s/%s", (unsigned long long)cluster->system_id,
                           cluster->timeline, cluster->run,
                           cluster->standby ? cluster->replayed : snapshot);
    if (rc == 0)
        rc = buffer_append_byte(&mark, '\0');
    if (rc != 0)
        buffer_clear(&mark);
    else
        *out = (char *)mark.data;
    return rc;
}
