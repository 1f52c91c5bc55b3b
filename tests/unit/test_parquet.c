/* .parquet, read back by the strict reader of parquet_file.h: random tables of all kinds of columns,
 * and their values one by one. */
#include "codec/compress.h"
#include "codec/format.h"

#include "tests/unit/no_memory.h"
#include "tests/unit/parquet_print.h"
#include "tests/unit/rows.h"

enum { COLUMNS_MOST = 12, LEAVES_MOST = 3 * COLUMNS_MOST, GROUPS_MOST = 5, ROWS_MOST = 40 };

/* ---- random values ---- */

static uint64_t random_state = 11;

static uint32_t random_number(uint32_t end)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((random_state >> 32) * end >> 32);
}

static uint64_t random_bits(void)
{
    uint64_t high = random_number(UINT32_MAX);
    return high << 32 | random_number(UINT32_MAX);
}

/* A value as the server would send it, and as it must come out: as parquet_print.h has it, a NUL
 * behind what each leaf holds. All are empty at first. */
struct made {
    struct buffer parts[PART_KINDS];
    struct buffer printed;
};

static void put_be(struct buffer *out, uint64_t value, size_t size)
{
    for (size_t i = size; i-- > 0;)
        must(buffer_append_byte(out, (uint8_t)(value >> 8 * i)) == 0);
}

static void put_hex(struct buffer *out, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        must(buffer_printf(out, "%02x", ((const uint8_t *)bytes)[i]) == 0);
}

static void make_bool(struct made *made, int argument)
{
    uint8_t value = (uint8_t)random_number(2);
    (void)argument;
    put_be(&made->parts[PART_BINARY], value, 1);
    rows_put_text(&made->printed, value != 0 ? "t" : "f");
}

/* Now and then one of the ends. */
static uint64_t random_integer(size_t size)
{
    uint64_t value = random_bits() >> (64 - 8 * size);
    uint64_t top = UINT64_C(1) << (8 * size - 1);
    switch (random_number(6)) {
    case 0:
        return top;
    case 1:
        return top - 1;
    default:
        return value;
    }
}

static int64_t extend(uint64_t value, size_t size)
{
    return (int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size);
}

static void make_integer(struct made *made, int size)
{
    uint64_t value = random_integer((size_t)size);
    put_be(&made->parts[PART_BINARY], value, (size_t)size);
    must(buffer_printf(&made->printed, "%" PRId64, extend(value, (size_t)size)) == 0);
}

static void make_oid(struct made *made, int argument)
{
    uint64_t value = random_integer(4);
    (void)argument;
    put_be(&made->parts[PART_BINARY], value, 4);
    must(buffer_printf(&made->printed, "%" PRIu64, value) == 0);
}

/* Any bits, NaN and infinity too. */
static void make_float(struct made *made, int size)
{
    uint64_t value = random_number(8) == 0 ? UINT64_C(0x7ff0000000000000) : random_bits();
    put_be(&made->parts[PART_BINARY], value >> (64 - 8 * size), (size_t)size);
    put_hex(&made->printed, made->parts[PART_BINARY].data, made->parts[PART_BINARY].size);
}

/* All dates that PostgreSQL has, in days since 2000. */
static void make_date(struct made *made, int argument)
{
    int64_t day = (int64_t)random_number(2147483494U) - 2451545;
    (void)argument;
    put_be(&made->parts[PART_BINARY], (uint64_t)(day > 2147472688 ? 0 : day), 4);
    must(buffer_printf(&made->printed, "%" PRId64, (day > 2147472688 ? 0 : day) + INT64_C(10957)) ==
         0);
}

static void make_timestamp(struct made *made, int argument)
{
    /* from 4714 BC until the last that still fits when it is counted from 1970 */
    int64_t least = INT64_C(-211813488000000000), most = INT64_MAX - INT64_C(946684800000000);
    int64_t at =
        (int64_t)((uint64_t)least + random_bits() % ((uint64_t)most - (uint64_t)least + 1));
    (void)argument;
    if (random_number(8) == 0)
        at = most;
    put_be(&made->parts[PART_BINARY], (uint64_t)at, 8);
    must(buffer_printf(&made->printed, "%" PRId64, at + INT64_C(946684800000000)) == 0);
}

static void make_time(struct made *made, int argument)
{
    uint64_t at = random_number(4) == 0 ? 86399999999U : random_bits() % 86400000000U;
    unsigned seconds = (unsigned)(at / 1000000);
    (void)argument;
    must(buffer_printf(&made->parts[PART_TEXT], "%02u:%02u:%02u.%06u", seconds / 3600,
                       seconds / 60 % 60, seconds % 60, (unsigned)(at % 1000000)) == 0);
    must(buffer_printf(&made->printed, "%" PRIu64, at) == 0);
}

