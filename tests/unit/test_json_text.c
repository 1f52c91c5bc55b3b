#include "codec/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_holds(struct buffer *out, const void *expected, size_t size)
{
    assert_int_equal(out->size, size);
    assert_memory_equal(out->data, expected, size);
    buffer_clear(out);
}

/* One byte after the other, from the definition in the header. */
static size_t string_reference(const uint8_t *text, size_t size, char *out)
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < size; i++) {
        const char *name = text[i] == '\b'   ? "\\b"
                           : text[i] == '\f' ? "\\f"
                           : text[i] == '\n' ? "\\n"
                           : text[i] == '\r' ? "\\r"
                           : text[i] == '\t' ? "\\t"
                           : text[i] == '"'  ? "\\\""
                           : text[i] == '\\' ? "\\\\"
                                             : NULL;
        if (name != NULL)
            n += (size_t)sprintf(out + n, "%s", name);
        else if (text[i] < 0x20)
            n += (size_t)sprintf(out + n, "\\u%04x", text[i]);
        else
            out[n++] = (char)text[i];
    }
    out[n++] = '"';
    return n;
}

static void assert_like_reference(const uint8_t *text, size_t size)
{
    char expected[1024];
    struct buffer out = {0};
    size_t n = string_reference(text, size, expected);
    assert_int_equal(json_string(&out, text, size), 0);
    assert_holds(&out, expected, n);
}

/* The server's answer to to_json(E'a\x01\x1f\b\f\n\r\t"\\/\x7f') */
static void test_server_answer(void **state)
{
    (void)state;
    static const char text[] = "a\001\037\b\f\n\r\t\"\\/\177",
                      json[] = "\"a\\u0001\\u001f\\b\\f\\n\\r\\t\\\"\\\\/\177\"";
    struct buffer out = {0};
    assert_int_equal(json_string(&out, text, sizeof text - 1), 0);
    assert_holds(&out, json, sizeof json - 1);
}

/* Every byte value at every place of a string of up to 40 bytes: before, in and behind whole
 * blocks. */
static void test_every_byte_and_place(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 40; size++) {
        uint8_t *text = malloc(size + 1); /* + 1: never of no bytes */
        assert_non_null(text);
        memset(text, 'x', size);
        assert_like_reference(text, size);
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                text[at] = (uint8_t)byte;
                assert_like_reference(text, size);
            }
            text[at] = 'x';
        }
        free(text);
    }
}

static void test_all_escaped(void **state)
{
    (void)state;
    uint8_t text[100];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i % 33);
    assert_like_reference(text, sizeof text);
}

static void append_one_line(struct buffer *out, const char *json, size_t size)
{
    struct pen pen = {.out = out, .spare = 1};
    uint8_t *at = pen_open(&pen);
    if (at != NULL)
        at = json_write_one_line(&pen, at, (const uint8_t *)json, size);
    assert_non_null(at);
    assert_int_equal(pen_flush(&pen, at), 0);
    pen_clear(&pen);
}

static void test_appends(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_int_equal(json_string(&out, "a", 1), 0);
    assert_int_equal(json_string(&out, NULL, 0), 0);
    append_one_line(&out, "", 0);
    append_one_line(&out, "1", 1);
    assert_holds(&out, "\"a\"\"\"1", 6);
}

/* Every arrangement of up to seven of: a line feed, a carriage return, two other bytes. */
static void test_one_line(void **state)
{
    (void)state;
    static const char alphabet[] = "\n\r[ ";
    for (unsigned size = 0; size <= 7; size++) {
        for (unsigned code = 0; code < 1U << 2 * size; code++) {
            char text[7], expected[8];
            size_t n = 0;
            for (unsigned i = 0; i < size; i++) {
                text[i] = alphabet[code >> 2 * i & 3];
                if (text[i] != '\n' && text[i] != '\r')
                    expected[n++] = text[i];
            }
            struct buffer out = {0};
            assert_int_equal(buffer_append_byte(&out, '>'), 0);
            append_one_line(&out, text, size);
            memmove(expected + 1, expected, n);
            expected[0] = '>';
            assert_holds(&out, expected, n + 1);
        }
    }
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } words[] = {
        {"", "\"\""},
        {"a\"\u00e9\U0001F600", "\"a\\\"\u00e9\U0001F600\""},
        {"caf\xe9", "\"caf\uFFFD\""},
        {"\xc3", "\"\uFFFD\""},                                           /* cut short */
        {"\xc0\xaf|\xed\xa0\x80", "\"\uFFFD\uFFFD|\uFFFD\uFFFD\uFFFD\""}, /* overlong, surrogate */
        {"\xf4\x90\x80\x80", "\"\uFFFD\uFFFD\uFFFD\uFFFD\""},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct buffer out = {0};
        assert_int_equal(json_words(&out, words[i].text), 0);
        assert_int_equal(out.size, strlen(words[i].json));
        assert_memory_equal(out.data, words[i].json, out.size);
        buffer_clear(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server_answer), cmocka_unit_test(test_every_byte_and_place),
        cmocka_unit_test(test_all_escaped),   cmocka_unit_test(test_appends),
        cmocka_unit_test(test_one_line),      cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
