/* A format: how rows become the bytes of a file.
 *
 * A file is head + the body of each row group, in order + tail. A body depends on the schema and
 * its own group only, never on where it stands, so bodies are made in any order, by many threads. A
 * new format is a file that defines one of these, and a line in format.c. Its number is the first
 * one that is free; 3 and 4 are taken by files that are no format (fs/tables/table.h).
 *
 * Threads: pure functions.
 * Errors: -EBADMSG a value that is not one of its type, -ENOMEM.
 */
#ifndef CODEC_FORMAT_H
#define CODEC_FORMAT_H

#include "codec/rowgroup.h"

struct format {
    const char *name;    /* the file's extension, without the dot; what cache records know it by */
    uint8_t number;      /* what stands for it in inode numbers: never changed, never used again */
    const char *command; /* what the server would say, for messages: "COPY … (FORMAT csv)" */
    unsigned parts; /* the part kinds it needs, as 1 << part_kind, of columns that are not rendered
                       here */
    uint8_t last;   /* the last byte of a whole file, unless that is empty */

    /* Whether the schema holds all parts that this format needs. */
    bool (*possible)(const struct schema *schema);
    int (*head)(const struct schema *schema, struct buffer *out);
    int (*body)(const struct schema *schema, const struct rowgroup *group, struct buffer *out);
    int (*tail)(const struct schema *schema, struct buffer *out);

    /* The size of the body in bytes, where that is known without making it; else NULL. */
    uint64_t (*body_size)(const struct schema *schema, const struct rowgroup *group);
};

enum { FORMAT_COUNT = 3 };

/* All formats. Their place here is what this program calls them by; nothing outlives it. */
extern const struct format *const formats[FORMAT_COUNT];

/* The place of the format with this name of `size` bytes, -1: none. */
int format_find(const char *name, size_t size);

extern const struct format format_csv, format_bin, format_jsonl;

#endif
