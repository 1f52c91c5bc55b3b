#include "codec/json_writer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_writes(struct json_writer *json, const char *expected)
{
    struct buffer out = {0};
    assert_int_equal(json_end(json, &out), 0);
    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
    assert_null(json->text.bytes.data);
    buffer_clear(&out);
}

/* Members in lines, and in one of them what stands in one. */
static void put_lines(struct json_writer *json)
{
    json_open_object(json, NULL, JSON_LINES);
    json_put_words(json, "name", "a \"b\"\n\xff");
    json_open_array(json, "list", JSON_LINES);
    for (unsigned i = 0; i < 2; i++) {
        json_open_object(json, NULL, JSON_ONE_LINE);
        json_put_unsigned(json, "i", i);
        json_open_object(json, "in", JSON_ONE_LINE);
        json_put_null(json, "nothing");
        json_close(json);
        json_close(json);
    }
    json_close(json);
    json_open_object(json, "deep", JSON_LINES);
    json_open_object(json, "deeper", JSON_LINES);
    json_put_bool(json, "yes", true);
    json_close(json);
    json_close(json);
    json_open_array(json, "row", JSON_ONE_LINE);
    json_put_raw(json, NULL, "[1]");
    json_put_bool(json, NULL, false);
    json_close(json);
    json_close(json);
}

static const char lines[] = "{\n"
                            "  \"name\": \"a \\\"b\\\"\\n\uFFFD\",\n"
                            "  \"list\": [\n"
                            "    {\"i\": 0, \"in\": {\"nothing\": null}},\n"
                            "    {\"i\": 1, \"in\": {\"nothing\": null}}\n"
                            "  ],\n"
                            "  \"deep\": {\n"
                            "    \"deeper\": {\n"
                            "      \"yes\": true\n"
                            "    }\n"
                            "  },\n"
                            "  \"row\": [[1], false]\n"
                            "}\n";

static void test_layouts(void **state)
{
    (void)state;
    struct json_writer json = {0};
    put_lines(&json);
    assert_writes(&json, lines);
    put_lines(&json); /* once more with the same */
    assert_writes(&json, lines);
}

static void test_without_members(void **state)
{
    (void)state;
    struct json_writer json = {0};
    for (int i = 0; i < 2; i++) {
        json_open_object(&json, NULL, i == 0 ? JSON_ONE_LINE : JSON_LINES);
        json_close(&json);
        assert_writes(&json, "{}\n");
        json_open_array(&json, NULL, i == 0 ? JSON_ONE_LINE : JSON_LINES);
        json_close(&json);
        assert_writes(&json, "[]\n");
    }
    json_put_words(&json, NULL, "alone");
    assert_writes(&json, "\"alone\"\n");
}

static void test_numbers(void **state)
{
    (void)state;
    struct json_writer json = {0};
    json_open_array(&json, NULL, JSON_ONE_LINE);
    json_put_unsigned(&json, NULL, UINT64_MAX);
    json_put_signed(&json, NULL, INT64_MIN);
    json_put_digits(&json, NULL, UINT64_MAX);
    json_put_fixed(&json, NULL, 2.0 / 3, 1);
    json_put_fixed(&json, NULL, 7, 3);
    json_put_short(&json, NULL, 0.95, 4);
    json_put_short(&json, NULL, 1.0 / 3, 4);
    json_put_time(&json, NULL, 1700000000123456);
    json_close(&json);
    assert_writes(&json, "[18446744073709551615, -9223372036854775808, \"18446744073709551615\", "
                         "0.7, 7.000, 0.95, 0.3333, \"2023-11-14T22:13:20.123456Z\"]\n");
}

/* What there is already stays in front. */
static void test_appends(void **state)
{
    (void)state;
    struct json_writer json = {0};
    struct buffer out = {0};
    assert_int_equal(buffer_append_text(&out, "before"), 0);
    json_put_null(&json, NULL);
    assert_int_equal(json_end(&json, &out), 0);
    assert_int_equal(out.size, strlen("beforenull\n"));
    assert_memory_equal(out.data, "beforenull\n", out.size);
    buffer_clear(&out);
}

static void test_open_and_closed(void **state)
{
    (void)state;
    struct json_writer json = {0};
    struct buffer out = {0};
    json_open_object(&json, NULL, JSON_LINES);
    assert_int_equal(json_end(&json, &out), -EINVAL);
    json_close(&json);
    assert_int_equal(json_end(&json, &out), -EINVAL);
    for (int i = 0; i <= JSON_DEPTH_MOST; i++)
        json_open_array(&json, NULL, JSON_LINES);
    for (int i = 0; i <= JSON_DEPTH_MOST; i++)
        json_close(&json);
    assert_int_equal(json_end(&json, &out), -EINVAL);
    assert_int_equal(out.size, 0);
    put_lines(&json); /* and begins anew */
    assert_writes(&json, lines);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),         cmocka_unit_test(test_without_members),
        cmocka_unit_test(test_numbers),         cmocka_unit_test(test_appends),
        cmocka_unit_test(test_open_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
