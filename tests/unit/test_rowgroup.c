#include "codec/rowgroup.h"

#include "tests/unit/row_hash.h"
#include "tests/unit/rows.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const uint32_t row_counts[] = {0, 1, 2, 3, 50};

/* Calls `check` for every table and number of rows. */
static void each_group(void (*check)(const struct rows_table *, const struct schema *,
                                     struct rowgroup *))
{
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (size_t k = 0; k < sizeof row_counts / sizeof *row_counts; k++) {
            struct schema *schema = rows_schema(&rows_tables[i]);
            struct rowgroup *group = rows_group(&rows_tables[i], schema, 0, row_counts[k]);
            assert_int_equal(group->rows, row_counts[k]);
            check(&rows_tables[i], schema, group);
            rowgroup_free(group);
            schema_free(schema);
        }
}

static void check_run(const struct rows_table *table, const struct schema *schema,
                      enum part_kind kind, int part, const struct rowgroup *group)
{
    struct run_cursor cursor = {.run = &group->runs[part]};
    int column = rows_column_of(schema, kind, part);
    for (uint32_t row = 0; row < group->rows; row++) {
        struct buffer expected = {0};
        const uint8_t *bytes = NULL;
        size_t size = 0;
        bool given = rows_value(table->columns[column], kind, row, &expected);
        assert_int_equal(run_next(&cursor, &bytes, &size), given);
        if (given) {
            assert_int_equal(size, expected.size);
            assert_true(size == 0 || memcmp(bytes, expected.data, size) == 0);
        }
        buffer_clear(&expected);
    }
    assert_int_equal(cursor.at, group->runs[part].size);
}

static void check_values(const struct rows_table *table, const struct schema *schema,
                         struct rowgroup *group)
{
    int part = 0;
    uint64_t sum = 0;
    assert_int_equal(group->run_count, schema_parts(schema));
    for (int kind = 0; kind < PART_KINDS; kind++)
        for (int i = 0; i < schema->part_count[kind]; i++)
            check_run(table, schema, (enum part_kind)kind, part++, group);
    assert_int_equal(group->row_ids.size, schema->with_row_ids ? 10 * group->rows : 0);
    for (uint32_t row = 0; schema->with_row_ids && row < group->rows; row++) {
        struct row_id id = rowgroup_row_id(group, row);
        assert_int_equal(id.block, row / 3);
        assert_int_equal(id.offset, row % 3 + 1);
        assert_int_equal(id.xmin, 700 + row);
        sum += row_hash(id.block, id.offset, id.xmin);
    }
    assert_true(group->row_id_sum == sum);
}

static void test_values(void **state)
{
    (void)state;
    each_group(check_values);
}

static void check_round_trip(const struct rows_table *table, const struct schema *schema,
                             struct rowgroup *group)
{
    size_t size;
    uint8_t *file = rows_file(group, schema, &size);
    struct rowgroup *back;
    assert_int_equal(rowgroup_decode(file, size, schema, &back), 0);
    assert_true(rows_same_group(group, back));
    check_values(table, schema, back);
    size_t again_size;
    uint8_t *again = rows_file(back, schema, &again_size);
    assert_int_equal(size, again_size);
    assert_memory_equal(file, again, size);
    free(again);
    rowgroup_free(back); /* and with it the file */
}

static void test_round_trip(void **state)
{
    (void)state;
    each_group(check_round_trip);
}

/* The blocks stand where the layout in the header says; a vector's are as they were. */
static void check_layout(const struct rows_table *table, const struct schema *schema,
                         struct rowgroup *group)
{
    size_t size;
    uint8_t *file = rows_file(group, schema, &size);
    uint32_t runs = (uint32_t)group->run_count + 1;
    (void)table;
    assert_memory_equal(file, "pgvecfs\2", 8);
    assert_true(load_le64(file + 8) == hash64(file + 16, load_le32(file + 16) - 16));
    assert_int_equal(load_le32(file + 20), group->rows);
    assert_int_equal(load_le32(file + 24), runs);
    assert_int_equal(load_le32(file + 16), 52 + runs * 70);
    for (uint32_t i = 0; i < 2 * runs; i++) {
        const uint8_t *entry = file + 52 + i / 2 * 70 + 4 + i % 2 * 33;
        uint64_t offset = load_le64(entry + 1), stored = load_le64(entry + 9);
        assert_int_equal(offset % 64, 0);
        assert_true(offset <= size && stored <= size - offset);
        assert_true(load_le64(entry + 25) == hash128(file + offset, stored).low);
        uint64_t place, length;
        rowgroup_file_place(file, (int)i / 2, &place, &length);
        assert_true(place <= offset && offset + stored <= place + length);
        assert_true(i % 2 == 1 ? place + length == offset + stored : place == offset);
    }
    for (int i = 0; i < schema->column_count; i++) {
        const struct column *column = &schema->columns[i];
        if (column->type == NULL || column->type->extension == NULL)
            continue;
        const struct run *run = &group->runs[column->part[PART_BINARY]];
        const uint8_t *entry = file + 52 + column->part[PART_BINARY] * 70 + 4 + 33;
        assert_int_equal(entry[0], 0);
        assert_int_equal(load_le64(entry + 9), run->size);
        assert_memory_equal(file + load_le64(entry + 1), run->bytes, run->size);
    }
    free(file);
}

