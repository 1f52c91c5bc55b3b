#include "pgclient/words.h"

#include "codec/utf8.h"

#include <iconv.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What iconv calls it: CP1252, EUC-JP, KOI8-R, ISO_8859-5, LATIN1. */
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

/* Whether it is UTF-8 now; otherwise nothing has changed. */
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
    bool done = iconv(way, &in, &left, &out, &room) != (size_t)-1 || room < 4; /* full */
    iconv_close(way);
    *out = '\0';
    if (done)
        memcpy(text, converted, (size_t)(out - converted) + 1);
    free(converted);
    return done;
}

void words_tidy(char *text, size_t size, const char *encoding)
{
    bool utf8 = encoding != NULL && (strcmp(encoding, "UTF8") == 0 ||
                                     (strcmp(encoding, "SQL_ASCII") == 0 && utf8_is(text)) ||
                                     convert(text, size, encoding));
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        unsigned char byte = (unsigned char)*from;
        char c = byte < ' ' ? ' ' : byte >= 0x80 && !utf8 ? '?' : *from;
        if (c == ' ' && (to == text || to[-1] == ' '))
            continue;
        *to++ = c;
    }
    while (to > text && to[-1] == ' ')
        to--;
    *to = '\0';
}
