/* Read points, against a real server. */
#include "tests/unit/test_pgclient.h"

#include "codec/bytes.h"
#include "pgclient/selection.h"
#include "tests/unit/row_hash.h"

#include <pthread.h>

enum { ALL_PARTS = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON };

static int set_up(void **state)
{
    (void)state;
    test_find_server();
    test_new_database("pgr", "");
    test_sql("pgr", "CREATE EXTENSION vector");
    return 0;
}

/* ---- a relation under test ---- */

struct opened {
    struct test_pool pool;
    struct session *session;
    struct catalog *catalog;
    struct readpoint *readpoint;
};

static struct opened open_as(const char *database, const char *more, const char *table)
{
    struct opened o = {.pool = test_pool(database, more, 4)};
    struct error error = {""};
    o.session = test_take(&o.pool);
    o.catalog = test_catalog(o.session);
    const struct relation *relation = test_find(o.catalog, "public", table);
    assert_non_null(relation);
    if (readpoint_open(o.session, relation, &o.readpoint, &error) != 0)
        fail_msg("%s", error.text);
    schema_number(o.readpoint->schema, o.readpoint->with_binary, ALL_PARTS);
    return o;
}

static struct opened open_table(const char *table) { return open_as("pgr", "", table); }

static void close_table(struct opened *o)
{
    readpoint_close(o->readpoint);
    catalog_free(o->catalog);
    session_give(o->session);
    test_pool_free(&o->pool);
}

static uint64_t said; /* rows of the last COPY, by the server's word */

static int gather(void *context, const uint8_t *bytes, size_t size)
{
    return buffer_append(context, bytes, size);
}

/* Walks the rows of a stream. */
struct field {
    const uint8_t *bytes;
    int32_t size; /* -1: NULL */
};

static int next_row(const uint8_t **at, const uint8_t *end, struct field *fields, int most)
{
    if (*at == end)
        return -1;
    int count = load_be16(*at);
    *at += 2;
    assert_true(count <= most);
    for (int i = 0; i < count; i++) {
        fields[i].size = (int32_t)load_be32(*at);
        fields[i].bytes = *at + 4;
        *at += 4 + (fields[i].size > 0 ? fields[i].size : 0);
        assert_true(*at <= end);
    }
    return count;
}

static uint64_t count_rows(const struct buffer *stream)
{
    static struct field fields[5000];
    uint64_t rows = 0;
    const uint8_t *at = stream->data + 19;
    while (next_row(&at, stream->data + stream->size - 2, fields, 5000) >= 0)
        rows++;
    return rows;
}

