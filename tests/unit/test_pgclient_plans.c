/* Questions whose plans the server keeps, and verdicts over all relations, against a real server. */
#include "tests/unit/test_pgclient.h"

#include "pgclient/verdicts.h"

static int set_up(void **state)
{
    (void)state;
    test_find_server();
    test_new_database("pgp", "");
    test_sql("pgp", "CREATE TABLE one (id int, a text); CREATE TABLE two (id int, b date);"
                    "CREATE TABLE three (id int, c json)");
    return 0;
}

/* ---- a session under test ---- */

struct reading_one {
    struct test_pool pool;
    struct session *session;
    struct catalog *catalog;
};

static struct reading_one begin(const char *more)
{
    struct reading_one r = {.pool = test_pool("pgp", more, 4)};
    r.session = test_take(&r.pool);
    r.catalog = test_catalog(r.session);
    return r;
}

static void end(struct reading_one *r)
{
    catalog_free(r->catalog);
    session_give(r->session);
    test_pool_free(&r->pool);
}

/* The columns and their types, and the signature; a session that has asked nothing yet agrees. */
static char *describe(struct session *session, const struct relation *relation)
{
    struct readpoint *readpoint = NULL;
    struct error error = {""};
    struct text out = {0};
    if (readpoint_open(session, relation, &readpoint, &error) != 0)
        fail_msg("%s", error.text);
    for (int i = 0; i < readpoint->schema->column_count; i++)
        text_printf(&out, "%s %s, ", readpoint->schema->columns[i].name,
                    readpoint->schema->columns[i].type_name);
    text_put(&out, readpoint->key.signature);
    readpoint_close(readpoint);
    return text_take(&out);
}

static void expect_right(struct reading_one *r, const char *table, const char *columns)
{
    const struct relation *relation = test_find(r->catalog, "public", table);
    assert_non_null(relation);
    char *told = describe(r->session, relation);
    struct session *other = test_take(&r->pool);
    char *right = describe(other, relation);
    session_give(other);
    assert_string_equal(told, right);
    assert_memory_equal(told, columns, strlen(columns));
    free(told);
    free(right);
}

static PGresult *rows_of(struct session *session, const char *sql)
{
    PGresult *rows = NULL;
    struct error error = {""};
    if (connection_rows(session_connection(session), sql, ANYTHING, &rows, &error) != 0)
        fail_msg("%s: %s", error.text, sql);
    return rows;
}

static int kept(struct session *session)
{
    PGresult *row = rows_of(session, "SELECT count(*) FROM pg_prepared_statements");
    int count = atoi(PQgetvalue(row, 0, 0));
    PQclear(row);
    return count;
}

static void run(struct session *session, const char *sql)
{
    struct error error = {""};
    if (connection_run(session_connection(session), sql, &error) != 0)
        fail_msg("%s: %s", error.text, sql);
}

/* ---- plans ---- */

static void a_question_is_planned_twice_and_then_kept(void **state)
{
    (void)state;
    struct reading_one r = begin("");
    expect_right(&r, "one", "id integer, a text, ");
    assert_int_equal(kept(r.session), 0);
    expect_right(&r, "two", "id integer, b date, ");
    int count = kept(r.session);
    assert_true(count >= 3);
    expect_right(&r, "three", "id integer, c json, ");
    expect_right(&r, "one", "id integer, a text, ");
    assert_int_equal(kept(r.session), count);
    end(&r);
}

static void a_kept_plan_sees_what_changes(void **state)
{
    (void)state;
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    test_sql("pgp", "CREATE TYPE mood AS ENUM ('so', 'lala'); ALTER TABLE one ADD m mood;"
                    "CREATE SCHEMA more; ANALYZE pg_class; ANALYZE pg_attribute");
    char *before = describe(r.session, test_find(r.catalog, "public", "one"));
    expect_right(&r, "one", "id integer, a text, m public.mood, ");
    test_sql("pgp", "ALTER TYPE mood ADD VALUE 'ha'");
    char *after = describe(r.session, test_find(r.catalog, "public", "one"));
    assert_string_not_equal(before, after);
    free(before);
    free(after);
    test_sql("pgp", "ALTER TABLE one DROP m; DROP TYPE mood; DROP SCHEMA more");
    expect_right(&r, "one", "id integer, a text, ");
    end(&r);
}

static void plans_may_be_thrown_away(void **state)
{
    (void)state;
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    assert_true(kept(r.session) > 0);
    run(r.session, "DEALLOCATE ALL");
    expect_right(&r, "two", "id integer, b date, ");
    expect_right(&r, "three", "id integer, c json, ");
    assert_int_equal(kept(r.session), 0);
    end(&r);
}

