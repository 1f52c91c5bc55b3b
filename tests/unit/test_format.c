#include "codec/format.h"

#include "tests/unit/rows.h"
#include "tests/unit/type_json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* A table of text columns, NULL-terminated names; each row has as many values. */
static struct schema *text_schema(const char *const *names)
{
    struct schema *schema;
    const bool with_binary[8] = {true, true, true, true, true, true, true, true};
    assert_int_equal(schema_new(false, &schema), 0);
    for (; *names != NULL; names++)
        assert_int_equal(schema_add(schema, *names, "text", type_find(NULL, "text"), true), 0);
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    return schema;
}

static struct rowgroup *text_group(const struct schema *schema, const char *const *values,
                                   size_t rows)
{
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
    for (size_t row = 0; row < rows; row++) {
        struct buffer tuple = {0};
        for (int i = 0; i < schema->column_count; i++, values++) {
            rows_put_be32(&tuple, *values != NULL ? (uint32_t)strlen(*values) : UINT32_MAX);
            if (*values != NULL)
                rows_put_text(&tuple, *values);
        }
        assert_int_equal(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL), 0);
        buffer_clear(&tuple);
    }
    assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
    rowgroup_builder_free(builder);
    return group;
}

static struct buffer render(const struct format *format, const struct schema *schema,
                            const struct rowgroup *group)
{
    struct buffer out = {0};
    assert_true(format->possible(schema));
    const struct format_view told = {.schema = schema, .rows = group->rows, .groups = 1};
    assert_int_equal(format_head(format, &told, &out), 0);
    assert_int_equal(format->body(schema, group, NULL, &out), 0);
    assert_int_equal(format_tail(format, &told, NULL, NULL, &out), 0);
    if (out.size > 0)
        assert_int_equal(out.data[out.size - 1], format->last);
    return out;
}

static void assert_renders(const struct format *format, const char *const *names,
                           const char *const *values, size_t rows, const char *expected,
                           size_t size)
{
    struct schema *schema = text_schema(names);
    struct rowgroup *group = text_group(schema, values, rows);
    struct buffer out = render(format, schema, group);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, expected, size);
    buffer_clear(&out);
    rowgroup_free(group);
    schema_free(schema);
}

#define RENDERS(format, names, values, rows, expected)                                             \
    assert_renders(&format, names, values, rows, expected, sizeof(expected) - 1)

static const char *const one[] = {"a", NULL}, *const two[] = {"a", "b", NULL};

/* What PostgreSQL 15 prints for these with COPY … (FORMAT csv, HEADER). */
static void test_csv_of_one_column(void **state)
{
    (void)state;
    static const char *const values[] = {"x",    NULL,  "",     "a,b",  "q\"q", "\"", "1\n2",
                                         "1\r2", "\\.", "\\.x", "x\\.", " ",    "\t", "\\N"};
    RENDERS(format_csv, one, values, 14,
            "a\nx\n\n\"\"\n\"a,b\"\n\"q\"\"q\"\n\"\"\"\"\n\"1\n2\"\n\"1\r2\"\n\"\\.\"\n\\.x\nx\\."
            "\n \n\t\n\\N\n");
    RENDERS(format_csv, one, values, 0, "a\n");
}

static void test_csv_of_two_columns(void **state)
{
    (void)state;
    static const char *const values[] = {"x",  "y", NULL,  NULL,  "",        NULL,
                                         NULL, "",  "\\.", "\\.", "a,\"b\"", "\r\n"};
    RENDERS(format_csv, two, values, 6,
            "a,b\nx,y\n,\n\"\",\n,\"\"\n\\.,\\.\n\"a,\"\"b\"\"\",\"\r\n\"\n");
}

static void test_csv_header(void **state)
{
    (void)state;
    static const char *const plain[] = {"a b", "ü", "A", NULL},
                             *const quoted[] = {"a,b", "q\"", "n\nl", "\\.", NULL},
                             *const lone[] = {"\\.", NULL};
    RENDERS(format_csv, plain, NULL, 0, "a b,ü,A\n");
    RENDERS(format_csv, quoted, NULL, 0, "\"a,b\",\"q\"\"\",\"n\nl\",\\.\n");
    RENDERS(format_csv, lone, NULL, 0, "\"\\.\"\n");
}

