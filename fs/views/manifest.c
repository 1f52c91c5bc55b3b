#include "fs/views/manifest.h"

#include "codec/json_writer.h"

static const char *kind_name(enum relation_kind kind)
{
    switch (kind) {
    case RELATION_TABLE:
    case RELATION_SPREAD:
        return "table";
    case RELATION_PARTITIONED:
        return "partitioned table";
    case RELATION_VIEW:
        return "view";
    case RELATION_MATVIEW:
        return "materialized view";
    case RELATION_FOREIGN:
        return "foreign table";
    case RELATION_STATEMENT:
        return "statement";
    }
    return "relation";
}

static void put_columns(struct json_writer *json, const struct schema *schema)
{
    json_open_array(json, "columns", JSON_LINES);
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        json_open_object(json, NULL, JSON_ONE_LINE);
        json_put_words(json, "name", column->name);
        json_put_words(json, "type", column->type_name);
        if (!column->in_copy)
            json_put_bool(json, "generated", true);
        json_close(json);
    }
    json_close(json);
}

static void put_view(struct json_writer *json, const struct snapshot *snapshot, int format,
                     bool hashes)
{
    const struct face *face = snapshot_face(snapshot, formats[format]);
    char digits[33] = "00000000000000000000000000000000";
    json_open_object(json, formats[format]->name, JSON_ONE_LINE);
    if (face->refused < 0) {
        json_put_words(json, "error", face->reason != NULL ? face->reason : "refused");
    } else {
        if (hashes)
            hash128_text(face->hash, digits);
        json_put_unsigned(json, "bytes", face->size);
        json_put_words(json, "xxh3_128", digits);
    }
    json_close(json);
}

int manifest_write(const struct snapshot *snapshot, unsigned listed, bool hashes,
                   struct buffer *out)
{
    struct json_writer json = {0};
    json_open_object(&json, NULL, JSON_LINES);
    json_put_words(&json, "schema", snapshot->relation.schema);
    json_put_words(&json, "name", snapshot->relation.name);
    json_put_words(&json, "kind", kind_name(snapshot->relation.kind));
    json_put_unsigned(&json, "rows", snapshot->rows);
    if (snapshot->children != NULL && snapshot->children[0] != '\0')
        json_put_raw(&json, "inherited_by", snapshot->children);
    put_columns(&json, snapshot->schema);
    json_open_object(&json, "views", JSON_LINES);
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (listed & 1U << i)
            put_view(&json, snapshot, i, hashes);
    json_close(&json);
    json_put_digits(&json, "version", snapshot->serial);
    json_put_time(&json, "point_in_time", snapshot->fetched_at);
    json_close(&json);
    return json_end(&json, out);
}
