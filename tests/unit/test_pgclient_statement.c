/* Statements of users as relations, against a real server. */
#include "tests/unit/test_pgclient.h"

#include "pgclient/statement.h"

static int set_up(void **state)
{
    (void)state;
    test_find_server();
    test_new_database("pgs", "");
    test_sql("pgs", "CREATE EXTENSION vector; CREATE TABLE t (id int, e vector(2), w text);"
                    "INSERT INTO t VALUES (1, '[1,2]', 'a'), (2, '[3,4]', 'b');"
                    "CREATE DOMAIN d AS vector(2); CREATE TYPE pair AS (a int, b int);");
    return 0;
}

static struct relation relation_of(const char *text)
{
    return (struct relation){
        .oid = 7, .kind = RELATION_STATEMENT, .schema = ".sql", .name = "n\"m", .statement = text};
}

static int check_as(const char *more, const char *text, struct relation *relation,
                    struct error *error)
{
    struct test_pool pool = test_pool("pgs", more, 2);
    struct session *session = test_take(&pool);
    *relation = relation_of(text);
    *error = (struct error){""};
    int rc = statement_check(session, relation, error);
    session_give(session);
    test_pool_free(&pool);
    return rc;
}

static void assert_good(const char *text, bool vectors)
{
    struct relation relation;
    struct error error;
    int rc = check_as("", text, &relation, &error);
    if (rc != 0)
        fail_msg("%s: %d %s", text, rc, error.text);
    if (relation.has_vectors != vectors)
        fail_msg("%s: has_vectors is %d", text, relation.has_vectors);
    assert_false(relation.refuses_json);
}

/* `words`: what the reason has in it. */
static void assert_bad(const char *text, const char *words)
{
    struct relation relation;
    struct error error;
    int rc = check_as("", text, &relation, &error);
    if (rc != -EINVAL || strstr(error.text, words) == NULL)
        fail_msg("%s: %d \"%s\"", text, rc, error.text);
}

static void test_what_is_a_statement(void **state)
{
    (void)state;
    assert_good("SELECT 1", false);
    assert_good("SELECT 1 AS a, 'x' AS b, NULL AS c -- a comment", false);
    assert_good("SELECT 1 /* a comment /* inside another */ */", false);
    assert_good("VALUES (1, 2), (3, 4)", false);
    assert_good("TABLE t", true);
    assert_good("SELECT * FROM t ORDER BY id DESC LIMIT 1", true);
    assert_good("WITH x AS (SELECT id FROM t) SELECT * FROM x", false);
    assert_good("SELECT 1 AS \"a\nb\"", false);
    assert_good("(SELECT 1) UNION (SELECT 2)", false);
    assert_good("SELECT $$;$$ AS a, ';--' AS b", false);
    assert_good("SELECT ROW(1, 2)::pair AS p, '{1,2}'::int[] AS a, '{}'::json AS j", false);
    assert_good("SELECT ROW(1, 'a') AS r", false);
    assert_good("SELECT pg_sleep(0) AS nothing", false);
    assert_good("SELECT e::halfvec(2) AS h FROM t", true);
    assert_good("SELECT e::d AS v FROM t", true);
    assert_good("SELECT B'01' AS b", true);
    assert_good("SELECT B'01'::bit varying AS b", true);
    assert_good("SELECT ARRAY[e] AS v FROM t", false);
}

static void test_what_is_none(void **state)
{
    (void)state;
    assert_bad("SELECT 1) AS a, (SELECT 2", "syntax error");
    assert_bad("SELECT 1) AS a; DROP TABLE t; SELECT * FROM (SELECT 1", "syntax error");
    assert_bad("SELECT 1; DROP TABLE t", "multiple commands");
    assert_bad("SELECT 1;", "syntax error");
    assert_bad("SELECT 1 /* no end", "unterminated");
    assert_bad("SELECT 'no end", "unterminated");
    assert_bad("SELECT $a$ no end $b$", "unterminated");
    assert_bad("SELECT \"no end", "unterminated");
    assert_bad("SELEC 1", "syntax error");
    assert_bad("", "");
    assert_bad("-- nothing", "");
    assert_bad("INSERT INTO t VALUES (3)", "syntax error");
    assert_bad("UPDATE t SET id = 1 RETURNING id", "syntax error");
    assert_bad("WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", "top level");
    assert_bad("SELECT * FROM t FOR UPDATE", "read-only");
    assert_bad("SELECT id INTO x FROM t", "INTO");
    assert_bad("EXPLAIN SELECT 1", "syntax error");
    assert_bad("COPY t TO STDOUT", "syntax error");
    assert_bad("BEGIN", "syntax error");
    assert_bad("COMMIT", "syntax error");
    assert_bad("SET search_path = x", "syntax error");
    assert_bad("SELECT 1 AS a, 2 AS a", "two columns are called \"a\"");
    assert_bad("SELECT 1, 2", "two columns are called \"?column?\"");
    assert_bad("SELECT $1::int", "parameter");
    assert_bad("SELECT FROM t", "no columns");
    assert_bad("SELECT * FROM nowhere", "does not exist");
    assert_bad("SELECT nothing FROM t", "does not exist");
    char *count = test_value("pgs", "SELECT count(*) FROM t");
    assert_string_equal(count, "2");
    free(count);
}

