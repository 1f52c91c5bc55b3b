#include "pgclient/cluster.h"

#include "codec/clock.h"
#include "codec/hash.h"
#include "codec/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each of these may be forbidden to a role, and a statement that mentions it then fails; some
 * servers have no WAL to ask about, and refuse its functions. So if the whole statement is refused,
 * each part is asked for by itself, and the refused ones are left out from then on.
 *
 * The timeline of a primary is in the name of the WAL file that it writes; a standby knows the
 * timeline of its last restart point and that of the last position that its files depend on. The
 * later of the two is nearer to the truth.
 *
 * A crash that the postmaster survives leaves its start time as it was, but loses all statistics.
 *
 * The position is read after the statement's snapshot: what the snapshot sees is not later. A
 * standby's position is what it has replayed.
 */
enum {
    NO_RECOVERY = 1,
    NO_RUN = 2,
    NO_SYSTEM_ID = 4,
    NO_CONTROL = 8,
    NO_WAL_NAME = 16,
    NO_POSITION = 32,
    LAST_PART = NO_POSITION,
    NO_EXPORT = 64,
    KNOWN = 128 /* the others have been found out */
};

/* Before PostgreSQL 14 there is no such setting: then the server is taken to be a possible standby.
 */
#define BY_FUNCTION "pg_catalog.pg_is_in_recovery()"
#define BY_SETTING                                                                                 \
    "coalesce(pg_catalog.current_setting('in_hot_standby', true)::pg_catalog.bool, true)"

#define RUN                                                                                        \
    "extract(epoch FROM pg_catalog.pg_postmaster_start_time())::pg_catalog.text"                   \
    " OPERATOR(pg_catalog.||) '-' OPERATOR(pg_catalog.||)"                                         \
    " coalesce(extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time())"              \
    "::pg_catalog.text, '')"
#define SYSTEM_ID "(SELECT system_identifier FROM pg_catalog.pg_control_system())"
#define CONTROL_TIMELINE                                                                           \
    "(SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)"                                 \
    " FROM pg_catalog.pg_control_checkpoint() c, pg_catalog.pg_control_recovery() r)"
#define WAL_NAME(recovery)                                                                         \
    "CASE WHEN NOT " recovery " THEN ('x' OPERATOR(pg_catalog.||) pg_catalog.substr("              \
    "pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)"                 \
    "::pg_catalog.int8 END"
#define POSITION(recovery)                                                                         \
    "CASE WHEN " recovery " THEN pg_catalog.pg_last_wal_replay_lsn()"                              \
    " ELSE pg_catalog.pg_current_wal_insert_lsn() END::pg_catalog.text"

/* The SQL of a part, or what replaces it if it is refused. */
static const char *part(int refused, int which)
{
    bool by_setting = refused & NO_RECOVERY;
    switch (which) {
    case NO_RECOVERY:
        return by_setting ? BY_SETTING : BY_FUNCTION;
    case NO_RUN:
        return refused & which ? "''" : RUN;
    case NO_SYSTEM_ID:
        return refused & which ? "NULL" : SYSTEM_ID;
    case NO_CONTROL:
        return refused & which ? "NULL::pg_catalog.int4" : CONTROL_TIMELINE;
    case NO_WAL_NAME:
        return refused & which ? "NULL::pg_catalog.int8"
               : by_setting    ? WAL_NAME(BY_SETTING)
                               : WAL_NAME(BY_FUNCTION);
    default:
        return refused & which ? "''" : by_setting ? POSITION(BY_SETTING) : POSITION(BY_FUNCTION);
    }
}

/* Whether the server refused the part: forbidden, not in this state, not on this server, or unknown
 * to it. */
static bool is_refusal(const struct connection *connection, int rc)
{
    static const char *const states[] = {"42501", "55000", "0A000", "42883"};
    const char *state = connection_state(connection);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if ((rc == -EACCES || rc == -EIO) && strcmp(state, states[i]) == 0)
            return true;
    return false;
}

/* A session that a pooler lends may have another lc_monetary, left by an earlier client. */
static const char *money_of(const struct connection *connection)
{
    return connection_is_pooled(connection) ? "(SELECT s.reset_val FROM pg_catalog.pg_settings s"
                                              " WHERE s.name OPERATOR(pg_catalog.=) 'lc_monetary')"
                                            : "pg_catalog.current_setting('lc_monetary')";
}

static int ask_all(struct connection *connection, int refused, PGresult **row, struct error *error)
{
    struct text sql = {0};
    text_printf(&sql,
                "SELECT %s, coalesce(%s, %s, 0), %s, %s, %s,"
                " pg_catalog.pg_current_snapshot(), d.oid, d.datname, current_user, %s"
                " FROM pg_catalog.pg_database d"
                " WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()",
                part(refused, NO_SYSTEM_ID), part(refused, NO_WAL_NAME), part(refused, NO_CONTROL),
                part(refused, NO_RECOVERY), part(refused, NO_RUN), part(refused, NO_POSITION),
                money_of(connection));
    const char *question = text_string(&sql);
    int rc = question == NULL
                 ? error_no_memory(error)
                 : connection_question(connection, question, ROWS_OF("NnbTTtnttT"), row, error);
    text_clear(&sql);
    return rc;
}