/* And with DELIMITER E'\t'. */
static void test_tsv(void **state)
{
    (void)state;
    static const char *const values[] = {"x",    NULL,  "",     "a\tb", "q\"q", "\t", "1\n2",
                                         "1\r2", "\\.", "\\.x", "a,b",  " ",    "\\N"};
    static const char *const pairs[] = {"x",   "y",   NULL, NULL,       "",
                                        "a,b", "\\.", "\t", "a\t\"b\"", "\r\n"};
    static const char *const names[] = {"a,b", "a\tb", "q\"", NULL}, *const lone[] = {"\\.", NULL};
    RENDERS(format_tsv, one, values, 13,
            "a\nx\n\n\"\"\n\"a\tb\"\n\"q\"\"q\"\n\"\t\"\n\"1\n2\"\n\"1\r2\"\n\"\\.\"\n\\.x\na,b\n"
            " \n\\N\n");
    RENDERS(format_tsv, two, pairs, 5,
            "a\tb\nx\ty\n\t\n\"\"\ta,b\n\\.\t\"\t\"\n\"a\t\"\"b\"\"\"\t\"\r\n\"\n");
    RENDERS(format_tsv, names, NULL, 0, "a,b\t\"a\tb\"\t\"q\"\"\"\n");
    RENDERS(format_tsv, lone, NULL, 0, "\"\\.\"\n");
}

static void test_jsonl(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b\"\n", NULL}, *const values[] = {"x", NULL, "",
                                                                                "q\"\\\n\t\x01ü/"};
    RENDERS(format_jsonl, names, values, 2,
            "{\"a\":\"x\",\"b\\\"\\n\":null}\n{\"a\":\"\",\"b\\\"\\n\":\"q\\\"\\\\\\n\\t\\u0001ü/"
            "\"}\n");
    RENDERS(format_jsonl, names, NULL, 0, "");
}

