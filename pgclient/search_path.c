#include "pgclient/search_path.h"

#include "pgclient/identifier.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char spaces[] = " \t\n\r\f\v";

/* In double quotes, an inner one doubled: as it is. Moves `at` behind it. */
static int take_quoted(const char **at, struct buffer *name)
{
    for (const char *c = *at + 1; *c != '\0'; c++) {
        if (*c == '"' && c[1] != '"') {
            *at = c + 1;
            return 0;
        }
        c += *c == '"';
        int rc = buffer_append_byte(name, (uint8_t)*c);
        if (rc < 0)
            return rc;
    }
    return -EINVAL;
}

/* Without quotes: up to a space or a comma, in small letters. */
static int take_plain(const char **at, struct buffer *name)
{
    size_t size = strcspn(*at, " \t\n\r\f\v,");
    int rc = size == 0 ? -EINVAL : 0;
    for (size_t i = 0; i < size && rc == 0; i++) {
        char c = (*at)[i];
        rc = buffer_append_byte(name, (uint8_t)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c));
    }
    *at += size;
    return rc;
}

static int put_schema(struct buffer *sql, const char **at)
{
    struct buffer name = {0};
    int rc = **at == '"' ? take_quoted(at, &name) : take_plain(at, &name);
    bool empty = name.size == 0; /* as '' is shown, which the server does not take */
    if (rc == 0)
        rc = buffer_append_byte(&name, '\0');
    if (rc == 0 && !empty && strcmp((const char *)name.data, "pg_temp") != 0) {
        rc = identifier_put(sql, (const char *)name.data);
        if (rc == 0)
            rc = buffer_append_text(sql, ", ");
    }
    buffer_clear(&name);
    return rc;
}

int search_path_put(struct buffer *sql, const char *path)
{
    const char *at = path + strspn(path, spaces);
    int rc = 0;
    bool more = *at != '\0';
    while (more && rc == 0) {
        rc = put_schema(sql, &at);
        at += strspn(at, spaces);
        more = *at == ',';
        if (rc == 0 && !more && *at != '\0')
            rc = -EINVAL;
        at += more;
        at += strspn(at, spaces);
    }
    return rc == 0 ? buffer_append_text(sql, "pg_temp") : rc;
}