static void random_text(struct buffer *out)
{
    static const char *const pieces[] = {"a", "b", "\"", ",",  "\n", "\\", "ü",
                                         "€", "😀", " ",  "\t", "'",  "{",  "text"};
    uint32_t count = random_number(random_number(20) == 0 ? 3000 : 12);
    for (uint32_t i = 0; i < count; i++)
        rows_put_text(out, pieces[random_number(sizeof pieces / sizeof *pieces)]);
}

static void make_text(struct made *made, int argument)
{
    (void)argument;
    random_text(&made->parts[PART_BINARY]);
    put_hex(&made->printed, made->parts[PART_BINARY].data, made->parts[PART_BINARY].size);
}

static void make_json(struct made *made, int version)
{
    char text[64];
    snprintf(text, sizeof text, "{\"a\": [%u, \"é\"]}", random_number(1000));
    if (version > 0)
        put_be(&made->parts[PART_BINARY], (uint64_t)version, 1);
    rows_put_text(&made->parts[PART_BINARY], text);
    put_hex(&made->printed, text, strlen(text));
}

static void make_bytes(struct made *made, int size)
{
    uint32_t count = size > 0 ? (uint32_t)size : random_number(50);
    for (uint32_t i = 0; i < count; i++)
        put_be(&made->parts[PART_BINARY], random_number(256), 1);
    put_hex(&made->printed, made->parts[PART_BINARY].data, made->parts[PART_BINARY].size);
}

/* ---- numeric(precision, scale) ---- */

struct precision {
    int digits, scale;
};
static const struct precision precisions[] = {{1, 0},  {9, 2},  {10, 2},  {18, 18},
                                              {19, 0}, {38, 0}, {38, 38}, {20, 5}};

/* The decimal digits of the unscaled number, `scale` of them behind the point. */
static void put_numeric_text(const char *digits, int scale, bool negative, struct buffer *out)
{
    int size = (int)strlen(digits);
    rows_put_text(out, negative ? "-" : "");
    must(buffer_printf(out, "%.*s", size - scale, digits) == 0);
    if (scale > 0)
        must(buffer_printf(out, ".%s", digits + size - scale) == 0);
}

static void make_numeric(struct made *made, int number)
{
    const struct precision *precision = &precisions[number];
    char digits[50] = "";
    int given = (int)random_number((uint32_t)precision->digits + 1);
    /* at least one digit in front of the point */
    int size = precision->digits > precision->scale ? precision->digits : precision->digits + 1;
    for (int i = 0; i < size; i++)
        digits[i] = i < size - given ? '0' : (char)('0' + random_number(10));
    char *significant = digits;
    while (significant[1] != '\0' && significant[0] == '0')
        significant++;
    bool negative = random_number(2) == 0 && strcmp(significant, "0") != 0;
    char *shown = digits; /* one digit in front of the point, if it is a zero */
    while (shown[0] == '0' && (int)strlen(shown) > precision->scale + 1)
        shown++;
    put_numeric_text(shown, precision->scale, negative, &made->parts[PART_TEXT]);
    must(buffer_printf(&made->printed, "%s%s", negative ? "-" : "", significant) == 0);
}

/* ---- vectors ---- */

static void put_vector(struct made *made, uint32_t dimensions, int element)
{
    struct buffer *wire = &made->parts[PART_BINARY];
    put_be(wire, dimensions, 2);
    put_be(wire, 0, 2);
    rows_put_text(&made->printed, "[");
    for (uint32_t i = 0; i < dimensions; i++) {
        uint64_t bits = random_bits() >> 33;
        put_be(wire, element == 2 ? bits >> 17 & 0x7bff : bits & 0x7f7fffff, (size_t)element);
        rows_put_text(&made->printed, i > 0 ? "," : "");
        put_hex(&made->printed, wire->data + wire->size - element, (size_t)element);
    }
    rows_put_text(&made->printed, "]");
}

/* Of any number of elements. */
static void make_vector(struct made *made, int element)
{
    put_vector(made, random_number(10) == 0 ? 300 : 1 + random_number(9), element);
}

static void make_vector_of_nine(struct made *made, int element) { put_vector(made, 9, element); }

static void make_sparse(struct made *made, int argument)
{
    struct buffer *wire = &made->parts[PART_BINARY], values = {0};
    uint32_t count = random_number(4) == 0 ? 0 : random_number(40), dim = count + 1, index = 0;
    (void)argument;
    put_be(wire, dim + count, 4);
    put_be(wire, count, 4);
    put_be(wire, 0, 4);
    must(buffer_printf(&made->printed, "%u", dim + count) == 0);
    must(buffer_append_byte(&made->printed, 0) == 0);
    rows_put_text(&made->printed, "[");
    for (uint32_t i = 0; i < count; i++, index++) {
        index += random_number(2);
        put_be(wire, index, 4);
        must(buffer_printf(&made->printed, "%s%u", i > 0 ? "," : "", index + 1) == 0);
    }
    must(buffer_append(&made->printed, "]\0[", 3) == 0);
    for (uint32_t i = 0; i < count; i++) {
        put_be(&values, random_bits() >> 33 & 0x7f7fffff, 4);
        rows_put_text(&made->printed, i > 0 ? "," : "");
        put_hex(&made->printed, values.data + values.size - 4, 4);
    }
    must(buffer_append(wire, values.data, values.size) == 0);
    rows_put_text(&made->printed, "]");
    buffer_clear(&values);
}