/* Adds the COPY stream of all sources, checked for its header and trailer, without them. */
static void copy_rows(struct opened *o, struct buffer *rows)
{
    struct error error = {""};
    for (size_t i = 0; i < o->readpoint->source_count; i++) {
        struct buffer stream = {0};
        if (readpoint_copy(o->readpoint, o->session, o->readpoint->schema,
                           &o->readpoint->sources[i], NULL, gather, &stream, &said, &error) != 0)
            fail_msg("%s", error.text);
        assert_true(stream.size >= 21);
        assert_memory_equal(stream.data, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
        assert_memory_equal(stream.data + stream.size - 2, "\377\377", 2);
        assert_int_equal(said, count_rows(&stream));
        assert_int_equal(buffer_append(rows, stream.data + 19, stream.size - 21), 0);
        buffer_clear(&stream);
    }
}

/* Element `index` of an array field; "" of NULL with *null set. */
static char *element(const struct field *array, int index, bool *null)
{
    const uint8_t *at = array->bytes;
    assert_int_equal(load_be32(at), 1); /* dimensions */
    int count = (int)load_be32(at + 12);
    assert_true(index < count);
    at += 20;
    for (int i = 0;; i++) {
        int32_t size = (int32_t)load_be32(at);
        at += 4;
        if (i == index) {
            *null = size < 0;
            return strndup((const char *)at, size < 0 ? 0 : (size_t)size);
        }
        at += size < 0 ? 0 : size;
    }
}

static char *signature_of(const char *table)
{
    struct opened o = open_table(table);
    char *signature = strdup(o.readpoint->key.signature);
    close_table(&o);
    return signature;
}

/* ---- columns ---- */

static void columns_are_in_order_and_known(void **state)
{
    (void)state;
    test_sql("pgr",
             "CREATE DOMAIN small AS int4 CHECK (VALUE < 100); CREATE DOMAIN smaller AS small;"
             "CREATE TYPE pair AS (a int, b text); CREATE TYPE bad AS (a int, b aclitem);"
             "CREATE TABLE cols (z int, gone int, a text, \"q\"\"\n%\" smaller, g int GENERATED "
             "ALWAYS AS (z + 1) STORED,"
             " v vector(2), p pair, b bad, ba bad[], ac aclitem, r int4range, m int4multirange, rc "
             "regclass)");
    test_sql("pgr", "ALTER TABLE cols DROP gone");
    struct opened o = open_table("cols");
    struct schema *schema = o.readpoint->schema;
    static const char *const names[] = {"z", "a",  "q\"\n%", "g", "v", "p",
                                        "b", "ba", "ac",     "r", "m", "rc"};
    static const char *const types[] = {
        "integer",          "text",        "public.smaller", "integer",
        "public.vector(2)", "public.pair", "public.bad",     "public.bad[]",
        "aclitem",          "int4range",   "int4multirange", "regclass"};
    static const bool binary[] = {true,  true,  true,  true, true, true,
                                  false, false, false, true, true, true};
    assert_int_equal(schema->column_count, 12);
    for (int i = 0; i < 12; i++) {
        assert_string_equal(schema->columns[i].name, names[i]);
        assert_string_equal(schema->columns[i].type_name, types[i]);
        assert_int_equal(o.readpoint->with_binary[i], binary[i]);
        assert_int_equal(schema->columns[i].in_copy, i != 3);
    }
    assert_ptr_equal(schema->columns[0].type, type_find(NULL, "int4"));
    assert_ptr_equal(schema->columns[2].type, type_find(NULL, "int4"));
    assert_ptr_equal(schema->columns[4].type, type_find("vector", "vector"));
    assert_null(schema->columns[5].type);
    assert_true(schema->with_row_ids);
    assert_false(o.readpoint->key.proves); /* aclitem, regclass */
    assert_int_equal(o.readpoint->source_count, 1);
    assert_string_equal(o.readpoint->sources[0].from, "ONLY \"public\".\"cols\"");
    close_table(&o);
}

/* What the server renders for us is what psql would print, and row_to_json. */
static void rendered_values_are_the_servers(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE EXTENSION hstore; CREATE TYPE colour AS ENUM ('red', 'green')");
    test_sql("pgr", "CREATE TABLE vals (id serial, b bool, n numeric, j json, jb jsonb, ia int[], "
                    "r int4range, m money, x xml,"
                    " h hstore, c char(5), i inet, p pair, e colour, iv interval, ts timestamptz, "
                    "f point, d date, by bytea, k bit(3), t time);"
                    "INSERT INTO vals VALUES (1, true, 'NaN', '{\"a\" : 1}', '{\"b\":null}', "
                    "'{{1,NULL},{3,4}}', '[1,5)', 12.5, '<a/>',"
                    " 'a=>1', 'x', '10.0.0.0/8', ROW(NULL, NULL), 'red', '1 day 2 hours', "
                    "'2020-01-01', '(1,2)', 'infinity', '\\x00ff', '101', '12:00'),"
                    " (2, NULL, NULL, 'null', 'null', '{}', 'empty', NULL, NULL, NULL, NULL, NULL, "
                    "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
                    " (3, false, 'Infinity', '[1, 2]', '\"x\"', NULL, NULL, -1, NULL, 'q=>NULL', "
                    "'', '::1', ROW(1, 'a,\"b'), 'green', '-1 mon', 'infinity', NULL, '0044-03-15 "
                    "BC', '', '000', '24:00');");
    struct opened o = open_table("vals");
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    const uint8_t *at = rows.data;
    struct field fields[64];
    for (int row = 1; row <= 3; row++) {
        int count = next_row(&at, rows.data + rows.size, fields, 64);
        struct schema *schema = o.readpoint->schema;
        assert_int_equal(count, 2 + schema->part_count[PART_BINARY] + 2);
        for (int i = 0; i < schema->column_count; i++) {
            if (schema->columns[i].type != NULL)
                continue;
            char sql[512];
            for (int kind = PART_TEXT; kind <= PART_JSON; kind++) {
                int first = schema->part_count[PART_BINARY] +
                            (kind == PART_JSON ? schema->part_count[PART_TEXT] : 0);
                bool null;
                char *got = element(&fields[count - (kind == PART_TEXT ? 2 : 1)],
                                    schema->columns[i].part[kind] - first, &null);
                snprintf(sql, sizeof sql,
                         kind == PART_TEXT ? "SET DateStyle = ISO; SET TimeZone = 'UTC'; SELECT %s "
                                             "FROM vals WHERE id = %d"
                                           : "SET DateStyle = ISO; SET TimeZone = 'UTC'; SELECT "
                                             "row_to_json(v)->'%s' FROM vals v WHERE id = %d",
                         schema->columns[i].name, row);
                char *expected = test_value("pgr", sql);
                /* JSON: NULL is absent there and null in row_to_json; the column's own json null
                 * stays a text. */
                assert_string_equal(got, null && kind == PART_JSON ? "" : expected);
                if (null && kind == PART_JSON)
                    assert_string_equal(expected, "null");
                free(expected);
                free(got);
            }
        }
    }
    assert_ptr_equal(at, rows.data + rows.size);
    buffer_clear(&rows);
    close_table(&o);
}

static void null_composites_and_empty_ones_differ(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE composites (p pair); INSERT INTO composites VALUES (NULL), "
                    "(ROW(NULL, NULL)), (ROW(1, NULL))");
    struct opened o = open_table("composites");
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    const uint8_t *at = rows.data;
    static const char *const texts[] = {"", "(,)", "(1,)"}, *const jsons[] = {
                                                                "", "{\"a\":null,\"b\":null}",
                                                                "{\"a\":1,\"b\":null}"};
    for (int row = 0; row < 3; row++) {
        struct field fields[8];
        assert_int_equal(next_row(&at, rows.data + rows.size, fields, 8), 5);
        bool null;
        char *text = element(&fields[3], 0, &null);
        assert_int_equal(null, row == 0);
        assert_string_equal(text, texts[row]);
        char *json = element(&fields[4], 0, &null);
        assert_int_equal(null, row == 0);
        assert_string_equal(json, jsons[row]);
        free(text), free(json);
    }
    buffer_clear(&rows);
    close_table(&o);
}

static void sixteen_hundred_columns_and_none(void **state)
{
    (void)state;
    struct buffer sql = {0};
    assert_int_equal(buffer_append_text(&sql, "CREATE TABLE wide ("), 0);
    for (int i = 0; i < 1600; i++)
        assert_int_equal(buffer_printf(&sql, "%sc%d bit", i ? "," : "", i), 0);
    assert_int_equal(buffer_append(&sql, ")", 2), 0);
    test_sql("pgr", (const char *)sql.data);
    buffer_clear(&sql);
    test_sql("pgr", "INSERT INTO wide DEFAULT VALUES; CREATE TABLE none (); INSERT INTO none "
                    "DEFAULT VALUES; INSERT INTO none DEFAULT VALUES");
    struct opened o = open_table("wide");
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    static struct field fields[1700];
    const uint8_t *at = rows.data;
    int parts = o.readpoint->schema->part_count[PART_TEXT] > 0 ? 2 : 0;
    assert_int_equal(next_row(&at, rows.data + rows.size, fields, 1700), 2 + 1600 + parts);
    buffer_clear(&rows);
    close_table(&o);

    o = open_table("none");
    copy_rows(&o, &rows);
    assert_int_equal(rows.size, 2 * (2 + 4 + 6 + 4 + 4));
    buffer_clear(&rows);
    o.readpoint->schema->with_row_ids = false;
    copy_rows(&o, &rows);
    assert_int_equal(rows.size, 2 * 2);
    buffer_clear(&rows);
    close_table(&o);
}

/* ---- signature and fingerprint ---- */

static void assert_signature(const char *table, const char *sql, bool changes)
{
    char *before = signature_of(table);
    test_sql("pgr", sql);
    char *after = signature_of(table);
    if (changes == (strcmp(before, after) == 0))
        fail_msg("%s: the signature %s", sql, changes ? "stays" : "changes");
    free(before);
    free(after);
}

