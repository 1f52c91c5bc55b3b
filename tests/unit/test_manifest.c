#include "fs/views/manifest.h"

#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct place place;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    place_close(&place);
    return 0;
}

/* ---- RFC 8259, as short as it goes: the end of the value that begins here, NULL where there is
 * none ---- */

static const char *skip_space(const char *at) { return at + strspn(at, " \t\r\n"); }

static const char *skip_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u' && strspn(at + 1, "0123456789abcdefABCDEF") >= 4)
            at += 4;
        else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL)
            return NULL;
    }
    return at + 1;
}

static const char *skip_value(const char *at);

static const char *skip_list(const char *at, char end, bool keys)
{
    at = skip_space(at + 1);
    if (*at == end)
        return at + 1;
    for (;; at++) {
        if (keys) {
            at = skip_string(skip_space(at));
            if (at == NULL || *(at = skip_space(at)) != ':')
                return NULL;
            at++;
        }
        at = skip_value(at);
        if (at == NULL)
            return NULL;
        at = skip_space(at);
        if (*at == end)
            return at + 1;
        if (*at != ',')
            return NULL;
    }
}

static const char *skip_value(const char *at)
{
    at = skip_space(at);
    if (*at == '{' || *at == '[')
        return skip_list(at, *at == '{' ? '}' : ']', *at == '{');
    if (*at == '"')
        return skip_string(at);
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    size_t digits = strspn(at, "0123456789");
    return digits == 0 || (digits > 1 && *at == '0') ? NULL : at + digits;
}

static void assert_is_json(struct buffer *text)
{
    assert_int_equal(buffer_append_byte(text, '\0'), 0);
    const char *end = skip_value((const char *)text->data);
    assert_non_null(end);
    assert_string_equal(skip_space(end), "");
    text->size--;
}

static void test_is_json_of_one_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (int k = 0; k <= 2 * FORMAT_COUNT; k++) {
            unsigned all = (1U << FORMAT_COUNT) - 1;
            unsigned listed =
                k <= FORMAT_COUNT ? (1U << k) - 1 : all & ~(1U << (k - FORMAT_COUNT - 1));
            struct snapshot *snapshot = place_snapshot(&place, &rows_tables[i], 10, 4);
            struct buffer without = {0}, with = {0};
            for (int f = 0; f < FORMAT_COUNT; f++)
                place_face(snapshot, f)->hash = (struct hash128){UINT64_MAX >> f, (uint64_t)f};
            assert_int_equal(manifest_write(snapshot, listed, false, &without), 0);
            assert_int_equal(manifest_write(snapshot, listed, true, &with), 0);
            assert_int_equal(without.size, with.size);
            assert_is_json(&without);
            assert_is_json(&with);
            buffer_clear(&without);
            buffer_clear(&with);
            snapshot_unref(snapshot);
        }
}

static void test_text(void **state)
{
    (void)state;
    static const struct rows_table table = {"t \"x\"\n", false, 2, {ROWS_SERVER, ROWS_GENERATED}};
    struct snapshot *snapshot = place_snapshot(&place, &table, 3, 2);
    struct buffer text = {0};
    place_face(snapshot, 0)->hash = (struct hash128){1, 0xabc};
    place_face(snapshot, 2)->refused = -EIO;
    place_face(snapshot, 2)->reason = place_copy("no \"JSON\"");
    assert_int_equal(manifest_write(snapshot, 1 << 0 | 1 << 2, true, &text), 0);
    char expected[600];
    int n = snprintf(
        expected, sizeof expected,
        "{\n  \"schema\": \"public\",\n  \"name\": \"t \\\"x\\\"\\n\",\n  \"kind\": \"table\",\n  "
        "\"rows\": 3,\n"
        "  \"columns\": [\n    {\"name\": \"c,0\", \"type\": \"s.odd\"},\n"
        "    {\"name\": \"c,1\", \"type\": \"s.odd\", \"generated\": true}\n  ],\n"
        "  \"views\": {\n    \"csv\": {\"bytes\": %llu, \"xxh3_128\": "
        "\"00000000000000010000000000000abc\"},\n"
        "    \"jsonl\": {\"error\": \"no \\\"JSON\\\"\"}\n  },\n"
        "  \"version\": \"42\",\n  \"point_in_time\": \"2023-11-14T22:13:20.123456Z\"\n}\n",
        (unsigned long long)snapshot_face(snapshot, formats[0])->size);
    assert_int_equal(text.size, n);
    assert_memory_equal(text.data, expected, (size_t)n);
    buffer_clear(&text);
    snapshot_unref(snapshot);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_is_json_of_one_length), TEST(test_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
