/* .csv: as COPY … (FORMAT csv, HEADER) prints it. NULL is nothing; a value is quoted iff it is
 * empty, holds a comma, quote or line break, or is \. alone in its row; a quote is doubled. The
 * header follows the same rule. */
#include "codec/format.h"

#include <errno.h>
#include <stdlib.h>

static bool csv_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        enum part_kind kind = column->type != NULL ? PART_BINARY : PART_TEXT;
        if (column->in_copy && column->part[kind] == PART_NONE)
            return false;
    }
    return true;
}

static bool has_special(const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r')
            return true;
    return false;
}

static int put_quoted(struct buffer *out, const uint8_t *text, size_t size)
{
    int rc = buffer_append_byte(out, '"');
    const uint8_t *at = text, *end = text + size, *quote;
    while (rc == 0 && size > 0 && (quote = memchr(at, '"', (size_t)(end - at))) != NULL) {
        rc = buffer_append(out, at, (size_t)(quote + 1 - at));
        if (rc == 0)
            rc = buffer_append_byte(out, '"');
        at = quote + 1;
    }
    if (rc == 0)
        rc = buffer_append(out, at, (size_t)(end - at));
    return rc < 0 ? rc : buffer_append_byte(out, '"');
}

static int put_any(struct buffer *out, const uint8_t *text, size_t size, bool single)
{
    bool quote = size == 0 || has_special(text, size) ||
                 (single && size == 2 && memcmp(text, "\\.", 2) == 0);
    return quote ? put_quoted(out, text, size) : buffer_append(out, text, size);
}

/* A value whose text has commas at most: quoted in front at a guess, and unquoted again where there
 * were none. */
static int put_list(struct buffer *out, const struct type *type, const uint8_t *wire, size_t size)
{
    size_t start = out->size;
    int rc = buffer_append_byte(out, '"');
    if (rc == 0)
        rc = type->text(wire, size, out);
    if (rc < 0)
        return rc;
    size_t text = out->size - start - 1;
    if (memchr(out->data + start + 1, ',', text) != NULL)
        return buffer_append_byte(out, '"');
    memmove(out->data + start, out->data + start + 1, text);
    out->size--;
    return 0;
}

/* How one column is written. */
struct writer {
    struct run_cursor cursor;
    const struct type *type; /* NULL: the run holds the text */
    bool single;
};

static int put_value(struct writer *writer, const uint8_t *bytes, size_t size,
                     struct buffer *scratch, struct buffer *out)
{
    const struct type *type = writer->type;
    if (type == NULL)
        return put_any(out, bytes, size, writer->single);
    if (type->csv == CSV_PLAIN)
        return type->text(bytes, size, out);
    if (type->csv == CSV_LIST)
        return put_list(out, type, bytes, size);
    scratch->size = 0;
    int rc = type->text(bytes, size, scratch);
    return rc < 0 ? rc : put_any(out, scratch->data, scratch->size, writer->single);
}

static int put_row(struct writer *writers, int columns, struct buffer *scratch, struct buffer *out)
{
    for (int i = 0; i < columns; i++) {
        const uint8_t *bytes;
        size_t size;
        int rc = i > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0 && run_next(&writers[i].cursor, &bytes, &size))
            rc = put_value(&writers[i], bytes, size, scratch, out);
        if (rc < 0)
            return rc;
    }
    return buffer_append_byte(out, '\n');
}

static int csv_body(const struct schema *schema, const struct rowgroup *group, struct buffer *out)
{
    struct writer *writers = calloc((size_t)schema->column_count + 1, sizeof *writers);
    struct buffer scratch = {0};
    if (writers == NULL)
        return -ENOMEM;
    int columns = 0, rc = 0;
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        int part = column->part[column->type != NULL ? PART_BINARY : PART_TEXT];
        writers[columns++] =
            (struct writer){.cursor = {.run = &group->runs[part]}, .type = column->type};
    }
    if (columns == 1)
        writers[0].single = true;
    for (uint32_t row = 0; rc == 0 && row < group->rows; row++)
        rc = put_row(writers, columns, &scratch, out);
    buffer_clear(&scratch);
    free(writers);
    return rc;
}

static int csv_head(const struct schema *schema, struct buffer *out)
{
    int columns = 0, written = 0, rc = 0;
    for (int i = 0; i < schema->column_count; i++)
        columns += schema->columns[i].in_copy;
    for (int i = 0; rc == 0 && i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (!column->in_copy)
            continue;
        rc = written++ > 0 ? buffer_append_byte(out, ',') : 0;
        if (rc == 0)
            rc = put_any(out, (const uint8_t *)column->name, strlen(column->name), columns == 1);
    }
    return rc < 0 ? rc : buffer_append_byte(out, '\n');
}

static int csv_tail(const struct schema *schema, struct buffer *out)
{
    (void)schema;
    (void)out;
    return 0;
}

const struct format format_csv = {.name = "csv",
                                  .command = "COPY … TO STDOUT (FORMAT csv, HEADER)",
                                  .parts = 1 << PART_TEXT,
                                  .possible = csv_possible,
                                  .head = csv_head,
                                  .body = csv_body,
                                  .tail = csv_tail};
