/* .arrow files of random schemas and rows, read back by a strict reader. */
#include "codec/columnar.h"
#include "codec/rowgroup_pick.h"
#include "codec/text.h"
#include "tests/unit/arrow_file.h"
#include "tests/unit/no_memory.h"
#include "tests/unit/rows.h"

/* ---- random values: what the server sends, and what the file has to hold ---- */

static uint64_t mixed(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}

static void put(struct buffer *out, const void *bytes, size_t size)
{
    must(buffer_append(out, bytes, size) == 0);
}

/* Appends the low bytes of a number, big-endian and little-endian. */
static void put_number(struct buffer *wire, struct buffer *held, uint64_t value, size_t size)
{
    uint8_t big[8], little[8];
    store_be64(big, value);
    store_le64(little, value);
    put(wire, big + 8 - size, size);
    put(held, little, size);
}

static void put_text(struct buffer *wire, struct buffer *held, const char *text)
{
    put(wire, text, strlen(text));
    put(held, text, strlen(text));
}

enum { DAYS = 10957 };

static void put_time(struct buffer *wire, struct buffer *held, uint64_t random)
{
    int64_t time = (int64_t)(random >> 4);
    uint8_t big[8], little[8];
    store_be64(big, (uint64_t)time);
    store_le64(little, (uint64_t)(time + DAYS * INT64_C(86400000000)));
    put(wire, big, 8);
    put(held, little, 8);
}

static void put_date(struct buffer *wire, struct buffer *held, uint64_t random)
{
    int32_t days = (int32_t)(random >> 40) - 4000000;
    uint8_t big[4], little[4];
    store_be32(big, (uint32_t)days);
    store_le32(little, (uint32_t)(days + DAYS));
    put(wire, big, 4);
    put(held, little, 4);
}

static void put_vector(struct buffer *wire, struct buffer *held, uint64_t random, uint32_t count,
                       size_t element)
{
    struct buffer nothing = {0};
    put_number(wire, &nothing, (uint64_t)count << 16, 4);
    for (uint32_t i = 0; i < count; i++)
        put_number(wire, held, mixed(random + i), element);
    buffer_clear(&nothing);
}

static void put_sparse(struct buffer *wire, struct buffer *held, uint64_t random)
{
    struct buffer nothing = {0};
    uint32_t count = random % 4;
    put_number(wire, held, 100, 4);
    put_number(wire, &nothing, count, 4);
    put_number(wire, &nothing, 0, 4);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t little[4];
        put_number(wire, &nothing, 7 * i, 4);
        store_le32(little, 7 * i + 1);
        put(held, little, 4);
    }
    for (uint32_t i = 0; i < count; i++)
        put_number(wire, held, 0x3f800000 + i, 4);
    buffer_clear(&nothing);
}

static void put_bits(struct buffer *wire, struct buffer *held, uint64_t random, uint32_t count,
                     bool text)
{
    uint8_t bytes[4] = {0};
    struct buffer nothing = {0};
    for (uint32_t i = 0; i < count; i++)
        bytes[i / 8] |= (uint8_t)((random >> i & 1) << (7 - i % 8));
    put_number(wire, &nothing, count, 4);
    put(wire, bytes, (count + 7) / 8);
    for (uint32_t i = 0; text && i < count; i++)
        put(held, random >> i & 1 ? "1" : "0", 1);
    if (!text)
        put(held, bytes, (count + 7) / 8);
    buffer_clear(&nothing);
}

/* numeric(20,3). */
static void put_decimal(struct buffer *wire, struct buffer *held, uint64_t random)
{
    int64_t value = (int64_t)(random >> 8) * (random & 1 ? -1 : 1);
    char text[40];
    uint64_t size = (uint64_t)(value < 0 ? -value : value);
    snprintf(text, sizeof text, "%s%llu.%03llu", value < 0 ? "-" : "",
             (unsigned long long)size / 1000, (unsigned long long)size % 1000);
    put(wire, text, strlen(text));
    uint8_t little[16];
    store_le64(little, (uint64_t)value);
    store_le64(little + 8, value < 0 ? UINT64_MAX : 0);
    put(held, little, 16);
}