/* ---- bits ---- */

static void put_random_bits(struct made *made, uint32_t count)
{
    struct buffer *wire = &made->parts[PART_BINARY];
    put_be(wire, count, 4);
    for (uint32_t i = 0; i < (count + 7) / 8; i++)
        put_be(wire, random_number(256) & (count - 8 * i < 8 ? 0xFF00U >> (count - 8 * i) : 255),
               1);
}

static void make_bits(struct made *made, int count)
{
    put_random_bits(made, (uint32_t)count);
    put_hex(&made->printed, made->parts[PART_BINARY].data + 4, made->parts[PART_BINARY].size - 4);
}

static void make_varbit(struct made *made, int argument)
{
    uint32_t count = random_number(30);
    (void)argument;
    put_random_bits(made, count);
    for (uint32_t i = 0; i < count; i++) {
        bool one = (made->parts[PART_BINARY].data[4 + i / 8] >> (7 - i % 8) & 1) != 0;
        put_hex(&made->printed, one ? "1" : "0", 1);
    }
}

/* ---- what the server renders ---- */

static void make_server_text(struct made *made, int argument)
{
    (void)argument;
    random_text(&made->parts[PART_TEXT]);
    put_hex(&made->printed, made->parts[PART_TEXT].data, made->parts[PART_TEXT].size);
}

/* ---- random tables ---- */

static const struct kind {
    const char *type_name, *extension, *type; /* type NULL: the server renders it */
    void (*make)(struct made *made, int argument);
    int argument;
} kinds[] = {
    {"boolean", NULL, "bool", make_bool, 0},
    {"smallint", NULL, "int2", make_integer, 2},
    {"integer", NULL, "int4", make_integer, 4},
    {"bigint", NULL, "int8", make_integer, 8},
    {"oid", NULL, "oid", make_oid, 0},
    {"real", NULL, "float4", make_float, 4},
    {"double precision", NULL, "float8", make_float, 8},
    {"date", NULL, "date", make_date, 0},
    {"timestamp without time zone", NULL, "timestamp", make_timestamp, 0},
    {"timestamp with time zone", NULL, "timestamptz", make_timestamp, 0},
    {"time without time zone", NULL, NULL, make_time, 0},
    {"text", NULL, "text", make_text, 0},
    {"character varying(10000)", NULL, "varchar", make_text, 0},
    {"name", NULL, "name", make_text, 0},
    {"json", NULL, "json", make_json, 0},
    {"jsonb", NULL, "jsonb", make_json, 1},
    {"bytea", NULL, "bytea", make_bytes, 0},
    {"uuid", NULL, "uuid", make_bytes, 16},
    {"public.vector", "vector", "vector", make_vector, 4},
    {"public.halfvec", "vector", "halfvec", make_vector, 2},
    {"public.vector(9)", "vector", "vector", make_vector_of_nine, 4},
    {"public.halfvec(9)", "vector", "halfvec", make_vector_of_nine, 2},
    {"public.sparsevec(100)", "vector", "sparsevec", make_sparse, 0},
    {"bit(1)", NULL, "bit", make_bits, 1},
    {"bit(20)", NULL, "bit", make_bits, 20},
    {"bit varying", NULL, "varbit", make_varbit, 0},
    {"numeric(1,0)", NULL, NULL, make_numeric, 0},
    {"numeric(9,2)", NULL, NULL, make_numeric, 1},
    {"numeric(10,2)", NULL, NULL, make_numeric, 2},
    {"numeric(18,18)", NULL, NULL, make_numeric, 3},
    {"numeric(19,0)", NULL, NULL, make_numeric, 4},
    {"numeric(38,0)", NULL, NULL, make_numeric, 5},
    {"numeric(38,38)", NULL, NULL, make_numeric, 6},
    {"numeric(20,5)", NULL, NULL, make_numeric, 7},
    {"public.mood", NULL, NULL, make_server_text, 0},
    {"integer[]", NULL, NULL, make_server_text, 0},
};

enum { KINDS = sizeof kinds / sizeof *kinds };

static const struct kind *kind_named(const char *type_name)
{
    const struct kind *kind = kinds;
    while (strcmp(kind->type_name, type_name) != 0)
        kind++;
    return kind;
}

struct table {
    struct schema *schema;
    int columns;
    const struct kind *kinds[COLUMNS_MOST];
    int groups;
    struct rowgroup *group[GROUPS_MOST];
    uint32_t rows;                                           /* of all groups */
    char *printed[COLUMNS_MOST][3][GROUPS_MOST * ROWS_MOST]; /* by leaf */
};

