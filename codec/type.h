/* The types that are rendered here, one row each.
 *
 * A value arrives as its COPY BINARY bytes (big-endian, without the length in front) and leaves as
 * the text that the type's output function prints under the pinned session settings (DateStyle ISO,
 * TimeZone UTC, extra_float_digits 1, bytea_output hex), or as the JSON that to_json() makes of it.
 * A type without a row here is rendered by the server (see schema.h).
 *
 * Threads: everything here is pure.
 * Errors: -EBADMSG where the bytes are not a value of the type (they come from the network),
 * -ENOMEM. After an error the buffer may hold a part of the value; its owner drops it.
 */
#ifndef CODEC_TYPE_H
#define CODEC_TYPE_H

#include "codec/pen.h"

/* Appends one value that is not NULL. */
typedef int render_value(const uint8_t *wire, size_t size, struct buffer *out);

/* Writes one value that is not NULL, as it stands in a file, and returns its end (see pen.h); NULL
 * with the pen's rc 0: the bytes are not a value of the type. There is room for VALUE_ROOM bytes,
 * and all of them may be overwritten; who needs more asks the pen, and leaves as much. */
typedef uint8_t *write_value(struct pen *pen, uint8_t *at, const uint8_t *wire, size_t size);

#define VALUE_ROOM 64

/* Times its size, a value's text has room enough to be rendered; longer ones only cost more. */
#define RENDERED_AT_MOST 9

/* What CSV has to look for in the text of a value. */
enum csv_care {
    CSV_PLAIN, /* never empty, never holds a comma, tab, quote or line break: goes out as it is */
    CSV_LIST,  /* may hold commas, never a tab, quote or line break, is never empty and never \. */
    CSV_ANY,   /* anything: scanned */
    CSV_TEXT   /* the same, and the wire is the text: the file's own way of quoting writes it */
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

/* Renders by a write function that asks no pen for room. */
MUST_CHECK int value_append(write_value *write, const uint8_t *wire, size_t size,
                            struct buffer *out);

#define RENDER_BY_WRITE(render, write)                                                             \
    int render(const uint8_t *wire, size_t size, struct buffer *out)                               \
    {                                                                                              \
        return value_append(write, wire, size, out);                                               \
    }

/* The row for a type, NULL if the server renders it. `extension` is NULL for types that belong to
 * none. Domains are looked up by their base type. */
const struct type *type_find(const char *extension, const char *name);

/* All rows, for tests and tables; *count is set. */
const struct type *type_all(size_t *count);

#endif
