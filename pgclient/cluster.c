#include "pgclient/cluster.h"

#include "codec/buffer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* pg_control_*() may be forbidden to a role, and a mere mention of them then fails; some servers
 * have no WAL that could be asked for, and refuse its functions: so there are several wordings.
 *
 * The timeline of a primary is in the name of the WAL file that it writes; a standby knows that of
 * its last restart point and that of the last position its files depend on, of which the later is
 * nearer to the truth.
 *
 * A crash that the postmaster survives leaves its start time as it was, but loses all statistics.
 *
 * The position comes after the statement's snapshot: what it sees is not later. A standby's is that
 * of what it has replayed.
 */
#define QUESTION(system_id, timeline, position)                                                    \
    "SELECT " system_id ", " timeline ", pg_catalog.pg_is_in_recovery(),"                          \
    " " CLUSTER_RUN ", " position ","                                                              \
    " pg_catalog.pg_current_snapshot(), d.oid, d.datname, current_user"                            \
    " FROM pg_catalog.pg_database d"                                                               \
    " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()"

#define SYSTEM_ID "(SELECT system_identifier FROM pg_catalog.pg_control_system())"
#define CONTROL_TIMELINE                                                                           \
    "(SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)"                                 \
    " FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r)"
#define TIMELINE(standby_timeline)                                                                 \
    "CASE WHEN pg_catalog.pg_is_in_recovery() THEN " standby_timeline                              \
    " ELSE ('x' OPERATOR(pg_catalog.||) pg_catalog.substr(pg_catalog.pg_walfile_name("             \
    "pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::pg_catalog.int8 END"

/* The better ones first. Only the timeline and the position can do without WAL. */
static const char *const questions[] = {
    QUESTION(SYSTEM_ID, TIMELINE(CONTROL_TIMELINE), CLUSTER_POSITION),
    QUESTION(SYSTEM_ID, CONTROL_TIMELINE, "''"),
    QUESTION("NULL", TIMELINE("0"), CLUSTER_POSITION),
    QUESTION("NULL", "0", "''"),
};
enum { QUESTIONS = sizeof questions / sizeof *questions };

/* Forbidden, not in this state, not here, not known. */
static bool is_refusal(const char *state)
{
    static const char *const states[] = {"42501", "55000", "0A000", "42883"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(state, states[i]) == 0)
            return true;
    return false;
}

/* The best one that is not refused: on one connection always the same. */
static int ask(struct connection *connection, PGresult **row, struct error *error)
{
    int number = connection_modesty(connection);
    int rc = connection_question(connection, questions[number], ROWS_OF(9), row, error);
    while (rc < 0 && rc != -ENOTCONN && rc != -EINTR && number + 1 < QUESTIONS &&
           is_refusal(connection_state(connection)))
        rc = connection_question(connection, questions[++number], ROWS_OF(9), row, error);
    if (rc == 0)
        connection_be_modest(connection, number);
    return rc;
}

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
    int rc = ask(connection, &row, error);
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
        .position = cluster_position(PQgetvalue(row, 0, 4)),
        .snapshot = strdup(PQgetvalue(row, 0, 5)),
        .role = strdup(PQgetvalue(row, 0, 8)),
    };
    PQclear(row);
    if (cluster.run == NULL || cluster.snapshot == NULL || cluster.role == NULL) {
        cluster_clear(&cluster);
        return error_set(error, -ENOMEM, "out of memory");
    }
    *out = cluster;
    return 0;
}

void cluster_clear(struct cluster *cluster)
{
    free(cluster->run);
    free(cluster->snapshot);
    free(cluster->role);
    *cluster = (struct cluster){0};
}

uint64_t cluster_position(const char *text)
{
    unsigned high = 0, low = 0;
    return sscanf(text, "%X/%X", &high, &low) == 2 ? (uint64_t)high << 32 | low : 0;
}

/* Of a standby that does not tell its position: no two are equal. */
static uint64_t count_up(void)
{
    static _Atomic uint64_t count;
    return ++count;
}

/* A standby's snapshot says nothing (its list of running transactions is empty), and its position
 * everything. */
int cluster_mark(const struct cluster *cluster, const char *snapshot, uint64_t position, char **out)
{
    struct buffer mark = {0};
    int rc = buffer_printf(&mark, "%llu/%u/%u/%s/", (unsigned long long)cluster->system_id,
                           cluster->database, cluster->timeline, cluster->run);
    if (rc == 0)
        rc = !cluster->standby ? buffer_append_text(&mark, snapshot)
             : cluster->position != 0
                 ? buffer_printf(&mark, "%llX", (unsigned long long)cluster->position)
                 : buffer_printf(&mark, "unknown %llu", (unsigned long long)count_up());
    if (rc == 0)
        rc = buffer_printf(&mark, "@%llu", (unsigned long long)position);
    if (rc == 0)
        rc = buffer_append_byte(&mark, '\0');
    if (rc != 0)
        buffer_clear(&mark);
    else
        *out = (char *)mark.data;
    return rc;
}

int cluster_key(const struct cluster *cluster, const char *snapshot, uint64_t position,
                struct version_key *out)
{
    struct version_key key = {.system_id = cluster->system_id,
                              .database = cluster->database,
                              .output = OUTPUT_VERSION,
                              .run_count = 1,
                              .runs = {{.timeline = cluster->timeline, .position = position}}};
    snprintf(key.runs[0].text, sizeof key.runs[0].text, "%s", cluster->run);
    int rc = cluster_mark(cluster, snapshot, position, &key.mark);
    if (rc == 0)
        *out = key;
    return rc;
}
