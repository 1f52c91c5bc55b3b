#include "fs/views/manifest.h"

#include "codec/json_text.h"

#include <inttypes.h>
#include <time.h>

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
    }
    return "relation";
}

static int put_time(struct buffer *out, int64_t microseconds)
{
    char text[40];
    struct tm utc;
    time_t seconds = (time_t)(microseconds / 1000000);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime_r(&seconds, &utc));
    return buffer_printf(out, "\"%s.%06dZ\"", text, (int)(microseconds % 1000000));
}

static int put_columns(const struct schema *schema, struct buffer *out)
{
    int rc = buffer_append_text(out, "  \"columns\": [");
    for (int i = 0; rc == 0 && i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        rc = buffer_append_text(out, i == 0 ? "\n    {\"name\": " : ",\n    {\"name\": ");
        if (rc == 0)
            rc = json_words(out, column->name);
        if (rc == 0)
            rc = buffer_append_text(out, ", \"type\": ");
        if (rc == 0)
            rc = json_words(out, column->type_name);
        if (rc == 0)
            rc = buffer_append_text(out, column->in_copy ? "}" : ", \"generated\": true}");
    }
    return rc < 0 ? rc : buffer_append_text(out, schema->column_count > 0 ? "\n  ],\n" : "],\n");
}

static int put_view(const struct snapshot *snapshot, int format, bool hashes, bool first,
                    struct buffer *out)
{
    const struct face *face = snapshot_face(snapshot, formats[format]);
    char digits[33] = "00000000000000000000000000000000";
    int rc = buffer_printf(out, "%s    \"%s\": {", first ? "\n" : ",\n", formats[format]->name);
    if (rc < 0)
        return rc;
    if (face->refused < 0) {
        rc = buffer_append_text(out, "\"error\": ");
        if (rc == 0)
            rc = json_words(out, face->reason != NULL ? face->reason : "refused");
        return rc < 0 ? rc : buffer_append_text(out, "}");
    }
    if (hashes)
        hash128_text(face->hash, digits);
    return buffer_printf(out, "\"bytes\": %" PRIu64 ", \"xxh3_128\": \"%s\"}", face->size, digits);
}

int manifest_write(const struct snapshot *snapshot, unsigned listed, bool hashes,
                   struct buffer *out)
{
    int rc = buffer_append_text(out, "{\n  \"schema\": ");
    if (rc == 0)
        rc = json_words(out, snapshot->relation.schema);
    if (rc == 0)
        rc = buffer_append_text(out, ",\n  \"name\": ");
    if (rc == 0)
        rc = json_words(out, snapshot->relation.name);
    if (rc == 0)
        rc = buffer_printf(out, ",\n  \"kind\": \"%s\",\n  \"rows\": %" PRIu64 ",\n",
                           kind_name(snapshot->relation.kind), snapshot->rows);
    if (rc == 0 && snapshot->children != NULL && snapshot->children[0] != '\0')
        rc = buffer_printf(out, "  \"inherited_by\": %s,\n", snapshot->children);
    if (rc == 0)
        rc = put_columns(snapshot->schema, out);
    if (rc == 0)
        rc = buffer_append_text(out, "  \"views\": {");
    bool first = true;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++)
        if (listed & 1U << i) {
            rc = put_view(snapshot, i, hashes, first, out);
            first = false;
        }
    if (rc == 0)
        rc = buffer_printf(out, "\n  },\n  \"version\": \"%" PRIu64 "\",\n  \"point_in_time\": ",
                           snapshot->serial);
    if (rc == 0)
        rc = put_time(out, snapshot->fetched_at);
    return rc < 0 ? rc : buffer_append_text(out, "\n}\n");
}
