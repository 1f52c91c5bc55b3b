#include "pgclient/row_layout.h"

#include "pgclient/cluster.h"
#include "pgclient/lock_room.h"
#include "pgclient/same_relation.h"
#include "pgclient/search_path.h"
#include "pgclient/sql_text.h"
#include "pgclient/trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_another(struct error *error)
{
    return error_set(error, -ESTALE, "the table was renamed or dropped in the meantime");
}

/* ---- lifetime ---- */

struct row_layout *row_layout_ref(struct row_layout *layout)
{
    atomic_fetch_add(&layout->refs, 1);
    return layout;
}

void row_layout_unref(struct row_layout *layout)
{
    if (layout == NULL || atomic_fetch_sub(&layout->refs, 1) != 1)
        return;
    for (int i = 0; layout->keys != NULL && i < layout->key_count + layout->unique_count; i++) {
        free(layout->keys[i].name);
        free(layout->keys[i].type_name);
        free(layout->keys[i].equals);
    }
    free(layout->keys);
    for (int form = 0; form < ROW_FORMS; form++) {
        schema_free(layout->schemas[form]);
        free(layout->verdicts[form]);
    }
    free(layout->state);
    pthread_mutex_destroy(&layout->lock);
    free(layout);
}

const struct schema *row_layout_schema(const struct row_layout *layout, enum row_form form)
{
    return layout->schemas[form];
}

/* ---- statements ---- */

void row_layout_put_from(struct text *sql, const struct relation *relation,
                         const struct row_layout *layout)
{
    text_put(sql, layout->kind == RELATION_TABLE ? " FROM ONLY " : " FROM ");
    sql_relation(sql, relation->schema, relation->name);
}

/* A key's text is compared by bytes: the column's collation may take others for equal. */
void row_layout_put_equal(struct text *sql, const struct key_column *columns, int count)
{
    for (int i = 0; i < count; i++) {
        text_put(sql, i == 0 ? " WHERE " : " AND ");
        sql_name(sql, columns[i].name);
        text_printf(sql, " %s $%d AND pg_catalog.format('%%s', ", columns[i].equals, 2 * i + 1);
        sql_name(sql, columns[i].name);
        text_printf(sql, ") COLLATE pg_catalog.\"C\" OPERATOR(pg_catalog.=) $%d", 2 * i + 2);
    }
}

void row_layout_put_order(struct text *sql, const struct row_layout *layout)
{
    for (int i = 0; i < layout->key_count; i++) {
        text_put(sql, i == 0 ? " ORDER BY " : ", ");
        sql_name(sql, layout->keys[i].name);
    }
}

/* ---- the transaction ---- */

/* A policy is what a user wrote. */
static enum transaction_kind kind_of(const struct row_layout *layout)
{
    return layout->filtered ? TRANSACTION_USER : TRANSACTION_TABLES;
}

/* No snapshot is taken before the table is locked: so it does not see the file from before a
 * TRUNCATE. Of a partitioned table the partition that a key leads to is locked when it is read. */
static char *write_beginning(const struct relation *relation, const struct row_layout *layout)
{
    struct text sql = {0};
    /* Else the planner evaluates what is constant in checks of the table. */
    text_put(&sql, "SET LOCAL constraint_exclusion = off;");
    if (layout->may_lock) {
        text_put(&sql, "LOCK TABLE ONLY ");
        sql_relation(&sql, relation->schema, relation->name);
        text_put(&sql, " IN ACCESS SHARE MODE;");
    }
    text_put(&sql, SEARCH_PATH_OURS);
    return text_take(&sql);
}

int row_layout_begin(struct session *session, const struct row_table *table,
                     const struct row_layout *layout, struct error *error)
{
    struct relation relation = *table->relation;
    int rc = 0;
    if (layout->may_be_spread) {
        relation.kind = RELATION_SPREAD; /* counted with its children */
        rc = lock_room_take(session, &relation, error);
    }
    char *text = write_beginning(table->relation, layout);
    if (rc == 0)
        rc = text == NULL
                 ? error_no_memory(error)
                 : connection_begin(session_connection(session), kind_of(layout), text, error);
    free(text);
    return rc == -ENOENT ? is_another(error) : rc;
}