static void test_bin(void **state)
{
    (void)state;
    static const char *const values[] = {"xy", NULL, "", "z"};
    RENDERS(format_bin, two, values, 2,
            "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0"
            "\0\2\0\0\0\2xy\377\377\377\377"
            "\0\2\0\0\0\0\0\0\0\1z\377\377");
    RENDERS(format_bin, two, NULL, 0, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\377\377");
}

/* A table without columns has rows all the same. */
static void test_no_columns(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[4]);
    struct rowgroup *group = rows_group(&rows_tables[4], schema, 0, 3);
    static const struct {
        const struct format *format;
        const char *text;
        size_t size;
    } cases[] = {{&format_csv, "\n\n\n\n", 4},
                 {&format_tsv, "\n\n\n\n", 4},
                 {&format_jsonl, "{}\n{}\n{}\n", 9},
                 {&format_bin, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\377\377", 27}};
    for (size_t i = 0; i < 4; i++) {
        struct buffer out = render(cases[i].format, schema, group);
        assert_int_equal(out.size, cases[i].size);
        assert_memory_equal(out.data, cases[i].text, out.size);
        buffer_clear(&out);
    }
    rowgroup_free(group);
    schema_free(schema);
}

/* Server-rendered columns go out as their parts say, a generated one only as JSON, and each JSON on
 * one line. */
static void test_parts_of_the_server(void **state)
{
    (void)state;
    static const struct rows_table table = {"t", false, 2, {ROWS_SERVER, ROWS_GENERATED}};
    struct schema *schema = rows_schema(&table);
    struct rowgroup *group = rows_group(&table, schema, 0, 4); /* row 2 is NULL */
    struct buffer csv = render(&format_csv, schema, group),
                  jsonl = render(&format_jsonl, schema, group);
    struct buffer bin = render(&format_bin, schema, group);
    static const char expected_csv[] = "\"c,0\"\n\"\"\n\"a,b\"\n\n\"line\nbreak\"\n";
    assert_int_equal(csv.size, sizeof expected_csv - 1);
    assert_memory_equal(csv.data, expected_csv, csv.size);
    static const char expected_jsonl[] =
        "{\"c,0\":17,\"c,1\":17}\n{\"c,0\":{\"a\": [1,2]},\"c,1\":{\"a\": [1,2]}}\n"
        "{\"c,0\":null,\"c,1\":null}\n{\"c,0\":{\"a\": [1,2]},\"c,1\":{\"a\": [1,2]}}\n";
    assert_int_equal(jsonl.size, sizeof expected_jsonl - 1);
    assert_memory_equal(jsonl.data, expected_jsonl, jsonl.size);
    assert_int_equal(bin.size, 19 + 4 * 6 + 0 + 1 + 3 + 2);
    buffer_clear(&csv);
    buffer_clear(&jsonl);
    buffer_clear(&bin);
    rowgroup_free(group);
    schema_free(schema);
}

/* Of a table whose rows came without ids, .bin is the stream itself. */
static void test_bin_is_what_came(void **state)
{
    (void)state;
    static const struct rows_table table = {
        "t", false, 4, {ROWS_INT4_NULLS, ROWS_TEXT, ROWS_VECTOR, ROWS_ALL_NULL}};
    struct schema *schema = rows_schema(&table);
    struct rowgroup *group = rows_group(&table, schema, 0, 60);
    struct buffer stream = {0}, bin = render(&format_bin, schema, group);
    rows_stream(&table, schema, 60, &stream);
    assert_int_equal(bin.size, stream.size);
    assert_memory_equal(bin.data, stream.data, bin.size);
    buffer_clear(&stream);
    buffer_clear(&bin);
    rowgroup_free(group);
    schema_free(schema);
}

static void append_body(const struct rows_table *table, const struct schema *schema,
                        const struct format *format, uint32_t first, uint32_t end,
                        struct buffer *out)
{
    struct rowgroup *group = rows_group(table, schema, first, end);
    size_t before = out->size;
    assert_int_equal(format->body(schema, group, NULL, out), 0);
    uint64_t size;
    if (format->body_size != NULL) {
        assert_int_equal(format->body_size(schema, group, &size), 0);
        assert_int_equal(size, out->size - before);
    }
    rowgroup_free(group);
}

/* Cut anywhere into two groups, the bodies one behind another are the body of the whole; but for
 * formats that keep a group's rows by column. */
static void test_bodies_do_not_depend_on_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct schema *schema = rows_schema(&rows_tables[i]);
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct buffer whole = {0};
            if (!formats[f]->possible(schema) || formats[f]->whole)
                continue;
            append_body(&rows_tables[i], schema, formats[f], 0, 30, &whole);
            for (uint32_t cut = 0; cut <= 30; cut++) {
                struct buffer parts = {0};
                append_body(&rows_tables[i], schema, formats[f], 0, cut, &parts);
                append_body(&rows_tables[i], schema, formats[f], cut, 30, &parts);
                assert_int_equal(parts.size, whole.size);
                assert_true(whole.size == 0 || memcmp(parts.data, whole.data, whole.size) == 0);
                buffer_clear(&parts);
            }
            buffer_clear(&whole);
        }
        schema_free(schema);
    }
}

static void test_possible(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[6]); /* its types have no binary output */
    assert_true(format_csv.possible(schema) && format_tsv.possible(schema));
    assert_true(format_jsonl.possible(schema));
    assert_false(format_bin.possible(schema));
    const bool with_binary[] = {true, true};
    static const struct {
        unsigned parts;
        bool csv, bin, jsonl;
    } cases[] = {{0, false, false, false},
                 {1 << PART_BINARY, false, true, false},
                 {1 << PART_TEXT, true, false, false},
                 {1 << PART_JSON, false, false, true}};
    for (size_t i = 0; i < 4; i++) {
        schema_number(schema, with_binary, cases[i].parts);
        assert_int_equal(format_csv.possible(schema), cases[i].csv);
        assert_int_equal(format_tsv.possible(schema), cases[i].csv);
        assert_int_equal(format_bin.possible(schema), cases[i].bin);
        assert_int_equal(format_jsonl.possible(schema), cases[i].jsonl);
    }
    schema_free(schema);
}