static int leaves_of(const struct kind *kind) { return kind->make == make_sparse ? 3 : 1; }

static void new_schema(struct table *table)
{
    bool with_binary[COLUMNS_MOST];
    must(schema_new(false, &table->schema) == 0);
    for (int i = 0; i < table->columns; i++) {
        const struct kind *kind = table->kinds[i];
        const struct type *type =
            kind->type != NULL ? type_find(kind->extension, kind->type) : NULL;
        char name[20];
        must((type != NULL) == (kind->type != NULL));
        snprintf(name, sizeof name, "a.b\"ü %d", i);
        must(schema_add(table->schema, name, kind->type_name, type, true) == 0);
        with_binary[i] = true;
    }
    schema_number(table->schema, with_binary, format_parquet.parts);
}

static void put_value(struct buffer *out, const struct buffer *value, bool null)
{
    rows_put_be32(out, null ? UINT32_MAX : (uint32_t)value->size);
    must(buffer_append(out, value->data, null ? 0 : value->size) == 0);
}

static void put_parts(struct buffer *tuple, const struct table *table, enum part_kind kind,
                      const struct made *row, const bool *nulls)
{
    struct buffer array = {0};
    const uint32_t head[] = {1, 1, 25, (uint32_t)table->schema->part_count[kind], 1};
    for (size_t i = 0; kind != PART_BINARY && i < 5; i++)
        rows_put_be32(&array, head[i]);
    for (int i = 0; i < table->columns; i++)
        if (table->schema->columns[i].part[kind] != PART_NONE)
            put_value(&array, &row[i].parts[kind], nulls[i]);
    if (kind != PART_BINARY && table->schema->part_count[kind] > 0)
        rows_put_be32(tuple, (uint32_t)array.size);
    if (kind == PART_BINARY || table->schema->part_count[kind] > 0)
        must(buffer_append(tuple, array.data, array.size) == 0);
    buffer_clear(&array);
}

static void add_row(struct table *table, struct rowgroup_builder *builder, uint32_t null_of)
{
    struct made row[COLUMNS_MOST] = {0};
    bool nulls[COLUMNS_MOST];
    struct buffer tuple = {0};
    for (int i = 0; i < table->columns; i++) {
        nulls[i] = random_number(null_of) == 0;
        table->kinds[i]->make(&row[i], table->kinds[i]->argument);
        must(buffer_append_byte(&row[i].printed, 0) == 0);
        const char *printed = (const char *)row[i].printed.data;
        for (int leaf = 0; leaf < leaves_of(table->kinds[i]); leaf++) {
            table->printed[i][leaf][table->rows] = strdup(nulls[i] ? "\\N" : printed);
            printed += strlen(printed) + 1;
        }
    }
    for (int kind = 0; kind < PART_KINDS; kind++)
        put_parts(&tuple, table, kind, row, nulls);
    must(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL) == 0);
    table->rows++;
    for (int i = 0; i < table->columns; i++) {
        for (int kind = 0; kind < PART_KINDS; kind++)
            buffer_clear(&row[i].parts[kind]);
        buffer_clear(&row[i].printed);
    }
    buffer_clear(&tuple);
}

/* NULL is one value of null_of; 1: all. */
static void add_groups(struct table *table, int groups, uint32_t rows_most, uint32_t null_of)
{
    struct rowgroup_builder *builder;
    must(rowgroup_builder_new(table->schema, &builder) == 0);
    for (; table->groups < groups; table->groups++) {
        for (uint32_t row = random_number(rows_most + 1); row > 0; row--)
            add_row(table, builder, null_of);
        must(rowgroup_builder_finish(builder, &table->group[table->groups]) == 0);
    }
    rowgroup_builder_free(builder);
}

static void table_clear(struct table *table)
{
    for (int i = 0; i < table->columns; i++)
        for (int leaf = 0; leaf < leaves_of(table->kinds[i]); leaf++)
            for (uint32_t row = 0; row < table->rows; row++)
                free(table->printed[i][leaf][row]);
    for (int i = 0; i < table->groups; i++)
        rowgroup_free(table->group[i]);
    schema_free(table->schema);
}

/* ---- files ---- */

/* Makes the file of these columns. */
static int make_file(const struct schema *schema, const struct table *table, struct buffer *out)
{
    struct buffer notes[GROUPS_MOST] = {0};
    struct note told[GROUPS_MOST];
    uint64_t offsets[GROUPS_MOST + 1];
    const struct format_view view = {
        .schema = schema, .rows = table->rows, .groups = (size_t)table->groups};
    int rc = format_head(&format_parquet, &view, out);
    for (int i = 0; rc == 0 && i < table->groups; i++) {
        offsets[i] = out->size;
        rc = format_parquet.body(schema, table->group[i], &notes[i], out);
        told[i] = (struct note){notes[i].data, notes[i].size};
    }
    offsets[table->groups] = out->size;
    if (rc == 0)
        rc = format_tail(&format_parquet, &view, told, offsets, out);
    for (int i = 0; i < table->groups; i++)
        buffer_clear(&notes[i]);
    return rc;
}

