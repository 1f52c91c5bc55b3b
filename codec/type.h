/* The types that are rendered here, a row each.
 *
 * A value arrives as its COPY BINARY bytes (big-endian, without the length in front). It leaves as
 * the text that the type's output function prints under the pinned session settings (DateStyle ISO,
 * TimeZone UTC, extra_float_digits 1, bytea_output hex), or as the JSON that to_json() makes of it.
 * The server renders all types that have no row here (schema.h).
 *
 * Threads: all functions are pure.
 * Errors: -EBADMSG the bytes, which come from the network, are not a value of the type; -ENOMEM.
 * After an error the buffer may hold a part of the value; its owner drops it.
 */
#ifndef CODEC_TYPE_H
#define CODEC_TYPE_H

#include "codec/value.h"

/* What the text of a value may hold that CSV has to quote. */
enum csv_care {
    CSV_PLAIN, /* nothing: it is not empty, without commas, tabs, quotes and line breaks */
    CSV_LIST,  /* commas only: it is not empty, not \. and without tabs, quotes and line breaks */
    CSV_ANY,   /* anything */
    CSV_TEXT   /* anything, and the wire is the text: the pen quotes it */
};

struct type {
    /* NULL: of pg_catalog; else a member of this extension, in whatever schema. */
    const char *extension;
    const char *name; /* pg_type.typname */

    /* As the output function prints it. */
    render_value *text;

    /* As to_json() prints it, but a vector is an array of numbers, a sparsevec an object. NULL if
     * there is a write_json. */
    render_value *json;

    enum csv_care csv;

    /* The wire holds text in the database's encoding: it is rendered here only if that is UTF-8. */
    bool in_database_encoding;

    /* Faster than to render: its text, which the pen quotes if it need be, and its JSON. Or NULL. */
    write_value *write_csv;
    write_value *write_json;

    /* Its size, if integer_lanes.h can write text and JSON; or 0. */
    uint8_t integer;
};

/* The row of a type; NULL: the server renders it. `extension`: NULL if the type belongs to none.
 * For a domain, ask for its base type. */
const struct type *type_find(const char *extension, const char *name);

/* All rows, for tests; `*count` is their number. */
const struct type *type_all(size_t *count);

#endif
