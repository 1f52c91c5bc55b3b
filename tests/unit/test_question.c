#include "fs/search/question.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int field_of(const char *name)
{
    for (int i = 0; i < QUESTION_FIELDS; i++)
        if (strcmp(question_fields[i], name) == 0)
            return i;
    fail_msg("no field %s", name);
    return -1;
}

static struct question fresh(void)
{
    struct question question;
    assert_int_equal(question_init(&question), 0);
    return question;
}

static int set_bytes(struct question *question, const char *name, const void *bytes, size_t size,
                     struct error *error)
{
    error->text[0] = '\0';
    return question_set(question, field_of(name), bytes, size, error);
}

static void assert_shows(const struct question *question, const char *name, const char *expected)
{
    struct buffer out = {0};
    assert_int_equal(question_show(question, field_of(name), &out), 0);
    assert_int_equal(out.size, strlen(expected));
    if (out.size > 0)
        assert_memory_equal(out.data, expected, out.size);
    buffer_clear(&out);
}

/* What is written, and what its file shows then. */
static void assert_set(const char *name, const char *written, const char *shown)
{
    struct question question = fresh();
    struct error error;
    int rc = set_bytes(&question, name, written, strlen(written), &error);
    if (rc != 0)
        fail_msg("%s: %s: %s", name, written, error.text);
    assert_shows(&question, name, shown);
    question_clear(&question);
}

/* Refused, with a sentence, and what was there stays. */
static void assert_refused(const char *name, const void *written, size_t size, const char *before)
{
    struct question question = fresh();
    struct error error;
    assert_int_equal(set_bytes(&question, name, before, strlen(before), &error), 0);
    if (set_bytes(&question, name, written, size, &error) != -EINVAL)
        fail_msg("%s: %.*s was taken", name, (int)size, (const char *)written);
    assert_non_null(strstr(error.text, name));
    assert_shows(&question, name, before);
    question_clear(&question);
}

static void test_defaults(void **state)
{
    (void)state;
    struct question question = fresh();
    static const char *const shown[QUESTION_FIELDS] = {"\n", "\n",     "10\n", "0.95\n", "0\n",
                                                       "\n", "auto\n", "\n",   ""};
    for (int i = 0; i < QUESTION_FIELDS; i++)
        assert_shows(&question, question_fields[i], shown[i]);
    assert_null(question.column);
    assert_null(question.filter);
    assert_null(question.columns);
    assert_null(question.key);
    assert_int_equal(question.metric, -1);
    question_clear(&question);
}

static void test_values(void **state)
{
    (void)state;
    assert_set("k", "1\n", "1\n");
    assert_set("k", "100000", "100000\n");
    assert_set("k", "7\r\n", "7\n");
    assert_set("recall", "1", "1\n");
    assert_set("recall", "0.5\n", "0.5\n");
    assert_set("recall", "1e-3\n", "0.001\n");
    assert_set("ef_search", "0\n", "0\n");
    assert_set("ef_search", "400\n", "400\n");
    assert_set("metric", "cosine\n", "cosine\n");
    assert_set("metric", "jaccard", "jaccard\n");
    assert_set("mode", "server\n", "server\n");
    assert_set("mode", "hnsw", "hnsw\n");
    assert_set("column", "My \"column\"\n", "My \"column\"\n");
    assert_set("column", "two\nlines\n", "two\nlines\n");
    assert_set("columns", "id, \"a,b\"\n", "id, \"a,b\"\n");
    assert_set("filter", "price < 10\n  AND it LIKE '%x'\n", "price < 10\n  AND it LIKE '%x'\n");
}

static void test_empty_sets_the_default(void **state)
{
    (void)state;
    static const char *const written[QUESTION_FIELDS] = {"c",    "ip",    "3",  "0.5",  "9",
                                                         "true", "exact", "id", "[1,2]"};
    struct question question = fresh();
    struct error error;
    for (int i = 0; i < QUESTION_FIELDS; i++)
        assert_int_equal(
            set_bytes(&question, question_fields[i], written[i], strlen(written[i]), &error), 0);
    for (int i = 0; i < QUESTION_FIELDS; i++) {
        const char *empty = i % 2 == 0 ? "\n" : "";
        assert_int_equal(set_bytes(&question, question_fields[i], empty, strlen(empty), &error), 0);
    }
    static const char *const shown[QUESTION_FIELDS] = {"\n", "\n",     "10\n", "0.95\n", "0\n",
                                                       "\n", "auto\n", "\n",   ""};
    for (int i = 0; i < QUESTION_FIELDS; i++)
        assert_shows(&question, question_fields[i], shown[i]);
    question_clear(&question);
}

