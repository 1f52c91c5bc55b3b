/* Files of another format, compressed: .csv.gz, .csv.zst, …
 *
 * What is decompressed is the other format's file, byte for byte. Head, bodies and tail are
 * compressed each for itself, as members of gzip or as frames of zstd, so a body depends on its row
 * group alone. A body of more than PIECE bytes is several of these. Of zstd the seek table is
 * behind the last frame (codec/seek_table.h); it needs the sizes of all frames, so a body's note is
 * their entries.
 *
 * A file of no bytes is one member, or frame, that holds none: gunzip takes nothing for no file.
 *
 * The tail of the other format must not ask where it stands, or for notes. */
#include "codec/compress.h"
#include "codec/format.h"
#include "codec/gzip.h"
#include "codec/seek_table.h"

/* So the last byte of a member, which is the highest one of its size, is always 0. */
enum { PIECE = 8 << 20, GZIP_LAST = 0 };
_Static_assert(PIECE < 1 << 24, "the highest byte of a piece's size is 0");

struct compressor {
    int (*compress)(const void *raw, size_t size, struct buffer *out);
    bool seekable; /* the file has a seek table */
};

static const struct compressor gz = {.compress = gzip_member},
                               zst = {.compress = zstd_frame, .seekable = true};

static bool is_possible(const struct format *of, const struct schema *schema)
{
    return !of->notes && of->possible(schema);
}

/* Appends the frame, and its entry to `entries`, which nobody asks for if it is NULL. A frame is made
 * in `room`: it needs as much as what it holds, and what is kept should not. */
static int put_frame(const struct compressor *by, const void *raw, size_t size, struct buffer *room,
                     struct buffer *entries, struct buffer *out)
{
    room->size = 0;
    int rc = by->compress(raw, size, room);
    if (rc == 0)
        rc = buffer_append(out, room->data, room->size);
    if (rc == 0 && entries != NULL && by->seekable)
        rc = seek_entry_put((uint32_t)room->size, (uint32_t)size, entries);
    return rc;
}

/* No bytes are no frame. */
static int put_frames(const struct compressor *by, const struct buffer *plain,
                      struct buffer *entries, struct buffer *out)
{
    struct buffer room = {0};
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < plain->size; at += PIECE) {
        size_t left = plain->size - at;
        rc = put_frame(by, plain->data + at, left < PIECE ? left : PIECE, &room, entries, out);
    }
    buffer_clear(&room);
    return rc;
}

static int put_empty_frame(const struct compressor *by, struct buffer *entries, struct buffer *out)
{
    struct buffer room = {0};
    int rc = put_frame(by, "", 0, &room, entries, out);
    buffer_clear(&room);
    return rc;
}

static int put_head(const struct format *of, const struct compressor *by,
                    const struct format_view *view, struct buffer *entries, struct buffer *out)
{
    struct buffer plain = {0};
    int rc = format_head(of, view, &plain);
    if (rc == 0)
        rc = put_frames(by, &plain, entries, out);
    buffer_clear(&plain);
    return rc;
}

static int put_body(const struct format *of, const struct compressor *by,
                    const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                    struct buffer *out)
{
    struct buffer plain = {0};
    int rc = of->body(schema, group, NULL, &plain);
    if (rc == 0)
        rc = put_frames(by, &plain, note, out);
    buffer_clear(&plain);
    return rc;
}

/* The entries of the head and all bodies. */
static int gather_entries(const struct format *of, const struct compressor *by,
                          const struct format_view *view, const struct note *notes,
                          struct buffer *entries)
{
    struct buffer head = {0};
    int rc = put_head(of, by, view, entries, &head);
    buffer_clear(&head);
    for (size_t i = 0; rc == 0 && i < view->groups; i++)
        rc = buffer_append(entries, notes[i].bytes, notes[i].size);
    return rc;
}

static int put_tail(const struct format *of, const struct compressor *by,
                    const struct format_view *view, const struct note *notes,
                    const uint64_t *offsets, struct buffer *out)
{
    struct buffer plain = {0}, entries = {0};
    int rc = by->seekable ? gather_entries(of, by, view, notes, &entries) : 0;
    if (rc == 0)
        rc = format_tail(of, view, NULL, NULL, &plain);
    if (rc == 0 && (offsets[view->groups] > 0 || plain.size > 0))
        rc = put_frames(by, &plain, &entries, out);
    else if (rc == 0)
        rc = put_empty_frame(by, &entries, out);
    if (rc == 0 && by->seekable)
        rc = seek_table_put(&entries, out);
    buffer_clear(&plain);
    buffer_clear(&entries);
    return rc;
}

#define COMPRESSED(of, by, its_number, its_parts, its_notes, its_last, its_encoder)                \
    static bool of##_##by##_possible(const struct schema *schema)                                  \
    {                                                                                              \
        return is_possible(&format_##of, schema);                                                  \
    }                                                                                              \
    static int of##_##by##_head(const struct format_view *view, struct buffer *out)                \
    {                                                                                              \
        return put_head(&format_##of, &by, view, NULL, out);                                       \
    }                                                                                              \
    static int of##_##by##_body(const struct schema *schema, const struct rowgroup *group,         \
                                struct buffer *note, struct buffer *out)                           \
    {                                                                                              \
        return put_body(&format_##of, &by, schema, group, note, out);                              \
    }                                                                                              \
    static int of##_##by##_tail(const struct format_view *view, const struct note *notes,          \
                                const uint64_t *offsets, struct buffer *out)                       \
    {                                                                                              \
        return put_tail(&format_##of, &by, view, notes, offsets, out);                             \
    }                                                                                              \
    const struct format format_##of##_##by = {.name = #of "." #by,                                 \
                                              .number = its_number,                                \
                                              .parts = 1 << its_parts,                             \
                                              .last = its_last,                                    \
                                              .notes = its_notes,                                  \
                                              .whole = true,                                       \
                                              .encoder = its_encoder,                              \
                                              .possible = of##_##by##_possible,                    \
                                              .head = of##_##by##_head,                            \
                                              .body = of##_##by##_body,                            \
                                              .tail = of##_##by##_tail};

#define GZ(of, number, parts) COMPRESSED(of, gz, number, parts, false, GZIP_LAST, gzip_encoder)
#define ZST(of, number, parts)                                                                     \
    COMPRESSED(of, zst, number, parts, true, SEEK_TABLE_LAST, zstd_encoder)

GZ(csv, 8, PART_TEXT)
ZST(csv, 9, PART_TEXT)
ZST(jsonl, 10, PART_JSON)
ZST(bin, 11, PART_BINARY)
GZ(tsv, 12, PART_TEXT)
ZST(tsv, 13, PART_TEXT)
GZ(jsonl, 14, PART_JSON)
GZ(bin, 15, PART_BINARY)