static void signature_changes_with_the_catalog(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TYPE inner_type AS (m mood); "
                    "CREATE DOMAIN moods AS inner_type[];"
                    "CREATE TABLE signed (id int PRIMARY KEY, m moods); INSERT INTO signed VALUES "
                    "(1, NULL), (2, NULL);"
                    "CREATE TABLE signed_unlogged (id int)");
    assert_signature("signed", "SELECT 1", false);
    assert_signature("signed", "INSERT INTO signed VALUES (3, NULL)", false);
    assert_signature("signed", "VACUUM signed", false);
    assert_signature("signed", "VACUUM FREEZE signed", false);
    assert_signature("signed", "ANALYZE signed", false);
    assert_signature("signed", "CREATE INDEX ON signed (id)", false);
    assert_signature("signed", "ALTER TABLE signed ADD extra int DEFAULT 5", true);
    assert_signature("signed", "ALTER TABLE signed RENAME extra TO more", true);
    assert_signature("signed", "ALTER TYPE mood RENAME VALUE 'a' TO 'z'", true);
    assert_signature("signed", "ALTER TYPE mood ADD VALUE 'c'", true);
    assert_signature("signed", "ALTER TYPE inner_type RENAME ATTRIBUTE m TO mm", true);
    assert_signature("signed", "CLUSTER signed USING signed_pkey", true);
    assert_signature("signed", "VACUUM FULL signed", true);
    assert_signature("signed", "TRUNCATE signed", true);
    assert_signature("signed", "ALTER TABLE signed DROP more", true);
    assert_signature("signed_unlogged", "ALTER TABLE signed_unlogged SET UNLOGGED", true);
    test_sql("pgr", "CREATE VIEW viewed AS SELECT 1 AS one");
    assert_signature("viewed", "CREATE OR REPLACE VIEW viewed AS SELECT 2 AS one", true);
    struct opened o = open_table("signed");
    assert_true(o.readpoint->key.proves);
    close_table(&o);
    o = open_table("viewed");
    assert_false(o.readpoint->key.proves);
    close_table(&o);
    assert_signature("signed", "ALTER DATABASE pgr SET lc_monetary = 'POSIX'", true);
    test_sql("pgr", "ALTER DATABASE pgr RESET ALL");
}

static int whole_fingerprint(struct readpoint *readpoint, uint64_t *rows, uint64_t *sum,
                             struct error *error)
{
    const struct ctid_range everything = {.end = {UINT32_MAX, 0}};
    struct fingerprint one;
    int rc = 0;
    *rows = *sum = 0;
    for (size_t i = 0; rc == 0 && i < readpoint->source_count; i++) {
        rc = readpoint_fingerprint(readpoint->leader, &readpoint->sources[i], &everything, 1, &one,
                                   error);
        *rows += rc == 0 ? one.rows : 0;
        *sum += rc == 0 ? one.sum : 0;
    }
    return rc;
}

static void fingerprint(const char *table, uint64_t *rows, uint64_t *sum)
{
    struct opened o = open_table(table);
    struct error error = {""};
    if (whole_fingerprint(o.readpoint, rows, sum, &error) != 0)
        fail_msg("%s", error.text);
    /* The same from what COPY delivers. */
    struct buffer stream = {0};
    copy_rows(&o, &stream);
    uint64_t own_rows = 0, own_sum = 0;
    struct field fields[16];
    const uint8_t *at = stream.data;
    while (next_row(&at, stream.data + stream.size, fields, 16) >= 0) {
        own_rows++;
        own_sum += row_hash(load_be32(fields[0].bytes), load_be16(fields[0].bytes + 4),
                            load_be32(fields[1].bytes));
    }
    assert_int_equal(own_rows, *rows);
    assert_true(own_sum == *sum);
    buffer_clear(&stream);
    close_table(&o);
}

static void fingerprint_changes_with_the_rows(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE fingers (id int, t text)");
    uint64_t rows, sum, rows_before, sum_before;
    fingerprint("fingers", &rows, &sum);
    assert_int_equal(rows, 0);
    assert_int_equal(sum, 0);
    test_sql("pgr", "INSERT INTO fingers SELECT g, 'x' FROM generate_series(1, 5000) g");
    fingerprint("fingers", &rows_before, &sum_before);
    assert_int_equal(rows_before, 5000);
    fingerprint("fingers", &rows, &sum);
    assert_true(sum == sum_before);
    test_sql("pgr", "VACUUM FREEZE fingers");
    fingerprint("fingers", &rows, &sum);
    assert_true(sum == sum_before);
    test_sql("pgr", "UPDATE fingers SET t = 'y' WHERE id = 7");
    fingerprint("fingers", &rows, &sum);
    assert_int_equal(rows, 5000);
    assert_true(sum != sum_before);
    test_sql("pgr", "DELETE FROM fingers WHERE id = 8");
    fingerprint("fingers", &rows, &sum);
    assert_int_equal(rows, 4999);
}

/* Cut anywhere, also within pages and into more ranges than one statement takes, they add up to the
 * whole, and each is what COPY delivers of its range. */
static void fingerprints_of_ranges(void **state)
{
    (void)state;
    enum { RANGES = 100 };
    test_sql("pgr", "CREATE TABLE finger_ranges AS SELECT g AS id FROM generate_series(1, 30000) g;"
                    "DELETE FROM finger_ranges WHERE id BETWEEN 9000 AND 12000");
    struct opened o = open_table("finger_ranges");
    const struct source *source = &o.readpoint->sources[0];
    struct ctid_range ranges[RANGES];
    struct fingerprint found[RANGES], whole;
    struct error error = {""};
    struct ctid at = {0, 0};
    for (uint32_t i = 0; i < RANGES; i++) {
        ranges[i].first = at;
        at = i == RANGES - 1
                 ? (struct ctid){UINT32_MAX, 0}
                 : (struct ctid){(i + 1) * source->pages / RANGES, (uint16_t)((i * 37) % 200)};
        ranges[i].end = at;
    }
    const struct ctid_range everything = {.end = {UINT32_MAX, 0}};
    assert_int_equal(readpoint_fingerprint(o.session, source, ranges, RANGES, found, &error), 0);
    assert_int_equal(readpoint_fingerprint(o.session, source, &everything, 1, &whole, &error), 0);
    uint64_t rows = 0, sum = 0, empty = 0;
    for (int i = 0; i < RANGES; i++) {
        rows += found[i].rows;
        sum += found[i].sum;
        empty += found[i].rows == 0;
    }
    assert_int_equal(rows, 30000 - 3001);
    assert_int_equal(whole.rows, rows);
    assert_true(whole.sum == sum);
    assert_true(empty > 0);
    for (int i = 0; i < RANGES; i += 29) {
        struct buffer stream = {0};
        struct field fields[16];
        struct fingerprint own = {0};
        assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema, source,
                                        &ranges[i], gather, &stream, &said, &error),
                         0);
        for (const uint8_t *row = stream.data + 19;
             next_row(&row, stream.data + stream.size - 2, fields, 16) >= 0; own.rows++)
            own.sum += row_hash(load_be32(fields[0].bytes), load_be16(fields[0].bytes + 4),
                                load_be32(fields[1].bytes));
        assert_int_equal(own.rows, found[i].rows);
        assert_true(own.sum == found[i].sum);
        buffer_clear(&stream);
    }
    close_table(&o);
}

