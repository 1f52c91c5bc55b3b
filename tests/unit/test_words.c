#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "pgclient/words.h"

#include <string.h>

static void words_become_one_line_of_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *encoding, *text, *tidied;
    } words[] = {
        {"UTF8", " a\n\t b\u00f6\x1b[1m ", "a b\u00f6 [1m"},
        {"LATIN1", "b\xf6se", "b\u00f6se"},
        {"WIN1251", "\xc6", "\u0416"},
        {"KOI8R", "\xf6", "\u0416"},
        {"EUC_JP", "\xb4\xc1\xbb\xfa", "\u6f22\u5b57"},
        {"ISO_8859_5", "\xb6", "\u0416"},
        {"EUC_JP", "cut \xb4", "cut ?"},
        {"SQL_ASCII", "b\u00f6se", "b\u00f6se"},
        {"EUC_JP", "\xb4\xc1\xff\xbb\xfa cut \xb4", "\u6f22?\u5b57 cut ?"},
        {"SQL_ASCII", "b\xf6se", "b?se"},
        {"SQL_ASCII", "b\xf6se b\u00f6se \xe2\x82", "b?se b\u00f6se ??"},
        {"UTF8", "b\xf6se \u20ac\n\xe2\x82", "b?se \u20ac ??"},
        {NULL, "b\xf6se", "b?se"},
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[64];
        strcpy(text, words[i].text);
        words_tidy(text, sizeof text, words[i].encoding);
        assert_string_equal(text, words[i].tidied);
    }
}

static void what_grows_too_long_is_cut_at_a_character(void **state)
{
    (void)state;
    char text[8] = "\xe4\xe4\xe4\xe4\xe4\xe4\xe4";
    words_tidy(text, sizeof text, "LATIN1");
    assert_string_equal(text, "\u00e4\u00e4\u00e4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_one_line_of_utf8),
        cmocka_unit_test(what_grows_too_long_is_cut_at_a_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