int row_layout_set(struct session *session, const struct row_layout *layout, enum row_form form,
                   struct error *error)
{
    struct connection *connection = session_connection(session);
    if (layout->filtered)
        return connection_run(connection, connection_own_path(connection), error);
    return layout->json_apart && form == ROW_AS_JSON
               ? connection_run(connection, "SET LOCAL statement_timeout TO DEFAULT", error)
               : 0;
}

/* ---- what it depends on ---- */

/* What must be known before a transaction begins. */
#define FACTS                                                                                      \
    "SELECT c.relkind, pg_catalog.has_table_privilege(c.oid, 'SELECT'), " TRUST_IS_SUPERUSER ","   \
    " pg_catalog.row_security_active(c.oid),"                                                      \
    " EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extname"                               \
    "  OPERATOR(pg_catalog.=) ANY (ARRAY['timescaledb', 'citus']::pg_catalog.name[]))"             \
    " FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) %u::pg_catalog.oid"

/* $1: the relation's name, $2: its oid. The name's oid; these facts, its columns and its indexes. */
static const char state_question[] =
    "SELECT pg_catalog.to_regclass($1)::pg_catalog.oid, (SELECT concat_ws(' ', c.relkind,"
    " has_table_privilege(c.oid, 'SELECT'), " TRUST_IS_SUPERUSER ", row_security_active(c.oid),"
    " EXISTS (SELECT FROM pg_extension x WHERE x.extname IN ('timescaledb', 'citus')),"
    " (SELECT string_agg(ROW(a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated,"
    "   a.attcollation)::text, ' ' ORDER BY a.attnum) FROM pg_attribute a"
    "  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),"
    " (SELECT string_agg(ROW(i.indexrelid, i.indkey::text, i.indnkeyatts, i.indisprimary,"
    "   i.indimmediate, i.indisvalid, i.indclass::text, i.indcollation::text)::text, ' '"
    "   ORDER BY i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique))"
    " FROM pg_class c WHERE c.oid = $2::oid)";

static int ask_facts(struct connection *connection, const struct row_table *table,
                     struct row_layout *out, struct error *error)
{
    char sql[sizeof FACTS + 16];
    snprintf(sql, sizeof sql, FACTS, table->relation->oid);
    PGresult *row = NULL;
    int rc = connection_question(connection, sql, ROWS_OF("tBbBb"), &row, error);
    if (rc == 0 && PQntuples(row) != 1)
        rc = is_another(error);
    if (rc == 0) {
        struct reading reading = connection_reading(connection);
        out->kind = (enum relation_kind)PQgetvalue(row, 0, 0)[0];
        bool table_like = out->kind == RELATION_TABLE || out->kind == RELATION_PARTITIONED;
        out->may_lock = table_like && PQgetvalue(row, 0, 1)[0] == 't';
        out->judged = PQgetvalue(row, 0, 2)[0] == 't' && !reading.trust_all;
        out->filtered = PQgetvalue(row, 0, 3)[0] == 't' && reading.filter_rows;
        out->may_be_spread = PQgetvalue(row, 0, 4)[0] == 't' && out->kind == RELATION_TABLE;
        if (!table_like && out->kind != RELATION_MATVIEW)
            rc = error_set(error, -ENOENT, "the rows of a view or a foreign table have no keys");
    }
    PQclear(row);
    return rc;
}

static int ask_state(struct connection *connection, const struct row_table *table, char **out,
                     struct error *error)
{
    const struct relation *relation = table->relation;
    struct text name = {0};
    char oid[16];
    snprintf(oid, sizeof oid, "%u", relation->oid);
    sql_relation(&name, relation->schema, relation->name);
    const char *parameters[] = {text_string(&name), oid};
    PGresult *row = NULL;
    int rc = parameters[0] == NULL ? error_no_memory(error)
                                   : connection_ask(connection, state_question, 2, parameters,
                                                    ONE_ROW_OF("NT"), &row, error);
    text_clear(&name);
    if (rc == 0 &&
        (PQgetisnull(row, 0, 1) || strtoul(PQgetvalue(row, 0, 0), NULL, 10) != relation->oid))
        rc = is_another(error);
    if (rc == 0 && (*out = strdup(PQgetvalue(row, 0, 1))) == NULL)
        rc = error_no_memory(error);
    PQclear(row);
    return rc;
}

