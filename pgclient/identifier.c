#include "pgclient/identifier.h"

int identifier_put(struct buffer *sql, const char *name)
{
    int rc = buffer_append_byte(sql, '"');
    for (const char *c = name; *c != '\0' && rc == 0; c++) {
        if (*c == '"')
            rc = buffer_append_byte(sql, '"');
        if (rc == 0)
            rc = buffer_append_byte(sql, (uint8_t)*c);
    }
    return rc == 0 ? buffer_append_byte(sql, '"') : rc;
}

int identifier_put_relation(struct buffer *sql, const char *schema, const char *name)
{
    int rc = identifier_put(sql, schema);
    if (rc == 0)
        rc = buffer_append_byte(sql, '.');
    return rc == 0 ? identifier_put(sql, name) : rc;
}
