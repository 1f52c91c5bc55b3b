/* Against printf, on each level of instructions. With a number: so many scattered values. */
#include "codec/integer_lanes.h"

#include "codec/bytes.h"
#include "codec/format.h"
#include "codec/isa.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const type_names[] = {"int2", "int4", "int8"};

static struct schema *make_schema(const char *const *names, int count)
{
    struct schema *schema;
    bool with_binary[8] = {true, true, true, true, true, true, true, true};
    assert_int_equal(schema_new(false, &schema), 0);
    for (int i = 0; i < count; i++) {
        char name[2] = {(char)('a' + i), 0};
        assert_int_equal(schema_add(schema, name, names[i], type_find(NULL, names[i]), true), 0);
    }
    schema_number(schema, with_binary, 1 << PART_BINARY);
    return schema;
}

static int64_t cut(int64_t number, size_t size)
{
    return size == 2 ? (int16_t)number : size == 4 ? (int32_t)number : number;
}

static void put(uint8_t *wire, int64_t number, size_t size)
{
    uint8_t bytes[8];
    store_be64(bytes, (uint64_t)number);
    memcpy(wire, bytes + 8 - size, size);
}

static int64_t scattered(void)
{
    static uint64_t at = 3;
    at = at * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    uint64_t number = at ^ at >> 31;
    return (int64_t)number >> (at >> 40) % 64;
}

/* `nulls`: row i is NULL if bit i is set; the others' values are of the first of `numbers`. */
static void check_block(struct integer_lanes *lanes, const int64_t *numbers, uint64_t nulls,
                        uint32_t rows, size_t size)
{
    int32_t sizes[LANES];
    uint8_t *wire = malloc(rows * size + 1); /* not aligned, and no longer than that */
    assert_non_null(wire);
    struct run run = {.bytes = wire + 1, .fixed = (uint32_t)size};
    for (uint32_t i = 0; i < rows; i++) {
        sizes[i] = nulls >> i & 1 ? -1 : (int32_t)size;
        if (sizes[i] < 0)
            continue;
        put(wire + 1 + run.size, numbers[i], size);
        run.size += size;
    }
    if (nulls != 0) {
        run.fixed = RUN_VARIABLE;
        run.sizes = sizes;
    }
    struct run_cursor cursor = {.run = &run};
    assert_true(integer_lanes_fill(lanes, &cursor, rows, size, ';'));
    assert_int_equal(cursor.row, rows);
    assert_int_equal(cursor.at, run.size);
    for (uint32_t i = 0; i < rows; i++) {
        char expected[32] = ";";
        uint8_t text[LANE_MOST];
        int n = 1;
        if (sizes[i] >= 0)
            n = snprintf(expected, sizeof expected, "%" PRId64 ";", cut(numbers[i], size));
        assert_int_equal(integer_lane_is_null(lanes, i), sizes[i] < 0);
        if (integer_lane_write(lanes, i, text) - text != n ||
            memcmp(text, expected, (size_t)n) != 0)
            fail_msg("%s", expected);
    }
    free(wire);
}

/* Calls for each level that the machine has, and each size. */
static void each(void (*check)(struct integer_lanes *lanes, size_t size))
{
    for (enum isa level = ISA_AVX2; level <= ISA_AVX512; level++)
        for (int i = 0; i < 3 && isa_force(level) == level; i++) {
            struct schema *schema = make_schema(&type_names[i], 1);
            struct integer_lanes *lanes;
            assert_int_equal(integer_lanes_new(schema, &lanes), 0);
            assert_non_null(lanes);
            check(lanes, (size_t)2 << i);
            free(lanes);
            schema_free(schema);
        }
    isa_force(ISA_AVX512);
}

static uint32_t add_number(struct integer_lanes *lanes, size_t size, int64_t *numbers,
                           uint32_t count, int64_t number)
{
    numbers[count++] = number;
    if (count < LANES)
        return count;
    check_block(lanes, numbers, 0, LANES, size);
    return 0;
}