static void test_layout(void **state)
{
    (void)state;
    each_group(check_layout);
}

/* The same rows have the same hash; any other run of rows another. */
static void test_content_hash(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[0]);
    struct hash128 hashes[40];
    size_t n = 0;
    for (uint32_t first = 0; first < 6; first++)
        for (uint32_t end = first + 1; end < 7; end++) {
            struct rowgroup *group = rows_group(&rows_tables[0], schema, first, end);
            struct rowgroup *again = rows_group(&rows_tables[0], schema, first, end);
            assert_true(hash128_equal(group->content, again->content));
            for (size_t i = 0; i < n; i++)
                assert_false(hash128_equal(group->content, hashes[i]));
            hashes[n++] = group->content;
            rowgroup_free(group);
            rowgroup_free(again);
        }
    schema_free(schema);
}

static void test_builder_is_used_again(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct schema *schema = rows_schema(&rows_tables[i]);
        struct rowgroup_builder *builder;
        assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
        for (uint32_t first = 0; first < 30; first += 10) {
            size_t bytes = 0;
            assert_int_equal(rowgroup_builder_rows(builder), 0);
            assert_int_equal(rowgroup_builder_bytes(builder), 0);
            for (uint32_t row = first; row < first + 10; row++) {
                struct buffer tuple = {0};
                rows_put_tuple(&tuple, &rows_tables[i], schema, row);
                assert_int_equal(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL), 0);
                bytes += tuple.size;
                buffer_clear(&tuple);
            }
            assert_int_equal(rowgroup_builder_rows(builder), 10);
            assert_int_equal(rowgroup_builder_bytes(builder), bytes);
            struct rowgroup *group,
                *expected = rows_group(&rows_tables[i], schema, first, first + 10);
            assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
            assert_true(rows_same_group(group, expected));
            rowgroup_free(group);
            rowgroup_free(expected);
        }
        rowgroup_builder_free(builder);
        schema_free(schema);
    }
    rowgroup_builder_free(NULL);
    rowgroup_free(NULL);
}

/* Adds one tuple from memory of exactly its size. */
static int add(const struct schema *schema, const uint8_t *tuple, size_t size)
{
    struct rowgroup_builder *builder;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, tuple, size);
    assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
    int rc = rowgroup_builder_add(builder, copy, size, NULL);
    rowgroup_builder_free(builder);
    free(copy);
    return rc;
}

/* No part of a tuple is one, nor a tuple with more behind it. */
static void test_every_wrong_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (uint32_t row = 0; row < 30; row++) {
            struct schema *schema = rows_schema(&rows_tables[i]);
            struct buffer tuple = {0};
            rows_put_tuple(&tuple, &rows_tables[i], schema, row);
            size_t whole = tuple.size;
            assert_int_equal(add(schema, tuple.data, whole), 0);
            assert_int_equal(buffer_append(&tuple, "\0\0\0\0", 4), 0);
            for (size_t size = 0; size <= tuple.size; size++)
                assert_int_equal(add(schema, tuple.data, size), size == whole ? 0 : -EBADMSG);
            buffer_clear(&tuple);
            schema_free(schema);
        }
}

/* A table of one column: numbers of `size` bytes, of which so many in a hundred are NULL. */
static struct rowgroup *numbers_group(const struct schema *schema, size_t size, uint32_t nulls)
{
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
    for (uint32_t row = 0; row < 1000; row++) {
        uint8_t tuple[4 + 40] = {0};
        bool null = row * 2654435761U / 65536 % 100 < nulls;
        store_be32(tuple, null ? UINT32_MAX : (uint32_t)size);
        for (size_t i = 0; i < size; i++)
            tuple[4 + i] = (uint8_t)(i + 1 == size ? row : i + 2 == size ? row >> 8 : i);
        assert_int_equal(rowgroup_builder_add(builder, tuple, 4 + (null ? 0 : size), NULL), 0);
    }
    assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
    rowgroup_builder_free(builder);
    return group;
}

