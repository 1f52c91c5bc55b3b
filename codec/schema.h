/* The columns of a relation, and which of their values a row group holds.
 *
 * A column is fetched in up to three parts: its COPY BINARY value, the server's own text (what the
 * output function prints, UTF-8) and the server's own JSON (what to_json() makes of it, UTF-8). A
 * column whose type is rendered here (type.h) needs its binary only. Parts are numbered over the
 * whole relation: all binary parts in column order, then all text parts, then all JSON parts. A row
 * group keeps one run of values for each part.
 *
 * So the COPY stream that fetches a relation has these fields in a row:
 *
 *   ctid (tid), xmin (xid)   if with_row_ids
 *   the value                of each binary part
 *   text[]                   one, if there are text parts: an element for each
 *   text[]                   one, if there are JSON parts: an element for each
 *
 * text[] is bytea[] if the database is not in UTF-8.
 *
 * Lifetime: schema_add builds it; then it never changes; schema_free. Threads: once built, all may
 * read it.
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
    const struct type *type; /* NULL: the server renders it */
    bool in_copy;            /* false: a generated column, which row_to_json has, but not COPY t */
    int part[PART_KINDS];    /* the part's number; PART_NONE: it is not fetched */
};

struct schema {
    struct column *columns;
    int column_count;
    int part_count[PART_KINDS];
    bool with_row_ids; /* a row begins with (ctid, xmin) */
};

MUST_CHECK int schema_new(bool with_row_ids, struct schema **out);

/* Appends a column; copies the strings. schema_number decides its parts. */
MUST_CHECK int schema_add(struct schema *schema, const char *name, const char *type_name,
                          const struct type *type, bool in_copy);

/* Decides the parts. with_binary[i]: whether the type of column i has binary output at all.
 * `wanted`: a mask of 1 << part_kind that this fetch asks for. A column rendered here always has
 * its binary, and nothing else. Of the others, those in_copy have binary and text, and all have
 * JSON, if wanted. */
void schema_number(struct schema *schema, const bool *with_binary, unsigned wanted);

/* A schema of some of its columns, by number, in this order: the same row groups fit it, since its
 * parts keep their numbers. It is not for the cache. -EINVAL: there is no such column. */
MUST_CHECK int schema_choose(const struct schema *schema, const int *numbers, int count,
                             struct schema **out);
/* From now on all columns are in_copy, as COPY (SELECT …) has those that are named. */
void schema_copy_all(struct schema *schema);

/* Parts of all kinds together. */
int schema_parts(const struct schema *schema);

/* Whether they have the same columns in the same parts: then rows of one are rows of the other. */
bool schema_same(const struct schema *a, const struct schema *b);

void schema_free(struct schema *schema);

/* As a record of the cache, and back. -EBADMSG: it is not one. */
void schema_put(const struct schema *schema, struct text *out);
MUST_CHECK int schema_get(struct record_reader *in, struct schema **out);

#endif
