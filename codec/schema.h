/* The columns of a relation, and which of their values a row group holds.
 *
 * A column's values are fetched as up to three parts: its COPY BINARY value, the server's own text
 * (what its output function prints, UTF-8) and the server's own JSON (what to_json() makes of it,
 * UTF-8). A column whose type is rendered here (type.h) needs its binary only. Parts are numbered
 * over the whole relation: all binary parts in column order, then all text parts, then all JSON
 * parts; a row group keeps one run of values for each part.
 *
 * One row of the COPY stream that fetches a relation is therefore: with_row_ids ? (ctid as tid,
 * xmin as xid) : nothing; one field for each binary part; one text[] (bytea[] where the database is
 * not in UTF-8) with one element for each text part, if there are any; the same for the JSON parts.
 *
 * Lifetime: built by schema_add, then never changed; schema_free. Threads: read by all once built.
 */
#ifndef CODEC_SCHEMA_H
#define CODEC_SCHEMA_H

#include "codec/buffer.h"
#include "codec/record.h"
#include "codec/type.h"

enum part_kind { PART_BINARY, PART_TEXT, PART_JSON, PART_KINDS };

#define PART_NONE (-1)

struct column {
    char *name;              /* UTF-8 */
    char *type_name;         /* as format_type() prints it, UTF-8 */
    const struct type *type; /* NULL: rendered by the server */
    bool in_copy; /* false: COPY t leaves it out (a generated column), row_to_json does not */
    int part[PART_KINDS]; /* the part's number, PART_NONE where it is not fetched */
};

struct schema {
    struct column *columns;
    int column_count;
    int part_count[PART_KINDS];
    bool with_row_ids; /* rows come with (ctid, xmin) in front */
};

MUST_CHECK int schema_new(bool with_row_ids, struct schema **out);

/* Appends a column; copies the strings. Which parts it will have is said by schema_number. */
MUST_CHECK int schema_add(struct schema *schema, const char *name, const char *type_name,
                          const struct type *type, bool in_copy);

/* Decides the parts: with_binary[i] says whether column i's type has binary output at all, `wanted`
 * is a mask of 1 << part_kind that this fetch asks for: binary of every in_copy column (and always
 * of the columns rendered here), text of the in_copy columns and JSON of all columns that are not
 * rendered here. */
void schema_number(struct schema *schema, const bool *with_binary, unsigned wanted);

/* A schema of some of its columns, by number, in this order: the same row groups fit it, since its
 * parts keep their numbers. It is not for the cache. -EINVAL: there is no such column. */
MUST_CHECK int schema_choose(const struct schema *schema, const int *numbers, int count,
                             struct schema **out);

/* Parts of all kinds together. */
int schema_parts(const struct schema *schema);

/* Whether rows of one are rows of the other: the same columns in the same parts. */
bool schema_same(const struct schema *a, const struct schema *b);

void schema_free(struct schema *schema);

/* As a record of the cache, and back (-EBADMSG if it is not one). */
MUST_CHECK int schema_put(const struct schema *schema, struct buffer *out);
MUST_CHECK int schema_get(struct record_reader *in, struct schema **out);

#endif