/* Values of one size are split into planes if that is at most 16; so are sizes. */
static void test_planes(void **state)
{
    (void)state;
    struct schema *schema;
    const bool with_binary[] = {true};
    assert_int_equal(schema_new(false, &schema), 0);
    assert_int_equal(schema_add(schema, "c", "bytea", type_find(NULL, "bytea"), true), 0);
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    for (size_t size = 0; size <= 40; size++)
        for (uint32_t nulls = 0; nulls <= 100; nulls += 50) {
            struct rowgroup *group = numbers_group(schema, size, nulls), *back;
            size_t file_size;
            uint8_t *file = rows_file(group, schema, &file_size);
            const uint8_t *sizes = file + 52 + 4, *bytes = sizes + 33;
            assert_int_equal(sizes[0], nulls > 0 ? 4 : 0);
            if (size > 1 && nulls < 100)
                assert_int_equal(bytes[0], size <= 16 ? size : 1);
            assert_int_equal(rowgroup_decode(file, file_size, schema, &back), 0);
            assert_true(rows_same_group(group, back));
            rowgroup_free(back);
            rowgroup_free(group);
        }
    schema_free(schema);
}

/* The sum over packed row ids is that over the rows. */
static void test_row_id_sum(void **state)
{
    (void)state;
    uint8_t ids[1000 * 10];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t block = i * 2654435761U, xmin = i < 300 ? 7 : i < 600 ? i / 50 : i % 3;
        store_le32(ids + 10 * i, block);
        store_le32(ids + 10 * i + 4, xmin);
        store_le16(ids + 10 * i + 8, (uint16_t)(i * 77));
        sum += row_hash(block, (uint16_t)(i * 77), xmin);
        assert_true(row_id_sum(ids, i + 1) == sum);
    }
    assert_true(row_id_sum(NULL, 0) == 0);
}

#define ID "\0\0\0\6\0\0\0\0\0\1\0\0\0\4\0\0\0\1"
#define ADD(schema, text) add(schema, (const uint8_t *)(text), sizeof(text) - 1)

static void test_wrong_fields(void **state)
{
    (void)state;
    struct schema *ids = rows_schema(&rows_tables[4]), *arrays = rows_schema(&rows_tables[6]);
    assert_int_equal(ADD(ids, ID), 0);
    assert_int_equal(ADD(ids, "\377\377\377\377\0\0\0\4\0\0\0\1"), -EBADMSG); /* a NULL ctid */
    assert_int_equal(ADD(ids, "\0\0\0\6\0\0\0\0\0\1\377\377\377\377"), -EBADMSG);
    assert_int_equal(ADD(ids, "\0\0\0\5\0\0\0\0\0\0\0\0\4\0\0\0\1"), -EBADMSG);
    assert_int_equal(ADD(ids, "\0\0\0\6\0\0\0\0\0\1\0\0\0\3\0\0\1"), -EBADMSG);
    assert_int_equal(ADD(ids, "\377\377\377\376"), -EBADMSG);

    /* Two texts, and two JSONs of which one is NULL. */
#define TEXTS                                                                                      \
    "\0\0\0\1\0\0\0\0\0\0\0\31\0\0\0\2\0\0\0\1"                                                    \
    "\0\0\0\1a"                                                                                    \
    "\0\0\0\0"
#define JSONS                                                                                      \
    "\0\0\0\1\0\0\0\1\0\0\0\31\0\0\0\2\0\0\0\1"                                                    \
    "\377\377\377\377"                                                                             \
    "\0\0\0\0011"
    assert_int_equal(ADD(arrays, "\0\0\0\35" TEXTS "\0\0\0\35" JSONS), 0);
    assert_int_equal(ADD(arrays, "\377\377\377\377\0\0\0\35" JSONS), -EBADMSG);
    assert_int_equal(ADD(arrays, "\0\0\0\35" TEXTS), -EBADMSG);
    assert_int_equal(ADD(arrays, "\0\0\0\34\0\0\0\1\0\0\0\0\0\0\0\31\0\0\0\1\0\0\0\1"
                                 "\0\0\0\4abcd"
                                 "\0\0\0\35" JSONS),
                     -EBADMSG);
    assert_int_equal(ADD(arrays, "\0\0\0\24\0\0\0\0\0\0\0\0\0\0\0\31\0\0\0\2\0\0\0\1"
                                 "\0\0\0\35" JSONS),
                     -EBADMSG);
    assert_int_equal(ADD(arrays, "\0\0\0\36" TEXTS "x"
                                 "\0\0\0\35" JSONS),
                     -EBADMSG); /* more in the array */
    assert_int_equal(ADD(arrays, "\0\0\0\14\0\0\0\0\0\0\0\0\0\0\0\31"
                                 "\0\0\0\35" JSONS),
                     -EBADMSG); /* an empty array */
    schema_free(ids);
    schema_free(arrays);
}