static void row_hash_is_the_servers(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgr", "", 1);
    struct session *session = test_take(&pool);
    PGresult *rows = NULL;
    struct error error = {""};
    if (connection_rows(
            session_connection(session),
            "SELECT b, o, x, hashtidextended(format('(%s,%s)', b, o)::tid, x)::text FROM"
            " (SELECT (random() * 4294967294)::int8 AS b, (random() * 65535)::int4 AS o, (random() "
            "* 4294967295)::int8 AS x"
            "  FROM generate_series(1, 50000)"
            "  UNION ALL SELECT b, o, x FROM unnest('{0,1,65535,65536,4294967294}'::int8[]) b,"
            "  unnest('{0,1,255,256,65535}'::int4[]) o, "
            "unnest('{0,1,2,3,65536,2147483648,4294967295}'::int8[]) x) AS t",
            ANYTHING, &rows, &error) != 0)
        fail_msg("%s", error.text);
    for (int i = 0; i < PQntuples(rows); i++) {
        uint64_t hash = row_hash((uint32_t)strtoul(PQgetvalue(rows, i, 0), NULL, 10),
                                 (uint16_t)atoi(PQgetvalue(rows, i, 1)),
                                 (uint32_t)strtoul(PQgetvalue(rows, i, 2), NULL, 10));
        assert_true(hash == (uint64_t)strtoll(PQgetvalue(rows, i, 3), NULL, 10));
    }
    assert_true(PQntuples(rows) > 50000);
    PQclear(rows);
    session_give(session);
    test_pool_free(&pool);
}

/* ---- ranges and joining ---- */

static int locks_of(struct session *session)
{
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_locks WHERE locktype = 'relation' AND pid = %d",
             connection_backend(session_connection(session)));
    char *value = test_value("pgr", sql);
    int locks = atoi(value);
    free(value);
    return locks;
}

/* The leader locks all partitions, the others only what they read. */
static void workers_do_not_lock_every_partition(void **state)
{
    (void)state;
    test_sql("pgr",
             "CREATE TABLE many_parts (id int) PARTITION BY RANGE (id);"
             "DO $$ BEGIN FOR i IN 0..39 LOOP EXECUTE format("
             "'CREATE TABLE many_parts_%s PARTITION OF many_parts FOR VALUES FROM (%s) TO (%s)',"
             " i, i * 10, i * 10 + 10); END LOOP; END $$;"
             "INSERT INTO many_parts SELECT generate_series(0, 399)");
    struct opened o = open_table("many_parts");
    assert_int_equal(o.readpoint->source_count, 40);
    assert_true(locks_of(o.session) >= 41);
    struct session *worker = test_take(&o.pool);
    struct error error = {""};
    if (readpoint_join(o.readpoint, worker, NULL, &error) != 0)
        fail_msg("%s", error.text);
    assert_true(locks_of(worker) < 10);
    struct buffer stream = {0};
    const struct ctid_range all = {{0, 0}, {UINT32_MAX, 0}};
    for (size_t i = 0; i < o.readpoint->source_count; i++)
        assert_int_equal(readpoint_copy(o.readpoint, worker, o.readpoint->schema,
                                        &o.readpoint->sources[i], &all, gather, &stream, &said,
                                        &error),
                         0);
    assert_true(locks_of(worker) < 10);
    buffer_clear(&stream);
    readpoint_leave(worker);
    session_give(worker);
    close_table(&o);
}

/* As behind a balancer: the name of the snapshot is there, and is another one's. */
static void another_snapshot_of_that_name_is_refused(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE joined (a int); INSERT INTO joined VALUES (1)");
    struct opened o = open_table("joined");
    test_sql("pgr", "INSERT INTO joined VALUES (2)");
    PGconn *other = PQconnectdb("dbname=pgr");
    PGresult *name =
        PQexec(other, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot()");
    char *mine = o.readpoint->snapshot;
    o.readpoint->snapshot = PQgetvalue(name, 0, 0);
    struct session *worker = test_take(&o.pool);
    struct error error = {""};
    assert_int_equal(readpoint_join(o.readpoint, worker, NULL, &error), -EAGAIN);
    assert_non_null(strstr(error.text, "another server"));
    assert_false(connection_in_transaction(session_connection(worker)));
    o.readpoint->snapshot = mine;
    assert_int_equal(readpoint_join(o.readpoint, worker, NULL, &error), 0);
    PQclear(name);
    PQfinish(other);
    readpoint_leave(worker);
    session_give(worker);
    close_table(&o);
}

static void ranges_together_are_the_whole(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE ranged (id int, t text); INSERT INTO ranged SELECT g, "
                    "repeat('x', 300) FROM generate_series(1, 2000) g;"
                    "DELETE FROM ranged WHERE id % 3 = 0");
    test_sql("pgr", "VACUUM ranged");
    test_sql("pgr", "INSERT INTO ranged SELECT g, 'late' FROM generate_series(1, 50) g");
    struct opened o = open_table("ranged");
    struct source *source = &o.readpoint->sources[0];
    assert_true(source->pages > 50);
    struct buffer whole = {0}, parts = {0};
    copy_rows(&o, &whole);
    struct ctid cuts[] = {{0, 0},         {0, 5}, {1, 0}, {1, 65535}, {20, 3}, {source->pages, 0},
                          {UINT32_MAX, 0}};
    struct session *worker = test_take(&o.pool);
    struct error error = {""};
    if (readpoint_join(o.readpoint, worker, NULL, &error) != 0)
        fail_msg("%s", error.text);
    test_sql("pgr", "INSERT INTO ranged VALUES (99999, 'after the snapshot')");
    for (size_t i = 0; i + 1 < sizeof cuts / sizeof *cuts; i++) {
        struct buffer stream = {0};
        struct ctid_range range = {cuts[i], cuts[i + 1]};
        assert_int_equal(readpoint_copy(o.readpoint, i % 2 ? worker : o.session,
                                        o.readpoint->schema, source, &range, gather, &stream, &said,
                                        &error),
                         0);
        assert_int_equal(buffer_append(&parts, stream.data + 19, stream.size - 21), 0);
        buffer_clear(&stream);
    }
    assert_int_equal(parts.size, whole.size);
    assert_memory_equal(parts.data, whole.data, whole.size);
    readpoint_leave(worker);
    session_give(worker);
    buffer_clear(&whole);
    buffer_clear(&parts);
    close_table(&o);
}

