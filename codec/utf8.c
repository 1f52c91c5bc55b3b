#include "codec/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_size(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = at[0] < 0x80                    ? 1
               : at[0] >= 0xC2 && at[0] < 0xE0 ? 2
               : (at[0] & 0xF0) == 0xE0        ? 3
               : at[0] >= 0xF0 && at[0] < 0xF5 ? 4
                                               : 0;
    for (size_t i = 1; i < n; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    bool outside = n > 2 && ((at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ||
                             (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F));
    return outside ? 0 : n;
}

bool utf8_is(const char *text)
{
    while (*text != '\0') {
        size_t n = utf8_size(text);
        if (n == 0)
            return false;
        text += n;
    }
    return true;
}

bool utf8_holds(const void *bytes, size_t size)
{
    const char *at = bytes, *end = at + size;
    while (at < end) {
        uint64_t eight = UINT64_C(1) << 63;
        if (end - at >= 8)
            memcpy(&eight, at, 8);
        if ((eight & UINT64_C(0x8080808080808080)) == 0) {
            at += 8;
            continue;
        }
        /* a character is looked at in a copy: it might go on behind the end */
        char one[5] = "";
        memcpy(one, at, end - at < 4 ? (size_t)(end - at) : 4);
        size_t n = utf8_size(one);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

void utf8_trim(char *text)
{
    size_t n = strlen(text), back = 1;
    while (back < 4 && back < n && ((unsigned char)text[n - back] & 0xC0) == 0x80)
        back++;
    if (n > 0 && (unsigned char)text[n - back] >= 0xC0 && utf8_size(text + n - back) == 0)
        text[n - back] = '\0';
}

void utf8_mend(char *text)
{
    while (*text != '\0') {
        size_t n = utf8_size(text);
        if (n == 0)
            *text = '?';
        text += n > 0 ? n : 1;
    }
}
