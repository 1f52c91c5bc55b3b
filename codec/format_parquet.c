/* .parquet: a row group of ours is one of the file. Its body is a page of each leaf, laid out by
 * column (parquet_layout.h); the footer is the tail. Vectors are not compressed, since that gains
 * next to nothing.
 *
 *   note     varint rows, then of each leaf: varint stored size, raw size, values, NULLs
 *
 * A group without rows is no group of the file, nor has it a page. A note that does not fit its body
 * is -EBADMSG. */
#include "codec/compress.h"
#include "codec/encoder.h"
#include "codec/format.h"
#include "codec/parquet_footer.h"
#include "codec/parquet_layout.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parquet_head(const struct format_view *view, struct buffer *out)
{
    (void)view;
    return buffer_append_text(out, PARQUET_MAGIC);
}

static int put_note(struct buffer *note, const struct parquet_chunk *chunk)
{
    int rc = varint_put(note, chunk->size.stored);
    if (rc == 0)
        rc = varint_put(note, chunk->size.raw);
    if (rc == 0)
        rc = varint_put(note, chunk->counts.values);
    return rc < 0 ? rc : varint_put(note, chunk->counts.nulls);
}

/* Appends a leaf's page. `contents` is empty. */
static int put_page(const struct parquet_column *column, int leaf, const struct run *run,
                    uint32_t rows, struct buffer *contents, struct buffer *out,
                    struct parquet_chunk *chunk)
{
    int rc = parquet_leaf_contents(column, leaf, run, rows, contents, &chunk->counts);
    if (rc == 0)
        rc = parquet_page_put(contents, chunk->counts.values, column->codec, out, &chunk->size);
    return rc;
}

static int put_column(const struct schema *schema, const struct parquet_column *column,
                      const struct rowgroup *group, struct buffer *contents, struct buffer *note,
                      struct buffer *out)
{
    const struct run *run = columnar_run(&schema->columns[column->number], &column->form, group);
    int rc = 0;
    for (int leaf = 0; rc == 0 && leaf < parquet_column_leaves(column); leaf++) {
        struct parquet_chunk chunk;
        contents->size = 0;
        rc = put_page(column, leaf, run, group->rows, contents, out, &chunk);
        if (rc == 0 && note != NULL)
            rc = put_note(note, &chunk);
    }
    return rc;
}

/* The columns of a body: their sizes, where they have been put, where they lie. */
struct columns_put {
    int count;
    uint64_t *sizes, *puts, *offsets;
};

/* Moves the columns from where they have been put to where they lie, with zeros between them. */
static int settle(const struct columns_put *put, size_t start, struct buffer *out)
{
    int last = put->count - 1;
    uint64_t size = parquet_layout(put->sizes, put->count, put->offsets);
    int rc = start + size > out->size ? buffer_reserve(out, start + size - out->size) : 0;
    if (rc < 0)
        return rc;
    uint8_t *body = out->data + start;
    bool back = put->count > 0 && put->puts[last] < put->offsets[last];
    for (int i = 0; i < put->count; i++) {
        int moved = back ? last - i : i;
        if (put->puts[moved] != put->offsets[moved])
            memmove(body + put->offsets[moved], body + put->puts[moved], put->sizes[moved]);
    }
    for (int i = 0; i < put->count; i++) {
        uint64_t end = put->offsets[i] + put->sizes[i];
        memset(body + end, 0, (i < last ? put->offsets[i + 1] : size) - end);
    }
    out->size = start + size;
    return 0;
}

/* Whether there will be zeros, as far as that can be said before the columns are compressed: then
 * nothing has to be moved. */
static bool expects_zeros(const struct schema *schema, const struct parquet_column *columns,
                          int count, const struct rowgroup *group)
{
    enum { BYTES_EACH = 32 * 4096 };
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += columnar_run(&schema->columns[columns[i].number], &columns[i].form, group)->size;
    return bytes / BYTES_EACH >= (uint64_t)count;
}

static int put_columns(const struct schema *schema, const struct parquet_column *columns, int count,
                       const struct rowgroup *group, struct buffer *note, struct buffer *out)
{
    struct buffer contents = {0};
    size_t start = out->size;
    uint64_t *numbers = calloc(3 * (size_t)count + 1, sizeof *numbers);
    if (numbers == NULL)
        return -ENOMEM;
    const struct columns_put put = {count, numbers, numbers + count, numbers + 2 * (size_t)count};
    bool zeros = expects_zeros(schema, columns, count, group);
    int rc = 0;
    for (int i = 0; rc == 0 && i < count; i++) {
        uint64_t end = out->size - start;
        put.puts[i] = zeros && i > 0 ? parquet_layout_next(end) : end;
        rc = buffer_reserve(out, put.puts[i] - end);
        if (rc == 0) {
            out->size = start + put.puts[i];
            rc = put_column(schema, &columns[i], group, &contents, note, out);
        }
        put.sizes[i] = out->size - start - put.puts[i];
    }
    if (rc == 0)
        rc = settle(&put, start, out);
    buffer_clear(&contents);
    free(numbers);
    return rc;
}

static int parquet_body(const struct schema *schema, const struct rowgroup *group,
                        struct buffer *note, struct buffer *out)
{
    struct parquet_column *columns;
    int count, leaves;
    int rc = parquet_columns(schema, &columns, &count, &leaves);
    if (rc < 0)
        return rc;
    if (note != NULL)
        rc = varint_put(note, group->rows);
    if (rc == 0 && group->rows > 0)
        rc = put_columns(schema, columns, count, group, note, out);
    free(columns);
    return rc;
}

