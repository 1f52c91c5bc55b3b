#include "pgclient/search_parts.h"

#include "pgclient/cluster.h"
#include "pgclient/describe.h"
#include "pgclient/from_clause.h"
#include "pgclient/lock_room.h"
#include "pgclient/policies.h"
#include "pgclient/statement_parts.h"
#include "pgclient/trust.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void search_put_from(struct text *sql, const struct relation *relation)
{
    text_put(sql, " FROM ");
    from_put(sql, relation);
}

/* What must be known about a role and a relation before a transaction begins. */
struct beginning {
    bool judged; /* it is asked whose functions would run */
    /* the role may read the whole table, not only some columns: LOCK TABLE needs that */
    bool may_lock;
};

static int find_beginning(struct connection *connection, const struct relation *relation,
                          struct beginning *out, struct error *error)
{
    static const char question[] = "SELECT " TRUST_IS_SUPERUSER ","
                                   " pg_catalog.has_table_privilege(%u::pg_catalog.oid, 'SELECT')";
    char sql[sizeof question + 16];
    snprintf(sql, sizeof sql, question, relation->oid);
    PGresult *row = NULL;
    int rc = connection_question(connection, sql, ONE_ROW_OF("bB"), &row, error);
    if (rc == 0) {
        out->judged = PQgetvalue(row, 0, 0)[0] == 't' && !connection_reading(connection).trust_all;
        out->may_lock = PQgetvalue(row, 0, 1)[0] == 't';
    }
    PQclear(row);
    return rc;
}

/* Whether we ask questions between the lock and what users wrote. */
static bool asks_more(const struct relation *relation, const struct beginning *beginning)
{
    return beginning->judged || relation->kind == RELATION_VIEW;
}

/* Locks the relation first, as a fetch does. So it stays what is judged, and what a later snapshot
 * sees: a snapshot does not protect from TRUNCATE, and from whatever else writes a file anew. */
static char *write_beginning(const struct relation *relation, const struct beginning *beginning)
{
    struct text sql = {0};
    bool lockable = relation->kind == RELATION_TABLE || relation->kind == RELATION_PARTITIONED
                        ? beginning->may_lock
                        : beginning->judged && relation->kind != RELATION_MATVIEW &&
                              relation->kind != RELATION_FOREIGN &&
                              relation->kind != RELATION_STATEMENT;
    text_put(&sql, SEARCH_NO_EXCLUSION);
    if (asks_more(relation, beginning))
        text_put(&sql, "; " SEARCH_PATH_OURS);
    if (lockable) {
        text_put(&sql, relation->kind == RELATION_TABLE ? "; LOCK TABLE ONLY " : "; LOCK TABLE ");
        sql_relation(&sql, relation->schema, relation->name);
        text_put(&sql, " IN ACCESS SHARE MODE");
    }
    return text_take(&sql);
}

/* As in a fetch: a view whose owner is subject to policies is read with these. */
static int settle_policies(struct connection *connection, const struct relation *relation,
                           struct error *error)
{
    bool owners_only = false;
    if (relation->kind != RELATION_VIEW)
        return 0;
    int rc = policies_bind_owners_only(connection, relation->oid, &owners_only, error);
    return rc == 0 && owners_only ? connection_let_policies_choose(connection, error) : rc;
}

static int judge_relation(struct connection *connection, const struct relation *relation,
                          struct error *error)
{
    if (relation->kind != RELATION_STATEMENT)
        return trust_check(connection, relation->oid, NULL, false, error);
    int rc = connection_run(connection, connection_own_path(connection), error);
    return rc == 0 ? statement_judge(connection, relation, NULL, error) : rc;
}

int search_open(struct session *session, const struct relation *relation, bool *later,
                struct error *error)
{
    struct connection *connection = session_connection(session);
    struct beginning beginning = {0};
    char *text = NULL;
    if (connection_in_transaction(connection))
        return later == NULL ? 0 : trust_is_asked(connection, later, error);
    int rc = find_beginning(connection, relation, &beginning, error);
    if (rc == 0)
        rc = lock_room_take(session, relation, error);
    if (rc == 0 && (text = write_beginning(relation, &beginning)) == NULL)
        rc = error_no_memory(error);
    if (rc == 0)
        rc = connection_begin(connection, TRANSACTION_USER, text, error);
    free(text);
    if (rc == -ENOENT) /* the relation to be locked has another name by now */
        rc = error_set(error, -ESTALE, "the table was renamed or dropped in the meantime");
    if (rc < 0)
        return rc;
    rc = same_relation_check(connection, relation, error);
    if (rc == 0 && beginning.judged && later == NULL)
        rc = judge_relation(connection, relation, error);
    if (rc == 0)
        rc = settle_policies(connection, relation, error);
    if (rc == 0 && asks_more(relation, &beginning))
        rc = connection_run(connection, connection_own_path(connection), error);
    if (rc < 0)
        connection_end(connection);
    else if (later != NULL)
        *later = beginning.judged;
    return rc;
}

