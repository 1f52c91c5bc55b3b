#include "pgclient/ddl_server.h"

#include <errno.h>

static int read_ours(const struct ddl_way *way, const atomic_bool *stop, struct cluster *out,
                     struct error *error)
{
    struct session *session;
    int rc = session_take(way->pool, SESSION_SHORT, stop, &session, error);
    if (rc < 0)
        return rc;
    connection_also_stop(session_connection(session), stop);
    rc = cluster_read(session_connection(session), out, error);
    connection_also_stop(session_connection(session), NULL);
    session_give(session);
    return rc;
}

/* A standby may be behind the signature that its text would go with, and another primary may be a
 * copy of ours. So only the same run of the same server will do, or the primary of our standby. */
static int compare_clusters(const struct cluster *ours, const struct cluster *theirs,
                            struct error *error)
{
    bool same_run = cluster_run_known(ours) && strcmp(ours->run, theirs->run) == 0;
    bool known = ours->system_id_known && theirs->system_id_known;
    bool good = ours->database == theirs->database &&
                (!known || ours->system_id == theirs->system_id) &&
                (same_run || (known && ours->standby && !theirs->standby));
    if (!good && !(cluster_run_known(ours) && cluster_run_known(theirs)))
        return error_set(error, -EIO,
                         "whether `direct` leads to the same server cannot be told: the role may "
                         "not call pg_postmaster_start_time() or "
                         "pg_stat_get_bgwriter_stat_reset_time()");
    return good ? 0
                : error_set(error, -EIO,
                            "`direct` leads to another server or database than the connection "
                            "string (system identifier, start time or oid differ)");
}

/* The role may have lost the right to ask for the system identifier in between, or got it: then only
 * the run tells. */
bool ddl_server_same(const struct cluster *a, const struct cluster *b)
{
    bool same_id = a->system_id_known == b->system_id_known ? a->system_id == b->system_id
                                                            : cluster_run_known(a);
    return same_id && a->database == b->database && strcmp(a->run, b->run) == 0;
}

int ddl_server_elsewhere(struct error *error)
{
    return error_set(error, -EREMCHG,
                     "several servers stand behind one address: pg_dump, or a connection before or "
                     "after it, has met another than the one that was asked");
}

/* Opens a connection to where pg_dump will connect, once that has been proven to be the right
 * server, `theirs`. */
static int open_direct(const struct ddl_way *way, const struct cluster *ours,
                       const atomic_bool *stop, struct connection **out, struct cluster *theirs,
                       struct error *error)
{
    struct connection *connection;
    int rc = connection_open(way->direct, session_pool_departing(way->pool), stop, NULL, -1,
                             &connection, error);
    if (rc < 0) {
        error_prefix(error, "`direct`");
        return rc;
    }
    if (connection_is_pooled(connection))
        rc = error_set(error, -EIO, "`direct` leads to a pooler, too");
    else if ((rc = cluster_read(connection, theirs, error)) == 0)
        rc = compare_clusters(ours, theirs, error);
    if (rc < 0)
        connection_close(connection);
    else
        *out = connection;
    return rc;
}

int ddl_check_direct(const struct ddl_way *way, const atomic_bool *stop, struct error *error)
{
    struct cluster ours = {0}, theirs = {0};
    struct connection *connection = NULL;
    struct session *place = NULL;
    int rc = read_ours(way, stop, &ours, error);
    if (rc == 0)
        rc = session_place_take(way->pool, stop, &place, error);
    if (rc == 0)
        rc = open_direct(way, &ours, stop, &connection, &theirs, error);
    connection_close(connection);
    session_place_give(place);
    cluster_clear(&ours);
    cluster_clear(&theirs);
    return rc;
}

static int ask_directly(const struct ddl_asking *asking, const struct cluster *ours,
                        struct cluster *theirs, struct error *error)
{
    const struct ddl_way *way = asking->way;
    struct connection *connection = NULL;
    struct session *place;
    int rc = session_place_take(way->pool, asking->stop, &place, error);
    if (rc < 0)
        return rc;
    rc = open_direct(way, ours, asking->stop, &connection, theirs, error);
    if (rc == 0) {
        connection_lock_patience(connection, asking->lock_ms);
        rc = asking->ask(asking->context, connection, place, error);
    }
    connection_close(connection);
    session_place_give(place);
    return rc;
}

static int ask_session(const struct ddl_asking *asking, struct cluster *ours, struct error *error)
{
    struct session *session;
    int rc = session_take(asking->way->pool, SESSION_SHORT, asking->stop, &session, error);
    if (rc < 0)
        return rc;
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, asking->stop);
    connection_lock_patience(connection, asking->lock_ms);
    if (connection_is_pooled(connection))
        rc =
            error_set(error, -EOPNOTSUPP,
                      "the connection leads to a pooler, through which pg_dump must not run, since "
                      "it sets its session: name the server itself with -o direct=CONNINFO");
    else if ((rc = cluster_read(connection, ours, error)) == 0)
        rc = asking->ask(asking->context, connection, session, error);
    connection_also_stop(connection, NULL);
    session_give(session);
    return rc;
}

int ddl_server_ask(const struct ddl_asking *asking, struct cluster *ours, struct cluster *theirs,
                   struct error *error)
{
    bool direct = asking->way->direct != NULL;
    int rc = direct ? read_ours(asking->way, asking->stop, ours, error)
                    : ask_session(asking, ours, error);
    if (rc == 0 && asking->signature != NULL && !ddl_signature_is_of(asking->signature, ours))
        rc = ddl_server_elsewhere(error);
    return rc == 0 && direct ? ask_directly(asking, ours, theirs, error) : rc;
}