static int check_state(struct connection *connection, const struct row_table *table,
                       const struct row_layout *layout, struct error *error)
{
    char *state;
    int rc = ask_state(connection, table, &state, error);
    if (rc < 0)
        return rc;
    if (strcmp(state, layout->state) != 0)
        rc = error_set(error, -ESTALE, "the table's columns have changed in the meantime");
    free(state);
    return rc;
}

/* A table that is locked stays what it is; but a partition was not locked before it was read. */
int row_layout_check(struct session *session, const struct row_table *table,
                     const struct row_layout *layout, struct error *error)
{
    struct connection *connection = session_connection(session);
    if (layout->may_lock && layout->kind == RELATION_TABLE)
        return 0;
    int rc = layout->filtered ? connection_run(connection, SEARCH_PATH_OURS, error) : 0;
    if (rc == 0 && !layout->may_lock)
        rc = check_state(connection, table, layout, error);
    return rc == 0 ? same_relation_check(connection, table->relation, error) : rc;
}

/* ---- columns and keys ---- */

static int take_columns(struct connection *connection, const struct row_table *table,
                        struct row_layout *out, struct error *error)
{
    static const unsigned parts[ROW_FORMS] = {
        [ROW_AS_TEXT] = 1 << PART_TEXT, [ROW_AS_JSON] = 1 << PART_JSON};
    struct relation relation = *table->relation;
    struct columns columns = {0};
    relation.kind = out->kind;
    int rc = out->may_be_spread ? describe_spread(connection, &relation, error) : 0;
    if (rc == 0)
        rc = describe_columns(connection, &relation, false, NULL, NULL, &columns, error);
    if (rc < 0)
        return rc;
    out->kind = relation.kind;
    out->json_apart = columns.json_apart;
    int count = columns.schema->column_count;
    int *all = calloc((size_t)count + 1, sizeof *all);
    rc = all == NULL ? -ENOMEM : 0;
    for (int i = 0; rc == 0 && i < count; i++)
        all[i] = i;
    for (int form = 0; rc == 0 && form < ROW_FORMS; form++) {
        rc = schema_choose(columns.schema, all, count, &out->schemas[form]);
        if (rc == 0)
            schema_number(out->schemas[form], columns.with_binary, parts[form]);
    }
    free(all);
    columns_clear(&columns);
    return rc == 0 ? 0 : error_no_memory(error);
}

/* Columns of the primary key, then unique ones, by the equality of the index: strategy 3 of B-trees
 * (403). A primary key that is not all there is none that we know: it may be of another kind of index.
 * A unique index by another collation than the column's would not be used. */
#define KEYS                                                                                       \
    "SELECT i.indisprimary, i.indnkeyatts, a.attname, b.oid, b.oid::regtype::text, n.nspname,"     \
    " o.oprname, i.indimmediate"                                                                   \
    " FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, place)"               \
    " JOIN pg_attribute a ON a.attnum = k.number,"                                                 \
    " LATERAL (WITH RECURSIVE base AS ("                                                           \
    "  SELECT t.oid, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid"             \
    "  UNION ALL SELECT t.oid, t.typtype, t.typbasetype FROM base d"                               \
    "  JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd')"                             \
    "  SELECT base.oid FROM base WHERE base.typtype <> 'd') AS b,"                                 \
    " pg_opclass c, pg_amop p, pg_operator o, pg_namespace n"                                      \
    " WHERE i.indrelid = %u::oid AND a.attrelid = i.indrelid AND k.place <= i.indnkeyatts"         \
    "  AND c.oid = i.indclass[(k.place - 1)::int4] AND c.opcmethod = 403"                          \
    "  AND p.amopfamily = c.opcfamily AND p.amoplefttype = c.opcintype"                            \
    "  AND p.amoprighttype = c.opcintype AND p.amopstrategy = 3 AND p.amoppurpose = 's'"           \
    "  AND o.oid = p.amopopr AND n.oid = o.oprnamespace"                                           \
    "  AND (i.indisprimary OR i.indisunique AND i.indimmediate AND i.indisvalid"                   \
    "   AND i.indnkeyatts = 1 AND i.indpred IS NULL AND i.indexprs IS NULL"                        \
    "   AND i.indcollation[0] = a.attcollation)"                                                   \
    " ORDER BY i.indisprimary DESC, i.indexrelid, k.place"
enum { K_PRIMARY, K_COLUMNS, K_NAME, K_TYPE, K_TYPE_NAME, K_SCHEMA, K_OPERATOR, K_IMMEDIATE };
#define K_SHAPE "bntntttb"