/* A group of one schema's is not one of another's with other parts. */
static void test_another_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (size_t k = 0; k < ROWS_TABLES; k++) {
            struct schema *schema = rows_schema(&rows_tables[i]),
                          *other = rows_schema(&rows_tables[k]);
            struct rowgroup *group = rows_group(&rows_tables[i], schema, 0, 9), *back;
            size_t size;
            uint8_t *file = rows_file(group, schema, &size);
            bool fits = schema_parts(schema) == schema_parts(other) &&
                        (schema->with_row_ids || !other->with_row_ids);
            int rc = rowgroup_decode(file, size, other, &back);
            assert_int_equal(rc, fits ? 0 : -EBADMSG);
            if (rc == 0)
                rowgroup_free(back);
            else
                free(file);
            rowgroup_free(group);
            schema_free(schema);
            schema_free(other);
        }
}

/* Written anew, so that the head's checksum holds. */
static void seal(uint8_t *file)
{
    store_le64(file + 8, hash64(file + 16, load_le32(file + 16) - 16));
}

/* Heads that a program could have written but not this one: each field of the directory set to odd
 * values. */
static void test_unsound_directories(void **state)
{
    (void)state;
    static const uint64_t odd[] = {0,
                                   1,
                                   2,
                                   63,
                                   64,
                                   65,
                                   10,
                                   0x7fffffff,
                                   0x80000000,
                                   0xfffffffe,
                                   0xffffffff,
                                   UINT64_C(0x7fffffffffffffff),
                                   UINT64_C(0x8000000000000000),
                                   UINT64_MAX};
    struct schema *schema = rows_schema(&rows_tables[0]);
    struct rowgroup *group = rows_group(&rows_tables[0], schema, 0, 20);
    size_t size;
    uint8_t *file = rows_file(group, schema, &size);
    uint32_t head = load_le32(file + 16);
    for (uint32_t at = 20; at + 8 <= head; at++)
        for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
            uint8_t *copy = malloc(size);
            struct rowgroup *back;
            assert_non_null(copy);
            memcpy(copy, file, size);
            store_le64(copy + at, odd[i]);
            seal(copy);
            int rc = rowgroup_decode(copy, size, schema, &back);
            assert_true(rc == 0 || rc == -EBADMSG || rc == -ENOMEM);
            if (rc < 0) {
                free(copy);
                continue;
            }
            for (int run = 0; run < back->run_count; run++) /* whatever it is, it can be walked */
                assert_true(rows_same_run(&back->runs[run], &back->runs[run], back->rows));
            rowgroup_free(back);
        }
    free(file);
    rowgroup_free(group);
    schema_free(schema);
}

/* A small file that says that it has so many rows, each with values of 0 bytes. */
static int claim_rows(const uint8_t *file, size_t size, const struct schema *schema, uint32_t rows)
{
    enum { ROWS = 20, RUNS = 24, DIRECTORY = 52, RUN = 70, BLOCK = 33 };
    struct rowgroup *back;
    struct rowgroup_head seen;
    uint8_t *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, file, size);
    store_le32(copy + ROWS, rows);
    for (uint32_t run = 0; run < load_le32(file + RUNS); run++) {
        uint8_t *entry = copy + DIRECTORY + run * RUN;
        memset(entry, 0, RUN);
        store_le64(entry + 4 + 25, hash128(copy, 0).low);
        store_le64(entry + 4 + BLOCK + 25, hash128(copy, 0).low);
    }
    seal(copy);
    int rc = rowgroup_file_head(copy, size, schema, &seen);
    assert_int_equal(rowgroup_decode(copy, size, schema, &back), rc);
    if (rc == 0)
        rowgroup_free(back);
    else
        free(copy);
    return rc;
}

static void test_too_many_rows(void **state)
{
    (void)state;
    int checked = 0;
    for (size_t i = 0; i < ROWS_TABLES; i++) {
        struct schema *schema = rows_schema(&rows_tables[i]);
        struct rowgroup *group = rows_group(&rows_tables[i], schema, 0, 9);
        size_t size;
        uint8_t *file = rows_file(group, schema, &size);
        if (!schema->with_row_ids) {
            assert_int_equal(claim_rows(file, size, schema, ROWGROUP_ROWS_MOST), 0);
            assert_int_equal(claim_rows(file, size, schema, ROWGROUP_ROWS_MOST + 1), -EBADMSG);
            assert_int_equal(claim_rows(file, size, schema, UINT32_MAX), -EBADMSG);
            checked++;
        }
        free(file);
        rowgroup_free(group);
        schema_free(schema);
    }
    assert_true(checked > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_row_id_sum),
        cmocka_unit_test(test_content_hash),
        cmocka_unit_test(test_builder_is_used_again),
        cmocka_unit_test(test_every_wrong_length),
        cmocka_unit_test(test_wrong_fields),
        cmocka_unit_test(test_another_schema),
        cmocka_unit_test(test_unsound_directories),
        cmocka_unit_test(test_too_many_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