/* A value that is not one of its type comes from the network: it is refused. */
static void test_values_that_are_none(void **state)
{
    (void)state;
    struct schema *schema;
    const bool with_binary[] = {true};
    assert_int_equal(schema_new(false, &schema), 0);
    assert_int_equal(schema_add(schema, "v", "vector", type_find("vector", "vector"), true), 0);
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
    assert_int_equal(rowgroup_builder_add(builder, (const uint8_t *)"\0\0\0\3abc", 7, NULL), 0);
    assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
    struct buffer out = {0};
    assert_int_equal(format_csv.body(schema, group, NULL, &out), -EBADMSG);
    assert_int_equal(format_tsv.body(schema, group, NULL, &out), -EBADMSG);
    assert_int_equal(format_jsonl.body(schema, group, NULL, &out), -EBADMSG);
    out.size = 0;
    assert_int_equal(format_bin.body(schema, group, NULL, &out), 0); /* as it came */
    assert_int_equal(out.size, 9);
    buffer_clear(&out);
    rowgroup_builder_free(builder);
    rowgroup_free(group);
    schema_free(schema);
}

/* ---- against the rule, value by value ---- */

enum { WIRE_MOST = 80 };

static uint32_t random_number(uint32_t end)
{
    static uint64_t at = 7;
    at = at * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((at >> 32) * end >> 32);
}

static size_t random_text(uint8_t *wire)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz,\"\n\r\\.\t ";
    size_t size = random_number(WIRE_MOST);
    for (size_t i = 0; i < size; i++)
        wire[i] = (uint8_t)letters[random_number(34)];
    return size;
}

