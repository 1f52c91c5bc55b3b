#include "fs/views/vdf.h"

#include "codec/array_column.h"
#include "codec/json_writer.h"

/* Whether tools take the column's values in .parquet for vectors: lists of floats. */
static bool has_lists(const struct column *column)
{
    return column->in_copy && column->type != NULL &&
           (column->type == type_find("vector", "vector") ||
            column->type == type_find("vector", "halfvec"));
}

static int count_lists(const struct schema *schema)
{
    int count = 0;
    for (int i = 0; i < schema->column_count; i++)
        count += has_lists(&schema->columns[i]);
    return count;
}

/* A dimension of -1: the tool is to look at the first vector. The directory is "." to itself. */
static void put_vectors(struct json_writer *json, const struct snapshot *snapshot,
                        const struct column *column, bool alone)
{
    uint32_t dimensions = array_declared(column);
    json_open_object(json, NULL, JSON_LINES);
    json_put_words(json, "namespace", alone ? "" : column->name);
    json_put_words(json, "index_name", snapshot->relation.name);
    json_put_unsigned(json, "total_vector_count", snapshot->rows);
    json_put_unsigned(json, "exported_vector_count", snapshot->rows);
    json_put_signed(json, "dimensions", dimensions > 0 ? (int64_t)dimensions : -1);
    json_open_array(json, "vector_columns", JSON_ONE_LINE);
    json_put_words(json, NULL, column->name);
    json_close(json);
    json_put_words(json, "data_path", ".");
    json_close(json);
}

static void put_file(struct json_writer *json, const char *name)
{
    struct text file = {0};
    text_printf(&file, "%s.parquet", name);
    const char *string = text_string(&file);
    text_fail(&json->text, file.failed);
    if (string != NULL)
        json_put_words(json, NULL, string);
    text_clear(&file);
}

/* Which column is the key is no part of a table snapshot; tools that are told of none take "id". */
int vdf_write(const struct snapshot *snapshot, struct buffer *out)
{
    const struct schema *schema = snapshot->schema;
    struct json_writer json = {0};
    bool alone = count_lists(schema) == 1;
    json_open_object(&json, NULL, JSON_LINES);
    json_put_words(&json, "version", "0.1.0");
    json_open_array(&json, "file_structure", JSON_ONE_LINE);
    put_file(&json, snapshot->relation.name);
    json_close(&json);
    json_put_words(&json, "author", "pgvecfs");
    json_put_words(&json, "exported_from", "pgvector");
    json_put_time(&json, "exported_at", snapshot->fetched_at);
    json_open_object(&json, "indexes", JSON_LINES);
    json_open_array(&json, snapshot->relation.name, JSON_LINES);
    for (int i = 0; i < schema->column_count; i++)
        if (has_lists(&schema->columns[i]))
            put_vectors(&json, snapshot, &schema->columns[i], alone);
    json_close(&json);
    json_close(&json);
    json_close(&json);
    return json_end(&json, out);
}
