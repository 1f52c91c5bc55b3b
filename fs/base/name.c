#include "fs/base/name.h"

#include <errno.h>
#include <stdlib.h>

/* How many bytes the character at `at` has, if it is escaped; 0: it stays. Reasons: a terminal
 * obeys U+0080-9F as it does ESC [, and the characters that turn the direction of writing make one
 * name look like another. */
static size_t escaped_size(const unsigned char *at, bool first)
{
    if (at[0] == '%' || at[0] == '/' || at[0] < 0x20 || at[0] == 0x7F || (first && at[0] == '.'))
        return 1;
    if ((at[0] == 0xC2 && at[1] >= 0x80 && at[1] <= 0x9F) || (at[0] == 0xD8 && at[1] == 0x9C))
        return 2;
    if (at[0] != 0xE2)
        return 0;
    bool marks = at[1] == 0x80 && (at[2] == 0x8E || at[2] == 0x8F);
    bool embeddings = at[1] == 0x80 && at[2] >= 0xAA && at[2] <= 0xAE;
    bool isolates = at[1] == 0x81 && at[2] >= 0xA6 && at[2] <= 0xA9;
    return marks || embeddings || isolates ? 3 : 0;
}

int name_encode_part(const char *sql, bool first, const char *also, struct buffer *out)
{
    static const char digits[] = "0123456789ABCDEF";
    int rc = 0;
    size_t left = 0, before = out->size; /* bytes of this character still to escape */
    for (const unsigned char *at = (const unsigned char *)sql; rc == 0 && *at != '\0'; at++) {
        if (left == 0)
            left =
                strchr(also, *at) != NULL ? 1 : escaped_size(at, first && (const char *)at == sql);
        const char escaped[3] = {'%', digits[*at >> 4], digits[*at & 15]};
        rc = left > 0 ? buffer_append(out, escaped, 3) : buffer_append_byte(out, *at);
        left -= left > 0;
    }
    if (rc < 0)
        out->size = before;
    return rc;
}

int name_encode(const char *sql, struct buffer *out)
{
    return name_encode_part(sql, true, "", out);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool name_unescape(const char *file, size_t size, char *sql)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)file[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_value(file[i + 1]) : -1;
            int low = i + 2 < size ? hex_value(file[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (unsigned char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return false;
        sql[n++] = (char)c;
    }
    sql[n] = '\0';
    return true;
}

int name_decode(const char *file, size_t size, char **out)
{
    struct buffer again = {0};
    char *sql = malloc(size + 1);
    int rc = sql == NULL ? -ENOMEM : size == 0 || !name_unescape(file, size, sql) ? -ENOENT : 0;
    if (rc == 0)
        rc = name_encode(sql, &again);
    if (rc == 0 && (again.size != size || memcmp(again.data, file, size) != 0))
        rc = -ENOENT; /* the name is encoded in another way than ours */
    buffer_clear(&again);
    if (rc < 0)
        free(sql);
    else
        *out = sql;
    return rc;
}