static int refuse(void *context, const uint8_t *bytes, size_t size)
{
    (void)bytes, (void)size;
    return ++*(int *)context == 3 ? -ENOSPC : 0;
}

static void failures_leave_the_snapshot(void **state)
{
    (void)state;
    test_sql("pgr",
             "CREATE TABLE kept AS SELECT g AS id FROM generate_series(1, 100000) g;"
             "CREATE VIEW failing AS SELECT 1 / (50 - g) AS q FROM generate_series(1, 100) g");
    struct opened o = open_table("kept");
    int rows = 0;
    struct error error = {""};
    assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema,
                                    &o.readpoint->sources[0], NULL, refuse, &rows, &said, &error),
                     -ENOSPC);
    test_sql("pgr", "DELETE FROM kept");
    uint64_t count, sum;
    assert_int_equal(whole_fingerprint(o.readpoint, &count, &sum, &error), 0);
    assert_int_equal(count, 100000);
    close_table(&o);

    o = open_table("failing");
    struct buffer stream = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema,
                                        &o.readpoint->sources[0], NULL, gather, &stream, &said,
                                        &error),
                         -EIO);
        assert_non_null(strstr(error.text, "division by zero"));
    }
    assert_int_equal(whole_fingerprint(o.readpoint, &count, &sum, &error), -EINVAL);
    buffer_clear(&stream);
    close_table(&o);
}

static void *lock_exclusively(void *argument)
{
    (void)argument;
    PGconn *pg = PQconnectdb("dbname=pgr");
    PQclear(PQexec(pg, "BEGIN; LOCK TABLE queued; SELECT pg_sleep(0)"));
    PQfinish(pg);
    return NULL;
}

static void joining_never_waits_behind_a_lock(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE queued (a int)");
    struct opened o = open_table("queued");
    pthread_t thread;
    pthread_create(&thread, NULL, lock_exclusively, NULL);
    usleep(300000);
    struct session *worker = test_take(&o.pool);
    assert_int_equal(readpoint_join(o.readpoint, worker, NULL, NULL), -EAGAIN);
    session_give(worker);
    close_table(&o);
    pthread_join(thread, NULL);
}

/* ---- relations that change or go ---- */

static void renamed_and_dropped_relations(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE moving (a int); INSERT INTO moving VALUES (1)");
    struct test_pool pool = test_pool("pgr", "", 1);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    const struct relation *relation = test_find(catalog, "public", "moving");
    test_sql("pgr", "CREATE SCHEMA else_where; ALTER TABLE moving RENAME TO moved; ALTER TABLE "
                    "moved SET SCHEMA else_where;"
                    "CREATE TABLE moving (other text)");
    struct readpoint *readpoint = NULL;
    struct error error = {""};
    assert_int_equal(readpoint_open(session, relation, &readpoint, &error), 0);
    assert_string_equal(readpoint->relation.schema, "else_where");
    assert_string_equal(readpoint->relation.name, "moved");
    assert_string_equal(readpoint->schema->columns[0].name, "a");
    readpoint_close(readpoint);
    test_sql("pgr", "DROP TABLE else_where.moved");
    assert_int_equal(readpoint_open(session, relation, &readpoint, &error), -ENOENT);
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

static void *rewrite_then_let_go(void *argument)
{
    PGconn *pg = argument;
    usleep(300000);
    PQclear(PQexec(pg, "COMMIT"));
    return NULL;
}

/* A rewrite that is under way when the read begins is waited for, and its result is what is read.
 */
static void rewrites_are_waited_for(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE truncated AS SELECT 1 AS a; CREATE MATERIALIZED VIEW refreshed "
                    "AS SELECT count(*) AS n FROM truncated;"
                    "CREATE VIEW replaced AS SELECT 1 AS a");
    static const char *const changes[][2] = {
        {"truncated", "BEGIN; TRUNCATE truncated; INSERT INTO truncated VALUES (1), (2)"},
        {"refreshed", "BEGIN; REFRESH MATERIALIZED VIEW refreshed"},
        {"replaced", "BEGIN; DROP VIEW replaced; CREATE VIEW replaced AS SELECT 1 AS a"},
        {"replaced", "BEGIN; CREATE OR REPLACE VIEW replaced AS SELECT 1 AS a, 2 AS b"},
    };
    for (size_t i = 0; i < 4; i++) {
        struct test_pool pool = test_pool("pgr", "", 1);
        struct session *session = test_take(&pool);
        struct catalog *catalog = test_catalog(session);
        PGconn *pg = PQconnectdb("dbname=pgr");
        PQclear(PQexec(pg, changes[i][1]));
        pthread_t thread;
        pthread_create(&thread, NULL, rewrite_then_let_go, pg);
        struct readpoint *readpoint = NULL;
        struct error error = {""};
        int rc = readpoint_open(session, test_find(catalog, "public", changes[i][0]), &readpoint,
                                &error);
        pthread_join(thread, NULL);
        PQfinish(pg);
        assert_int_equal(rc, i == 2 ? -ENOENT : 0);
        if (i == 0) {
            uint64_t rows, sum;
            assert_int_equal(whole_fingerprint(readpoint, &rows, &sum, &error), 0);
            assert_int_equal(rows, 2);
        }
        if (i == 3)
            assert_int_equal(readpoint->schema->column_count, 2);
        if (rc == 0)
            readpoint_close(readpoint);
        catalog_free(catalog);
        session_give(session);
        test_pool_free(&pool);
    }
}

/* Who may not LOCK takes a snapshot that is older than the lock: after a TRUNCATE it would show an
 * empty table. */