/* Statements as a function in a view could prepare them: of our names, and with other answers. */
#define LIE                                                                                        \
    "(oid[]) AS SELECT 'id'::name, 'text', 'text'::name, NULL::name, true, ''::\"char\", true,"    \
    " false, 25::oid, false UNION ALL SELECT 'a'::name, 'integer', 'int4'::name, NULL::name, "     \
    "true,"                                                                                        \
    " ''::\"char\", true, false, 23::oid, false"

/* The name of the question about columns in a session that keeps it. */
static void find_name(char *name, size_t size)
{
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    PGresult *row = rows_of(r.session, "SELECT quote_ident(name) FROM pg_prepared_statements"
                                       " WHERE statement ~ 'json_apart' AND statement !~ 'sha256'");
    assert_int_equal(PQntuples(row), 1);
    snprintf(name, size, "%s", PQgetvalue(row, 0, 0));
    PQclear(row);
    end(&r);
}

static void a_name_that_is_taken_is_not_asked(void **state)
{
    (void)state;
    char name[64], sql[1024];
    find_name(name, sizeof name);
    struct reading_one r = begin("");
    snprintf(sql, sizeof sql, "PREPARE %s" LIE, name);
    run(r.session, sql);
    for (int i = 0; i < 3; i++)
        expect_right(&r, "one", "id integer, a text, ");
    end(&r);
}

static void a_statement_in_the_place_of_ours_is_not_believed(void **state)
{
    (void)state;
    char name[64], sql[1024];
    find_name(name, sizeof name);
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    snprintf(sql, sizeof sql, "DEALLOCATE %s; PREPARE %s" LIE, name, name);
    run(r.session, sql);
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    end(&r);
}

/* One whose traces a function removes while it answers. */
static void a_statement_that_removes_itself_is_not_believed(void **state)
{
    (void)state;
    char name[64], sql[2048];
    find_name(name, sizeof name);
    test_sql("pgp", "CREATE FUNCTION gone() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n text;"
                    "BEGIN FOR n IN SELECT name FROM pg_prepared_statements WHERE from_sql LOOP"
                    " EXECUTE 'DEALLOCATE ' || quote_ident(n); END LOOP; RETURN 1; END $$");
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++)
        expect_right(&r, "one", "id integer, a text, ");
    snprintf(sql, sizeof sql,
             "DEALLOCATE %s; PREPARE %s(oid[]) AS SELECT 'id'::name, 'real', 'float4'::name,"
             " NULL::name, true, ''::\"char\", true, false, 700::oid, false"
             " FROM public.gone() UNION ALL SELECT 'a'::name, 'text', 'text'::name, NULL::name,"
             " true, ''::\"char\", true, false, 25::oid, false",
             name, name);
    run(r.session, sql);
    for (int i = 0; i < 3; i++)
        expect_right(&r, "one", "id integer, a text, ");
    end(&r);
    test_sql("pgp", "DROP FUNCTION gone()");
}

static void who_may_not_see_what_is_prepared_does_without(void **state)
{
    (void)state;
    test_sql("pgp", "DROP ROLE IF EXISTS planless; CREATE ROLE planless LOGIN;"
                    "GRANT SELECT ON ALL TABLES IN SCHEMA public TO planless");
    /* before the session begins, and in its middle */
    for (int late = 0; late < 2; late++) {
        if (!late)
            test_sql("pgp", "REVOKE SELECT ON pg_prepared_statements FROM public");
        struct reading_one r = begin("user=planless");
        expect_right(&r, "one", "id integer, a text, ");
        if (late)
            test_sql("pgp", "REVOKE SELECT ON pg_prepared_statements FROM public");
        for (int i = 0; i < 3; i++)
            expect_right(&r, "two", "id integer, b date, ");
        end(&r);
        test_sql("pgp", "GRANT SELECT ON pg_prepared_statements TO public");
    }
    test_sql("pgp", "DROP OWNED BY planless; DROP ROLE planless");
}

/* What users wrote finds no statement of ours. */
static void views_see_no_statement_of_ours(void **state)
{
    (void)state;
    test_sql("pgp", "CREATE VIEW prepared AS SELECT name FROM pg_prepared_statements");
    struct reading_one r = begin("");
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++)
            expect_right(&r, "one", "id integer, a text, ");
        assert_true(kept(r.session) > 0);
        struct readpoint *readpoint = NULL;
        struct error error = {""};
        const struct relation *view = test_find(r.catalog, "public", "prepared");
        assert_int_equal(readpoint_open(r.session, view, &readpoint, &error), 0);
        assert_int_equal(kept(r.session), 0);
        readpoint_close(readpoint);
        assert_int_equal(kept(r.session), 0);
    }
    end(&r);
    test_sql("pgp", "DROP VIEW prepared");
}

/* ---- verdicts ---- */

