/* .parquet: a row group of ours is one of the file. Its body is a page of each leaf, the footer is
 * the tail. Vectors are not compressed, since that gains next to nothing.
 *
 *   note     varint rows, then of each leaf: varint stored size, raw size, values, NULLs
 *
 * A group without rows is no group of the file, nor has it a page. A note that does not fit its body
 * is -EBADMSG. */
#include "codec/compress.h"
#include "codec/format.h"
#include "codec/parquet_footer.h"

#include <errno.h>
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

static int parquet_body(const struct schema *schema, const struct rowgroup *group,
                        struct buffer *note, struct buffer *out)
{
    struct parquet_column *columns;
    struct buffer contents = {0};
    int count, leaves;
    int rc = parquet_columns(schema, &columns, &count, &leaves);
    if (rc < 0)
        return rc;
    if (note != NULL)
        rc = varint_put(note, group->rows);
    for (int i = 0; rc == 0 && i < count && group->rows > 0; i++)
        rc = put_column(schema, &columns[i], group, &contents, note, out);
    buffer_clear(&contents);
    free(columns);
    return rc;
}

/* ---- the footer ---- */

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

static int parquet_strips(const struct schema *schema, const struct note *note, uint64_t *sizes)
{
    struct parquet_column *columns;
    struct parquet_chunk chunk;
    int count, leaves;
    size_t at = 0;
    int rc = parquet_columns(schema, &columns, &count, &leaves);
    if (rc < 0)
        return rc;
    memset(sizes, 0, (size_t)schema->column_count * sizeof *sizes);
    uint64_t rows = get_varint(note, &at);
    for (int i = 0; i < count && rows > 0; i++)
        for (int leaf = 0; leaf < parquet_column_leaves(&columns[i]); leaf++)
            sizes[columns[i].number] += get_chunk(note, &at, &chunk);
    free(columns);
    return at == note->size ? 0 : -EBADMSG;
}

/* -EBADMSG: the note is not that of a body of this size. */
static int put_group(struct parquet_footer *footer, const struct note *note, uint64_t offset,
                     uint64_t size, struct parquet_chunk *chunks)
{
    size_t at = 0;
    uint64_t rows = get_varint(note, &at);
    for (int i = 0; i < footer->leaves && rows > 0; i++)
        size -= get_chunk(note, &at, &chunks[i]);
    if (at != note->size || size != 0)
        return -EBADMSG;
    if (rows > 0)
        parquet_footer_group(footer, offset, rows, chunks);
    return 0;
}

static int put_footer(const struct format_view *view, const struct parquet_column *columns,
                      int count, const struct note *notes, const uint64_t *offsets,
                      struct parquet_chunk *chunks, struct buffer *out)
{
    struct parquet_footer footer;
    size_t groups = 0;
    int rc = 0;
    for (size_t i = 0; i < view->groups; i++)
        groups += rows_of(&notes[i]) > 0;
    parquet_footer_open(&footer, columns, count, view->rows, groups, out);
    for (size_t i = 0; rc == 0 && i < view->groups; i++)
        rc = put_group(&footer, &notes[i], offsets[i], offsets[i + 1] - offsets[i], chunks);
    int closed = parquet_footer_close(&footer);
    return rc < 0 ? rc : closed;
}

static int parquet_tail(const struct format_view *view, const struct note *notes,
                        const uint64_t *offsets, struct buffer *out)
{
    struct parquet_column *columns;
    int count, leaves;
    int rc = parquet_columns(view->schema, &columns, &count, &leaves);
    if (rc < 0)
        return rc;
    struct parquet_chunk *chunks = calloc((size_t)leaves + 1, sizeof *chunks);
    rc = chunks == NULL ? -ENOMEM : put_footer(view, columns, count, notes, offsets, chunks, out);
    free(chunks);
    free(columns);
    return rc;
}

const struct format format_parquet = {.name = "parquet",
                                      .number = 7,
                                      .parts = COLUMNAR_PARTS,
                                      .last = '1',
                                      .notes = true,
                                      .whole = true,
                                      .encoder = zstd_encoder,
                                      .possible = columnar_possible,
                                      .formless = columnar_formless,
                                      .head = parquet_head,
                                      .body = parquet_body,
                                      .tail = parquet_tail,
                                      .strips = parquet_strips};
