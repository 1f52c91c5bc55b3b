#include "fs/base/name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The rule in the header, character by character: the bytes that are escaped. */
static size_t escaped_bytes(const char *sql)
{
    static const char *const others[] = {"\xD8\x9C",     "\xE2\x80\x8E", "\xE2\x80\x8F",
                                         "\xE2\x80\xAA", "\xE2\x80\xAB", "\xE2\x80\xAC",
                                         "\xE2\x80\xAD", "\xE2\x80\xAE", "\xE2\x81\xA6",
                                         "\xE2\x81\xA7", "\xE2\x81\xA8", "\xE2\x81\xA9"};
    size_t n = sql[0] == '.' ? 1 : 0;
    for (const char *at = sql; *at != '\0'; at++) {
        unsigned char c = (unsigned char)at[0], next = (unsigned char)at[1];
        if (c == '%' || c == '/' || c < 0x20 || c == 0x7F)
            n += 1;
        if (c == 0xC2 && next >= 0x80 && next <= 0x9F)
            n += 2;
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (strncmp(at, others[i], strlen(others[i])) == 0)
                n += strlen(others[i]);
    }
    return n;
}

static void assert_round_trip(const char *sql)
{
    struct buffer file = {0};
    char *back = NULL;
    assert_int_equal(name_encode(sql, &file), 0);
    assert_int_equal(file.size, strlen(sql) + 2 * escaped_bytes(sql));
    for (size_t i = 0; i < file.size; i++)
        assert_true(file.data[i] > 0x1F && file.data[i] != 0x7F && file.data[i] != '/');
    assert_int_not_equal(file.data[0], '.');
    assert_int_equal(buffer_append_byte(&file, '\0'), 0);
    const char *name = (const char *)file.data;
    assert_true(escaped_bytes(name) == file.size - 1 - strlen(sql) - escaped_bytes(sql));
    assert_int_equal(name_decode(name, file.size - 1, &back), 0);
    assert_string_equal(back, sql);
    free(back);
    buffer_clear(&file);
}

/* All strings of one and two bytes; with the inverse above, no two have one file name. */
static void test_every_short_name(void **state)
{
    (void)state;
    for (int a = 1; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char sql[3] = {(char)a, (char)b, '\0'};
            assert_round_trip(sql);
        }
}

/* All of three bytes that begin like one that turns the direction, and what follows it. */
static void test_directions(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char sql[6] = {(char)0xE2, (char)a, (char)b, '%', '\0'};
            assert_round_trip(sql);
            char behind[6] = {'.', (char)0xE2, (char)a, (char)b, (char)0xC2, '\0'};
            assert_round_trip(behind);
        }
}

static void test_longer_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "items",      "..",
        "...",        ".hidden",
        "a.b",        "a/b/c",
        "100%",       "%41",
        "%2F",        "Straße €",
        "a\nb\rc\td", "-rf",
        "~",          "x y",
        "\"quoted\"", "trailing.",
        "\x7f\x7f",   "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_round_trip(names[i]);
}

static void test_spelling(void **state)
{
    (void)state;
    struct buffer file = {0};
    assert_int_equal(name_encode(".a/%\n\x7f.z", &file), 0);
    assert_int_equal(file.size, strlen("%2Ea%2F%25%0A%7F.z"));
    assert_memory_equal(file.data, "%2Ea%2F%25%0A%7F.z", file.size);
    file.size = 0;
    assert_int_equal(name_encode("\xC2\x9B"
                                 "31m\xC2\x85 \u00A0\u202Ex\u202C\u200B\u061C",
                                 &file),
                     0);
    static const char written[] = "%C2%9B31m%C2%85 \u00A0%E2%80%AEx%E2%80%AC\u200B%D8%9C";
    assert_int_equal(file.size, sizeof written - 1);
    assert_memory_equal(file.data, written, file.size);
    buffer_clear(&file);
}

/* All file names of up to three bytes that hold a %, and all of up to two bytes: what decodes is
 * what encodes to it. */
static void test_only_one_spelling(void **state)
{
    (void)state;
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++)
            for (int prefix = 0; prefix < 3; prefix++) {
                char name[4] = "%";
                size_t size = 0;
                if (prefix > 0)
                    name[size++] = prefix == 1 ? '%' : 'x';
                name[size++] = (char)a;
                name[size++] = (char)b;
                for (size_t n = size - 2; n <= size; n++) {
                    char *sql = NULL;
                    int rc = name_decode(name, n, &sql);
                    if (rc == -ENOENT) {
                        assert_null(sql);
                        continue;
                    }
                    struct buffer again = {0};
                    assert_int_equal(rc, 0);
                    assert_int_equal(name_encode(sql, &again), 0);
                    assert_int_equal(again.size, n);
                    assert_memory_equal(again.data, name, n);
                    buffer_clear(&again);
                    free(sql);
                }
            }
}

static void test_names_that_are_none(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",        ".",       "..",     ".x",        "%",          "%2",         "a%2",      "%2f",
        "%41",     "x%2E",    "%00",    "%G0",       "%0G",        "a/b",        "\xC2\x85", "%C2",
        "%C2\x85", "\xC2%85", "%C3%A9", "%E2%80%8B", "%E2%80\x8E", "\xE2%80%8E", "%E2%80",   "a\nb",
        "%%",      "%2525 %", "\x7f",   "% 1",       "%+1",        "%-1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *sql = NULL;
        assert_int_equal(name_decode(names[i], strlen(names[i]), &sql), -ENOENT);
        assert_null(sql);
    }
    char *sql = NULL;
    assert_int_equal(name_decode("a\0b", 3, &sql), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_short_name),  cmocka_unit_test(test_directions),
        cmocka_unit_test(test_longer_names),      cmocka_unit_test(test_spelling),
        cmocka_unit_test(test_only_one_spelling), cmocka_unit_test(test_names_that_are_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