static void put_clock(struct buffer *wire, struct buffer *held, uint64_t random)
{
    uint64_t time = random % UINT64_C(86400000000);
    char text[40];
    int n = snprintf(text, sizeof text, "%02d:%02d:%02d", (int)(time / 3600000000),
                     (int)(time / 60000000 % 60), (int)(time / 1000000 % 60));
    if (random & 1) /* as the server does: without zeros at the end */
        time -= time % 1000000;
    else
        time -= time % 1000,
            snprintf(text + n, sizeof text - (size_t)n, ".%03d", (int)(time / 1000 % 1000));
    uint8_t little[8];
    store_le64(little, time);
    put(wire, text, strlen(text));
    put(held, little, 8);
}

static const char *const texts[] = {"", "plain", "ü€😀", "line\nbreak", "a text of some length"};

enum made {
    MADE_BOOL,
    MADE_INT2,
    MADE_INT4,
    MADE_INT8,
    MADE_OID,
    MADE_FLOAT4,
    MADE_FLOAT8,
    MADE_DATE,
    MADE_TIMESTAMP,
    MADE_TIMESTAMPTZ,
    MADE_TEXT,
    MADE_JSON,
    MADE_JSONB,
    MADE_BYTEA,
    MADE_UUID,
    MADE_BIT,
    MADE_BIT_OF_DOMAIN,
    MADE_VARBIT,
    MADE_VECTOR,
    MADE_VECTOR_ANY,
    MADE_HALFVEC,
    MADE_HALFVEC_ANY,
    MADE_SPARSEVEC,
    MADE_DECIMAL,
    MADE_TIME,
    MADE_NUMERIC_ANY,
    MADE_ENUM,
    MADE_COUNT
};

static const struct {
    const char *extension, *type; /* NULL: rendered by the server */
    const char *type_name;
    int arrow; /* the type's number there */
} kinds[MADE_COUNT] = {
    [MADE_BOOL] = {NULL, "bool", "boolean", 6},
    [MADE_INT2] = {NULL, "int2", "smallint", 2},
    [MADE_INT4] = {NULL, "int4", "integer", 2},
    [MADE_INT8] = {NULL, "int8", "bigint", 2},
    [MADE_OID] = {NULL, "oid", "oid", 2},
    [MADE_FLOAT4] = {NULL, "float4", "real", 3},
    [MADE_FLOAT8] = {NULL, "float8", "double precision", 3},
    [MADE_DATE] = {NULL, "date", "date", 8},
    [MADE_TIMESTAMP] = {NULL, "timestamp", "timestamp(3) without time zone", 10},
    [MADE_TIMESTAMPTZ] = {NULL, "timestamptz", "timestamp with time zone", 10},
    [MADE_TEXT] = {NULL, "varchar", "character varying(7)", 5},
    [MADE_JSON] = {NULL, "json", "json", 5},
    [MADE_JSONB] = {NULL, "jsonb", "jsonb", 5},
    [MADE_BYTEA] = {NULL, "bytea", "bytea", 4},
    [MADE_UUID] = {NULL, "uuid", "uuid", 15},
    [MADE_BIT] = {NULL, "bit", "bit(11)", 15},
    [MADE_BIT_OF_DOMAIN] = {NULL, "bit", "s.\"flags(9)\"", 5},
    [MADE_VARBIT] = {NULL, "varbit", "bit varying(20)", 5},
    [MADE_VECTOR] = {"vector", "vector", "public.vector(5)", 16},
    [MADE_VECTOR_ANY] = {"vector", "vector", "public.vector", 12},
    [MADE_HALFVEC] = {"vector", "halfvec", "halfvec(3)", 16},
    [MADE_HALFVEC_ANY] = {"vector", "halfvec", "s.my_domain", 12},
    [MADE_SPARSEVEC] = {"vector", "sparsevec", "sparsevec(100)", 13},
    [MADE_DECIMAL] = {NULL, NULL, "numeric(20,3)", 7},
    [MADE_TIME] = {NULL, NULL, "time(3) without time zone", 9},
    [MADE_NUMERIC_ANY] = {NULL, NULL, "numeric", 5},
    [MADE_ENUM] = {NULL, NULL, "s.mood", 5},
};

