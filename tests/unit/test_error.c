#include "codec/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, -EIO, "never %d", 1), -EIO);
    error_prefix(NULL, "never");
}

static void test_words_and_code(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, -EACCES, "row %d of %s", 7, "t"), -EACCES);
    assert_string_equal(error.text, "row 7 of t");
    error_prefix(&error, "table %s", "x");
    assert_string_equal(error.text, "table x: row 7 of t");
}

/* Whole UTF-8: each character's bytes are all there. */
static bool is_utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0';) {
        int more = *at < 0x80 ? 0 : *at >= 0xF0 ? 3 : *at >= 0xE0 ? 2 : *at >= 0xC0 ? 1 : -1;
        if (more < 0)
            return false;
        for (at++; more > 0; more--, at++)
            if ((*at & 0xC0) != 0x80)
                return false;
    }
    return true;
}

static const char *const characters[] = {"x", "ü", "€", "𝄞"};

static void fill(char *text, const char *character, size_t size)
{
    size_t n = strlen(character);
    for (text[0] = '\0'; size >= n; size -= n)
        strcat(text, character);
}

/* A long text is cut between characters, wherever the cut falls, and loses no more than one of
 * them. */
static void test_cut_at_characters(void **state)
{
    (void)state;
    for (size_t c = 0; c < 4; c++)
        for (size_t before = 0; before < 8; before++) {
            struct error error;
            char text[3000];
            fill(text, characters[c], sizeof text - 10);
            assert_int_equal(error_set(&error, -EIO, "%.*s%s", (int)before, "01234567", text),
                             -EIO);
            assert_true(is_utf8(error.text));
            assert_true(strlen(error.text) >= sizeof error.text - 1 - 8);
            error_prefix(&error, "%.*s", (int)before, "01234567");
            assert_true(is_utf8(error.text));
            assert_true(strlen(error.text) >= sizeof error.text - 1 - 8);
        }
}

/* Where the cut falls behind a character, that stays. */
static void test_cut_behind_a_character(void **state)
{
    (void)state;
    struct error error;
    char text[1200];
    memset(text, 'a', 1021);
    strcpy(text + 1021, "\u00fc and more");
    assert_int_equal(error_set(&error, -EIO, "%s", text), -EIO);
    assert_int_equal(strlen(error.text), 1023);
    assert_string_equal(error.text + 1021, "\u00fc");
}

/* A text that just fits is not cut. */
static void test_every_length(void **state)
{
    (void)state;
    for (size_t size = 1000; size < 1024; size++) {
        struct error error;
        char text[1100];
        memset(text, 'a', size);
        text[size] = '\0';
        assert_int_equal(error_set(&error, -EIO, "%s", text), -EIO);
        assert_string_equal(error.text, text);
    }
}

/* The context in front is cut between characters too. */
static void test_long_context(void **state)
{
    (void)state;
    for (size_t c = 0; c < 4; c++)
        for (size_t before = 0; before < 8; before++) {
            struct error error = {"why"};
            char text[600];
            fill(text, characters[c], sizeof text - 10);
            error_prefix(&error, "%.*s%s", (int)before, "01234567", text);
            assert_true(is_utf8(error.text));
            assert_string_equal(error.text + strlen(error.text) - 5, ": why");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_is_allowed),   cmocka_unit_test(test_words_and_code),
        cmocka_unit_test(test_cut_at_characters), cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_long_context),      cmocka_unit_test(test_cut_behind_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