static void check_bounds(struct integer_lanes *lanes, size_t size)
{
    static const int64_t limits[] = {INT16_MIN, INT16_MAX, INT32_MIN, INT32_MAX,
                                     INT64_MIN, INT64_MAX, 0};
    int64_t numbers[LANES];
    uint32_t count = 0;
    for (int64_t power = 1; power <= INT64_MAX / 10; power *= 10)
        for (int64_t digit = 1; digit < 10; digit++)
            for (int64_t add = -2; add <= 2; add++)
                for (int64_t sign = -1; sign <= 1; sign += 2)
                    count = add_number(lanes, size, numbers, count, sign * (power * digit + add));
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        for (uint64_t add = 0; add < 40; add++)
            count =
                add_number(lanes, size, numbers, count, (int64_t)((uint64_t)limits[i] + add - 20));
    /* Multiples of what numbers are cut at, as far up as they go. */
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t multiple = UINT64_MAX / 200000 * i / 100000000 * 100000000;
        for (uint64_t add = 0; add < 3; add++)
            count = add_number(lanes, size, numbers, count, (int64_t)(multiple + add - 1));
    }
    for (int64_t i = -70000; i < 70000; i++)
        count = add_number(lanes, size, numbers, count, i);
    check_block(lanes, numbers, 0, count, size);
}

static void test_bounds(void **state)
{
    (void)state;
    each(check_bounds);
}

static long values = 200000;

static void check_scattered(struct integer_lanes *lanes, size_t size)
{
    int64_t numbers[LANES];
    uint32_t count = 0;
    for (long i = 0; i < values; i++)
        count = add_number(lanes, size, numbers, count, scattered());
    check_block(lanes, numbers, 0, count, size);
}

static void test_scattered(void **state)
{
    (void)state;
    each(check_scattered);
}

static void check_nulls(struct integer_lanes *lanes, size_t size)
{
    int64_t numbers[LANES] = {0};
    for (uint32_t rows = 0; rows <= LANES; rows++)
        for (int i = 0; i < 20; i++) {
            for (uint32_t k = 0; k < rows; k++)
                numbers[k] = scattered();
            uint64_t nulls = i == 0 ? 0 : i == 1 ? UINT64_MAX : (uint64_t)scattered();
            check_block(lanes, numbers, nulls, rows, size);
        }
}

static void test_nulls(void **state)
{
    (void)state;
    each(check_nulls);
}

/* Another size anywhere is refused. */
static void check_sizes(struct integer_lanes *lanes, size_t size)
{
    uint8_t wire[LANES * 8 + 16] = {0};
    for (uint32_t fixed = 0; fixed < 12; fixed++) {
        struct run run = {.bytes = wire, .size = (size_t)fixed * 40, .fixed = fixed};
        struct run_cursor cursor = {.run = &run};
        assert_int_equal(integer_lanes_fill(lanes, &cursor, 40, size, ','), fixed == size);
        for (uint32_t odd = 0; odd < LANES && fixed != size; odd++) {
            int32_t sizes[LANES];
            for (uint32_t i = 0; i < LANES; i++)
                sizes[i] = i == odd ? (int32_t)fixed : i % 3 == 0 ? -1 : (int32_t)size;
            run = (struct run){wire, sizeof wire, RUN_VARIABLE, 0, sizes};
            cursor = (struct run_cursor){.run = &run};
            assert_false(integer_lanes_fill(lanes, &cursor, LANES, size, ','));
        }
    }
}

static void test_sizes(void **state)
{
    (void)state;
    each(check_sizes);
}

static void test_none(void **state)
{
    (void)state;
    const char *const names[] = {"text", "int4"};
    struct integer_lanes *lanes;
    struct schema *schema = make_schema(names, 1);
    assert_int_equal(integer_lanes_new(schema, &lanes), 0);
    assert_null(lanes);
    schema_free(schema);
    schema = make_schema(names, 2);
    isa_force(ISA_SCALAR);
    assert_int_equal(integer_lanes_new(schema, &lanes), 0);
    assert_null(lanes);
    isa_force(ISA_AVX512);
    schema_free(schema);
}