/* [1,1,…] of up to four numbers, or {2:2}/5. */
static size_t a_vector(const struct type *type, uint8_t *wire)
{
    if (strcmp(type->name, "sparsevec") == 0) {
        memcpy(wire, "\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\1\x40\0\0\0", 20);
        return 20;
    }
    size_t n = 1 + random_number(4), element = strcmp(type->name, "halfvec") == 0 ? 2 : 4;
    memset(wire, 0, 4 + n * element);
    store_be16(wire, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        store_be16(wire + 4 + i * element, element == 2 ? 0x3c00 : 0x3f80);
    return 4 + n * element;
}

/* Perhaps a value of the type. */
static size_t random_bytes(const struct type *type, uint8_t *wire)
{
    static const uint8_t sizes[] = {1, 2, 4, 8, 16, 33};
    if (type->extension != NULL)
        return a_vector(type, wire);
    if (type->in_database_encoding) {
        size_t size = random_text(wire);
        if (strcmp(type->name, "jsonb") == 0)
            wire[0] = 1;
        return size;
    }
    size_t size = sizes[random_number(6)];
    for (size_t i = 0; i < size; i++)
        wire[i] = (uint8_t)random_number(256);
    if (strcmp(type->name, "bool") == 0)
        wire[0] &= 1;
    if (strstr(type->name, "bit") != NULL) {
        uint32_t bits = random_number(100);
        store_be32(wire, bits);
        size = 4 + (bits + 7) / 8;
    }
    return size;
}

static size_t random_wire(const struct type *type, uint8_t *wire)
{
    for (;;) {
        struct buffer text = {0};
        size_t size = random_bytes(type, wire);
        int rc = type->text(wire, size, &text);
        buffer_clear(&text);
        if (rc == 0)
            return size;
    }
}

static void put_reference(struct buffer *out, uint8_t delimiter, const uint8_t *text, size_t size,
                          bool lone)
{
    bool quote = size == 0 || (lone && size == 2 && memcmp(text, "\\.", 2) == 0);
    for (size_t i = 0; i < size; i++)
        quote = quote || text[i] == delimiter || memchr("\"\n\r", text[i], 3) != NULL;
    rows_put_text(out, quote ? "\"" : "");
    for (size_t i = 0; i < size; i++) {
        must(buffer_append_byte(out, text[i]) == 0);
        rows_put_text(out, text[i] == '"' ? "\"" : "");
    }
    rows_put_text(out, quote ? "\"" : "");
}

struct files {
    struct buffer csv, tsv, json;
};

/* What a row's column adds to the files, and to the tuple. */
static void put_column(const struct schema *schema, int i, uint32_t nulls, struct buffer *tuple,
                       struct files *files)
{
    const struct column *column = &schema->columns[i];
    struct buffer text = {0};
    uint8_t wire[WIRE_MOST];
    bool lone = schema->column_count == 1;
    must(buffer_printf(&files->json, "%s\"%s\":", i == 0 ? "{" : ",", column->name) == 0);
    rows_put_text(&files->csv, i > 0 ? "," : "");
    rows_put_text(&files->tsv, i > 0 ? "\t" : "");
    if (random_number(100) < nulls) {
        rows_put_be32(tuple, UINT32_MAX);
        rows_put_text(&files->json, "null");
        return;
    }
    size_t size = random_wire(column->type, wire);
    rows_put_be32(tuple, (uint32_t)size);
    must(buffer_append(tuple, wire, size) == 0);
    assert_int_equal(type_json(column->type, wire, size, &files->json), 0);
    assert_int_equal(column->type->text(wire, size, &text), 0);
    put_reference(&files->csv, ',', text.data, text.size, lone);
    put_reference(&files->tsv, '\t', text.data, text.size, lone);
    buffer_clear(&text);
}

/* Also where there is room for the body exactly: it does not grow, or a cache would need more
 * memory than it counts. */
static void assert_body(const struct format *format, const struct schema *schema,
                        const struct rowgroup *group, const struct buffer *expected)
{
    struct buffer grown = {0}, exact = {0};
    assert_int_equal(format->body(schema, group, NULL, &grown), 0);
    assert_int_equal(grown.size, expected->size);
    assert_memory_equal(grown.data, expected->data, grown.size);
    assert_int_equal(buffer_reserve(&exact, expected->size), 0);
    size_t capacity = exact.capacity;
    assert_int_equal(format->body(schema, group, NULL, &exact), 0);
    assert_int_equal(exact.capacity, capacity);
    assert_int_equal(exact.size, expected->size);
    assert_memory_equal(exact.data, expected->data, exact.size);
    buffer_clear(&grown);
    buffer_clear(&exact);
}

static struct schema *types_schema(const struct type *const *types, int columns)
{
    struct schema *schema;
    bool with_binary[64];
    must(schema_new(false, &schema) == 0);
    for (int i = 0; i < columns; i++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s%d", i, "as_long_as_its_number_says", i);
        must(schema_add(schema, name, "t", types[i], true) == 0);
        with_binary[i] = true;
    }
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    return schema;
}

/* Rows of these columns; so many values in a hundred are NULL. */
static void check_against_rule(const struct type *const *types, int columns, uint32_t rows,
                               uint32_t nulls)
{
    struct schema *schema = types_schema(types, columns);
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    struct files files = {0};
    must(rowgroup_builder_new(schema, &builder) == 0);
    for (uint32_t row = 0; row < rows; row++) {
        struct buffer tuple = {0};
        for (int i = 0; i < columns; i++)
            put_column(schema, i, nulls, &tuple, &files);
        rows_put_text(&files.csv, "\n");
        rows_put_text(&files.tsv, "\n");
        rows_put_text(&files.json, "}\n");
        assert_int_equal(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL), 0);
        buffer_clear(&tuple);
    }
    must(rowgroup_builder_finish(builder, &group) == 0);
    assert_body(&format_csv, schema, group, &files.csv);
    assert_body(&format_tsv, schema, group, &files.tsv);
    assert_body(&format_jsonl, schema, group, &files.json);
    rowgroup_free(group);
    rowgroup_builder_free(builder);
    schema_free(schema);
    buffer_clear(&files.csv);
    buffer_clear(&files.tsv);
    buffer_clear(&files.json);
}

static void test_against_the_rule(void **state)
{
    (void)state;
    size_t count;
    const struct type *all = type_all(&count), *types[64];
    assert_true(count <= 64);
    for (size_t i = 0; i < count; i++) {
        types[i] = &all[i];
        const struct type *same[] = {types[i], types[i], types[i]};
        for (uint32_t nulls = 0; nulls <= 50; nulls += 50) {
            check_against_rule(same, 1, 200, nulls);
            check_against_rule(same, 3, 50, nulls);
        }
    }
    for (uint32_t nulls = 0; nulls <= 100; nulls += 20)
        check_against_rule(types, (int)count, 300, nulls);
}

