/* Parts of a statement that are not SQL yet. They are added to a struct text (codec/text.h), which
 * tells once, at the end, whether there was memory for all. */
#ifndef PGCLIENT_SQL_TEXT_H
#define PGCLIENT_SQL_TEXT_H

#include "codec/text.h"

/* "name", and "schema"."name" (identifier.h). */
void sql_name(struct text *sql, const char *name);
void sql_relation(struct text *sql, const char *schema, const char *name);

/* 'value', for a session whose standard_conforming_strings is on, as in each of our transactions.
 */
void sql_literal(struct text *sql, const char *value);

/* A number of a list, whose numbers are counted from 0 and separated by commas. */
void sql_listed(struct text *sql, size_t place, int64_t number);

#endif