static void rewrites_are_waited_for_without_the_right_to_lock(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS reader3");
    test_sql("postgres", "CREATE ROLE reader3 LOGIN");
    test_sql("pgr", "CREATE TABLE truncated_too AS SELECT 1 AS a; GRANT SELECT (a) ON "
                    "truncated_too TO reader3");
    PGconn *pg = PQconnectdb("dbname=pgr");
    struct test_pool pool = test_pool("pgr", "user=reader3", 4);
    struct opened o = {.pool = pool, .session = test_take(&pool)};
    o.catalog = test_catalog(o.session);
    PQclear(PQexec(pg, "BEGIN; TRUNCATE truncated_too; INSERT INTO truncated_too VALUES (1), (2)"));
    pthread_t thread;
    pthread_create(&thread, NULL, rewrite_then_let_go, pg);
    struct error error = {""};
    int rc = readpoint_open(o.session, test_find(o.catalog, "public", "truncated_too"),
                            &o.readpoint, &error);
    pthread_join(thread, NULL);
    PQfinish(pg);
    assert_int_equal(rc, 0);
    schema_number(o.readpoint->schema, o.readpoint->with_binary, ALL_PARTS);
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    assert_int_equal(rows.size, 2 * (2 + 4 + 4));
    buffer_clear(&rows);
    close_table(&o);
    test_sql("pgr", "DROP OWNED BY reader3");
    test_sql("postgres", "DROP ROLE reader3");
}

/* ---- partitions, inheritance, privileges ---- */

static void assert_order(struct opened *o, const char *sql)
{
    struct buffer rows = {0};
    copy_rows(o, &rows);
    PGconn *pg = PQconnectdb("dbname=pgr");
    PGresult *result = PQexecParams(pg, sql, 0, NULL, NULL, NULL, NULL, 1);
    struct field fields[8];
    const uint8_t *at = rows.data;
    for (int i = 0; i < PQntuples(result); i++) {
        int count = next_row(&at, rows.data + rows.size, fields, 8);
        assert_true(count > 0);
        int first = o->readpoint->schema->with_row_ids ? 2 : 0;
        assert_memory_equal(fields[first].bytes, PQgetvalue(result, i, 0), 4);
    }
    assert_ptr_equal(at, rows.data + rows.size);
    PQclear(result);
    PQfinish(pg);
    buffer_clear(&rows);
}

static void partitions_come_in_the_servers_order(void **state)
{
    (void)state;
    test_sql(
        "pgr",
        "CREATE SCHEMA \"le\"\"aves\";"
        "CREATE TABLE tree (id int, t text, g int GENERATED ALWAYS AS (id * 2) STORED) PARTITION "
        "BY RANGE (id);"
        "CREATE TABLE \"le\"\"aves\".\"zz \u00fc\" (t text, dropped int, id int, g int GENERATED "
        "ALWAYS AS (id * 2) STORED);"
        "ALTER TABLE \"le\"\"aves\".\"zz \u00fc\" DROP dropped;"
        "ALTER TABLE tree ATTACH PARTITION \"le\"\"aves\".\"zz \u00fc\" FOR VALUES FROM (0) TO "
        "(10);"
        "CREATE TABLE aa PARTITION OF tree DEFAULT;"
        "CREATE TABLE mm PARTITION OF tree FOR VALUES FROM (10) TO (20) PARTITION BY LIST (id);"
        "CREATE TABLE mm2 PARTITION OF mm FOR VALUES IN (11, 18); CREATE TABLE mm1 PARTITION OF mm "
        "FOR VALUES IN (15, 12);"
        "INSERT INTO tree SELECT g, 't' || g FROM unnest('{100,15,3,12,11,18,7,-5}'::int[]) g;");
    struct opened o = open_table("tree");
    assert_int_equal(o.readpoint->source_count, 4);
    assert_true(o.readpoint->key.proves);
    assert_string_equal(o.readpoint->sources[0].from, "ONLY \"le\"\"aves\".\"zz \u00fc\"");
    assert_true(o.readpoint->schema->columns[2].in_copy);
    assert_order(&o, "SELECT id FROM tree");
    uint64_t rows, sum;
    assert_int_equal(whole_fingerprint(o.readpoint, &rows, &sum, NULL), 0);
    assert_int_equal(rows, 8);
    close_table(&o);

    char *before = signature_of("tree");
    test_sql("pgr", "CREATE TABLE late PARTITION OF tree FOR VALUES FROM (20) TO (30)");
    char *after = signature_of("tree");
    assert_string_not_equal(before, after);
    free(before), free(after);

    test_sql("pgr", "CREATE TABLE leafless (id int) PARTITION BY RANGE (id)");
    o = open_table("leafless");
    assert_int_equal(o.readpoint->source_count, 0);
    close_table(&o);
}

static void partitions_that_may_not_be_read_directly(void **state)
{
    (void)state;
    test_sql("postgres", "DROP ROLE IF EXISTS reader2");
    test_sql("postgres", "CREATE ROLE reader2 LOGIN");
    test_sql("pgr", "GRANT SELECT ON tree TO reader2");
    struct opened o = open_as("pgr", "user=reader2", "tree");
    assert_int_equal(o.readpoint->source_count, 1);
    assert_false(o.readpoint->sources[0].by_ctid);
    assert_string_equal(o.readpoint->sources[0].from, "\"public\".\"tree\"");
    assert_true(o.readpoint->key.proves); /* by its mark: its rows are in heaps all the same */
    assert_false(o.readpoint->schema->with_row_ids);
    assert_order(&o, "SELECT id FROM tree");
    close_table(&o);

    /* A leaf's own policies do not count for those who read its parent. */
    test_sql("pgr", "CREATE TABLE hedge (id int) PARTITION BY RANGE (id); CREATE TABLE hedge1 "
                    "PARTITION OF hedge FOR VALUES FROM (0) TO (10);"
                    "INSERT INTO hedge VALUES (1), (2); ALTER TABLE hedge1 ENABLE ROW LEVEL "
                    "SECURITY; GRANT SELECT ON hedge, hedge1 TO reader2");
    o = open_as("pgr", "user=reader2", "hedge");
    assert_false(o.readpoint->sources[0].by_ctid);
    assert_order(&o, "SELECT id FROM hedge");
    close_table(&o);

    test_sql("pgr", "CREATE EXTENSION IF NOT EXISTS file_fdw; CREATE SERVER files FOREIGN DATA "
                    "WRAPPER file_fdw;"
                    "CREATE TABLE mixed (id int) PARTITION BY RANGE (id); CREATE TABLE mixed1 "
                    "PARTITION OF mixed FOR VALUES FROM (0) TO (10);"
                    "CREATE FOREIGN TABLE mixed2 PARTITION OF mixed FOR VALUES FROM (10) TO (20) "
                    "SERVER files OPTIONS (program 'seq 10 12');"
                    "INSERT INTO mixed VALUES (1)");
    o = open_table("mixed");
    assert_int_equal(o.readpoint->source_count, 1);
    assert_false(o.readpoint->sources[0].by_ctid);
    assert_false(o.readpoint->key.proves);
    assert_order(&o, "SELECT id FROM mixed");
    close_table(&o);
    o = open_table("mixed2");
    assert_false(o.readpoint->key.proves);
    assert_order(&o, "SELECT id FROM mixed2");
    close_table(&o);
}