struct expecting {
    const struct parquet_file *file;
    char *const *printed[LEAVES_MOST]; /* the values of each of its leaves */
    int64_t row[LEAVES_MOST];
    struct buffer value[LEAVES_MOST]; /* that is being read */
};

static void compare(struct expecting *expecting, size_t leaf)
{
    struct buffer *value = &expecting->value[leaf];
    if (expecting->row[leaf] == 0)
        return;
    if (expecting->file->leaves[leaf].list && ((char *)value->data)[0] == '[')
        rows_put_text(value, "]");
    must(buffer_append_byte(value, 0) == 0);
    assert_string_equal((char *)value->data, expecting->printed[leaf][expecting->row[leaf] - 1]);
    value->size = 0;
}

static void take_value(void *context, size_t number, const struct parquet_value *value)
{
    struct expecting *expecting = context;
    const struct parquet_leaf *leaf = &expecting->file->leaves[number];
    struct buffer *out = &expecting->value[number];
    if (value->first) {
        compare(expecting, number);
        expecting->row[number]++;
        rows_put_text(out, value->null && !value->empty ? "\\N" : leaf->list ? "[" : "");
    } else {
        rows_put_text(out, ",");
    }
    if (value->null)
        return;
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    parquet_print_value(stream, leaf, value);
    fclose(stream);
    rows_put_text(out, text);
    free(text);
}

/* The columns of the table, by number. */
static void assert_reads(const struct buffer *bytes, const struct table *table, const int *numbers,
                         int columns)
{
    struct parquet_file file;
    bool good = parquet_open(bytes->data, bytes->size, &file);
    struct expecting expecting = {.file = &file};
    size_t leaves = 0;
    for (int i = 0; i < columns; i++)
        for (int leaf = 0; leaf < leaves_of(table->kinds[numbers[i]]); leaf++)
            expecting.printed[leaves++] = table->printed[numbers[i]][leaf];
    if (!good || file.leaf_count != leaves || !parquet_read(&file, take_value, &expecting))
        fail_msg("%s", file.complaint.text);
    assert_int_equal(file.rows, table->rows);
    for (size_t i = 0; i < leaves; i++) {
        compare(&expecting, i);
        assert_int_equal(expecting.row[i], table->rows);
        buffer_clear(&expecting.value[i]);
    }
    parquet_close(&file);
}

static void assert_file(const struct table *table)
{
    static const int all[COLUMNS_MOST] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    struct buffer file = {0};
    assert_true(format_parquet.possible(table->schema));
    assert_int_equal(make_file(table->schema, table, &file), 0);
    assert_int_equal(file.data[file.size - 1], format_parquet.last);
    assert_reads(&file, table, all, table->columns);
    buffer_clear(&file);
}

/* Each kind alone: without NULLs, with some, with nothing else. */
static void test_each_kind(void **state)
{
    (void)state;
    static const uint32_t null_of[] = {UINT32_MAX, 3, 1};
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < 3; i++)
            for (int round = 0; round < 20; round++) {
                struct table table = {.columns = 1, .kinds = {&kinds[kind]}};
                new_schema(&table);
                add_groups(&table, 2, ROWS_MOST, null_of[i]);
                assert_file(&table);
                table_clear(&table);
            }
}

static void random_table(struct table *table)
{
    *table = (struct table){.columns = (int)random_number(COLUMNS_MOST + 1)};
    for (int i = 0; i < table->columns; i++)
        table->kinds[i] = &kinds[random_number(KINDS)];
    new_schema(table);
    add_groups(table, (int)random_number(GROUPS_MOST + 1), random_number(ROWS_MOST + 1),
               1 + random_number(5));
}

static void test_random_tables(void **state)
{
    (void)state;
    for (int round = 0; round < 1000; round++) {
        struct table table;
        random_table(&table);
        assert_file(&table);
        table_clear(&table);
    }
}

/* Of some columns, in another order: the groups are the same. */
static void test_some_columns(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct table table;
        struct schema *chosen;
        struct buffer file = {0};
        int numbers[COLUMNS_MOST], count = 0;
        random_table(&table);
        for (int i = table.columns; i-- > 0;)
            if (random_number(2) == 0)
                numbers[count++] = i;
        assert_int_equal(schema_choose(table.schema, numbers, count, &chosen), 0);
        assert_int_equal(make_file(chosen, &table, &file), 0);
        assert_reads(&file, &table, numbers, count);
        buffer_clear(&file);
        schema_free(chosen);
        table_clear(&table);
    }
}

