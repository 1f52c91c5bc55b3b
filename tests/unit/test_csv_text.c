/* CSV's quoting, with commas and with tabs, against one byte after the other, from the rule in
 * separated.h. */
#include "codec/csv_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct quoting {
    write_value *write;
    uint8_t delimiter;
} quotings[] = {{csv_text, ','}, {tsv_text, '\t'}};

enum { QUOTINGS = sizeof quotings / sizeof *quotings };

static size_t reference(const uint8_t *text, size_t size, bool lone, uint8_t delimiter,
                        uint8_t *out)
{
    bool quote = size == 0 || (lone && size == 2 && text[0] == '\\' && text[1] == '.');
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] == delimiter || text[i] == '"' || text[i] == '\n' || text[i] == '\r')
            quote = true;
    if (quote)
        out[n++] = '"';
    for (size_t i = 0; i < size; i++) {
        out[n++] = text[i];
        if (text[i] == '"')
            out[n++] = '"';
    }
    if (quote)
        out[n++] = '"';
    return n;
}

/* Into a buffer with `capacity` bytes, of which one is used. */
static int write_text(write_value *write, const uint8_t *text, size_t size, bool lone,
                      size_t capacity, struct buffer *out)
{
    assert_int_equal(buffer_grow(out, capacity), 0);
    out->capacity = capacity;
    out->data[out->size++] = '>';
    struct pen pen = {.out = out, .spare = VALUE_ROOM, .lone = lone};
    uint8_t *at = pen_open(&pen);
    assert_non_null(at);
    at = write(&pen, at, text, size);
    int rc = at != NULL ? pen_flush(&pen, at) : pen.rc < 0 ? pen.rc : -EBADMSG;
    pen_clear(&pen);
    return rc;
}

/* The text stands at the end of its memory, so that a read behind it is seen. */
static void assert_quoted(const struct quoting *quoting, const uint8_t *text, size_t size,
                          bool lone)
{
    uint8_t *copy = malloc(size + 1), *expected = malloc(2 * size + 2);
    assert_true(copy != NULL && expected != NULL);
    uint8_t *from = copy + 1;
    if (size > 0)
        memcpy(from, text, size);
    size_t n = reference(from, size, lone, quoting->delimiter, expected);
    const size_t capacities[] = {1, 1 + n, 1 + n + VALUE_ROOM, 4 * n + 1000};
    for (size_t i = 0; i < 4; i++) {
        struct buffer out = {0};
        assert_int_equal(write_text(quoting->write, from, size, lone, capacities[i], &out), 0);
        assert_int_equal(out.size, 1 + n);
        assert_memory_equal(out.data + 1, expected, n);
        assert_true(i == 0 || out.capacity == capacities[i]);
        buffer_clear(&out);
    }
    free(copy);
    free(expected);
}

static void assert_like_reference(const uint8_t *text, size_t size, bool lone)
{
    for (int i = 0; i < QUOTINGS; i++)
        assert_quoted(&quotings[i], text, size, lone);
}

static const size_t ends[] = {0,  1,  2,  3,  4,  5,  7,  8,  9,  12, 15, 16,
                              17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 64, 65};

enum { ENDS = sizeof ends / sizeof *ends };

static void test_every_byte_and_place(void **state)
{
    (void)state;
    static const uint8_t bytes[] = ",\t\"\n\r\\.-+!#\x0b\x0c\x0e\x01\x7f\x80\xa2\x8a\xac\xff x";
    uint8_t text[128];
    memset(text, 'x', sizeof text);
    for (size_t e = 0; e < ENDS; e++)
        for (size_t at = 0; at < ends[e]; at++) {
            for (size_t b = 0; b < sizeof bytes - 1; b++) {
                text[at] = bytes[b];
                assert_like_reference(text, ends[e], b % 2 != 0);
            }
            text[at] = 'x';
        }
    assert_like_reference(text, 0, false);
    assert_like_reference(text, 0, true);
}

static void test_end_of_data(void **state)
{
    (void)state;
    static const char *const texts[] = {"\\.", "\\", ".", ".\\", "\\.x", "\\,", "\\\t", "\\.\\."};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int lone = 0; lone < 2; lone++)
            assert_like_reference((const uint8_t *)texts[i], strlen(texts[i]), lone != 0);
}

/* Two quotes anywhere, so that what is behind the first is looked at again. */
static void test_pairs_of_quotes(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t size = 2; size <= sizeof text; size += 1 + size / 8)
        for (size_t first = 0; first < size; first++)
            for (size_t second = first + 1; second < size; second++) {
                memset(text, 'x', size);
                text[first] = text[second] = '"';
                assert_like_reference(text, size, false);
            }
}

/* Around the pieces in which long texts are written. */
static void test_long_texts(void **state)
{
    (void)state;
    static const size_t sizes[] = {4095, 4096, 4097, 8191, 8192, 8193, 33000, 70000};
    static const char letters[] = "abc,def\"ghi\njkl\rm\to";
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint8_t *text = malloc(sizes[s]);
        assert_non_null(text);
        memset(text, 'x', sizes[s]);
        assert_like_reference(text, sizes[s], false);
        text[sizes[s] - 1] = '"';
        assert_like_reference(text, sizes[s], false);
        memset(text, '"', sizes[s]);
        assert_like_reference(text, sizes[s], false);
        for (size_t i = 0; i < sizes[s]; i++)
            text[i] = (uint8_t)letters[(i * 2654435761U >> 7) % 19];
        assert_like_reference(text, sizes[s], false);
        free(text);
    }
}

static void test_nul_is_refused(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t size = 1; size <= sizeof text; size++)
        for (size_t at = 0; at < size; at++)
            for (int i = 0; i < 2 * QUOTINGS; i++) {
                struct buffer out = {0};
                const struct quoting *quoting = &quotings[i / 2];
                memset(text, i % 2 != 0 ? quoting->delimiter : 'x', size);
                text[at] = 0;
                assert_int_equal(write_text(quoting->write, text, size, false, 1, &out), -EBADMSG);
                buffer_clear(&out);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_byte_and_place), cmocka_unit_test(test_end_of_data),
        cmocka_unit_test(test_pairs_of_quotes),      cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_nul_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