/* false: NULL. */
static bool make_value(enum made kind, uint64_t random, struct buffer *wire, struct buffer *held)
{
    const char *text = texts[random % (sizeof texts / sizeof *texts)];
    if (random % 5 == 3)
        return false;
    random = mixed(random);
    switch (kind) {
    case MADE_BOOL:
        put_number(wire, held, random & 1, 1);
        break;
    case MADE_INT2:
        put_number(wire, held, random, 2);
        break;
    case MADE_INT4:
    case MADE_OID:
    case MADE_FLOAT4:
        put_number(wire, held, random, 4);
        break;
    case MADE_INT8:
    case MADE_FLOAT8:
        put_number(wire, held, random, 8);
        break;
    case MADE_DATE:
        put_date(wire, held, random);
        break;
    case MADE_TIMESTAMP:
    case MADE_TIMESTAMPTZ:
        put_time(wire, held, random);
        break;
    case MADE_JSONB:
        put(wire, "\1", 1);
        put_text(wire, held, text);
        break;
    case MADE_TEXT:
    case MADE_JSON:
    case MADE_BYTEA:
    case MADE_ENUM:
    case MADE_NUMERIC_ANY:
        put_text(wire, held, text);
        break;
    case MADE_UUID:
        put(wire, "0123456789abcdef", 16);
        put(held, "0123456789abcdef", 16);
        break;
    case MADE_BIT:
        put_bits(wire, held, random, 11, false);
        break;
    case MADE_BIT_OF_DOMAIN:
        put_bits(wire, held, random, 9, true);
        break;
    case MADE_VARBIT:
        put_bits(wire, held, random, random % 21, true);
        break;
    case MADE_VECTOR:
        put_vector(wire, held, random, 5, 4);
        break;
    case MADE_VECTOR_ANY:
        put_vector(wire, held, random, 1 + random % 3, 4);
        break;
    case MADE_HALFVEC:
        put_vector(wire, held, random, 3, 2);
        break;
    case MADE_HALFVEC_ANY:
        put_vector(wire, held, random, 1 + random % 4, 2);
        break;
    case MADE_SPARSEVEC:
        put_sparse(wire, held, random);
        break;
    case MADE_DECIMAL:
        put_decimal(wire, held, random);
        break;
    case MADE_TIME:
        put_clock(wire, held, random);
        break;
    case MADE_COUNT:
        break;
    }
    return true;
}

/* ---- random tables ---- */

enum { COLUMNS_MOST = 64 };

struct made_table {
    struct schema *schema;
    int count;
    enum made columns[COLUMNS_MOST];
    uint64_t seed;
    uint32_t first; /* the first row of the group that is being made */
};

static bool value_of(const struct made_table *table, int column, uint32_t row, struct buffer *wire,
                     struct buffer *held)
{
    /* some columns have no NULL */
    uint64_t random = mixed(table->seed ^ (uint64_t)column << 32 ^ row);
    if (column % 3 == 0 && random % 5 == 3)
        random++;
    return make_value(table->columns[column], random, wire, held);
}

static const char *name_of(int column)
{
    static const char *const odd[] = {"", "a.b", "ü\n\"", "same", "with space"};
    return odd[column % 5];
}

static void make_table(uint64_t seed, int count, bool all, struct made_table *out)
{
    bool with_binary[COLUMNS_MOST];
    *out = (struct made_table){.count = count, .seed = seed};
    must(schema_new(false, &out->schema) == 0);
    for (int i = 0; i < count; i++) {
        enum made kind = (enum made)(all ? i : (int)(mixed(seed + (uint64_t)i) % MADE_COUNT));
        const struct type *type =
            kinds[kind].type != NULL ? type_find(kinds[kind].extension, kinds[kind].type) : NULL;
        must((kinds[kind].type == NULL) == (type == NULL));
        out->columns[i] = kind;
        must(schema_add(out->schema, name_of(i), kinds[kind].type_name, type, true) == 0);
        with_binary[i] = type != NULL || i % 2 == 0;
    }
    schema_number(out->schema, with_binary, ROWS_ALL_PARTS);
}