/* Columns that COPY leaves out are not in the file. */
static void test_generated(void **state)
{
    (void)state;
    struct table table = {.columns = 2, .kinds = {&kinds[2], &kinds[11]}};
    static const int first[] = {0};
    struct buffer file = {0};
    new_schema(&table);
    add_groups(&table, 2, ROWS_MOST, 3);
    table.schema->columns[1].in_copy = false;
    table.schema->columns[1].part[PART_BINARY] = PART_NONE;
    assert_true(format_parquet.possible(table.schema));
    assert_int_equal(make_file(table.schema, &table, &file), 0);
    assert_reads(&file, &table, first, 1);
    buffer_clear(&file);
    table_clear(&table);
}

/* Columns of some size begin at pages of the file, also those of the second group: DuckDB's and the
 * kernel's. */
static void test_zeros(void **state)
{
    (void)state;
    static const struct kind large = {"bytea", NULL, "bytea", make_bytes, 40000};
    static const int choices[][4] = {{0, 1, 2, 3}, {1}, {3, 1, 0}};
    static const int counts[] = {4, 1, 3};
    for (int i = 0; i < 3; i++) {
        struct table table = {
            .columns = 4,
            .kinds = {&kinds[2], &large, kind_named("public.sparsevec(100)"), kind_named("text")}};
        struct schema *chosen;
        struct buffer file = {0};
        new_schema(&table);
        add_groups(&table, GROUPS_MOST, ROWS_MOST, 5);
        assert_int_equal(schema_choose(table.schema, choices[i], counts[i], &chosen), 0);
        assert_int_equal(make_file(chosen, &table, &file), 0);
        assert_true(file.size > 1 << 20);
        assert_reads(&file, &table, choices[i], counts[i]);
        buffer_clear(&file);
        schema_free(chosen);
        table_clear(&table);
    }
}

/* The strips of a body are the bodies of its columns alone, at the beginning of each; all else is
 * zeros. */
static void assert_strips(const struct table *table, const struct rowgroup *group)
{
    struct format_strip strips[COLUMNS_MOST];
    struct buffer note = {0}, body = {0};
    uint64_t at = 0;
    assert_int_equal(format_parquet.body(table->schema, group, &note, &body), 0);
    const struct note told = {note.data, note.size};
    assert_int_equal(format_parquet.strips(table->schema, &told, body.size, strips), 0);
    for (int i = 0; i < table->columns; i++) {
        struct schema *chosen;
        struct buffer alone = {0};
        assert_int_equal(schema_choose(table->schema, &i, 1, &chosen), 0);
        assert_int_equal(format_parquet.body(chosen, group, NULL, &alone), 0);
        assert_true(alone.size == strips[i].alone && strips[i].size <= alone.size);
        assert_true(group->rows == 0 || strips[i].size > 0);
        for (; strips[i].size > 0 && at < strips[i].offset; at++)
            assert_int_equal(body.data[at], 0);
        if (strips[i].size > 0)
            assert_memory_equal(body.data + at, alone.data, strips[i].size);
        at += strips[i].size;
        buffer_clear(&alone);
        schema_free(chosen);
    }
    for (; at < body.size; at++)
        assert_int_equal(body.data[at], 0);
    assert_int_equal(format_parquet.strips(table->schema, &told, body.size + 1, strips), -EBADMSG);
    buffer_clear(&note);
    buffer_clear(&body);
}

static void test_strips(void **state)
{
    (void)state;
    static const struct kind large = {"bytea", NULL, "bytea", make_bytes, 40000};
    for (int round = 0; round < 100; round++) {
        struct table table;
        random_table(&table);
        for (int i = 0; i < table.groups; i++)
            assert_strips(&table, table.group[i]);
        table_clear(&table);
    }
    struct table table = {.columns = 3, .kinds = {kind_named("text"), &large, &kinds[2]}};
    new_schema(&table);
    add_groups(&table, 3, ROWS_MOST, 5);
    for (int i = 0; i < table.groups; i++)
        assert_strips(&table, table.group[i]);
    table_clear(&table);
}

/* A text of so many bytes, which shrinks. */
static void make_same(struct made *made, int size)
{
    for (int i = 0; i < size; i++)
        rows_put_text(&made->parts[PART_BINARY], "a");
    put_hex(&made->printed, made->parts[PART_BINARY].data, made->parts[PART_BINARY].size);
}

/* About as many bytes as decide whether there are zeros; and many that are few once they are
 * compressed. */
static void test_zeros_or_not(void **state)
{
    (void)state;
    enum { ROWS = 10 };
    for (int size = 10000; size < 32000; size += 150) {
        const struct kind random = {"bytea", NULL, "bytea", make_bytes, size};
        const struct kind same = {"text", NULL, "text", make_same, size};
        struct table table = {.columns = 2,
                              .kinds = {&kinds[2], size % 1000 == 0 ? &same : &random}};
        struct rowgroup_builder *builder;
        new_schema(&table);
        must(rowgroup_builder_new(table.schema, &builder) == 0);
        while (table.rows < ROWS)
            add_row(&table, builder, UINT32_MAX);
        must(rowgroup_builder_finish(builder, &table.group[table.groups++]) == 0);
        rowgroup_builder_free(builder);
        assert_file(&table);
        assert_strips(&table, table.group[0]);
        table_clear(&table);
    }
}