/* A transaction goes on after a refusal. */
static int save(struct connection *connection, struct error *error)
{
    return connection_in_transaction(connection)
               ? connection_run(connection, "SAVEPOINT pgvecfs_parts", error)
               : 0;
}

static int go_back(struct connection *connection, struct error *error)
{
    return connection_in_transaction(connection)
               ? connection_run(connection,
                                "ROLLBACK TO SAVEPOINT pgvecfs_parts;"
                                " RELEASE SAVEPOINT pgvecfs_parts",
                                error)
               : 0;
}

static int ask_one(struct connection *connection, const char *expression, struct error *error)
{
    struct text sql = {0};
    PGresult *row = NULL;
    text_put(&sql, "SELECT ");
    text_put(&sql, expression);
    const char *question = text_string(&sql);
    int rc = question == NULL
                 ? error_no_memory(error)
                 : connection_question(connection, question, ONE_ROW_OF("T"), &row, error);
    PQclear(row);
    text_clear(&sql);
    return rc;
}

/* Finds out which parts are refused, by asking for each. */
static int find_out(struct connection *connection, int *refused, struct error *error)
{
    int rc = 0;
    for (int which = 1; rc == 0 && which <= LAST_PART; which *= 2) {
        rc = save(connection, error);
        if (rc < 0)
            break;
        int told = ask_one(connection, part(*refused, which), error);
        if (is_refusal(connection, told))
            *refused |= which;
        else if (told < 0)
            return told;
        rc = go_back(connection, error);
    }
    return rc;
}

/* Asks for everything but the refused parts, which are always the same on one connection. */
static int ask_cluster(struct connection *connection, PGresult **row, struct error *error)
{
    int refused = connection_modesty(connection);
    bool known = refused & KNOWN;
    int rc = known ? 0 : save(connection, error);
    if (rc == 0)
        rc = ask_all(connection, refused, row, error);
    bool again = is_refusal(connection, rc) && (!known || !connection_in_transaction(connection));
    if (again || (rc == 0 && !known)) {
        int back = go_back(connection, error);
        rc = again ? back : rc;
    }
    if (!again && is_refusal(connection, rc)) {
        connection_be_modest(connection, refused & ~KNOWN);
        return -EAGAIN;
    }
    if (again && rc == 0)
        rc = find_out(connection, &refused, error);
    if (again && rc == 0)
        rc = ask_all(connection, refused, row, error);
    if (rc == 0)
        connection_be_modest(connection, refused | KNOWN);
    return rc;
}

/* FNV-1a. The cache's names and records contain this hash: with another function the cluster would
 * be taken for another one. */
static uint64_t hash_more(uint64_t hash, const char *text)
{
    do
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    while (*text++ != '\0');
    return hash;
}

static uint64_t substitute_id(const char *address, const char *port, const PGresult *row)
{
    uint64_t hash = 0xcbf29ce484222325u;
    hash = hash_more(hash, address);
    hash = hash_more(hash, port);
    hash = hash_more(hash, PQgetvalue(row, 0, 6));
    return hash_more(hash, PQgetvalue(row, 0, 7));
}

static bool is_mounted(const struct mounted *mounted, const struct cluster *cluster)
{
    if (mounted == NULL || !atomic_load_explicit(&mounted->noted, memory_order_acquire) ||
        mounted->database != cluster->database)
        return false;
    return mounted->system_id_known && cluster->system_id_known
               ? mounted->name == cluster->system_id
               : mounted->database_name == cluster->database_name;
}

/* Of several hosts it is the first that the substitute is made of, so that it does not depend on
 * which of them are there. */
static int find_name(const struct connection *connection, const PGresult *row,
                     struct cluster *cluster, struct error *error)
{
    const struct mounted *mounted = connection_mounted(connection);
    char *host = NULL, *port = NULL;
    cluster->name = cluster->system_id;
    if (is_mounted(mounted, cluster)) {
        cluster->name = mounted->name;
    } else if (!cluster->system_id_known) {
        if (connection_first_host(connection, &host, &port) < 0)
            return error_no_memory(error);
        cluster->name = substitute_id(host, port, row);
        free(host);
        free(port);
    }
    return 0;
}

void cluster_note_mounted(const struct cluster *cluster, struct mounted *out)
{
    out->name = cluster->name;
    out->system_id_known = cluster->system_id_known;
    out->database = cluster->database;
    out->database_name = cluster->database_name;
    atomic_store_explicit(&out->noted, true, memory_order_release);
}

