#include "codec/type.h"

#include "codec/datetime_text.h"
#include "codec/number_text.h"
#include "codec/string_text.h"
#include "codec/vector_text.h"

#include <errno.h>

static const struct type types[] = {
    {NULL, "bool", bool_render, NULL, CSV_PLAIN, false, bool_write, bool_write_json, 0},
    {NULL, "int2", int2_render, NULL, CSV_PLAIN, false, int2_write, int2_write, 2},
    {NULL, "int4", int4_render, NULL, CSV_PLAIN, false, int4_write, int4_write, 4},
    {NULL, "int8", int8_render, NULL, CSV_PLAIN, false, int8_write, int8_write, 8},
    {NULL, "oid", oid_render, NULL, CSV_PLAIN, false, oid_write, oid_write_json, 0},
    {NULL, "float4", float4_render, NULL, CSV_PLAIN, false, float4_write, float4_write_json, 0},
    {NULL, "float8", float8_render, NULL, CSV_PLAIN, false, float8_write, float8_write_json, 0},
    {NULL, "date", date_render, NULL, CSV_PLAIN, false, date_write, date_write_json, 0},
    {NULL, "timestamp", timestamp_render, NULL, CSV_PLAIN, false, timestamp_write,
     timestamp_write_json, 0},
    {NULL, "timestamptz", timestamptz_render, NULL, CSV_PLAIN, false, timestamptz_write,
     timestamptz_write_json, 0},
    {NULL, "text", text_render, NULL, CSV_TEXT, true, NULL, text_write_json, 0},
    {NULL, "varchar", text_render, NULL, CSV_TEXT, true, NULL, text_write_json, 0},
    {NULL, "bpchar", text_render, NULL, CSV_TEXT, true, NULL, text_write_json, 0},
    {NULL, "name", text_render, NULL, CSV_TEXT, true, NULL, text_write_json, 0},
    {NULL, "json", json_render, NULL, CSV_ANY, true, json_write_csv, json_write_json, 0},
    {NULL, "jsonb", jsonb_render, NULL, CSV_ANY, true, jsonb_write_csv, jsonb_write_json, 0},
    {NULL, "bytea", bytea_render, NULL, CSV_PLAIN, false, bytea_write, bytea_write_json, 0},
    {NULL, "uuid", uuid_render, NULL, CSV_PLAIN, false, uuid_write, uuid_write_json, 0},
    {NULL, "bit", bit_render, bit_render_json, CSV_ANY, false, NULL, NULL, 0}, /* B'' is empty */
    {NULL, "varbit", bit_render, bit_render_json, CSV_ANY, false, NULL, NULL, 0},
    {"vector", "vector", vector_render, vector_render, CSV_LIST, false, NULL, NULL, 0},
    {"vector", "halfvec", halfvec_render, halfvec_render, CSV_LIST, false, NULL, NULL, 0},
    {"vector", "sparsevec", sparsevec_render, sparsevec_render_json, CSV_LIST, false, NULL, NULL,
     0},
};

static const size_t type_count = sizeof types / sizeof *types;

static bool same_extension(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

const struct type *type_find(const char *extension, const char *name)
{
    for (size_t i = 0; i < type_count; i++)
        if (same_extension(types[i].extension, extension) && strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct type *type_all(size_t *count)
{
    *count = type_count;
    return types;
}