/* ---- row groups ---- */

/* The same group is the same bytes, wherever it stands, and whether there is a note or not. */
static void test_bodies(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct table table;
        random_table(&table);
        for (int i = 0; i < table.groups; i++) {
            struct buffer note = {0}, again = {0}, one = {0}, two = {0};
            assert_int_equal(format_parquet.body(table.schema, table.group[i], &note, &one), 0);
            rows_put_text(&two, "in front");
            assert_int_equal(format_parquet.body(table.schema, table.group[i], NULL, &two), 0);
            assert_int_equal(one.size, two.size - 8);
            assert_true(one.size == 0 || memcmp(one.data, two.data + 8, one.size) == 0);
            assert_true(note.size > 0);
            buffer_clear(&note);
            buffer_clear(&again);
            buffer_clear(&one);
            buffer_clear(&two);
        }
        table_clear(&table);
    }
}

/* A note that was kept in a file, and is another one now, is refused: cut short, longer, or with a
 * size that its body does not have. */
static void test_notes(void **state)
{
    (void)state;
    struct table table = {.columns = 2, .kinds = {&kinds[2], &kinds[11]}};
    struct buffer note = {0}, body = {0}, out = {0};
    new_schema(&table);
    do {
        rowgroup_free(table.group[0]);
        table.group[0] = NULL;
        table.groups = 0;
        add_groups(&table, 1, 1, UINT32_MAX);
    } while (table.rows == 0);
    assert_int_equal(format_parquet.body(table.schema, table.group[0], &note, &body), 0);
    const struct format_view view = {.schema = table.schema, .rows = 1, .groups = 1};
    const uint64_t offsets[] = {4, 4 + body.size}, wrong[] = {4, 5 + body.size};
    for (size_t size = 0; size <= note.size; size++) {
        const struct note told = {note.data, size};
        assert_int_equal(format_tail(&format_parquet, &view, &told, offsets, &out),
                         size == note.size ? 0 : -EBADMSG);
        assert_int_equal(format_tail(&format_parquet, &view, &told, wrong, &out), -EBADMSG);
    }
    assert_int_equal(buffer_append_byte(&note, 0), 0);
    const struct note longer = {note.data, note.size};
    assert_int_equal(format_tail(&format_parquet, &view, &longer, offsets, &out), -EBADMSG);
    buffer_clear(&note);
    buffer_clear(&body);
    buffer_clear(&out);
    table_clear(&table);
}

/* Bytes by hand: they are those of files that exist, and stay. */
static void test_bytes(void **state)
{
    (void)state;
    static const struct rows_table table = {"t", false, 1, {ROWS_VECTOR}};
    struct schema *schema = rows_schema(&table);
    struct rowgroup *group = rows_group(&table, schema, 0, 2);
    struct buffer body = {0}, note = {0};
    assert_int_equal(format_parquet.body(schema, group, &note, &body), 0);
    /* PageHeader: type 0, sizes 28 and 28, crc, DataPageHeader: 4 values, PLAIN, RLE, RLE */
    static const uint8_t front[] = {0x15, 0x00, 0x15, 56, 0x15, 56, 0x15};
    static const uint8_t behind[] = {0x1c, 0x15, 8, 0x15, 0,    0x15, 6,    0x15, 6,    0,
                                     0,    2,    0, 0,    0,    0x03, 0x0a, 2,    0,    0,
                                     0,    8,    2, 0x9a, 0x99, 0x99, 0xbe, 0xdb, 0x0f, 0x49,
                                     0x40, 0,    0, 0x80, 0x3f, 0xdb, 0x0f, 0x49, 0x40};
    assert_memory_equal(body.data, front, sizeof front);
    assert_true(body.size > sizeof front + sizeof behind);
    assert_memory_equal(body.data + body.size - sizeof behind, behind, sizeof behind);
    buffer_clear(&body);
    buffer_clear(&note);
    rowgroup_free(group);
    schema_free(schema);
}

/* ---- what has no form, or is no value ---- */

static void put_one(const struct kind *kind, enum part_kind part, const void *bytes, size_t size,
                    struct table *table)
{
    struct rowgroup_builder *builder;
    *table = (struct table){.columns = 1, .kinds = {kind}, .groups = 1};
    struct made row = {0};
    struct buffer tuple = {0};
    static const bool given[] = {false};
    new_schema(table);
    must(rowgroup_builder_new(table->schema, &builder) == 0);
    must(buffer_append(&row.parts[part], bytes, size) == 0);
    for (int i = 0; i < PART_KINDS; i++)
        put_parts(&tuple, table, i, &row, given);
    must(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL) == 0);
    must(rowgroup_builder_finish(builder, &table->group[0]) == 0);
    rowgroup_builder_free(builder);
    buffer_clear(&row.parts[part]);
    buffer_clear(&tuple);
}