static void test_size(void **state)
{
    (void)state;
    assert_int_equal(statement_size("SELECT 1"), 8);
    assert_int_equal(statement_size("SELECT 1;\n"), 8);
    assert_int_equal(statement_size("SELECT 1 ; ;\r\n\t"), 8);
    assert_int_equal(statement_size(" \n;"), 0);
    assert_int_equal(statement_size(""), 0);
}

/* Reads it as a table is read. */
static int gather(void *context, const uint8_t *bytes, size_t size)
{
    return buffer_append(context, bytes, size);
}

static void test_rows(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgs", "", 2);
    struct session *session = test_take(&pool);
    struct relation relation =
        relation_of("SELECT w, id FROM t ORDER BY id DESC -- the \"last\" comes first");
    struct readpoint *readpoint;
    struct error error = {""};
    struct buffer stream = {0};
    uint64_t said;
    if (readpoint_open(session, &relation, &readpoint, &error) != 0)
        fail_msg("%s", error.text);
    schema_number(readpoint->schema, readpoint->with_binary, 1 << PART_BINARY);
    assert_int_equal(readpoint->schema->column_count, 2);
    assert_string_equal(readpoint->schema->columns[0].name, "w");
    assert_string_equal(readpoint->schema->columns[1].type_name, "integer");
    assert_int_equal(readpoint->source_count, 1);
    assert_false(readpoint->sources[0].by_ctid);
    assert_false(readpoint->key.proves);
    assert_true(readpoint->of_users);
    if (readpoint_copy(readpoint, session, readpoint->schema, &readpoint->sources[0], NULL, gather,
                       &stream, &said, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(said, 2);
    static const char rows[] = "\0\2\0\0\0\1b\0\0\0\4\0\0\0\2\0\2\0\0\0\1a\0\0\0\4\0\0\0\1\377\377";
    assert_int_equal(stream.size, 19 + sizeof rows - 1);
    assert_memory_equal(stream.data + 19, rows, sizeof rows - 1);
    buffer_clear(&stream);
    readpoint_close(readpoint);
    session_give(session);
    test_pool_free(&pool);
}

static char *signature_of(struct session *session, const char *text)
{
    struct relation relation = relation_of(text);
    struct readpoint *readpoint;
    struct error error = {""};
    if (readpoint_open(session, &relation, &readpoint, &error) != 0)
        fail_msg("%s", error.text);
    char *signature = strdup(readpoint->key.signature);
    readpoint_close(readpoint);
    return signature;
}

static void test_signature(void **state)
{
    (void)state;
    struct test_pool pool = test_pool("pgs", "", 2);
    struct session *session = test_take(&pool);
    char *one = signature_of(session, "SELECT id FROM t"),
         *same = signature_of(session, "SELECT id FROM t"),
         *other = signature_of(session, "SELECT  id FROM t");
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
    free(same);
    test_sql("pgs", "ALTER TABLE t ALTER id TYPE bigint");
    same = signature_of(session, "SELECT id FROM t");
    assert_string_not_equal(one, same);
    test_sql("pgs", "ALTER TABLE t ALTER id TYPE int");
    free(one);
    free(same);
    free(other);
    session_give(session);
    test_pool_free(&pool);
}

/* What a superuser's mount must not run. */
static void test_trust(void **state)
{
    (void)state;
    struct relation relation;
    struct error error;
    test_sql("postgres", "DROP ROLE IF EXISTS pgs_other");
    test_sql("pgs", "CREATE ROLE pgs_other; GRANT CREATE ON SCHEMA public TO pgs_other;"
                    "SET ROLE pgs_other; CREATE FUNCTION theirs() RETURNS int IMMUTABLE"
                    " LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''it ran''; END';"
                    "CREATE VIEW trap AS SELECT theirs() AS a; RESET ROLE;");
    assert_bad("SELECT theirs()", "pgs_other");
    assert_bad("SELECT id FROM t WHERE id = theirs()", "pgs_other");
    assert_bad("SELECT * FROM trap", "pgs_other");
    assert_int_equal(check_as("", "SELECT id FROM t", &relation, &error), 0);
    struct test_pool pool = test_pool("pgs", "", 2);
    server_let_read(pool.server, (struct reading){.trust_all = true});
    struct session *session = test_take(&pool);
    relation = relation_of("SELECT theirs()");
    assert_int_equal(statement_check(session, &relation, &error), -EINVAL);
    assert_non_null(strstr(error.text, "it ran"));
    session_give(session);
    test_pool_free(&pool);
    test_sql("pgs", "DROP OWNED BY pgs_other; DROP ROLE pgs_other");
}

/* The role's own limits hold, also for what the planner evaluates. */
static void test_limits(void **state)
{
    (void)state;
    struct relation relation;
    struct error error;
    test_sql("pgs", "CREATE FUNCTION slow() RETURNS int IMMUTABLE LANGUAGE sql AS"
                    " 'SELECT 1 FROM pg_sleep(30)'");
    assert_int_equal(
        check_as("options='-c statement_timeout=300'", "SELECT slow()", &relation, &error),
        -EINVAL);
    assert_non_null(strstr(error.text, "statement timeout"));
    test_sql("pgs", "DROP FUNCTION slow()");
}

/* A table's number must never be taken for a statement's. */
static void test_numbers(void **state)
{
    (void)state;
    char *least = test_value("pgs", "SELECT min(oid) FROM pg_class");
    assert_true(strtoul(least, NULL, 10) >= STATEMENT_NUMBERS);
    free(least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_a_statement),
        cmocka_unit_test(test_what_is_none),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