static int pick(void *context, int run, uint32_t row, struct buffer *out)
{
    const struct made_table *table = context;
    struct buffer held = {0};
    for (int i = 0; i < table->count; i++) {
        const struct column *column = &table->schema->columns[i];
        const struct columnar_form form = columnar_form(column);
        if (column->part[form.part] != run)
            continue;
        bool given = value_of(table, i, table->first + row, out, &held);
        buffer_clear(&held);
        return given ? PICK_VALUE : PICK_NULL;
    }
    return PICK_NULL; /* a part that the format does not need */
}

static struct rowgroup *make_group(struct made_table *table, uint32_t first, uint32_t end)
{
    struct rowgroup *group;
    table->first = first;
    must(rowgroup_pick(schema_parts(table->schema), end - first, pick, table, &group) == 0);
    return group;
}

/* Writes a file of groups that end at these rows; checks each body's size. */
static void write_file(struct made_table *table, const uint32_t *ends, size_t groups,
                       struct buffer *out)
{
    const struct format *format = &format_arrow;
    uint64_t offsets[16], size;
    const struct format_view told = {
        .schema = table->schema, .rows = groups > 0 ? ends[groups - 1] : 0, .groups = groups};
    assert_true(format->possible(table->schema));
    assert_int_equal(format_head(format, &told, out), 0);
    for (size_t i = 0; i < groups; i++) {
        struct rowgroup *group = make_group(table, i > 0 ? ends[i - 1] : 0, ends[i]);
        offsets[i] = out->size;
        assert_int_equal(format->body_size(table->schema, group, &size), 0);
        assert_int_equal(format->body(table->schema, group, NULL, out), 0);
        assert_int_equal(out->size - offsets[i], size);
        rowgroup_free(group);
    }
    offsets[groups] = out->size;
    assert_int_equal(format_tail(format, &told, NULL, offsets, out), 0);
    assert_int_equal(out->data[out->size - 1], format->last);
}

static void check_value(const struct made_table *table, int number,
                        const struct arrow_column *column, uint32_t row, uint32_t at)
{
    struct buffer wire = {0}, held = {0}, read = {0};
    bool given = value_of(table, number, row, &wire, &held);
    assert_int_equal(arrow_value(column, at, &read), given);
    assert_int_equal(read.size, given ? held.size : 0);
    if (read.size > 0)
        assert_memory_equal(read.data, held.data, read.size);
    buffer_clear(&wire);
    buffer_clear(&held);
    buffer_clear(&read);
}

static void check_batch(const struct made_table *table, const struct arrow_file *file,
                        size_t number, uint32_t first, uint32_t end)
{
    struct arrow_batch batch;
    arrow_batch_open(file, number, &batch);
    assert_int_equal(batch.rows, end - first);
    struct arrow_walk walk = {.batch = &batch};
    for (int i = 0; i < table->count; i++) {
        size_t field = arrow_field(&file->footer, file->fields, (size_t)i);
        struct arrow_column *column = arrow_column(&file->footer, field, &walk, batch.rows);
        assert_int_equal(column->type, kinds[table->columns[i]].arrow);
        for (uint32_t row = first; row < end; row++)
            check_value(table, i, column, row, row - first);
        arrow_column_free(column);
    }
    assert_int_equal(walk.node, batch.node_count);
    assert_int_equal(walk.buffer, batch.buffer_count);
}

static void check_file(struct made_table *table, const uint32_t *ends, size_t groups)
{
    struct buffer out = {0};
    struct arrow_file file;
    write_file(table, ends, groups, &out);
    arrow_open(out.data, out.size, &file);
    assert_int_equal(file.field_count, table->count);
    assert_int_equal(file.block_count, groups);
    for (int i = 0; i < table->count; i++) {
        size_t field = arrow_field(&file.footer, file.fields, (size_t)i), pairs;
        assert_string_equal(fb_string(&file.footer, field, 0), name_of(i));
        size_t pair = fb_vector(&file.footer, field, 6, 4, 4, &pairs);
        assert_int_equal(pairs, 1);
        pair = fb_target(&file.footer, pair);
        assert_string_equal(fb_string(&file.footer, pair, 0), "postgresql.type");
        assert_string_equal(fb_string(&file.footer, pair, 1), kinds[table->columns[i]].type_name);
    }
    for (size_t i = 0; i < groups; i++)
        check_batch(table, &file, i, i > 0 ? ends[i - 1] : 0, ends[i]);
    buffer_clear(&out);
    schema_free(table->schema);
}

