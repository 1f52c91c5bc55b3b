/* A format: how rows become the bytes of a file.
 *
 * A file is head + the body of each row group, in order + tail. A body depends on the schema and
 * its own group only, never on where it stands, so bodies are made in any order, by many threads.
 * What the tail has to say of a body is in the body's note: a few bytes (sizes within it, how many
 * NULLs a column has) that come with it, and are kept with its size.
 *
 * The schema is that of the file's columns, which may be some of a relation's, in another order;
 * the row group is the relation's. So a column's values are found by its parts' numbers alone.
 *
 * A new format is a file that defines one of these, and a line in format.c. Its number is the first
 * one that is free; 3 and 4 are taken by files that are no format (fs/tables/table.h).
 *
 * Threads: pure functions.
 * Errors: -EBADMSG a value that is not one of its type, -EDOM one without a form, -ENOMEM.
 */
#ifndef CODEC_FORMAT_H
#define CODEC_FORMAT_H

#include "codec/rowgroup.h"

#define ROWS_UNKNOWN UINT64_MAX

/* A file, as its head and its tail are told of it. */
struct format_view {
    const struct schema *schema;
    uint64_t rows; /* ROWS_UNKNOWN: it is written while they come */
    size_t groups;
    const struct note *notes; /* of each group; NULL: they are not known yet, or there are none */
};

struct note {
    const uint8_t *bytes;
    size_t size;
};

/* A column's bytes in a body; around them are zeros. The body of the column alone begins with the
 * same bytes, and is `alone` bytes large. */
struct format_strip {
    uint64_t offset, size; /* size 0: the file does not have that column */
    uint64_t alone;
};

/* A value that a format has no form for, such as infinity among the dates of Arrow. A file with such
 * a row does not exist, since another value, or NULL, would be a lie. */
struct formless {
    int column;      /* its number in the schema */
    uint32_t row;    /* in the group, from 0 */
    const char *why; /* what the value is; a constant */
};

struct format {
    const char *name; /* the file's extension, without the dot; what cache records know it by */
    uint8_t number;   /* what stands for it in inode numbers: never changed, never used again */
    unsigned parts; /* the part kinds it needs, as 1 << part_kind, of columns that are not rendered
                       here */
    uint8_t last;   /* the last byte of a whole file, unless that is empty */
    bool notes;     /* its bodies come with notes */
    bool whole; /* a file of it opens only once its size is known, never as a stream: its readers
                       map it, or begin at its end */

    /* What makes bytes that are left to a library: that library, its version, its settings, as a
     * text that stays. Under one text bytes are the same for ever. NULL: all bytes are made here,
     * and every version of this program makes the same. */
    const char *(*encoder)(void);

    /* Whether the schema holds all parts that this format needs. */
    bool (*possible)(const struct schema *schema);

    /* Finds the first value of the group without a form, in the order of its columns: body, or
     * body_size, has failed with -EDOM. NULL: every value has one. */
    int (*formless)(const struct schema *schema, const struct rowgroup *group,
                    struct formless *out);

    /* NULL: there is none. -EDOM: the rows have no shape in common, so that there is no such file. */
    int (*head)(const struct format_view *view, struct buffer *out);

    /* Appends to `out`, and the note, which nobody asks for where it is NULL, to `note`. */
    int (*body)(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                struct buffer *out);

    /* `notes`: of each group; NULL if it has none. `offsets`: where each group's body begins; one
     * more: where the tail does. NULL: there is no tail. */
    int (*tail)(const struct format_view *view, const struct note *notes, const uint64_t *offsets,
                struct buffer *out);

    /* The size of the body in bytes, if that is known without making it, and it has no note; else
     * NULL. It fails as `body` would. */
    int (*body_size)(const struct schema *schema, const struct rowgroup *group, uint64_t *out);
    bool at_once; /* that costs next to nothing: it is asked of every row group that comes */

    /* The same for a format with notes: the size of the body, and its note. NULL: the body has to be
     * made. */
    int (*survey)(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                  uint64_t *size);

    /* For a format with notes whose bodies are strips, one for each column of the file, in order:
     * gets them from the note of a body of this size. -EBADMSG: the note is not that body's. NULL: a
     * body is one. */
    int (*strips)(const struct schema *schema, const struct note *note, uint64_t size,
                  struct format_strip *strips);

    /* Its bodies are numbers of 8 bytes, little-endian, that count from where the body begins, and
     * its notes are the last of them: readers are given them as they count from the file's begin. */
    bool counts;
};

enum { FORMAT_COUNT = 14 };

/* All formats. Their place here is what this program calls them by; nothing outlives it. */
extern const struct format *const formats[FORMAT_COUNT];

/* The place of the format with this name of `size` bytes, -1: none. */
int format_find(const char *name, size_t size);
/* The place of the format of a file of this name, -1: none. *stem: how long the name is without the
 * format, of which it has the longest that fits. */
int format_of_file(const char *name, size_t *stem);

/* The encoder that the format's bytes come from now; "": none. */
const char *format_encoder(const struct format *format);

MUST_CHECK static inline int format_head(const struct format *format,
                                         const struct format_view *view, struct buffer *out)
{
    return format->head != NULL ? format->head(view, out) : 0;
}

MUST_CHECK static inline int format_tail(const struct format *format,
                                         const struct format_view *view, const struct note *notes,
                                         const uint64_t *offsets, struct buffer *out)
{
    return format->tail != NULL ? format->tail(view, notes, offsets, out) : 0;
}

extern const struct format format_csv, format_bin, format_jsonl, format_tsv, format_arrow,
    format_parquet;
extern const struct format format_csv_gz, format_csv_zst, format_jsonl_gz, format_jsonl_zst,
    format_bin_gz, format_bin_zst, format_tsv_gz, format_tsv_zst;

#endif
