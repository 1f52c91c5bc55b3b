#include "pgclient/sql_text.h"

#include "pgclient/identifier.h"

#include <inttypes.h>

void sql_name(struct text *sql, const char *name)
{
    if (sql->failed == 0)
        sql->failed = identifier_put(&sql->bytes, name);
}

void sql_relation(struct text *sql, const char *schema, const char *name)
{
    if (sql->failed == 0)
        sql->failed = identifier_put_relation(&sql->bytes, schema, name);
}

void sql_literal(struct text *sql, const char *value)
{
    text_put_byte(sql, '\'');
    for (const char *at = value; *at != '\0'; at++)
        text_put_bytes(sql, *at == '\'' ? "''" : at, *at == '\'' ? 2 : 1);
    text_put_byte(sql, '\'');
}

void sql_listed(struct text *sql, size_t place, int64_t number)
{
    text_printf(sql, "%s%" PRId64, place > 0 ? "," : "", number);
}