static void test_refused_values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *before, *written;
    } cases[] = {
        {"k", "5\n", "0"},           {"k", "5\n", "100001"},      {"k", "5\n", "-1"},
        {"k", "5\n", "5.0"},         {"k", "5\n", " 5"},          {"k", "5\n", "5\n6\n"},
        {"k", "5\n", "4294967297"},  {"k", "5\n", "99999999999"}, {"k", "5\n", "ten"},
        {"recall", "0.9\n", "0"},    {"recall", "0.9\n", "1.01"}, {"recall", "0.9\n", "nan"},
        {"recall", "0.9\n", "0x1"},  {"recall", "0.9\n", "-0.5"}, {"recall", "0.9\n", "95%"},
        {"recall", "0.9\n", "0.9 "}, {"ef_search", "7\n", "-1"},  {"ef_search", "7\n", "100001"},
        {"metric", "ip\n", "L2"},    {"metric", "ip\n", "cosin"}, {"metric", "ip\n", "l2 "},
        {"mode", "hnsw\n", "fast"},  {"mode", "hnsw\n", "hnsw,"}, {"mode", "hnsw\n", "hns"},
        {"vector", "[1]", "[1,x]"},  {"vector", "[1]", "[nan]"},  {"vector", "[1]", "[inf]"},
        {"vector", "[1]", "[1,2"},   {"vector", "[1]", "1,2]"},   {"vector", "[1]", "hello"},
        {"vector", "[1]", "0102"},   {"vector", "[1]", "{1:2}"},  {"vector", "[1]", "{1:2}/x"},
        {"vector", "[1]", "[1]\nx"}, {"vector", "[1]", "[1][2]"}, {"vector", "[1]", "{1:2}3/4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(cases[i].name, cases[i].written, strlen(cases[i].written), cases[i].before);
    for (int i = 0; i < QUESTION_FIELDS; i++)
        if (strcmp(question_fields[i], "vector") != 0)
            assert_refused(question_fields[i], "a\0b", 3,
                           strcmp(question_fields[i], "k") == 0           ? "5\n"
                           : strcmp(question_fields[i], "recall") == 0    ? "0.9\n"
                           : strcmp(question_fields[i], "ef_search") == 0 ? "9\n"
                           : strcmp(question_fields[i], "metric") == 0    ? "l1\n"
                           : strcmp(question_fields[i], "mode") == 0      ? "exact\n"
                                                                          : "x\n");
    assert_refused("vector", "\x01\x02\x03\x04\x05", 5, "[1]");
}

/* A vector's bytes stay as they are. */
static void test_vectors(void **state)
{
    (void)state;
    assert_set("vector", "[1,-2.5e3, .5]\n", "[1,-2.5e3, .5]\n");
    assert_set("vector", "{1:0.5,7:-1}/300\n", "{1:0.5,7:-1}/300\n");
    assert_set("vector", "{}/5", "{}/5");
    assert_set("vector", "0101\n1111\n", "0101\n1111\n");
    assert_set("vector", " [1] \r\n\n[2]\n", " [1] \r\n\n[2]\n");
    assert_set("vector", "\n \n", "");
    static const float numbers[] = {1.5F, -2, 1e30F};
    struct question question = fresh();
    struct error error;
    assert_int_equal(set_bytes(&question, "vector", numbers, sizeof numbers, &error), 0);
    assert_int_equal(question.vector.size, sizeof numbers);
    assert_memory_equal(question.vector.data, numbers, sizeof numbers);
    static const char npy[] = "\x93NUMPY\x01\x00 and so on";
    assert_int_equal(set_bytes(&question, "vector", npy, sizeof npy - 1, &error), 0);
    assert_int_equal(question.vector.size, sizeof npy - 1);
    question_clear(&question);
}

static int extend(struct question *question, const char *more, struct error *error)
{
    return question_extend_vector(question, more, strlen(more), error);
}

/* What is appended leaves alone what is there: a long batch moves seldom. */
static void test_grown_vector(void **state)
{
    (void)state;
    struct question question = fresh();
    struct error error;
    struct buffer expected = {0};
    int moves = 0;
    assert_int_equal(set_bytes(&question, "vector", "[0]\n", 4, &error), 0);
    assert_int_equal(buffer_append_text(&expected, "[0]\n"), 0);
    for (int i = 1; i < 20000; i++) {
        char line[32];
        const uint8_t *before = question.vector.data;
        snprintf(line, sizeof line, "[%d,0.5]\n", i);
        assert_int_equal(extend(&question, line, &error), 0);
        assert_int_equal(buffer_append_text(&expected, line), 0);
        moves += question.vector.data != before;
    }
    assert_in_range(moves, 1, 60);
    assert_int_equal(question.vector.size, expected.size);
    assert_memory_equal(question.vector.data, expected.data, expected.size);
    buffer_clear(&expected);
    question_clear(&question);
}

/* Of copies that share a vector each can grow, and sees only its own. */
static void test_grown_copies(void **state)
{
    (void)state;
    struct question first = fresh(), second, third;
    struct error error;
    assert_int_equal(set_bytes(&first, "vector", "[1]\n", 4, &error), 0);
    assert_int_equal(extend(&first, "[2]\n", &error), 0); /* it has room from now on */
    assert_int_equal(question_copy(&first, &second), 0);
    assert_int_equal(question_copy(&first, &third), 0);
    assert_int_equal(extend(&second, "[3]\n", &error), 0);
    assert_ptr_equal(second.vector.data, first.vector.data);
    assert_int_equal(extend(&third, "[4]", &error), 0);
    assert_ptr_not_equal(third.vector.data, first.vector.data);
    assert_int_equal(extend(&third, "\n", &error), 0);
    assert_shows(&first, "vector", "[1]\n[2]\n");
    assert_shows(&second, "vector", "[1]\n[2]\n[3]\n");
    assert_shows(&third, "vector", "[1]\n[2]\n[4]\n");
    question_clear(&first);
    assert_shows(&second, "vector", "[1]\n[2]\n[3]\n");
    question_clear(&second);
    question_clear(&third);
}

/* What is appended is judged as if all had come at once. */
static void test_appended_lines(void **state)
{
    (void)state;
    struct question question = fresh();
    struct error error;
    assert_int_equal(set_bytes(&question, "vector", "[1]\n[2,", 7, &error), -EINVAL);
    assert_int_equal(set_bytes(&question, "vector", "[1]\n{1:2}/3", 11, &error), 0);
    assert_true(question.lines);
    assert_int_equal(extend(&question, "00\n", &error), 0);
    assert_int_equal(extend(&question, "[4]\nxyz\n", &error), -EINVAL);
    assert_non_null(strstr(error.text, "line 4:"));
    assert_shows(&question, "vector", "[1]\n{1:2}/300\n");
    assert_int_equal(extend(&question, "", &error), 0);
    assert_int_equal(extend(&question, "\x01\n", &error), 1);
    assert_int_equal(extend(&question, " \n[5]", &error), 0);
    assert_int_equal(extend(&question, "[6]", &error), -EINVAL);
    assert_shows(&question, "vector", "[1]\n{1:2}/300\n \n[5]");
    static const float numbers[] = {1.5F, -2};
    assert_int_equal(set_bytes(&question, "vector", numbers, sizeof numbers, &error), 0);
    assert_false(question.lines);
    assert_int_equal(set_bytes(&question, "vector", "\n", 1, &error), 0);
    assert_false(question.lines);
    question_clear(&question);
}

static void test_copy(void **state)
{
    (void)state;
    struct question question = fresh(), copy;
    struct error error;
    static const char *const written[QUESTION_FIELDS] = {"c",    "ip",    "3",  "0.5",  "9",
                                                         "true", "exact", "id", "[1,2]"};
    static const char *const shown[QUESTION_FIELDS] = {"c\n",    "ip\n",    "3\n",  "0.5\n", "9\n",
                                                       "true\n", "exact\n", "id\n", "[1,2]"};
    for (int i = 0; i < QUESTION_FIELDS; i++)
        assert_int_equal(
            set_bytes(&question, question_fields[i], written[i], strlen(written[i]), &error), 0);
    question.key = strdup("a key");
    assert_int_equal(question_copy(&question, &copy), 0);
    question_clear(&question);
    for (int i = 0; i < QUESTION_FIELDS; i++)
        assert_shows(&copy, question_fields[i], shown[i]);
    assert_string_equal(copy.key, "a key");
    question_clear(&copy);
}

/* ---- JSON ---- */

static struct question parse(const char *line)
{
    struct question question;
    struct error error = {""};
    /* Behind the line there is nothing that may be read. */
    char *exact = malloc(strlen(line) + 1);
    memcpy(exact, line, strlen(line));
    char *shrunk = realloc(exact, strlen(line) > 0 ? strlen(line) : 1);
    int rc = question_parse_json(shrunk, strlen(line), &question, &error);
    free(shrunk);
    if (rc != 0)
        fail_msg("%s: %s", line, error.text);
    return question;
}

static void assert_json_vector(const char *line, const char *expected)
{
    struct question question = parse(line);
    if (question.vector.size != strlen(expected) || question.vector.data == NULL ||
        memcmp(question.vector.data, expected, strlen(expected)) != 0)
        fail_msg("%s: %.*s", line, (int)question.vector.size, (char *)question.vector.data);
    question_clear(&question);
}

static void test_json(void **state)
{
    (void)state;
    struct question question =
        parse(" { \"vector\" : [0.1, 2] , \"k\":5,\"metric\":\"cosine\",\"recall\":0.9,"
              "\"ef_search\":\"40\",\"mode\":\"exact\",\"column\":\"e\\u00fc\\ud83d\\ude00\\n\","
              "\"filter\":\"a = 'x\\\"'\",\"columns\":[\"id\",\"a\\\"b\"]}\r");
    assert_shows(&question, "vector", "[0.1, 2]");
    assert_int_equal(question.k, 5);
    assert_int_equal(question.metric, METRIC_COSINE);
    assert_true(question.recall == 0.9);
    assert_int_equal(question.ef, 40);
    assert_int_equal(question.mode, MODE_EXACT);
    assert_string_equal(question.column, "e\u00fc\U0001F600");
    assert_string_equal(question.filter, "a = 'x\"'");
    assert_string_equal(question.columns, "\"id\",\"a\"\"b\"");
    question_clear(&question);
    question = parse("{}");
    assert_int_equal(question.k, 10);
    assert_int_equal(question.vector.size, 0);
    question_clear(&question);
    question = parse("{\"key\":42,\"k\":null,\"columns\":\"*\",\"filter\":\"\"}");
    assert_string_equal(question.key, "42");
    assert_int_equal(question.k, 10);
    assert_string_equal(question.columns, "*");
    assert_null(question.filter);
    question_clear(&question);
    question = parse("{\"key\":\"\"}");
    assert_string_equal(question.key, "");
    question_clear(&question);
    question = parse("{\"key\":null,\"vector\":[1]}");
    assert_null(question.key);
    question_clear(&question);
    question = parse("{\"columns\":[]}");
    assert_null(question.columns);
    question_clear(&question);
}

static bool is_batch(const char *line)
{
    struct question question = parse(line), copy;
    assert_int_equal(question_copy(&question, &copy), 0);
    bool batch = copy.batch;
    question_clear(&question);
    question_clear(&copy);
    return batch;
}

/* Whether the answer is numbered does not depend on how many there are. */
static void test_json_batches(void **state)
{
    (void)state;
    assert_true(is_batch("{\"vector\":[[1,2],[3,4]]}"));
    assert_true(is_batch("{\"vector\":[[1,2]]}"));
    assert_true(is_batch("{\"vector\":[\"0101\"]}"));
    assert_false(is_batch("{\"vector\":[1,2]}"));
    assert_false(is_batch("{\"vector\":\"0101\"}"));
    assert_false(is_batch("{\"vector\":[[1,2]],\"vector\":[1,2]}"));
    assert_false(is_batch("{\"vector\":[[1,2]],\"vector\":null}"));
}

static void test_json_vectors(void **state)
{
    (void)state;
    assert_json_vector("{\"vector\":[]}", "[]");
    assert_json_vector("{\"vector\": [ -0.5e+3 , 0 ,1E-2 ] }", "[ -0.5e+3 , 0 ,1E-2 ]");
    assert_json_vector("{\"vector\":\"{1:2}/3\"}", "{1:2}/3");
    assert_json_vector("{\"vector\":\"0101\"}", "0101");
    assert_json_vector("{\"vector\":[[1,2],[3,4]]}", "[1,2]\n[3,4]\n");
    assert_json_vector("{\"vector\":[ [1], [2] ] ,\"k\":1}", "[1]\n[2]\n");
    assert_json_vector("{\"vector\":[\"01\",\"10\"]}", "01\n10\n");
    assert_json_vector("{\"vector\":{\"dim\":5,\"indices\":[1,3],\"values\":[1.5,-2]}}",
                       "{1:1.5,3:-2}/5");
    assert_json_vector("{\"vector\":[{\"values\":[],\"indices\":[],\"dim\":2}]}", "{}/2\n");
    assert_json_vector("{\"vector\":[1],\"vector\":[2]}", "[2]");
    struct question question = parse("{\"vector\":[1],\"vector\":null}");
    assert_int_equal(question.vector.size, 0);
    question_clear(&question);
}

/* An answer names the elements of an array by their numbers. */
static void test_json_elements(void **state)
{
    (void)state;
    static const struct {
        const char *array, *reason;
    } cases[] = {
        {"[\"[1,0]\",\"\",\"[9,9]\"]", "element 1 of the array, counted from 0, is empty"},
        {"[\"[1,0]\", null, \"[9,9]\"]", "element 1 of the array, counted from 0, is empty"},
        {"[\" \\n\\t\",[9,9]]", "element 0 of the array, counted from 0, is empty"},
        {"[[1,0],\"[1,0]\\n[1,1]\"]", "element 1 of the array, counted from 0, is text of several"},
        {"[\"\\n[1,0]\",[9,9]]", "element 0 of the array, counted from 0, is text of several"},
        {"[[1,0],[9,9],\"\\u00e9\\u00e9\"]",
         "element 2 of the array, counted from 0, is not print"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct question question;
        struct error error = {""};
        char line[200];
        snprintf(line, sizeof line, "{\"vector\":%s,\"k\":1}", cases[i].array);
        assert_int_equal(question_parse_json(line, strlen(line), &question, &error), -EINVAL);
        if (strstr(error.text, cases[i].reason) == NULL)
            fail_msg("%s: %s", line, error.text);
    }
    assert_json_vector("{\"vector\":[\"[1,0]\\n\",\"[9,9] \\r\\n\"]}", "[1,0]\n[9,9]\n");
}

static void test_bad_json(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "5",
        "[1,2]",
        "{",
        "{\"k\"",
        "{\"k\":",
        "{\"k\":5",
        "{\"k\":5,}",
        "{\"k\":5}x",
        "{\"k\" 5}",
        "{k:5}",
        "{\"k\":5 \"metric\":\"l2\"}",
        "{\"nope\":1}",
        "{\"k\":0}",
        "{\"k\":true}",
        "{\"k\":[1]}",
        "{\"metric\":\"euclid\"}",
        "{\"vector\":[1,2}",
        "{\"vector\":[0x10,1]}",
        "{\"vector\":[01,1]}",
        "{\"vector\":[+1,1]}",
        "{\"vector\":[1.,1]}",
        "{\"vector\":[.5,1]}",
        "{\"vector\":[1e,1]}",
        "{\"vector\":[1,]}",
        "{\"vector\":[1 2]}",
        "{\"vector\":[inf,1]}",
        "{\"vector\":[[1],[2}",
        "{\"vector\":[[1] [2]]}",
        "{\"vector\":\"unfinished}",
        "{\"vector\":{\"dim\":5}}",
        "{\"vector\":{\"dim\":5,\"indices\":[1],\"values\":[1,2]}}",
        "{\"vector\":{\"dim\":5,\"indices\":[1,2],\"values\":[1]}}",
        "{\"vector\":{\"dim\":5,\"indices\":[1],\"values\":[1],\"more\":1}}",
        "{\"filter\":\"\\x\"}",
        "{\"filter\":\"\\u12\"}",
        "{\"filter\":\"\\u0000\"}",
        "{\"filter\":\"\\ud800\"}",
        "{\"filter\":\"\\udc00\"}",
        "{\"filter\":\"\\ud800\\u0041\"}",
        "{\"key\":1,\"vector\":[1]}",
        "{\"vector\":[[1]],\"key\":\"\"}",
        "{\"columns\":[1]}",
        "{\"columns\":[\"a\"",
        "{\"columns\":[\"a\",]}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct question question;
        struct error error = {""};
        if (question_parse_json(lines[i], strlen(lines[i]), &question, &error) != -EINVAL)
            fail_msg("%s was taken", lines[i]);
        assert_true(strlen(error.text) > 10);
    }
}

/* A line that is cut anywhere is refused, and nothing behind it is read (for the sanitizer to see).
 */
static void test_cut_json(void **state)
{
    (void)state;
    static const char line[] =
        "{\"vector\":[[1,2],{\"dim\":5,\"indices\":[1],\"values\":[2]},"
        "\"[3]\"],\"k\":5,\"filter\":\"\\ud83d\\ude00\",\"columns\":[\"a\"]}";
    for (size_t size = 0; size < sizeof line - 1; size++) {
        struct question question;
        struct error error = {""};
        char *cut = malloc(size > 0 ? size : 1);
        memcpy(cut, line, size);
        assert_int_equal(question_parse_json(cut, size, &question, &error), -EINVAL);
        free(cut);
    }
    struct question question = parse(line);
    question_clear(&question);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_empty_sets_the_default),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_grown_vector),
        cmocka_unit_test(test_grown_copies),
        cmocka_unit_test(test_appended_lines),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_batches),
        cmocka_unit_test(test_json_elements),
        cmocka_unit_test(test_json_vectors),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_cut_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