/* ---- notes ---- */

/* A file's columns, and room for what a note says of a body of them. */
struct told {
    struct parquet_column *columns;
    int count, leaves;
    uint64_t rows;
    struct parquet_chunk *chunks; /* of each leaf */
    uint64_t *sizes, *offsets;    /* of each column, in the body */
};

static void told_clear(struct told *told)
{
    free(told->columns);
    free(told->chunks);
    free(told->sizes);
}

static int told_init(struct told *told, const struct schema *schema)
{
    *told = (struct told){0};
    int rc = parquet_columns(schema, &told->columns, &told->count, &told->leaves);
    if (rc < 0)
        return rc;
    told->chunks = calloc((size_t)told->leaves + 1, sizeof *told->chunks);
    told->sizes = calloc(2 * (size_t)told->count + 1, sizeof *told->sizes);
    if (told->chunks == NULL || told->sizes == NULL) {
        told_clear(told);
        return -ENOMEM;
    }
    told->offsets = told->sizes + told->count;
    return 0;
}

/* The next varint of a note, which may have been kept in a file meanwhile: if there is none, *at is
 * behind its end from now on. */
static uint64_t get_varint(const struct note *note, size_t *at)
{
    uint64_t value = 0;
    for (int shift = 0; *at < note->size && shift < 64; shift += 7) {
        uint8_t byte = note->bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return value;
    }
    *at = note->size + 1;
    return 0;
}

static uint64_t rows_of(const struct note *note)
{
    size_t at = 0;
    return get_varint(note, &at);
}

static uint64_t get_chunk(const struct note *note, size_t *at, struct parquet_chunk *out)
{
    out->size.stored = get_varint(note, at);
    out->size.raw = get_varint(note, at);
    out->counts.values = get_varint(note, at);
    out->counts.nulls = get_varint(note, at);
    return out->size.stored;
}

/* -EBADMSG: the note is not that of a body of this size. */
static int told_read(struct told *told, const struct note *note, uint64_t size)
{
    struct parquet_chunk *chunk = told->chunks;
    uint64_t sum = 0;
    size_t at = 0;
    told->rows = get_varint(note, &at);
    int count = told->rows > 0 ? told->count : 0;
    for (int i = 0; i < count; i++) {
        told->sizes[i] = 0;
        for (int leaf = 0; leaf < parquet_column_leaves(&told->columns[i]); leaf++, chunk++) {
            uint64_t stored = get_chunk(note, &at, chunk);
            if (stored > size - sum)
                return -EBADMSG;
            told->sizes[i] += stored;
            sum += stored;
        }
    }
    return at == note->size && parquet_layout(told->sizes, count, told->offsets) == size ? 0
                                                                                         : -EBADMSG;
}

static int parquet_strips(const struct schema *schema, const struct note *note, uint64_t size,
                          struct format_strip *strips)
{
    struct told told;
    uint64_t begin;
    int rc = told_init(&told, schema);
    if (rc < 0)
        return rc;
    rc = told_read(&told, note, size);
    memset(strips, 0, (size_t)schema->column_count * sizeof *strips);
    for (int i = 0; rc == 0 && i < told.count && told.rows > 0; i++)
        strips[told.columns[i].number] = (struct format_strip){
            told.offsets[i], told.sizes[i], parquet_layout(&told.sizes[i], 1, &begin)};
    told_clear(&told);
    return rc;
}

/* ---- the footer ---- */

static int put_footer(const struct format_view *view, struct told *told, const struct note *notes,
                      const uint64_t *offsets, struct buffer *out)
{
    struct parquet_footer footer;
    size_t groups = 0;
    int rc = 0;
    for (size_t i = 0; i < view->groups; i++)
        groups += rows_of(&notes[i]) > 0;
    parquet_footer_open(&footer, told->columns, told->count, view->rows, groups, out);
    for (size_t i = 0; rc == 0 && i < view->groups; i++) {
        rc = told_read(told, &notes[i], offsets[i + 1] - offsets[i]);
        if (rc == 0 && told->rows > 0)
            parquet_footer_group(&footer, &(struct parquet_group){offsets[i], told->rows,
                                                                  told->offsets, told->chunks});
    }
    int closed = parquet_footer_close(&footer);
    return rc < 0 ? rc : closed;
}

static int parquet_tail(const struct format_view *view, const struct note *notes,
                        const uint64_t *offsets, struct buffer *out)
{
    struct told told;
    int rc = told_init(&told, view->schema);
    if (rc < 0)
        return rc;
    rc = put_footer(view, &told, notes, offsets, out);
    told_clear(&told);
    return rc;
}

static char encoder[ENCODER_SIZE + sizeof PARQUET_LAYOUT];

static void describe(void)
{
    snprintf(encoder, sizeof encoder, "%s; %s", zstd_encoder(), PARQUET_LAYOUT);
}

/* Where the zeros stand is ours, but has changed: files that earlier versions have measured are
 * measured anew by this text. */
static const char *parquet_encoder(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, describe);
    return encoder;
}

const struct format format_parquet = {.name = "parquet",
                                      .number = 7,
                                      .parts = COLUMNAR_PARTS,
                                      .last = '1',
                                      .notes = true,
                                      .whole = true,
                                      .encoder = parquet_encoder,
                                      .possible = columnar_possible,
                                      .formless = columnar_formless,
                                      .head = parquet_head,
                                      .body = parquet_body,
                                      .tail = parquet_tail,
                                      .strips = parquet_strips};