static void test_without_form(void **state)
{
    (void)state;
    static const struct {
        const char *type_name;
        enum part_kind part;
        const char *bytes;
        size_t size;
        int rc;
    } cases[] = {
        {"date", PART_BINARY, "\x7f\xff\xff\xff", 4, -EDOM},
        {"timestamp with time zone", PART_BINARY, "\x80\0\0\0\0\0\0\0", 8, -EDOM},
        {"timestamp without time zone", PART_BINARY, "\x7f\xff\xff\xff\0\0\0\0", 8, -EDOM},
        {"numeric(10,2)", PART_TEXT, "NaN", 3, -EDOM},
        {"time without time zone", PART_TEXT, "24:00:00", 8, -EDOM},
        {"text", PART_BINARY, "\xff", 1, -EDOM},
        {"public.vector(9)", PART_BINARY, "\0\1\0\0\0\0\0\0", 8, -EDOM},
        {"integer", PART_BINARY, "\0\0\0", 3, -EBADMSG},
        {"boolean", PART_BINARY, "\2", 1, -EBADMSG},
        {"public.vector", PART_BINARY, "\0\2\0\0\0\0\0\0", 8, -EBADMSG},
        {"public.sparsevec(100)", PART_BINARY, "\0\0\0\2\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0", 20,
         -EBADMSG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct table table;
        struct buffer out = {0};
        struct formless formless;
        put_one(kind_named(cases[i].type_name), cases[i].part, cases[i].bytes, cases[i].size,
                &table);
        assert_int_equal(format_parquet.body(table.schema, table.group[0], NULL, &out),
                         cases[i].rc);
        if (cases[i].rc == -EDOM) {
            assert_int_equal(format_parquet.formless(table.schema, table.group[0], &formless), 0);
            assert_true(formless.column == 0 && formless.row == 0 && formless.why[0] != '\0');
        }
        buffer_clear(&out);
        table_clear(&table);
    }
}

/* ---- the reader itself ---- */

/* A file with one byte changed anywhere is refused: the checksums, or what the file says twice, show
 * it, but for names and a few fields that nothing else tells of. */
static void test_damage(void **state)
{
    (void)state;
    struct table table = {.columns = 3,
                          .kinds = {&kinds[2], kind_named("text"), kind_named("public.vector(9)")}};
    struct buffer file = {0};
    size_t refused = 0;
    new_schema(&table);
    add_groups(&table, 2, ROWS_MOST, 3);
    assert_int_equal(make_file(table.schema, &table, &file), 0);
    struct parquet_file good;
    assert_true(parquet_open(file.data, file.size, &good));
    size_t footer = good.footer_at;
    parquet_close(&good);
    for (size_t at = 0; at < file.size; at++) {
        struct parquet_file damaged;
        file.data[at] ^= 0x11;
        bool taken =
            parquet_open(file.data, file.size, &damaged) && parquet_read(&damaged, NULL, NULL);
        parquet_close(&damaged);
        file.data[at] ^= 0x11;
        if (at < footer)
            assert_false(taken);
        refused += !taken;
    }
    assert_true(refused > file.size - file.size / 20);
    for (size_t size = 0; size < file.size; size++) {
        struct parquet_file cut;
        assert_false(parquet_open(file.data, size, &cut) && parquet_read(&cut, NULL, NULL));
        parquet_close(&cut);
    }
    buffer_clear(&file);
    table_clear(&table);
}

static int make_again(void *context)
{
    const struct table *table = context;
    struct buffer file = {0};
    int rc = make_file(table->schema, table, &file);
    buffer_clear(&file);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct table table;
        random_table(&table);
        no_memory_each(make_again, &table, 0);
        table_clear(&table);
    }
}

static void test_format(void **state)
{
    (void)state;
    assert_int_equal(format_parquet.number, 7);
    assert_true(format_parquet.whole && format_parquet.notes && format_parquet.body_size == NULL);
    /* this text stays as long as the bytes do */
    char expected[200];
    snprintf(expected, sizeof expected, "%s; columns at 4096", zstd_encoder());
    assert_string_equal(format_encoder(&format_parquet), expected);
    assert_true(formats[format_find("parquet", 7)] == &format_parquet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind),    cmocka_unit_test(test_random_tables),
        cmocka_unit_test(test_some_columns), cmocka_unit_test(test_generated),
        cmocka_unit_test(test_zeros),        cmocka_unit_test(test_strips),
        cmocka_unit_test(test_zeros_or_not), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_without_form), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_no_memory),    cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