/* The server computes a virtual column as the table says that a query names. */
static void partitions_that_compute_otherwise(void **state)
{
    (void)state;
    enum { VIRTUAL_COLUMNS = 180000 };
    char *version = test_value("pgr", "SHOW server_version_num");
    bool has_them = atoi(version) >= VIRTUAL_COLUMNS;
    free(version);
    if (!has_them)
        skip();
    test_sql("pgr",
             "CREATE TABLE alike (b int GENERATED ALWAYS AS (a * 2) VIRTUAL, id int, a int)"
             " PARTITION BY RANGE (id);"
             "CREATE TABLE alike1 PARTITION OF alike FOR VALUES FROM (0) TO (10);"
             "CREATE TABLE alike2 (b int GENERATED ALWAYS AS (a * 2) VIRTUAL, a int, id int);"
             "ALTER TABLE alike ATTACH PARTITION alike2 FOR VALUES FROM (10) TO (20);"
             "INSERT INTO alike (id, a) VALUES (1, 5), (11, 15)");
    struct opened o = open_table("alike");
    assert_int_equal(o.readpoint->source_count, 2);
    assert_true(o.readpoint->sources[0].by_ctid);
    assert_true(o.readpoint->key.proves);
    assert_order(&o, "SELECT b FROM alike");
    close_table(&o);

    assert_signature("alike", "ALTER TABLE ONLY alike2 ALTER b SET EXPRESSION AS (a * 100)", true);
    o = open_table("alike");
    assert_int_equal(o.readpoint->source_count, 1);
    assert_false(o.readpoint->sources[0].by_ctid);
    assert_true(o.readpoint->key.proves);
    assert_order(&o, "SELECT b FROM alike");
    close_table(&o);
    o = open_table("alike2");
    assert_true(o.readpoint->sources[0].by_ctid);
    assert_order(&o, "SELECT b FROM alike2");
    close_table(&o);
    assert_signature("alike", "ALTER TABLE ONLY alike ALTER b SET EXPRESSION AS (a * 3)", true);
    assert_signature("alike2", "ALTER TABLE alike2 ALTER b SET EXPRESSION AS (a * 7)", true);
}

static void privileges_on_columns_and_policies(void **state)
{
    (void)state;
    test_sql(
        "pgr",
        "CREATE TABLE by_column (a int, b int); INSERT INTO by_column VALUES (1, 2); GRANT SELECT "
        "(a, b) ON by_column TO reader2;"
        "CREATE TABLE policed (a int); INSERT INTO policed VALUES (1); GRANT SELECT ON policed TO "
        "reader2;"
        "ALTER TABLE policed ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON policed USING (a > 1)");
    struct opened o = open_as("pgr", "user=reader2", "by_column");
    assert_false(o.readpoint->sources[0].by_ctid);
    assert_string_equal(o.readpoint->sources[0].from, "ONLY \"public\".\"by_column\"");
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    assert_int_equal(rows.size, 2 + 8 + 8);
    buffer_clear(&rows);
    close_table(&o);

    /* A part of the rows is never passed off as the table. */
    struct test_pool pool = test_pool("pgr", "user=reader2", 1);
    struct session *session = test_take(&pool);
    struct catalog *catalog = test_catalog(session);
    struct readpoint *readpoint = NULL;
    struct error error = {""};
    assert_int_equal(
        readpoint_open(session, test_find(catalog, "public", "policed"), &readpoint, &error),
        -EACCES);
    assert_non_null(strstr(error.text, "row-level security"));
    catalog_free(catalog);
    session_give(session);
    test_pool_free(&pool);
}

static void children_are_left_out(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE mother (a int); CREATE TABLE daughter () INHERITS (mother);"
                    "INSERT INTO mother VALUES (1); INSERT INTO daughter VALUES (2)");
    struct opened o = open_table("mother");
    assert_order(&o, "SELECT a FROM ONLY mother");
    close_table(&o);
}

static void an_index_is_never_read_instead(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE TABLE indexed (a int, b int) WITH (fillfactor = 10);"
                    "INSERT INTO indexed SELECT g, g FROM generate_series(20000, 1, -1) g; CREATE "
                    "INDEX ON indexed (a, b)");
    test_sql("pgr", "CHECKPOINT"); /* commits may be asynchronous here, and only flushed ones count
                                      as visible to all */
    /* While the server's own autovacuum reads anywhere, nothing new is visible to all. */
    bool visible = false;
    for (int i = 0; i < 100 && !visible; i++) {
        test_sql("pgr", "VACUUM ANALYZE indexed");
        char *seen =
            test_value("pgr", "SELECT relallvisible > 0 FROM pg_class WHERE relname = 'indexed'");
        visible = strcmp(seen, "t") == 0;
        free(seen);
        if (!visible)
            usleep(100000);
    }
    assert_true(visible);
    test_sql("pgr", "GRANT SELECT (a, b) ON indexed TO reader2");
    struct opened o = open_as("pgr", "user=reader2", "indexed");
    assert_order(&o, "SELECT a FROM indexed ORDER BY ctid");
    close_table(&o);
}

/* ---- encodings ---- */

