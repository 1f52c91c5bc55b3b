/* Names in SQL: always in double quotes, and quotes inside are doubled. */
#ifndef PGCLIENT_IDENTIFIER_H
#define PGCLIENT_IDENTIFIER_H

#include "codec/buffer.h"

/* Appends "name". */
MUST_CHECK int identifier_put(struct buffer *sql, const char *name);

/* Appends "schema"."name". */
MUST_CHECK int identifier_put_relation(struct buffer *sql, const char *schema, const char *name);

#endif