/* If a standby's replayed position is asked for before the snapshot is taken, it tells what the
 * snapshot sees. */
static int read_now(struct connection *connection, const struct cluster *before,
                    struct version_key *out, struct error *error)
{
    struct cluster cluster;
    int rc = cluster_read(connection, &cluster, error);
    if (rc < 0)
        return rc;
    uint64_t position = cluster.position;
    if (cluster.standby)
        cluster.position = before->standby ? before->position : 0;
    rc = cluster_key(&cluster, cluster.snapshot, position, out);
    cluster_clear(&cluster);
    return rc == 0 ? 0 : error_no_memory(error);
}

int search_begin(struct session *session, const struct relation *relation, const atomic_bool *stop,
                 struct version_key *now, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct cluster before = {0};
    connection_also_stop(connection, stop);
    int rc = cluster_read(connection, &before, error);
    if (rc == 0)
        rc = search_open(session, relation, NULL, error);
    if (rc == 0 && (rc = read_now(connection, &before, now, error)) < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    cluster_clear(&before);
    return rc;
}

/* ---- judging ---- */

/* The catalog knows no columns of a statement. */
static int judge_json(struct connection *connection, const struct relation *relation,
                      struct error *error)
{
    char *refused = NULL;
    int rc = statement_judge(connection, relation, &refused, error);
    if (rc == 0 && refused != NULL)
        rc = error_set(error, -EACCES, "%s", refused);
    free(refused);
    return rc;
}

int search_judge(struct connection *connection, const struct relation *relation,
                 const char *statement, bool json, struct error *error)
{
    char *tree = NULL;
    int rc = connection_parse_tree(connection, statement, &tree, error);
    if (rc < 0)
        return user_words_blame(connection, rc);
    rc = connection_run(connection, USER_WORDS_OURS, error);
    if (rc == 0)
        rc = trust_check(connection, relation->oid, tree, json, error);
    free(tree);
    if (rc == 0)
        rc = user_words_settings(connection, error);
    return rc == 0 && json && relation->kind == RELATION_STATEMENT
               ? judge_json(connection, relation, error)
               : rc;
}

/* ---- heaps ---- */

/* Parsing a statement locks what it names; the plan that describe_sources looks at locks
 * partitions. */
static int lock_heaps(struct connection *connection, const struct relation *relation,
                      struct error *error)
{
    struct text sql = {0};
    text_put(&sql, "SELECT");
    search_put_from(&sql, relation);
    const char *statement = text_string(&sql);
    int rc =
        statement == NULL ? error_no_memory(error) : connection_parse(connection, statement, error);
    text_clear(&sql);
    return rc;
}

static int compare_heaps(struct session *session, const struct sources *sources,
                         const struct search_heap *heaps, size_t count, bool *same,
                         struct error *error)
{
    static const struct ctid_range everywhere = {{0, 0}, {UINT32_MAX, 0}};
    int rc = 0;
    *same = sources->count == count && sources->by_ctid;
    for (size_t i = 0; *same && i < count && rc == 0; i++) {
        const struct source *source = &sources->list[i];
        struct fingerprint now = {0, 0};
        *same = source->oid == heaps[i].oid && source->filenode == heaps[i].filenode;
        if (*same)
            rc = readpoint_fingerprint(session, source, &everywhere, 1, &now, error);
        *same = *same && now.rows == heaps[i].rows.rows && now.sum == heaps[i].rows.sum;
    }
    return rc;
}

static int compare(struct session *session, const struct relation *relation,
                   const struct search_heap *heaps, size_t count, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct sources sources = {0};
    bool same = false;
    int rc = connection_run(connection, USER_WORDS_OURS, error);
    if (rc == 0)
        rc = lock_heaps(connection, relation, error);
    if (rc == 0)
        rc = describe_sources(connection, relation, false, &sources, error);
    if (rc == 0)
        rc = compare_heaps(session, &sources, heaps, count, &same, error);
    sources_clear(&sources);
    if (rc == 0)
        rc = user_words_settings(connection, error);
    if (rc == -ESTALE || rc == -ENOENT || (rc == 0 && !same))
        rc = error_set(error, -ESTALE, "the table has changed in the meantime");
    return rc;
}

int search_compare(struct session *session, const struct relation *relation,
                   const struct search_heap *heaps, size_t count, const atomic_bool *stop,
                   struct error *error)
{
    struct connection *connection = session_connection(session);
    connection_also_stop(connection, stop);
    int rc = compare(session, relation, heaps, count, error);
    if (rc < 0)
        connection_end(connection);
    connection_also_stop(connection, NULL);
    return rc;
}
