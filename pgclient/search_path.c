#include "pgclient/search_path.h"

#include "pgclient/sql_text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char spaces[] = " \t\n\r\f\v";

/* Reads a name in double quotes, an inner quote doubled: it is kept as it is. Moves `at` behind it.
 */
static void take_quoted(const char **at, struct text *name)
{
    for (const char *c = *at + 1; *c != '\0'; c++) {
        if (*c == '"' && c[1] != '"') {
            *at = c + 1;
            return;
        }
        c += *c == '"';
        text_put_byte(name, *c);
    }
    text_fail(name, -EINVAL);
}

/* Reads a name without quotes: up to a space or a comma, in small letters. */
static void take_plain(const char **at, struct text *name)
{
    size_t size = strcspn(*at, " \t\n\r\f\v,");
    text_fail(name, size == 0 ? -EINVAL : 0);
    for (const char *end = *at + size; *at < end; ++*at)
        text_put_byte(name, (char)(**at >= 'A' && **at <= 'Z' ? **at - 'A' + 'a' : **at));
}

/* An empty name is shown as "", which the server does not take. */
static void put_schema(struct text *sql, const char **at)
{
    struct text name = {0};
    if (**at == '"')
        take_quoted(at, &name);
    else
        take_plain(at, &name);
    const char *string = text_string(&name);
    text_fail(sql, name.failed);
    if (string != NULL && *string != '\0' && strcmp(string, "pg_temp") != 0) {
        sql_name(sql, string);
        text_put(sql, ", ");
    }
    text_clear(&name);
}

void search_path_put(struct text *sql, const char *path)
{
    const char *at = path + strspn(path, spaces);
    bool more = *at != '\0';
    while (more && sql->failed == 0) {
        put_schema(sql, &at);
        at += strspn(at, spaces);
        more = *at == ',';
        text_fail(sql, more || *at == '\0' ? 0 : -EINVAL);
        at += more;
        at += strspn(at, spaces);
    }
    text_put(sql, "pg_temp");
}