/* ---- whole rows ---- */

enum { COLUMNS = 6, ROWS_MOST = 300 };

static const char *const row_types[COLUMNS] = {"int4", "int2", "text", "int8", "bool", "int4"};

static void append(struct buffer *out, const char *text)
{
    assert_int_equal(buffer_append(out, text, strlen(text)), 0);
}

/* Appends the row to `csv` and `jsonl`, too. */
static void add_row(struct rowgroup_builder *builder, bool with_nulls, struct buffer *csv,
                    struct buffer *jsonl)
{
    static const size_t sizes[COLUMNS] = {4, 2, 0, 8, 1, 4};
    struct buffer tuple = {0};
    for (int i = 0; i < COLUMNS; i++) {
        uint8_t wire[12];
        char text[32] = "xy", json[48];
        size_t size = sizes[i];
        int64_t number = size == 1 ? 1 : cut(scattered(), size);
        bool null = with_nulls && scattered() % 3 == 0;
        if (size == 0)
            memcpy(wire + 4, text, size = 2);
        else if (size == 1)
            memcpy(text, "t", 2);
        else
            (void)snprintf(text, sizeof text, "%" PRId64, number);
        if (sizes[i] > 0)
            put(wire + 4, number, size);
        store_be32(wire, null ? UINT32_MAX : (uint32_t)size);
        assert_int_equal(buffer_append(&tuple, wire, null ? 4 : 4 + size), 0);
        append(csv, null ? "" : text);
        append(csv, i < COLUMNS - 1 ? "," : "\n");
        (void)snprintf(json, sizeof json, sizes[i] == 0 ? "%c\"%c\":\"%s\"" : "%c\"%c\":%s",
                       i == 0 ? '{' : ',', 'a' + i, size == 1 ? "true" : text);
        if (null)
            (void)snprintf(json, sizeof json, "%c\"%c\":null", i == 0 ? '{' : ',', 'a' + i);
        append(jsonl, json);
    }
    append(jsonl, "}\n");
    assert_int_equal(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL), 0);
    buffer_clear(&tuple);
}

static void check_body(const struct format *format, const struct schema *schema,
                       const struct rowgroup *group, const struct buffer *expected)
{
    for (enum isa level = ISA_SCALAR; level <= ISA_AVX512; level++) {
        struct buffer out = {0};
        isa_force(level);
        assert_int_equal(format->body(schema, group, NULL, &out), 0);
        assert_int_equal(out.size, expected->size);
        assert_true(out.size == 0 || memcmp(out.data, expected->data, out.size) == 0);
        buffer_clear(&out);
    }
}

static void test_rows(void **state)
{
    (void)state;
    struct schema *schema = make_schema(row_types, COLUMNS);
    for (uint32_t rows = 0; rows <= ROWS_MOST; rows++)
        for (int with_nulls = 0; with_nulls < 2; with_nulls++) {
            struct rowgroup_builder *builder;
            struct rowgroup *group;
            struct buffer csv = {0}, jsonl = {0};
            assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
            for (uint32_t row = 0; row < rows; row++)
                add_row(builder, with_nulls, &csv, &jsonl);
            assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
            check_body(&format_csv, schema, group, &csv);
            check_body(&format_jsonl, schema, group, &jsonl);
            rowgroup_builder_free(builder);
            rowgroup_free(group);
            buffer_clear(&csv);
            buffer_clear(&jsonl);
        }
    schema_free(schema);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds), cmocka_unit_test(test_scattered),
        cmocka_unit_test(test_nulls),  cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_none),   cmocka_unit_test(test_rows),
    };
    if (argc > 1)
        values = strtol(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