/* Three bytes of which the second is 0 are a value of no other type. */
static void test_each_type_refuses(void **state)
{
    (void)state;
    size_t count;
    const struct type *all = type_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct type *type = &all[i];
        bool takes_all = strcmp(type->name, "bytea") == 0;
        struct schema *schema = types_schema(&type, 1);
        struct rowgroup_builder *builder;
        struct rowgroup *group;
        struct buffer out = {0};
        must(rowgroup_builder_new(schema, &builder) == 0);
        must(rowgroup_builder_add(builder, (const uint8_t *)"\0\0\0\3a\0b", 7, NULL) == 0);
        must(rowgroup_builder_finish(builder, &group) == 0);
        assert_int_equal(format_csv.body(schema, group, NULL, &out), takes_all ? 0 : -EBADMSG);
        assert_int_equal(format_tsv.body(schema, group, NULL, &out), takes_all ? 0 : -EBADMSG);
        assert_int_equal(format_jsonl.body(schema, group, NULL, &out), takes_all ? 0 : -EBADMSG);
        buffer_clear(&out);
        rowgroup_free(group);
        rowgroup_builder_free(builder);
        schema_free(schema);
    }
}

/* Those of inode numbers: what there is keeps its own, whatever comes. */
static void test_numbers(void **state)
{
    (void)state;
    assert_int_equal(format_csv.number, 0);
    assert_int_equal(format_bin.number, 1);
    assert_int_equal(format_jsonl.number, 2);
    assert_int_equal(format_tsv.number, 5);
    assert_int_equal(format_csv_gz.number, 8);
    assert_int_equal(format_csv_zst.number, 9);
    assert_int_equal(format_jsonl_zst.number, 10);
    assert_int_equal(format_bin_zst.number, 11);
    assert_int_equal(format_tsv_gz.number, 12);
    assert_int_equal(format_tsv_zst.number, 13);
    assert_int_equal(format_jsonl_gz.number, 14);
    assert_int_equal(format_bin_gz.number, 15);
    for (int i = 0; i < FORMAT_COUNT; i++) {
        assert_true(formats[i]->number != 3 && formats[i]->number != 4); /* of fs/tables/table.h */
        for (int k = 0; k < i; k++)
            assert_int_not_equal(formats[i]->number, formats[k]->number);
    }
}

static void test_find(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_COUNT; i++)
        assert_int_equal(format_find(formats[i]->name, strlen(formats[i]->name)), i);
    assert_int_equal(format_find("csvx", 3), 0);
    assert_int_equal(format_find("cs", 2), -1);
    assert_int_equal(format_find("", 0), -1);
    assert_int_equal(format_find("CSV", 3), -1);
    assert_int_equal(format_find("jsonlx", 6), -1);
}

/* The longest format's name that a file's name ends with. */
static void test_format_of_file(void **state)
{
    (void)state;
    static const struct {
        const char *name, *format;
        size_t stem;
    } files[] = {{"a.csv", "csv", 1},     {"a.csv.gz", "csv.gz", 1}, {"a.b.csv.zst", "csv.zst", 3},
                 {"a.csv.csv", "csv", 5}, {"a,b.tsv", "tsv", 3},     {"a.csv.tsv.gz", "tsv.gz", 5},
                 {".csv.csv", "csv", 4},  {".csv", NULL, 0},         {"csv", NULL, 0},
                 {"a.gz", NULL, 0},       {"a.", NULL, 0},           {"", NULL, 0},
                 {"a.csv.gz.x", NULL, 0}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t stem = 0;
        int place = format_of_file(files[i].name, &stem);
        assert_int_equal(place >= 0, files[i].format != NULL);
        if (place >= 0)
            assert_string_equal(formats[place]->name, files[i].format);
        assert_int_equal(stem, files[i].stem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_of_one_column),
        cmocka_unit_test(test_csv_of_two_columns),
        cmocka_unit_test(test_csv_header),
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_bin),
        cmocka_unit_test(test_no_columns),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_format_of_file),
        cmocka_unit_test(test_parts_of_the_server),
        cmocka_unit_test(test_bin_is_what_came),
        cmocka_unit_test(test_bodies_do_not_depend_on_their_place),
        cmocka_unit_test(test_possible),
        cmocka_unit_test(test_values_that_are_none),
        cmocka_unit_test(test_against_the_rule),
        cmocka_unit_test(test_each_type_refuses),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
