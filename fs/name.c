#include "fs/name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static bool must_escape(unsigned char c, bool first)
{
    return c == '%' || c == '/' || c < 0x20 || c == 0x7F || (first && c == '.');
}

int name_encode(const char *sql, struct buffer *out)
{
    static const char digits[] = "0123456789ABCDEF";
    int rc = 0;
    for (const char *at = sql; rc == 0 && *at != '\0'; at++) {
        unsigned char c = (unsigned char)*at;
        char escaped[3] = {'%', digits[c >> 4], digits[c & 15]};
        rc =
            must_escape(c, at == sql) ? buffer_append(out, escaped, 3) : buffer_append_byte(out, c);
    }
    return rc;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int name_decode(const char *file, size_t size, char **out)
{
    char *sql = malloc(size + 1);
    if (sql == NULL)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)file[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_value(file[i + 1]) : -1;
            int low = i + 2 < size ? hex_value(file[i + 2]) : -1;
            if (high < 0 || low < 0)
                goto none;
            c = (unsigned char)(high << 4 | low);
            if (c == '\0' || !must_escape(c, n == 0))
                goto none;
            i += 2;
        } else if (must_escape(c, n == 0)) {
            goto none;
        }
        sql[n++] = (char)c;
    }
    if (n == 0)
        goto none;
    sql[n] = '\0';
    *out = sql;
    return 0;
none:
    free(sql);
    return -ENOENT;
}
