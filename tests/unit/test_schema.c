#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h wants those before it */
#include <cmocka.h>

#include "codec/schema.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct schema *example(void)
{
    struct schema *schema;
    assert_int_equal(schema_new(true, &schema), 0);
    assert_int_equal(schema_add(schema, "a", "integer", type_find(NULL, "int4"), true), 0);
    assert_int_equal(schema_add(schema, "b \"ü", "s.point3", NULL, true), 0);
    assert_int_equal(schema_add(schema, "c", "aclitem", NULL, true), 0);
    assert_int_equal(schema_add(schema, "d", "s.point3", NULL, false), 0);
    assert_int_equal(schema_add(schema, "e", "integer", type_find(NULL, "int4"), false), 0);
    assert_int_equal(schema_add(schema, "v", "vector(3)", type_find("vector", "vector"), true), 0);
    assert_non_null(schema->columns[0].type);
    assert_non_null(schema->columns[5].type);
    return schema;
}

static const bool with_binary[] = {true, true, false, true, true, true};

static void parts_are_numbered_by_kind_then_column(void **state)
{
    (void)state;
    struct schema *schema = example();
    schema_number(schema, with_binary, 1u << PART_BINARY | 1u << PART_TEXT | 1u << PART_JSON);
    static const int expected[6][PART_KINDS] = {{0, -1, -1}, {1, 4, 6},   {-1, 5, 7},
                                                {-1, -1, 8}, {2, -1, -1}, {3, -1, -1}};
    for (int i = 0; i < 6; i++)
        assert_memory_equal(schema->columns[i].part, expected[i], sizeof expected[i]);
    assert_int_equal(schema_parts(schema), 9);
    assert_int_equal(schema->part_count[PART_BINARY], 4);
    assert_int_equal(schema->part_count[PART_TEXT], 2);
    assert_int_equal(schema->part_count[PART_JSON], 3);

    /* What is rendered here needs its binary whatever is asked for; the others only what is asked
     * for. */
    schema_number(schema, with_binary, 1u << PART_TEXT);
    static const int text_only[6][PART_KINDS] = {{0, -1, -1},  {-1, 3, -1}, {-1, 4, -1},
                                                 {-1, -1, -1}, {1, -1, -1}, {2, -1, -1}};
    for (int i = 0; i < 6; i++)
        assert_memory_equal(schema->columns[i].part, text_only[i], sizeof text_only[i]);
    schema_free(schema);
}

static void assert_same(const struct schema *a, const struct schema *b)
{
    assert_int_equal(a->column_count, b->column_count);
    assert_int_equal(a->with_row_ids, b->with_row_ids);
    assert_memory_equal(a->part_count, b->part_count, sizeof a->part_count);
    for (int i = 0; i < a->column_count; i++) {
        const struct column *x = &a->columns[i], *y = &b->columns[i];
        assert_string_equal(x->name, y->name);
        assert_string_equal(x->type_name, y->type_name);
        assert_ptr_equal(x->type, y->type);
        assert_int_equal(x->in_copy, y->in_copy);
        assert_memory_equal(x->part, y->part, sizeof x->part);
    }
}

static void record_gives_the_schema_back(void **state)
{
    (void)state;
    for (unsigned wanted = 0; wanted < 1u << PART_KINDS; wanted++) {
        struct schema *schema = example(), *again = NULL;
        schema_number(schema, with_binary, wanted);
        struct text record = {0};
        schema_put(schema, &record);
        struct record_reader in = {.at = record.bytes.data,
                                   .end = record.bytes.data + record.bytes.size};
        assert_int_equal(schema_get(&in, &again), 0);
        assert_ptr_equal(in.at, in.end);
        assert_same(schema, again);
        schema_free(again);
        schema_free(schema);
        text_clear(&record);
    }
}

static void no_columns(void **state)
{
    (void)state;
    struct schema *schema, *again = NULL;
    assert_int_equal(schema_new(false, &schema), 0);
    schema_number(schema, NULL, 7);
    assert_int_equal(schema_parts(schema), 0);
    struct text record = {0};
    schema_put(schema, &record);
    struct record_reader in = {.at = record.bytes.data,
                               .end = record.bytes.data + record.bytes.size};
    assert_int_equal(schema_get(&in, &again), 0);
    assert_same(schema, again);
    schema_free(again);
    schema_free(schema);
    text_clear(&record);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct schema *schema = example(), *again = NULL;
    schema_number(schema, with_binary, 7);
    struct text record = {0};
    schema_put(schema, &record);
    for (size_t n = 0; n < record.bytes.size; n++) {
        uint8_t *cut = malloc(n + 1); /* of exactly that size, for the address sanitizer */
        memcpy(cut, record.bytes.data, n);
        struct record_reader in = {.at = cut, .end = cut + n};
        assert_int_equal(schema_get(&in, &again), -EBADMSG);
        assert_null(again);
        free(cut);
    }
    schema_free(schema);
    text_clear(&record);
}

/* A flip that still gives a schema gives one that holds together. */
static void every_bit_flip_is_survived(void **state)
{
    (void)state;
    struct schema *schema = example();
    schema_number(schema, with_binary, 7);
    struct text record = {0};
    schema_put(schema, &record);
    for (size_t bit = 0; bit < record.bytes.size * 8; bit++) {
        record.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        struct record_reader in = {.at = record.bytes.data,
                                   .end = record.bytes.data + record.bytes.size};
        struct schema *again = NULL;
        if (schema_get(&in, &again) == 0) {
            for (int i = 0; i < again->column_count; i++)
                for (int kind = 0; kind < PART_KINDS; kind++)
                    assert_true(again->columns[i].part[kind] < schema_parts(again));
            schema_free(again);
        }
        record.bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    schema_free(schema);
    text_clear(&record);
}

static void reading_past_the_end_stays_bad(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct record_reader in = {.at = bytes, .end = bytes + sizeof bytes};
    assert_int_equal(record_get_u32(&in), 0x04030201);
    assert_int_equal(record_get_u64(&in), 0);
    assert_true(in.bad);
    assert_int_equal(record_get_u8(&in), 0); /* though one byte is left */
    assert_null(record_get_string(&in));

    static const uint8_t nul[] = {2, 0, 0, 0, 'a', 0};
    in = (struct record_reader){.at = nul, .end = nul + sizeof nul};
    assert_null(record_get_string(&in));
    assert_true(in.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_numbered_by_kind_then_column),
        cmocka_unit_test(record_gives_the_schema_back),
        cmocka_unit_test(no_columns),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_bit_flip_is_survived),
        cmocka_unit_test(reading_past_the_end_stays_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