static void assert_encoding(const char *encoding, const char *options, const char *value,
                            size_t bytes)
{
    char sql[512];
    test_new_database("pgr_encoding", options);
    snprintf(sql, sizeof sql,
             "CREATE TABLE t (id int, \"%s\" text, c varchar(9)); INSERT INTO t VALUES (1, '%s', "
             "'%s'), (2, NULL, '')",
             value, value, value);
    test_sql("pgr_encoding", sql);
    struct opened o = open_as("pgr_encoding", "", "t");
    struct schema *schema = o.readpoint->schema;
    assert_string_equal(schema->columns[1].name, value);
    assert_null(schema->columns[1].type);
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    struct field fields[8];
    const uint8_t *at = rows.data;
    assert_int_equal(next_row(&at, rows.data + rows.size, fields, 8), 2 + 3 + 2);
    assert_int_equal(fields[3].size,
                     bytes); /* the database's own bytes, as COPY BINARY there gives them */
    bool null;
    char *text = element(&fields[5], 0, &null), *json = element(&fields[6], 0, &null), quoted[128];
    assert_string_equal(text, value);
    snprintf(quoted, sizeof quoted, "\"%s\"", value);
    assert_string_equal(json, quoted);
    free(text), free(json);
    next_row(&at, rows.data + rows.size, fields, 8);
    text = element(&fields[5], 0, &null);
    assert_true(null);
    free(text);
    buffer_clear(&rows);
    (void)encoding;
    /* And afterwards the session speaks UTF-8 again. */
    PGresult *row = NULL;
    assert_int_equal(connection_rows(session_connection(o.session), "SHOW client_encoding",
                                     ANYTHING, &row, NULL),
                     0);
    assert_string_equal(PQgetvalue(row, 0, 0),
                        strcmp(encoding, "SQL_ASCII") == 0 ? "SQL_ASCII" : "UTF8");
    PQclear(row);
    close_table(&o);
}

static void databases_in_other_encodings(void **state)
{
    (void)state;
    assert_encoding("LATIN1", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'", "\u00fc\u00e9\u00df",
                    3);
    assert_encoding("EUC_JP", "ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'", "\u65e5\u672c", 4);
    assert_encoding("SQL_ASCII", "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'", "\u00fc\u65e5",
                    5);

    /* Bytes that are no text have a binary form only. */
    test_sql("pgr_encoding",
             "SET client_encoding = 'SQL_ASCII'; CREATE TABLE raw (a text); INSERT INTO raw VALUES "
             "(E'\\xff\\xfe');"
             "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (a int)', E'bad\\xff'); END $$");
    struct opened o = open_as("pgr_encoding", "", "raw");
    struct buffer stream = {0};
    struct error error = {""};
    assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema,
                                    &o.readpoint->sources[0], NULL, gather, &stream, &said, &error),
                     -EIO);
    assert_non_null(strstr(error.text, "invalid byte sequence"));
    stream.size = 0;
    schema_number(o.readpoint->schema, o.readpoint->with_binary, 1u << PART_BINARY);
    assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema,
                                    &o.readpoint->sources[0], NULL, gather, &stream, &said, &error),
                     0);
    buffer_clear(&stream);
    close_table(&o);
}

/* Words of the server in the database's encoding never reach a person as broken UTF-8. */
static void errors_during_a_copy_are_utf8(void **state)
{
    (void)state;
    test_new_database("pgr_encoding", "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
    test_sql("pgr_encoding", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE "
                             "'b\u00f6se'; END $$; CREATE VIEW v AS SELECT f()");
    struct opened o = open_as("pgr_encoding", "", "v");
    struct buffer stream = {0};
    struct error error = {""};
    assert_int_equal(readpoint_copy(o.readpoint, o.session, o.readpoint->schema,
                                    &o.readpoint->sources[0], NULL, gather, &stream, &said, &error),
                     -EIO);
    assert_string_equal(error.text, "b\u00f6se (SQLSTATE P0001)");
    buffer_clear(&stream);
    close_table(&o);
}

/* A view's function that sets things has set them for its own transaction only. */
static void settings_do_not_leak_out_of_views(void **state)
{
    (void)state;
    test_sql("pgr", "CREATE VIEW setter AS SELECT set_config('DateStyle', 'German', false) AS a, "
                    "set_config('search_path', 'public', false) AS b");
    struct opened o = open_table("setter");
    struct buffer rows = {0};
    copy_rows(&o, &rows);
    buffer_clear(&rows);
    readpoint_close(o.readpoint);
    PGresult *row = NULL;
    assert_int_equal(
        connection_rows(session_connection(o.session),
                        "SELECT current_setting('DateStyle') || current_setting('search_path')",
                        ANYTHING, &row, NULL),
        0);
    assert_string_equal(PQgetvalue(row, 0, 0), "ISO, MDY\"$user\", public");
    PQclear(row);
    o.readpoint = NULL;
    close_table(&o);
}

static int tear_down(void **state)
{
    (void)state;
    test_sql("pgr", "DROP OWNED BY reader2");
    test_sql("postgres", "DROP ROLE reader2");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_in_order_and_known),
        cmocka_unit_test(rendered_values_are_the_servers),
        cmocka_unit_test(null_composites_and_empty_ones_differ),
        cmocka_unit_test(sixteen_hundred_columns_and_none),
        cmocka_unit_test(signature_changes_with_the_catalog),
        cmocka_unit_test(fingerprint_changes_with_the_rows),
        cmocka_unit_test(fingerprints_of_ranges),
        cmocka_unit_test(row_hash_is_the_servers),
        cmocka_unit_test(workers_do_not_lock_every_partition),
        cmocka_unit_test(another_snapshot_of_that_name_is_refused),
        cmocka_unit_test(ranges_together_are_the_whole),
        cmocka_unit_test(failures_leave_the_snapshot),
        cmocka_unit_test(joining_never_waits_behind_a_lock),
        cmocka_unit_test(renamed_and_dropped_relations),
        cmocka_unit_test(rewrites_are_waited_for),
        cmocka_unit_test(rewrites_are_waited_for_without_the_right_to_lock),
        cmocka_unit_test(partitions_come_in_the_servers_order),
        cmocka_unit_test(partitions_that_may_not_be_read_directly),
        cmocka_unit_test(partitions_that_compute_otherwise),
        cmocka_unit_test(privileges_on_columns_and_policies),
        cmocka_unit_test(children_are_left_out),
        cmocka_unit_test(an_index_is_never_read_instead),
        cmocka_unit_test(databases_in_other_encodings),
        cmocka_unit_test(errors_during_a_copy_are_utf8),
        cmocka_unit_test(settings_do_not_leak_out_of_views),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