int cluster_read(struct connection *connection, struct cluster *out, struct error *error)
{
    PGresult *row = NULL;
    int rc = ask_cluster(connection, &row, error);
    if (rc != 0)
        return rc;
    if (PQntuples(row) != 1) {
        PQclear(row);
        return error_set(error, -ENOENT, "the database has been dropped or renamed");
    }
    bool known = !PQgetisnull(row, 0, 0);
    struct cluster cluster = {
        .system_id =
            known ? strtoull(PQgetvalue(row, 0, 0), NULL, 10)
                  : substitute_id(connection_address(connection), connection_port(connection), row),
        .system_id_known = known,
        .timeline = (uint32_t)strtoul(PQgetvalue(row, 0, 1), NULL, 10),
        .standby = PQgetvalue(row, 0, 2)[0] == 't',
        .database = (uint32_t)strtoul(PQgetvalue(row, 0, 6), NULL, 10),
        .database_name = hash64(PQgetvalue(row, 0, 7), strlen(PQgetvalue(row, 0, 7))),
        .refused = connection_modesty(connection),
        .run = strdup(PQgetvalue(row, 0, 3)),
        .position = cluster_position(PQgetvalue(row, 0, 4)),
        .snapshot = strdup(PQgetvalue(row, 0, 5)),
        .role = strdup(PQgetvalue(row, 0, 8)),
        .money = strdup(PQgetvalue(row, 0, 9)),
    };
    if (cluster.run == NULL || cluster.snapshot == NULL || cluster.role == NULL ||
        cluster.money == NULL)
        rc = error_no_memory(error);
    if (rc == 0)
        rc = find_name(connection, row, &cluster, error);
    PQclear(row);
    if (rc < 0)
        cluster_clear(&cluster);
    else
        *out = cluster;
    return rc;
}

void cluster_clear(struct cluster *cluster)
{
    free(cluster->run);
    free(cluster->snapshot);
    free(cluster->role);
    free(cluster->money);
    *cluster = (struct cluster){0};
}

const char *cluster_run_sql(const struct cluster *cluster)
{
    return part(cluster->refused, NO_RUN);
}

const char *cluster_position_sql(const struct cluster *cluster)
{
    return part(cluster->refused, NO_POSITION);
}

const char *cluster_export_sql(const struct cluster *cluster)
{
    return cluster->refused & NO_EXPORT ? "NULL" : "pg_catalog.pg_export_snapshot()";
}

bool cluster_does_without_export(const struct cluster *cluster, struct connection *connection,
                                 int rc)
{
    if (cluster->refused & NO_EXPORT || !is_refusal(connection, rc))
        return false;
    connection_be_modest(connection, connection_modesty(connection) | NO_EXPORT);
    return true;
}

bool cluster_run_known(const struct cluster *cluster) { return cluster->run[0] != '\0'; }

uint64_t cluster_position(const char *text)
{
    unsigned high = 0, low = 0;
    return sscanf(text, "%X/%X", &high, &low) == 2 ? (uint64_t)high << 32 | low : 0;
}

/* For a standby that does not tell its position, or a server that does not tell its run: no two of
 * these marks are equal, and none equals one that an earlier mount has noted. */
static void put_unknown(struct text *mark)
{
    static _Atomic unsigned long long count;
    text_printf(mark, "unknown %lld.%llu", (long long)calendar_us(), ++count);
}

/* A standby's snapshot says nothing (its list of running transactions is empty), its position says
 * everything. A setting is changed by a reload, without a transaction. */
int cluster_mark(const struct cluster *cluster, const char *snapshot, uint64_t position, char **out)
{
    struct text mark = {0};
    text_printf(&mark, "%llu/%u/%u/%s/%08x/", (unsigned long long)cluster->name, cluster->database,
                cluster->timeline, cluster->run,
                (unsigned)hash64(cluster->money, strlen(cluster->money)));
    if (!cluster_run_known(cluster) || (cluster->standby && cluster->position == 0))
        put_unknown(&mark);
    else if (cluster->standby)
        text_printf(&mark, "%llX", (unsigned long long)cluster->position);
    else
        text_put(&mark, snapshot);
    text_printf(&mark, "@%llu", (unsigned long long)position);
    char *text = text_take(&mark);
    if (text == NULL)
        return -ENOMEM;
    *out = text;
    return 0;
}

int cluster_key(const struct cluster *cluster, const char *snapshot, uint64_t position,
                struct version_key *out)
{
    struct version_key key = {.system_id = cluster->name,
                              .database = cluster->database,
                              .output = OUTPUT_VERSION,
                              .run_count = cluster_run_known(cluster) ? 1 : 0,
                              .runs = {{.timeline = cluster->timeline, .position = position}}};
    if (key.run_count > 0)
        snprintf(key.runs[0].text, sizeof key.runs[0].text, "%s", cluster->run);
    int rc = cluster_mark(cluster, snapshot, position, &key.mark);
    if (rc == 0)
        *out = key;
    return rc;
}