/* ---- tests ---- */

static void test_every_type(void **state)
{
    (void)state;
    struct made_table table;
    make_table(1, MADE_COUNT, true, &table);
    check_file(&table, (const uint32_t[]){1, 50, 117}, 3);
}

static void test_random_tables(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct made_table table;
        uint32_t ends[15], end = 0;
        size_t groups = mixed(seed) % 6;
        for (size_t i = 0; i < groups; i++)
            ends[i] = end += 1 + mixed(seed << 8 | i) % 40;
        make_table(seed, (int)(mixed(seed + 7) % 20), false, &table);
        check_file(&table, ends, groups);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    struct made_table table;
    make_table(0, 0, false, &table);
    check_file(&table, NULL, 0);
    make_table(0, 0, false, &table);
    check_file(&table, (const uint32_t[]){3, 7}, 2);
    make_table(5, 9, false, &table);
    check_file(&table, NULL, 0);
}

static void test_1600_columns(void **state)
{
    (void)state;
    struct schema *schema;
    struct buffer out = {0};
    struct arrow_file file;
    bool *with_binary = calloc(1600, 1);
    assert_int_equal(schema_new(false, &schema), 0);
    for (int i = 0; i < 1600; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        assert_int_equal(schema_add(schema, name, "integer", type_find(NULL, "int4"), true), 0);
        with_binary[i] = true;
    }
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    free(with_binary);
    const struct format_view told = {.schema = schema};
    const uint64_t offsets[1] = {0};
    uint64_t at[1];
    assert_int_equal(format_head(&format_arrow, &told, &out), 0);
    at[0] = offsets[0] + out.size;
    assert_int_equal(format_tail(&format_arrow, &told, NULL, at, &out), 0);
    arrow_open(out.data, out.size, &file);
    assert_int_equal(file.field_count, 1600);
    buffer_clear(&out);
    schema_free(schema);
}

/* ---- values without a form ---- */

struct lone_value {
    const char *bytes;
    size_t size;
    uint32_t row;
};

static int pick_lone(void *context, int run, uint32_t row, struct buffer *out)
{
    const struct lone_value *value = context;
    (void)run;
    if (row != value->row)
        return PICK_NULL;
    return buffer_append(out, value->bytes, value->size) == 0 ? PICK_VALUE : -ENOMEM;
}

/* Writes a group of three rows, whose middle one has the value; gives what `body` does. */
static int write_lone(enum made kind, const char *bytes, size_t size, struct formless *found)
{
    struct lone_value value = {bytes, size, 1};
    struct schema *schema;
    struct rowgroup *group;
    struct buffer out = {0};
    uint64_t bytes_of_body;
    const bool with_binary[2] = {kinds[kind].type != NULL, kinds[kind].type != NULL};
    const struct type *type =
        kinds[kind].type != NULL ? type_find(kinds[kind].extension, kinds[kind].type) : NULL;
    must(schema_new(false, &schema) == 0);
    must(schema_add(schema, "generated", kinds[kind].type_name, type, false) == 0);
    must(schema_add(schema, "v", kinds[kind].type_name, type, true) == 0);
    schema_number(schema, with_binary, 1U << PART_BINARY | 1U << PART_TEXT);
    must(rowgroup_pick(schema_parts(schema), 3, pick_lone, &value, &group) == 0);
    int rc = format_arrow.body(schema, group, NULL, &out);
    assert_int_equal(format_arrow.body_size(schema, group, &bytes_of_body), rc);
    assert_int_equal(format_arrow.formless(schema, group, found), rc == -EDOM ? 0
                                                                  : rc == 0   ? -ENOENT
                                                                              : rc);
    buffer_clear(&out);
    rowgroup_free(group);
    schema_free(schema);
    return rc;
}

