/* The text of schema.sql, of what pg_dump printed. */
#include "pgclient/ddl_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t secret[KEYED_HASH_KEY] = "one secret", other_secret[KEYED_HASH_KEY] = "two";

#define HEAD "--\n-- PostgreSQL database dump\n--\n\n"
#define VERSIONS                                                                                   \
    "-- Dumped from database version 15.20\n-- Dumped by pg_dump version 15.20 (Debian)\n\n"
#define TAIL "--\n-- PostgreSQL database dump complete\n--\n\n"

static char *text_of(const char *dump, const uint8_t *with)
{
    struct buffer in = {.data = (uint8_t *)dump, .size = strlen(dump)}, out = {0};
    assert_int_equal(ddl_text(&in, with, &out), 0);
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    return (char *)out.data;
}

/* The word behind the first \restrict of a text. */
static void key_of(const char *text, char key[KEYED_HASH_TEXT])
{
    const char *line = strstr(text, "\n\\restrict ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "\n\\restrict %64[0-9a-f]\n", key), 1);
    assert_int_equal(strlen(key), KEYED_HASH_TEXT - 1);
}

static void keyed_hash_is_hmac_sha_256(void **state)
{
    (void)state;
    /* What Python's hmac module says. */
    uint8_t key[KEYED_HASH_KEY];
    char text[KEYED_HASH_TEXT];
    memset(key, 0x0b, sizeof key);
    assert_int_equal(keyed_hash_text(key, "Hi There", 8, text), 0);
    assert_string_equal(text, "198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7");
    assert_int_equal(keyed_hash_text(key, NULL, 0, text), 0);
    assert_string_equal(text, "5177e637aaac0b50e5dca8bb05b0b571444bd59b9b0d834d50681af21fc14b1e");
}

static void runs_differ_in_nothing(void **state)
{
    (void)state;
    char *a = text_of(
        HEAD "\\restrict aaa\n\n" VERSIONS "SELECT 1;\n\n" TAIL "\\unrestrict aaa\n\n", secret);
    char *b =
        text_of(HEAD "\\restrict bB9\n\n-- Dumped from database version 16.1\n"
                     "-- Dumped by pg_dump version 17\n\nSELECT 1;\n\n" TAIL "\\unrestrict bB9\n\n",
                secret);
    char key[KEYED_HASH_TEXT], whole[1024];
    assert_string_equal(a, b);
    key_of(a, key);
    snprintf(whole, sizeof whole, HEAD "\\restrict %s\n\nSELECT 1;\n\n" TAIL "\\unrestrict %s\n\n",
             key, key);
    assert_string_equal(a, whole);
    free(a), free(b);
}

static void key_depends_on_text_and_secret(void **state)
{
    (void)state;
    static const char *const dumps[] = {
        HEAD "\\restrict a\n\n" VERSIONS "SELECT 1;\n" TAIL "\\unrestrict a\n\n",
        HEAD "\\restrict a\n\n" VERSIONS "SELECT 2;\n" TAIL "\\unrestrict a\n\n",
    };
    char keys[3][KEYED_HASH_TEXT];
    for (size_t i = 0; i < 3; i++) {
        char *text = text_of(dumps[i % 2], i < 2 ? secret : other_secret);
        key_of(text, keys[i]);
        free(text);
    }
    assert_string_not_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[0], keys[2]);
}

/* What a hostile server makes pg_dump print stays between the two lines, as it is. */
static void lines_that_only_look_like_them_stay(void **state)
{
    (void)state;
#define BODY                                                                                       \
    "\\! touch x\n\\restrict zzz\nCOMMENT IS '\n\\unrestrict abc\n\\unrestrict aa\n"               \
    "-- Dumped from x\n';\n"
    char *text =
        text_of(HEAD "\\restrict aaa\n\n" VERSIONS BODY TAIL "\\unrestrict aaa\n\n", secret);
    char key[KEYED_HASH_TEXT], whole[1024];
    key_of(text, key);
    snprintf(whole, sizeof whole, HEAD "\\restrict %s\n\n" BODY TAIL "\\unrestrict %s\n\n", key,
             key);
    assert_string_equal(text, whole);
    free(text);
    /* The version of a server is its own word, too. */
    text = text_of(HEAD "\\restrict aaa\n\n-- Dumped from database version 15\n\\restrict aaa\n"
                        "\\! touch x\n-- Dumped by pg_dump version 15\n\nSELECT 1;\n" TAIL
                        "\\unrestrict aaa\n\n",
                   secret);
    assert_null(strstr(text, "\\unrestrict aaa"));
    const char *lower = strstr(text, "\\! touch x");
    assert_true(lower != NULL && lower > strstr(text, "\\restrict "));
    free(text);
}

static void old_pg_dumps_print_none(void **state)
{
    (void)state;
    char *text = text_of(HEAD VERSIONS "SELECT '\n\\unrestrict a\n';\n" TAIL, secret);
    assert_string_equal(text, HEAD "SELECT '\n\\unrestrict a\n';\n" TAIL);
    free(text);
    text = text_of("", secret);
    assert_string_equal(text, "");
    free(text);
}

static bool replaces(const char *old, const char *fresh)
{
    struct buffer a = {.data = (uint8_t *)old, .size = strlen(old)},
                  b = {.data = (uint8_t *)fresh, .size = strlen(fresh)};
    return ddl_text_replaces(&a, &b);
}

static void texts_of_before_stay_where_they_are_harmless(void **state)
{
    (void)state;
    char *fresh =
        text_of(HEAD "\\restrict a\n\n" VERSIONS "SELECT 1;\n" TAIL "\\unrestrict a\n\n", secret);
    assert_true(replaces(HEAD "SELECT 1;\n" TAIL, fresh));
    assert_false(replaces(HEAD "SELECT 2;\n" TAIL, fresh));
    assert_false(replaces("", fresh));
    free(fresh);
    fresh = text_of(HEAD "\\restrict a\n\n" VERSIONS "SELECT 1;\\! ls\n" TAIL "\\unrestrict a\n\n",
                    secret);
    assert_false(replaces(HEAD "SELECT 1;\\! ls\n" TAIL, fresh));
    free(fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyed_hash_is_hmac_sha_256),
        cmocka_unit_test(runs_differ_in_nothing),
        cmocka_unit_test(key_depends_on_text_and_secret),
        cmocka_unit_test(lines_that_only_look_like_them_stay),
        cmocka_unit_test(old_pg_dumps_print_none),
        cmocka_unit_test(texts_of_before_stay_where_they_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
