#include "codec/type.h"

#include "codec/datetime_text.h"
#include "codec/number_text.h"
#include "codec/string_text.h"
#include "codec/vector_text.h"

static const struct type types[] = {
    {NULL, "bool", bool_render, bool_render_json, CSV_PLAIN, false},
    {NULL, "int2", int2_render, int2_render, CSV_PLAIN, false},
    {NULL, "int4", int4_render, int4_render, CSV_PLAIN, false},
    {NULL, "int8", int8_render, int8_render, CSV_PLAIN, false},
    {NULL, "oid", oid_render, oid_render_json, CSV_PLAIN, false},
    {NULL, "float4", float4_render, float4_render_json, CSV_PLAIN, false},
    {NULL, "float8", float8_render, float8_render_json, CSV_PLAIN, false},
    {NULL, "date", date_render, date_render_json, CSV_PLAIN, false},
    {NULL, "timestamp", timestamp_render, timestamp_render_json, CSV_PLAIN, false},
    {NULL, "timestamptz", timestamptz_render, timestamptz_render_json, CSV_PLAIN, false},
    {NULL, "text", text_render, text_render_json, CSV_ANY, true},
    {NULL, "varchar", text_render, text_render_json, CSV_ANY, true},
    {NULL, "bpchar", text_render, text_render_json, CSV_ANY, true},
    {NULL, "name", text_render, text_render_json, CSV_ANY, true},
    {NULL, "json", json_render, json_render_json, CSV_ANY, true},
    {NULL, "jsonb", jsonb_render, jsonb_render_json, CSV_ANY, true},
    {NULL, "bytea", bytea_render, bytea_render_json, CSV_PLAIN, false},
    {NULL, "uuid", uuid_render, uuid_render_json, CSV_PLAIN, false},
    {NULL, "bit", bit_render, bit_render_json, CSV_ANY, false}, /* B'' is empty */
    {NULL, "varbit", bit_render, bit_render_json, CSV_ANY, false},
    {"vector", "vector", vector_render, vector_render, CSV_LIST, false},
    {"vector", "halfvec", halfvec_render, halfvec_render, CSV_LIST, false},
    {"vector", "sparsevec", sparsevec_render, sparsevec_render_json, CSV_LIST, false},
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