static void test_without_a_form(void **state)
{
    (void)state;
    static const struct {
        enum made kind;
        const char *bytes;
        size_t size;
        const char *why; /* NULL: it has one */
    } cases[] = {
#define BYTES(text) text, sizeof text - 1
        {MADE_DATE, BYTES("\x7f\xff\xff\xff"), "infinity"},
        {MADE_DATE, BYTES("\x80\0\0\0"), "infinity"},
        {MADE_DATE, BYTES("\x7f\xdd\0\0"), NULL},
        {MADE_TIMESTAMP, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"), "infinity"},
        {MADE_TIMESTAMPTZ, BYTES("\x80\0\0\0\0\0\0\0"), "infinity"},
        {MADE_TIMESTAMPTZ, BYTES("\x7f\xff\xff\xff\xff\xff\xff\xfe"), "a time of so late a year"},
        {MADE_TIMESTAMP, BYTES("\x7f\xfc\xa2\xfe\xc4\xc8\x20\x00"), "a time of so late a year"},
        {MADE_TIMESTAMP, BYTES("\x7f\xfc\xa2\xfe\xc4\xc8\x1f\xff"), NULL},
        {MADE_DECIMAL, BYTES("NaN"), "NaN"},
        {MADE_DECIMAL, BYTES("Infinity"), "infinity"},
        {MADE_DECIMAL, BYTES("-Infinity"), "infinity"},
        {MADE_DECIMAL, BYTES("12345678901234567.123"), NULL},
        {MADE_DECIMAL, BYTES("0.1"), NULL},
        {MADE_DECIMAL, BYTES("123456789012345678.000"),
         "a number of more digits than its type has"},
        {MADE_DECIMAL, BYTES("1.0001"), "a number of more digits than its type has"},
        {MADE_TIME, BYTES("24:00:00"), "24:00:00"},
        {MADE_TIME, BYTES("23:59:59.999999"), NULL},
        {MADE_TEXT, BYTES("gr\xfc\xdf"), "text that is not UTF-8"},
        {MADE_TEXT, BYTES("12345678\xc3"), "text that is not UTF-8"},
        {MADE_ENUM, BYTES("\xed\xa0\x80"), "text that is not UTF-8"},
        {MADE_JSONB, BYTES("\1\"\xff\""), "text that is not UTF-8"},
        {MADE_BYTEA, BYTES("\xff\0"), NULL},
        {MADE_BIT, BYTES("\0\0\0\2\x80"), "a bit string of another length than its type has"},
        {MADE_VECTOR, BYTES("\0\1\0\0\0\0\0\0"), "a vector of another dimension than its type has"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct formless found = {0};
        int rc = write_lone(cases[i].kind, cases[i].bytes, cases[i].size, &found);
        assert_int_equal(rc, cases[i].why != NULL ? -EDOM : 0);
        if (cases[i].why == NULL)
            continue;
        assert_int_equal(found.column, 1);
        assert_int_equal(found.row, 1);
        assert_string_equal(found.why, cases[i].why);
    }
}

static void test_not_of_its_type(void **state)
{
    (void)state;
    static const struct {
        enum made kind;
        const char *bytes;
        size_t size;
    } cases[] = {
        {MADE_BOOL, BYTES("\2")},
        {MADE_BOOL, BYTES("")},
        {MADE_INT4, BYTES("\0\0\0")},
        {MADE_DATE, BYTES("\0")},
        {MADE_DATE, BYTES("\x7f\xff\xff\xfe")},
        {MADE_TIMESTAMP, BYTES("\0\0\0\0")},
        {MADE_JSONB, BYTES("")},
        {MADE_JSONB, BYTES("\2{}")},
        {MADE_UUID, BYTES("short")},
        {MADE_BIT, BYTES("\0\0\0\x0b\0")},
        {MADE_VARBIT, BYTES("\xff\xff\xff\xff")},
        {MADE_VECTOR, BYTES("\0\5\0\0")},
        {MADE_VECTOR_ANY, BYTES("\0")},
        {MADE_VECTOR_ANY, BYTES("\0\0\0\0")},
        {MADE_HALFVEC_ANY, BYTES("\0\1\0\1\0\0")},
        {MADE_SPARSEVEC, BYTES("\0\0\0\5\0\0\0\1\0\0\0\0")},
        {MADE_SPARSEVEC, BYTES("\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\5\x3f\x80\0\0")},
        {MADE_DECIMAL, BYTES("")},
        {MADE_DECIMAL, BYTES("-")},
        {MADE_DECIMAL, BYTES("1e5")},
        {MADE_TIME, BYTES("1:00")},
        {MADE_TIME, BYTES("01:00:00.")},
        {MADE_TIME, BYTES("01:60:00")},
        {MADE_TIME, BYTES("01:00:00.12x")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct formless found;
        assert_int_equal(write_lone(cases[i].kind, cases[i].bytes, cases[i].size, &found),
                         -EBADMSG);
    }
}

/* Each type that is rendered here has a form made of its binary. */
static void test_types_have_forms(void **state)
{
    (void)state;
    size_t count;
    const struct type *types = type_all(&count);
    for (size_t i = 0; i < count; i++) {
        const struct column column = {
            .name = "c", .type_name = "t", .type = &types[i], .in_copy = true};
        assert_int_equal(columnar_form(&column).part, PART_BINARY);
    }
}

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        const char *type_name;
        enum columnar_kind kind;
        int precision, scale;
    } cases[] = {
        {"numeric(38,38)", COLUMNAR_DECIMAL, 38, 38},
        {"numeric(1,0)", COLUMNAR_DECIMAL, 1, 0},
        {"numeric(39,0)", COLUMNAR_TEXT, 0, 0},
        {"numeric(3,-2)", COLUMNAR_TEXT, 0, 0},
        {"numeric(2,5)", COLUMNAR_TEXT, 0, 0},
        {"numeric", COLUMNAR_TEXT, 0, 0},
        {"numeric(4,2)[]", COLUMNAR_TEXT, 0, 0},
        {"s.numeric(4,2)", COLUMNAR_TEXT, 0, 0},
        {"time without time zone", COLUMNAR_TIME, 0, 0},
        {"time with time zone", COLUMNAR_TEXT, 0, 0},
        {"time without time zone[]", COLUMNAR_TEXT, 0, 0},
        {"timetable", COLUMNAR_TEXT, 0, 0},
        {"interval", COLUMNAR_TEXT, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct column column = {
            .name = "c", .type_name = (char *)cases[i].type_name, .in_copy = true};
        const struct columnar_form form = columnar_form(&column);
        assert_int_equal(form.kind, cases[i].kind);
        assert_int_equal(form.precision, cases[i].precision);
        assert_int_equal(form.scale, cases[i].scale);
        assert_int_equal(form.part, PART_TEXT);
    }
}

/* ---- no memory ---- */

static struct made_table lean;
static struct rowgroup *lean_group;

static int write_lean(void *context)
{
    struct buffer out = {0};
    const struct format_view told = {.schema = lean.schema, .rows = lean_group->rows, .groups = 1};
    uint64_t offsets[2], size;
    (void)context;
    int rc = format_head(&format_arrow, &told, &out);
    offsets[0] = out.size;
    if (rc == 0)
        rc = format_arrow.body_size(lean.schema, lean_group, &size);
    if (rc == 0)
        rc = format_arrow.body(lean.schema, lean_group, NULL, &out);
    offsets[1] = out.size;
    if (rc == 0)
        rc = format_tail(&format_arrow, &told, NULL, offsets, &out);
    buffer_clear(&out);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    make_table(3, MADE_COUNT, true, &lean);
    lean_group = make_group(&lean, 0, 20);
    no_memory_each(write_lean, NULL, 0);
    rowgroup_free(lean_group);
    schema_free(lean.schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),       cmocka_unit_test(test_random_tables),
        cmocka_unit_test(test_nothing),          cmocka_unit_test(test_1600_columns),
        cmocka_unit_test(test_without_a_form),   cmocka_unit_test(test_not_of_its_type),
        cmocka_unit_test(test_types_have_forms), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