static bool is_set(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static int add_key(struct row_layout *out, const PGresult *rows, int row)
{
    struct key_column *column = &out->keys[out->key_count + out->unique_count];
    struct text equals = {0};
    text_put(&equals, "OPERATOR(");
    sql_name(&equals, PQgetvalue(rows, row, K_SCHEMA));
    text_printf(&equals, ".%s)", PQgetvalue(rows, row, K_OPERATOR));
    *column =
        (struct key_column){.name = strdup(PQgetvalue(rows, row, K_NAME)),
                            .type = (uint32_t)strtoul(PQgetvalue(rows, row, K_TYPE), NULL, 10),
                            .type_name = strdup(PQgetvalue(rows, row, K_TYPE_NAME)),
                            .equals = text_take(&equals)};
    return column->name == NULL || column->type_name == NULL || column->equals == NULL ? -ENOMEM
                                                                                       : 0;
}

static int take_keys(struct row_layout *out, const PGresult *rows)
{
    int count = PQntuples(rows), of_primary = 0, rc = 0;
    out->keys = calloc(2 * (size_t)count + 1, sizeof *out->keys);
    if (out->keys == NULL)
        return -ENOMEM;
    while (of_primary < count && is_set(rows, of_primary, K_PRIMARY))
        of_primary++;
    bool known = of_primary > 0 && atoi(PQgetvalue(rows, 0, K_COLUMNS)) == of_primary;
    for (int i = 0; rc == 0 && known && i < of_primary; i++, out->key_count++)
        rc = add_key(out, rows, i);
    bool unique = known && of_primary == 1 && is_set(rows, 0, K_IMMEDIATE);
    for (int i = unique ? 0 : of_primary; rc == 0 && i < count; i++, out->unique_count++)
        rc = add_key(out, rows, i);
    if (rc < 0)
        out->unique_count++; /* what there is of it is freed, too */
    return rc;
}

static int ask_keys(struct connection *connection, const struct row_table *table,
                    struct row_layout *out, struct error *error)
{
    char sql[sizeof KEYS + 16];
    snprintf(sql, sizeof sql, KEYS, table->relation->oid);
    PGresult *rows = NULL;
    int rc = connection_rows(connection, sql, ROWS_OF(K_SHAPE), &rows, error);
    if (rc == 0 && take_keys(out, rows) < 0)
        rc = error_no_memory(error);
    PQclear(rows);
    return rc;
}

/* ---- whose functions would run ---- */

/* All that our statements name of the table's keys: a statement with parameters cannot be judged, so
 * each column stands for its parameter, and a cast for what makes a value of the parameter's text. */
static char *write_judged(const struct row_table *table, const struct row_layout *layout)
{
    struct text sql = {0};
    text_put(&sql, "SELECT 1");
    row_layout_put_from(&sql, table->relation, layout);
    text_put(&sql, " WHERE true");
    for (int i = 0; i < layout->key_count + layout->unique_count; i++) {
        const struct key_column *column = &layout->keys[i];
        text_put(&sql, " AND ");
        sql_name(&sql, column->name);
        text_printf(&sql, " %s ", column->equals);
        sql_name(&sql, column->name);
        text_put(&sql, " AND pg_catalog.format('%s', ");
        sql_name(&sql, column->name);
        text_printf(&sql, ")::%s IS NOT NULL", column->type_name);
    }
    row_layout_put_order(&sql, layout);
    return text_take(&sql);
}

static int judge(struct connection *connection, const struct row_table *table,
                 const struct row_layout *layout, enum row_form form, struct error *error)
{
    char *sql = write_judged(table, layout), *tree = NULL;
    int rc =
        sql == NULL ? error_no_memory(error) : connection_parse_tree(connection, sql, &tree, error);
    if (rc == 0)
        rc = connection_run(connection, SEARCH_PATH_OURS, error);
    if (rc == 0)
        rc = trust_check(connection, table->relation->oid, tree, form == ROW_AS_JSON, error);
    free(tree);
    free(sql);
    return rc;
}

/* Judges, unless nothing at all has changed since the last time. */
static int judge_once(struct connection *connection, const struct row_table *table,
                      struct row_layout *layout, enum row_form form, const char *mark,
                      struct error *error)
{
    char *copy = strdup(mark);
    if (copy == NULL)
        return error_no_memory(error);
    pthread_mutex_lock(&layout->lock);
    bool holds = layout->verdicts[form] != NULL && mark_holds(layout->verdicts[form], mark);
    pthread_mutex_unlock(&layout->lock);
    int rc = holds ? 0 : judge(connection, table, layout, form, error);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    pthread_mutex_lock(&layout->lock);
    free(layout->verdicts[form]);
    layout->verdicts[form] = copy;
    pthread_mutex_unlock(&layout->lock);
    return 0;
}

/* The mark of what the transaction sees. If a standby's replayed position is asked for before the
 * snapshot is taken, it tells what the snapshot sees; if not, the mark never holds. */
static int read_mark(struct connection *connection, const struct row_table *table,
                     const struct cluster *before, struct row_layout *layout, char **out,
                     struct error *error)
{
    struct cluster cluster;
    char *mark = NULL;
    int rc = cluster_read(connection, &cluster, error);
    if (rc < 0)
        return rc;
    uint64_t position = cluster.position;
    layout->standby = cluster.standby;
    if (cluster.standby)
        cluster.position = before->standby ? before->position : 0;
    rc = cluster_mark(&cluster, cluster.snapshot, position, &mark);
    cluster_clear(&cluster);
    if (rc < 0)
        return error_no_memory(error);
    rc = mark_check(mark, table->system_id, table->database, error);
    if (rc < 0)
        free(mark);
    else
        *out = mark;
    return rc;
}

/* ---- entering ---- */

static int layout_new(struct row_layout **out, struct error *error)
{
    struct row_layout *layout = calloc(1, sizeof *layout);
    if (layout == NULL)
        return error_no_memory(error);
    layout->refs = 1;
    pthread_mutex_init(&layout->lock, NULL);
    *out = layout;
    return 0;
}

/* Begins the transaction, and reads the layout in it. */
static int describe(struct session *session, const struct row_table *table, struct row_layout **out,
                    struct error *error)
{
    struct connection *connection = session_connection(session);
    struct row_layout *layout = NULL;
    int rc = layout_new(&layout, error);
    if (rc < 0)
        return rc;
    rc = ask_facts(connection, table, layout, error);
    if (rc == 0)
        rc = row_layout_begin(session, table, layout, error);
    if (rc == 0)
        rc = ask_state(connection, table, &layout->state, error);
    if (rc == 0)
        rc = take_columns(connection, table, layout, error);
    if (rc == 0)
        rc = ask_keys(connection, table, layout, error);
    if (rc < 0)
        row_layout_unref(layout);
    else
        *out = layout;
    return rc;
}

/* Begins the transaction by the layout, or by a new one, if there is none, or if that is out of
 * date. */
static int begin(struct session *session, const struct row_table *table, struct row_layout **layout,
                 struct error *error)
{
    struct connection *connection = session_connection(session);
    if (*layout != NULL) {
        int rc = row_layout_begin(session, table, *layout, error);
        if (rc == 0)
            rc = check_state(connection, table, *layout, error);
        if (rc != -ESTALE)
            return rc;
        connection_end(connection);
        row_layout_unref(*layout);
        *layout = NULL;
    }
    return describe(session, table, layout, error);
}

static int enter(struct session *session, const struct row_table *table, enum row_form form,
                 struct row_layout **layout, struct error *error)
{
    struct connection *connection = session_connection(session);
    struct cluster before = {0};
    char *mark = NULL;
    bool asks = *layout != NULL && (*layout)->judged && (*layout)->standby;
    int rc = asks ? cluster_read(connection, &before, error) : 0;
    if (rc == 0)
        rc = begin(session, table, layout, error);
    if (rc == 0)
        rc = read_mark(connection, table, &before, *layout, &mark, error);
    if (rc == 0 && (*layout)->judged)
        rc = judge_once(connection, table, *layout, form, mark, error);
    if (rc < 0)
        connection_end(connection);
    cluster_clear(&before);
    free(mark);
    return rc;
}

/* The server may have begun to refuse what cluster_read asks for. */
int row_layout_enter(struct session *session, const struct row_table *table, enum row_form form,
                     struct row_layout **layout, struct error *error)
{
    int rc = enter(session, table, form, layout, error);
    return rc == -EAGAIN && connection_usable(session_connection(session))
               ? enter(session, table, form, layout, error)
               : rc;
}