static int open_rc(struct reading_one *r, const char *name, struct error *error)
{
    struct readpoint *readpoint = NULL;
    error->text[0] = '\0';
    int rc = readpoint_open(r->session, test_find(r->catalog, "public", name), &readpoint, error);
    if (rc == 0)
        readpoint_close(readpoint);
    return rc;
}

static long trust_asked(struct session *session)
{
    PGresult *row = rows_of(session, "SELECT coalesce(sum(generic_plans + custom_plans), 0) FROM"
                                     " pg_prepared_statements WHERE statement ~ 'trusted AS'");
    long count = atol(PQgetvalue(row, 0, 0));
    PQclear(row);
    return count;
}

/* What was said of all relations spares the question for one, until anything changes. */
static void verdicts_hold_until_something_changes(void **state)
{
    (void)state;
    struct error error;
    test_sql("pgp", "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger;"
                    "CREATE FUNCTION strange(int) RETURNS int IMMUTABLE LANGUAGE plpgsql"
                    " AS 'BEGIN RETURN 1; END';"
                    "CREATE TABLE shown (id int); CREATE INDEX ON shown ((strange(1)));"
                    "CREATE TABLE quiet (id int)");
    struct reading_one r = begin("");
    assert_int_equal(open_rc(&r, "shown", &error), 0);
    test_sql("pgp", "ALTER FUNCTION strange(int) OWNER TO stranger");
    assert_int_equal(open_rc(&r, "shown", &error), -EACCES);
    assert_non_null(strstr(error.text, "strange("));
    catalog_free(r.catalog);
    r.catalog = test_catalog(r.session);
    assert_int_equal(open_rc(&r, "shown", &error), -EACCES);
    long before = trust_asked(r.session);
    for (int i = 0; i < 3; i++)
        assert_int_equal(open_rc(&r, "quiet", &error), 0);
    assert_int_equal(trust_asked(r.session), before);
    assert_int_equal(open_rc(&r, "shown", &error), -EACCES);
    assert_int_equal(trust_asked(r.session), before + 1);
    test_sql("pgp", "ALTER TABLE quiet ALTER id TYPE int8");
    assert_int_equal(open_rc(&r, "quiet", &error), 0);
    assert_int_equal(trust_asked(r.session), before + 2);
    test_sql("pgp", "ALTER FUNCTION strange(int) OWNER TO CURRENT_USER");
    assert_int_equal(open_rc(&r, "shown", &error), 0);
    end(&r);
    test_sql("pgp", "DROP TABLE shown; DROP FUNCTION strange(int); DROP TABLE quiet;"
                    "DROP ROLE stranger");
}

static PGresult *answer(void)
{
    PGconn *pg = PQconnectdb("dbname=pgp");
    PGresult *rows = PQexec(pg, "VALUES (5, false, 'json of 5'), (5, true, 'rows of 5'),"
                                " (7, true, 'rows of 7'), (4000000000, false, 'json of the last')");
    PQfinish(pg);
    assert_int_equal(PQntuples(rows), 4);
    return rows;
}

static void verdicts_are_of_one_mark(void **state)
{
    (void)state;
    static const char now[] = "1/2/3/r/m/10:12:11@50";
    struct verdicts *verdicts = verdicts_new();
    assert_non_null(verdicts);
    assert_false(verdicts_allow(verdicts, now, 4));
    assert_int_equal(verdicts_keep(verdicts, "1/2/3/r/m/10:12:11@40", answer()), 0);
    assert_true(verdicts_allow(verdicts, now, 4));
    assert_false(verdicts_allow(verdicts, now, 5));
    assert_true(verdicts_allow(verdicts, now, 6));
    assert_false(verdicts_allow(verdicts, now, 7));
    assert_false(verdicts_allow(verdicts, now, 4000000000u));
    assert_true(verdicts_allow(verdicts, now, 4000000001u));
    static const char *const others[] = {"1/2/3/r/m/10:13:11@50", "1/2/3/r/m/10:12:@50",
                                         "1/2/3/r/m/10:12:11@39", "1/2/4/r/m/10:12:11@50",
                                         "9/2/3/r/m/10:12:11@50", "1/2/3/q/m/10:12:11@50"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(verdicts_allow(verdicts, others[i], 4));
    verdicts_free(verdicts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_is_planned_twice_and_then_kept),
        cmocka_unit_test(a_kept_plan_sees_what_changes),
        cmocka_unit_test(plans_may_be_thrown_away),
        cmocka_unit_test(a_name_that_is_taken_is_not_asked),
        cmocka_unit_test(a_statement_in_the_place_of_ours_is_not_believed),
        cmocka_unit_test(a_statement_that_removes_itself_is_not_believed),
        cmocka_unit_test(who_may_not_see_what_is_prepared_does_without),
        cmocka_unit_test(views_see_no_statement_of_ours),
        cmocka_unit_test(verdicts_hold_until_something_changes),
        cmocka_unit_test(verdicts_are_of_one_mark),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
