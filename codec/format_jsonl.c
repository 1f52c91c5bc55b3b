/* .jsonl: one JSON object a row and a line, with the values of row_to_json under the columns'
 * names, in column order. NULL is null. Values rendered by the server lose the line breaks between
 * their tokens. */
#include "codec/format.h"
#include "codec/json_text.h"

#include <errno.h>
#include <stdlib.h>

static bool jsonl_possible(const struct schema *schema)
{
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->part[column->type != NULL ? PART_BINARY : PART_JSON] == PART_NONE)
            return false;
    }
    return true;
}

/* How one column is written. */
struct writer {
    struct run_cursor cursor;
    const struct type *type; /* NULL: the run holds the JSON */
    struct buffer key;       /* what stands before the value: `{"name":` or `,"name":` */
};

static int put_row(struct writer *writers, int columns, struct buffer *out)
{
    int rc = columns == 0 ? buffer_append_byte(out, '{') : 0;
    for (int i = 0; rc == 0 && i < columns; i++) {
        struct writer *writer = &writers[i];
        const uint8_t *bytes;
        size_t size;
        rc = buffer_append(out, writer->key.data, writer->key.size);
        if (rc < 0)
            break;
        if (!run_next(&writer->cursor, &bytes, &size))
            rc = buffer_append(out, "null", 4);
        else if (writer->type != NULL)
            rc = writer->type->json(bytes, size, out);
        else
            rc = json_one_line(out, bytes, size);
    }
    return rc < 0 ? rc : buffer_append(out, "}\n", 2);
}

static int make_key(const char *name, bool first, struct buffer *key)
{
    int rc = buffer_append_byte(key, first ? '{' : ',');
    if (rc == 0)
        rc = json_string(key, name, strlen(name));
    return rc < 0 ? rc : buffer_append_byte(key, ':');
}

static int jsonl_body(const struct schema *schema, const struct rowgroup *group, struct buffer *out)
{
    int columns = schema->column_count, rc = 0;
    struct writer *writers = calloc((size_t)columns + 1, sizeof *writers);
    if (writers == NULL)
        return -ENOMEM;
    for (int i = 0; rc == 0 && i < columns; i++) {
        const struct column *column = &schema->columns[i];
        int part = column->part[column->type != NULL ? PART_BINARY : PART_JSON];
        writers[i].cursor.run = &group->runs[part];
        writers[i].type = column->type;
        rc = make_key(column->name, i == 0, &writers[i].key);
    }
    for (uint32_t row = 0; rc == 0 && row < group->rows; row++)
        rc = put_row(writers, columns, out);
    for (int i = 0; i < columns; i++)
        buffer_clear(&writers[i].key);
    free(writers);
    return rc;
}

static int jsonl_nothing(const struct schema *schema, struct buffer *out)
{
    (void)schema;
    (void)out;
    return 0;
}

const struct format format_jsonl = {.name = "jsonl",
                                    .command = "row_to_json",
                                    .parts = 1 << PART_JSON,
                                    .possible = jsonl_possible,
                                    .head = jsonl_nothing,
                                    .body = jsonl_body,
                                    .tail = jsonl_nothing};
