#include "pgclient/words.h"

#include "codec/utf8.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name that iconv has for the encoding: CP1252, EUC-JP, KOI8-R, ISO_8859-5, LATIN1. */
static void name_for_iconv(const char *encoding, char *out, size_t size)
{
    static const struct {
        const char *ours, *theirs;
    } prefixes[] = {{"WIN", "CP"}, {"EUC_", "EUC-"}, {"KOI8", "KOI8-"}, {"ISO_8859_", "ISO_8859-"}};
    snprintf(out, size, "%s", encoding);
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        size_t n = strlen(prefixes[i].ours);
        if (strncmp(encoding, prefixes[i].ours, n) == 0)
            snprintf(out, size, "%s%s", prefixes[i].theirs, encoding + n);
    }
}

/* Converts the text to UTF-8, as far as there is room, with '?' for each byte that belongs to no
 * character. false: nothing has changed. */
static bool convert(char *text, size_t size, const char *encoding)
{
    char name[32], *converted = malloc(size), *in = text, *out = converted;
    size_t left = strlen(text), room = size - 1;
    name_for_iconv(encoding, name, sizeof name);
    iconv_t way = converted == NULL ? (iconv_t)-1 : iconv_open("UTF-8", name);
    if (way == (iconv_t)-1) {
        free(converted);
        return false;
    }
    while (room > 0 && iconv(way, &in, &left, &out, &room) == (size_t)-1 && errno != E2BIG) {
        *out++ = '?'; /* most often for the last character, if the text was cut */
        in++;
        left--;
        room--;
    }
    iconv_close(way);
    *out = '\0';
    memcpy(text, converted, (size_t)(out - converted) + 1);
    free(converted);
    return true;
}

/* A server without an encoding (SQL_ASCII) sends its bytes as they are, whatever encoding was asked
 * for. */
static bool may_be_utf8(char *text, size_t size, const char *encoding)
{
    return encoding != NULL &&
           (strcmp(encoding, "UTF8") == 0 || strcmp(encoding, "SQL_ASCII") == 0 ||
            convert(text, size, encoding));
}

void words_tidy(char *text, size_t size, const char *encoding)
{
    bool utf8 = may_be_utf8(text, size, encoding);
    char *to = text;
    for (const char *from = text, *next; *from != '\0'; from = next) {
        size_t n = (unsigned char)*from < 0x80 ? 1 : utf8 ? utf8_size(from) : 0;
        bool blank = (unsigned char)*from <= ' ';
        next = from + (n > 0 ? n : 1);
        if (n == 0)
            *to++ = '?';
        else if (!blank)
            to = (char *)memmove(to, from, n) + n;
        else if (to > text && to[-1] != ' ')
            *to++ = ' ';
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}
