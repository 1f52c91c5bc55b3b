/* Single columns as arrays: heads, bodies, what has no form, and no memory at every allocation. */
#include "codec/array_column.h"
#include "codec/big_endian.h"
#include "codec/column_format.h"
#include "codec/npy.h"

#include "tests/unit/no_memory.h"
#include "tests/unit/rows.h"

#include <inttypes.h>

/* A value as COPY BINARY has it; no bytes and NULL: it is NULL. */
struct value {
    const char *bytes;
    size_t size;
};

#define V(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define NONE                                                                                       \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static struct schema *schema_of(const char *extension, const char *type, const char *type_name)
{
    struct schema *schema;
    const bool with_binary = true;
    assert_int_equal(schema_new(false, &schema), 0);
    assert_int_equal(schema_add(schema, "c", type_name, type_find(extension, type), true), 0);
    schema_number(schema, &with_binary, ROWS_ALL_PARTS);
    return schema;
}

static struct rowgroup *group_of(const struct schema *schema, const struct value *values,
                                 size_t rows)
{
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    assert_int_equal(rowgroup_builder_new(schema, &builder), 0);
    for (size_t row = 0; row < rows; row++) {
        struct buffer tuple = {0};
        bool given = values[row].bytes != NULL;
        rows_put_be32(&tuple, given ? (uint32_t)values[row].size : UINT32_MAX);
        if (given)
            assert_int_equal(buffer_append(&tuple, values[row].bytes, values[row].size), 0);
        assert_int_equal(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL), 0);
        buffer_clear(&tuple);
    }
    assert_int_equal(rowgroup_builder_finish(builder, &group), 0);
    rowgroup_builder_free(builder);
    return group;
}

/* ---- the head ---- */

static void assert_head(const char *descr, const uint64_t *shape, int dimensions,
                        const char *expected)
{
    struct buffer head = {0};
    assert_int_equal(npy_put_header(descr, shape, dimensions, &head), 0);
    assert_int_equal(head.size % 64, 0);
    assert_memory_equal(head.data, "\x93NUMPY\x01\x00", 8);
    assert_int_equal(load_le16(head.data + 8), head.size - 10);
    size_t n = strlen(expected);
    assert_memory_equal(head.data + 10, expected, n);
    for (size_t i = 10 + n; i < head.size - 1; i++)
        assert_int_equal(head.data[i], ' ');
    assert_int_equal(head.data[head.size - 1], '\n');
    assert_true(npy_is(head.data, head.size));
    buffer_clear(&head);
}

static void test_head(void **state)
{
    (void)state;
    const uint64_t none[] = {0, 0}, some[] = {5000, 100}, most[] = {UINT64_MAX, UINT64_MAX};
    assert_head("<f4", some, 2, "{'descr': '<f4', 'fortran_order': False, 'shape': (5000, 100), }");
    assert_head("<i8", some, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (5000,), }");
    assert_head("|b1", none, 2, "{'descr': '|b1', 'fortran_order': False, 'shape': (0, 0), }");
    assert_head("<M8[us]", most, 2,
                "{'descr': '<M8[us]', 'fortran_order': False, 'shape': "
                "(18446744073709551615, 18446744073709551615), }");
}

/* What is written can be read. */
static void test_head_is_read(void **state)
{
    (void)state;
    for (uint64_t rows = 0; rows < 200; rows++) {
        const uint64_t shape[] = {rows, 3};
        struct buffer file = {0};
        struct npy array;
        assert_int_equal(npy_put_header("<f4", shape, 2, &file), 0);
        assert_int_equal(buffer_reserve(&file, 12 * rows), 0);
        memset(file.data + file.size, 0, 12 * rows);
        assert_int_equal(npy_open(file.data, file.size + 12 * rows, &array, NULL), 0);
        assert_int_equal(array.rows, rows);
        assert_int_equal(array.columns, 3);
        buffer_clear(&file);
    }
}

/* ---- numbers ---- */

static void test_big_endian(void **state)
{
    (void)state;
    uint8_t from[64], to[66];
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (uint8_t)(i * 37 + 1);
    for (size_t width = 1; width <= 8; width *= 2)
        for (size_t count = 0; count <= sizeof from / width; count++) {
            memset(to, 0xEE, sizeof to);
            big_endian_copy(to + 1, from, count, width);
            for (size_t i = 0; i < count * width; i++)
                assert_int_equal(to[1 + i], from[i / width * width + width - 1 - i % width]);
            assert_int_equal(to[0], 0xEE);
            assert_int_equal(to[1 + count * width], 0xEE);
        }
}

/* ---- whole files ---- */

struct file {
    struct buffer bytes;
    int rc;
    struct formless gap;
};

/* Of these groups; a survey says what the body is. */
static struct file make(const struct format *format, const struct schema *schema,
                        struct rowgroup **groups, size_t count)
{
    struct file file = {.rc = format->possible(schema) ? 0 : -ENOENT};
    struct buffer noted[8] = {{0}}, body = {0}, again = {0};
    struct note notes[8] = {{0}};
    struct format_view told = {.schema = schema, .groups = count, .notes = notes};
    uint64_t base = 0;
    for (size_t i = 0; file.rc == 0 && i < count; i++) {
        uint64_t size = 0;
        told.rows += groups[i]->rows;
        file.rc = format->survey != NULL ? format->survey(schema, groups[i], &noted[i], &size) : 0;
        if (format->survey == NULL && file.rc == 0)
            file.rc = format->body_size(schema, groups[i], &size);
        if (file.rc == -EDOM)
            assert_int_equal(format->formless(schema, groups[i], &file.gap), 0);
        size_t before = body.size;
        if (file.rc == 0) {
            assert_int_equal(format->body(schema, groups[i], &again, &body), 0);
            assert_int_equal(body.size - before, size);
            assert_int_equal(again.size, noted[i].size);
            if (again.size > 0)
                assert_memory_equal(again.data, noted[i].data, again.size);
            again.size = 0;
            struct buffer unasked = {0};
            assert_int_equal(format->body(schema, groups[i], NULL, &unasked), 0);
            assert_int_equal(unasked.size, size);
            if (size > 0)
                assert_memory_equal(unasked.data, body.data + before, size);
            buffer_clear(&unasked);
        } else {
            assert_true(file.rc == -EDOM || file.rc == -EBADMSG);
            assert_int_equal(format->body(schema, groups[i], NULL, &body) < 0, true);
            assert_int_equal(body.size, before);
        }
        for (size_t k = before; format->counts && k < body.size; k += 8)
            store_le64(body.data + k, load_le64(body.data + k) + base);
        if (format->counts && file.rc == 0)
            base += load_le64(noted[i].data);
        notes[i] = (struct note){noted[i].data, noted[i].size};
    }
    if (file.rc == 0)
        file.rc = format_head(format, &told, &file.bytes);
    if (file.rc == 0)
        assert_int_equal(buffer_append(&file.bytes, body.data, body.size), 0);
    buffer_clear(&body);
    buffer_clear(&again);
    for (size_t i = 0; i < 8; i++)
        buffer_clear(&noted[i]);
    return file;
}

/* A column of these values, the first `cut` of them in a group of their own. */
static struct file file_of(const struct format *format, const char *extension, const char *type,
                           const char *type_name, const struct value *values, size_t rows,
                           size_t cut)
{
    struct schema *schema = schema_of(extension, type, type_name);
    struct rowgroup *groups[2] = {group_of(schema, values, cut),
                                  group_of(schema, values + cut, rows - cut)};
    struct file file = make(format, schema, groups, 2);
    rowgroup_free(groups[0]);
    rowgroup_free(groups[1]);
    schema_free(schema);
    return file;
}

static void assert_array(const struct file *file, const char *descr, const char *shape,
                         const char *data, size_t size)
{
    char text[128];
    snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr,
             shape);
    assert_int_equal(file->rc, 0);
    size_t head = 10 + load_le16(file->bytes.data + 8);
    assert_memory_equal(file->bytes.data + 10, text, strlen(text));
    assert_int_equal(file->bytes.size - head, size);
    assert_memory_equal(file->bytes.data + head, data, size);
}

#define ARRAY(format, extension, type, type_name, values, descr, shape, data)                      \
    for (size_t cut = 0; cut <= sizeof(values) / sizeof *(values); cut++) {                        \
        struct file file = file_of(&(format), extension, type, type_name, values,                  \
                                   sizeof(values) / sizeof *(values), cut);                        \
        assert_array(&file, descr, shape, data, sizeof(data) - 1);                                 \
        buffer_clear(&file.bytes);                                                                 \
    }

static void test_numbers(void **state)
{
    (void)state;
    static const struct value bools[] = {V("\1"), V("\0"), V("\1")}, null_bools[] = {V("\1"), NONE},
                              shorts[] = {V("\1\2"), NONE, V("\xff\xfe")},
                              ints[] = {V("\1\2\3\4"), V("\5\6\7\x8"), V("\xff\xff\xff\xfe")},
                              longs[] = {V("\1\2\3\4\5\6\7\x8"), NONE};
    ARRAY(format_npy, NULL, "bool", "boolean", bools, "|b1", "(3,)", "\1\0\1");
    ARRAY(format_npy, NULL, "bool", "boolean", null_bools, "|b1", "(2,)", "\1\0");
    ARRAY(format_npy, NULL, "int2", "smallint", shorts, "<i2", "(3,)", "\2\1\0\0\xfe\xff");
    ARRAY(format_npy, NULL, "int4", "integer", ints, "<i4", "(3,)",
          "\4\3\2\1\x8\7\6\5\xfe\xff\xff\xff");
    ARRAY(format_npy, NULL, "oid", "oid", ints, "<u4", "(3,)", "\4\3\2\1\x8\7\6\5\xfe\xff\xff\xff");
    ARRAY(format_npy, NULL, "float4", "real", ints, "<f4", "(3,)",
          "\4\3\2\1\x8\7\6\5\xfe\xff\xff\xff");
    ARRAY(format_npy, NULL, "int8", "bigint", longs, "<i8", "(2,)",
          "\x8\7\6\5\4\3\2\1\0\0\0\0\0\0\0\0");
    ARRAY(format_npy, NULL, "float8", "double precision", longs, "<f8", "(2,)",
          "\x8\7\6\5\4\3\2\1\0\0\0\0\0\0\0\0");
}

static void test_times(void **state)
{
    (void)state;
    static const struct value days[] = {V("\0\0\0\0"), NONE, V("\xff\xff\xff\xff")},
                              times[] = {V("\0\0\0\0\0\0\0\1"), NONE},
                              infinite[] = {NONE, V("\x7f\xff\xff\xff")},
                              before[] = {V("\x80\0\0\0")},
                              endless[] = {V("\0\0\0\0\0\0\0\1"),
                                           V("\x7f\xff\xff\xff\xff\xff\xff\xff")},
                              begun[] = {V("\x80\0\0\0\0\0\0\0")},
                              late[] = {V("\x7f\xff\xff\xff\xff\xff\xff\xfe")};
    ARRAY(format_npy, NULL, "date", "date", days, "<M8[D]", "(3,)",
          "\xcd\x2a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xcc\x2a\0\0\0\0\0\0");
    /* 946684800000001 */
    ARRAY(format_npy, NULL, "timestamp", "timestamp without time zone", times, "<M8[us]", "(2,)",
          "\x01\xe0\x37\x3b\x01\x5d\x03\0\0\0\0\0\0\0\0\0");
    ARRAY(format_npy, NULL, "timestamptz", "timestamp with time zone", times, "<M8[us]", "(2,)",
          "\x01\xe0\x37\x3b\x01\x5d\x03\0\0\0\0\0\0\0\0\0");
    static const struct {
        const char *type;
        const struct value *values;
        size_t rows;
        const char *why;
    } refused[] = {{"date", infinite, 2, "infinity"},
                   {"date", before, 1, "infinity"},
                   {"timestamp", endless, 2, "infinity"},
                   {"timestamptz", begun, 1, "infinity"},
                   {"timestamp", late, 1, "a timestamp after the year 294246"}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        size_t rows = refused[i].rows;
        struct file file = file_of(&format_npy, NULL, refused[i].type, refused[i].type,
                                   refused[i].values, rows, 0);
        assert_int_equal(file.rc, -EDOM);
        assert_string_equal(file.gap.why, refused[i].why);
        assert_int_equal(file.gap.row, rows - 1);
        buffer_clear(&file.bytes);
    }
}

static const struct value pairs[] = {V("\0\2\0\0\1\2\3\4\5\6\7\x8"), NONE,
                                     V("\0\2\0\0\x9\xa\xb\xc\xd\xe\xf\x10")},
                          unequal[] = {V("\0\2\0\0\1\2\3\4\5\6\7\x8"), V("\0\1\0\0\1\2\3\4")};

#define PAIR_ONE "\4\3\2\1\x8\7\6\5"
#define PAIR_TWO "\xc\xb\xa\x9\x10\xf\xe\xd"

static void test_vectors(void **state)
{
    (void)state;
    static const struct value whole[] = {V("\0\2\0\0\1\2\3\4\5\6\7\x8"),
                                         V("\0\2\0\0\x9\xa\xb\xc\xd\xe\xf\x10")},
                              halves[] = {V("\0\3\0\0\1\2\3\4\5\6"), NONE};
    ARRAY(format_npy, "vector", "vector", "public.vector(2)", pairs, "<f4", "(3, 2)",
          PAIR_ONE "\0\0\0\0\0\0\0\0" PAIR_TWO);
    ARRAY(format_npy, "vector", "vector", "vector", whole, "<f4", "(2, 2)", PAIR_ONE PAIR_TWO);
    ARRAY(format_npy, "vector", "vector", "\"odd(7)\"", whole, "<f4", "(2, 2)", PAIR_ONE PAIR_TWO);
    ARRAY(format_npy, "vector", "halfvec", "halfvec(3)", halves, "<f2", "(2, 3)",
          "\2\1\4\3\6\5\0\0\0\0\0\0");
    ARRAY(format_null_npy, "vector", "vector", "vector(2)", pairs, "|b1", "(3,)", "\0\1\0");
    for (size_t cut = 0; cut <= 2; cut++) {
        struct file file = file_of(&format_fvecs, "vector", "vector", "vector", whole, 2, cut);
        assert_int_equal(file.rc, 0);
        assert_int_equal(file.bytes.size, 24);
        assert_memory_equal(file.bytes.data, "\2\0\0\0" PAIR_ONE "\2\0\0\0" PAIR_TWO, 24);
        buffer_clear(&file.bytes);
    }
}

static void assert_refused(const struct format *format, const char *type_name,
                           const struct value *values, size_t rows, size_t cut, const char *why)
{
    struct file file = file_of(format, "vector", "vector", type_name, values, rows, cut);
    assert_int_equal(file.rc, -EDOM);
    if (why != NULL)
        assert_string_equal(file.gap.why, why);
    buffer_clear(&file.bytes);
}

static void test_vectors_without_shape(void **state)
{
    (void)state;
    static const char null[] = "NULL, if the type does not say how many dimensions there are,",
                      other[] = "a vector with another number of dimensions";
    assert_refused(&format_npy, "vector", pairs, 3, 0, null);
    assert_refused(&format_npy, "vector", pairs, 3, 3, null);
    assert_refused(&format_npy, "vector", unequal, 2, 0, other);
    assert_refused(&format_npy, "vector", unequal, 2, 1, NULL); /* the head finds it */
    assert_refused(&format_fvecs, "vector", unequal, 2, 1, NULL);
    assert_refused(&format_npy, "vector(2)", unequal, 2, 1, other);
    assert_refused(&format_fvecs, "vector(2)", pairs, 3, 1, "NULL");
    static const struct value none[1];
    struct file file = file_of(&format_npy, "vector", "vector", "vector", none, 0, 0);
    assert_array(&file, "<f4", "(0, 0)", "", 0);
    buffer_clear(&file.bytes);
    file = file_of(&format_npy, "vector", "vector", "vector(7)", none, 0, 0);
    assert_array(&file, "<f4", "(0, 7)", "", 0);
    buffer_clear(&file.bytes);
    file = file_of(&format_fvecs, "vector", "vector", "vector", none, 0, 0);
    assert_int_equal(file.rc, 0);
    assert_int_equal(file.bytes.size, 0);
    buffer_clear(&file.bytes);
}

static void test_bits_and_uuids(void **state)
{
    (void)state;
    static const struct value bits[] = {V("\0\0\0\x0b\xa5\xff"), NONE}, bit[] = {V("\0\0\0\1\x80")},
                              other[] = {V("\0\0\0\x0a\xa5\xff")},
                              uuids[] = {V("0123456789abcdef"), V("fedcba9876543210")};
    ARRAY(format_npy, NULL, "bit", "bit(11)", bits, "|u1", "(2, 2)", "\xa5\xe0\0\0");
    ARRAY(format_npy, NULL, "bit", "bit", bit, "|u1", "(1, 1)", "\x80");
    ARRAY(format_npy, NULL, "uuid", "uuid", uuids, "|u1", "(2, 16)",
          "0123456789abcdeffedcba9876543210");
    struct file file = file_of(&format_npy, NULL, "bit", "bit(11)", other, 1, 0);
    assert_int_equal(file.rc, -EDOM);
    assert_string_equal(file.gap.why, "a bit string of another length");
    buffer_clear(&file.bytes);
}

#define SPARSE_A "\0\0\0\5\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\4\1\2\3\4\5\6\7\x8" /* {2:…,5:…}/5 */
#define SPARSE_0 "\0\0\0\5\0\0\0\0\0\0\0\0"
#define SPARSE_B "\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\0\x9\xa\xb\xc"

static void test_sparse(void **state)
{
    (void)state;
    static const struct value rows[] = {V(SPARSE_A), NONE, V(SPARSE_0), V(SPARSE_B), V(SPARSE_A)};
    ARRAY(format_data_npy, "vector", "sparsevec", "sparsevec(5)", rows, "<f4", "(5,)",
          PAIR_ONE "\xc\xb\xa\x9" PAIR_ONE);
    ARRAY(format_indices_npy, "vector", "sparsevec", "sparsevec(5)", rows, "<i4", "(5,)",
          "\1\0\0\0\4\0\0\0\0\0\0\0\1\0\0\0\4\0\0\0");
    ARRAY(format_indptr_npy, "vector", "sparsevec", "sparsevec(5)", rows, "<i8", "(6,)",
          "\0\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
          "\5\0\0\0\0\0\0\0");
    static const struct value none[1];
    struct file file =
        file_of(&format_indptr_npy, "vector", "sparsevec", "sparsevec(5)", none, 0, 0);
    assert_array(&file, "<i8", "(1,)", "\0\0\0\0\0\0\0\0", 8);
    buffer_clear(&file.bytes);
}

/* Bytes that are no value of the type. */
static void test_bad_values(void **state)
{
    (void)state;
    static const struct {
        const char *extension, *type, *type_name;
        struct value value;
    } bad[] = {
        {NULL, "int4", "integer", V("\1\2\3")},
        {NULL, "bool", "boolean", V("")},
        {NULL, "date", "date", V("\1\2\3\4\5")},
        {NULL, "timestamp", "timestamp", V("\1\2\3\4")},
        {NULL, "uuid", "uuid", V("0123456789abcde")},
        {NULL, "bit", "bit(11)", V("\0\0\0\x0b\xa5")},
        {NULL, "bit", "bit(11)", V("\0\0")},
        {NULL, "bit", "bit(11)", V("\xff\xff\xff\xff\xa5\xff")},
        {"vector", "vector", "vector(2)", V("\0\2\0\0\1\2\3\4\5\6\7")},
        {"vector", "vector", "vector", V("\0\0\0\0")},
        {"vector", "vector", "vector", V("\0")},
        {"vector", "sparsevec", "sparsevec(5)", V("\0\0\0\5\0\0\0\1\0\0\0")},
        {"vector", "sparsevec", "sparsevec(5)", V("\0\0\0\5\0\0\0\1\0\0\0\0\0\0\0\5\x9\xa\xb\xc")},
        {"vector", "sparsevec", "sparsevec(5)",
         V("\0\0\0\5\0\0\0\2\0\0\0\0\0\0\0\4\0\0\0\4\1\2\3\4\5\6\7\x8")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        bool sparse = strcmp(bad[i].type, "sparsevec") == 0;
        const struct value rows[] = {NONE, bad[i].value};
        for (int k = 0; k < COLUMN_FORMAT_COUNT; k++) {
            struct schema *schema = schema_of(bad[i].extension, bad[i].type, bad[i].type_name);
            bool fits =
                column_formats[k]->possible(schema) && column_formats[k] != &format_null_npy;
            schema_free(schema);
            if (!fits)
                continue;
            struct file file = file_of(column_formats[k], bad[i].extension, bad[i].type,
                                       bad[i].type_name, rows + 1, 1, 1);
            assert_int_equal(file.rc, -EBADMSG);
            buffer_clear(&file.bytes);
            assert_int_equal(sparse, column_formats[k]->survey != format_npy.survey &&
                                         column_formats[k] != &format_fvecs);
        }
    }
}

/* ---- which columns have which files ---- */

static void test_possible(void **state)
{
    (void)state;
    static const struct {
        const char *extension, *type, *type_name;
        const char *formats; /* joined by blanks */
    } columns[] = {
        {NULL, "int4", "integer", "npy null.npy"},
        {NULL, "text", "text", "null.npy arrow"},
        {NULL, "nosuch", "numeric(5,2)", "null.npy arrow"},
        {NULL, "varbit", "bit varying(8)", "null.npy arrow"},
        {NULL, "bit", "bit(8)", "npy null.npy"},
        {NULL, "bit", "a_domain", "null.npy arrow"},
        {"vector", "vector", "vector", "npy null.npy fvecs"},
        {"vector", "halfvec", "halfvec(3)", "npy null.npy"},
        {"vector", "sparsevec", "sparsevec(3)", "null.npy indptr.npy indices.npy data.npy"},
    };
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        struct schema *schema =
            schema_of(columns[i].extension, columns[i].type, columns[i].type_name);
        char all[128] = "";
        for (int k = 0; k < COLUMN_FORMAT_COUNT; k++)
            if (column_formats[k]->possible(schema))
                snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s",
                         all[0] != '\0' ? " " : "", column_formats[k]->name);
        assert_string_equal(all, columns[i].formats);
        schema_free(schema);
    }
    struct schema *two = rows_schema(&rows_tables[3]);
    for (int k = 0; k < COLUMN_FORMAT_COUNT; k++)
        assert_false(column_formats[k]->possible(two));
    schema_free(two);
}

/* What tells NULL need not be the value itself. */
static void test_null_of_generated(void **state)
{
    (void)state;
    const struct rows_table table = {"generated", false, 1, {ROWS_GENERATED}};
    struct schema *schema = rows_schema(&table);
    assert_int_equal(schema->columns[0].part[PART_BINARY], PART_NONE);
    assert_true(format_null_npy.possible(schema));
    schema->columns[0].part[PART_TEXT] = schema->columns[0].part[PART_JSON] = PART_NONE;
    assert_false(format_null_npy.possible(schema));
    schema_free(schema);
}

/* Numbers and names are for ever. */
static void test_numbers_are_fixed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int number;
    } all[COLUMN_FORMAT_COUNT] = {{"npy", 16},        {"null.npy", 17},    {"fvecs", 18},
                                  {"indptr.npy", 19}, {"indices.npy", 20}, {"data.npy", 21},
                                  {"arrow", 22}};
    for (int i = 0; i < COLUMN_FORMAT_COUNT; i++) {
        assert_string_equal(column_formats[i]->name, all[i].name);
        assert_int_equal(column_formats[i]->number, all[i].number);
        assert_int_equal(column_format_find(all[i].name, strlen(all[i].name)), i);
        assert_int_equal(column_format_find(all[i].name, strlen(all[i].name) - 1), -1);
        for (int k = 0; k < FORMAT_COUNT; k++)
            assert_int_not_equal(formats[k]->number, all[i].number);
    }
}

/* ---- no memory ---- */

struct attempt {
    const struct format *format;
    const struct schema *schema;
    const struct rowgroup *group;
};

static int render_once(void *context)
{
    const struct attempt *attempt = context;
    struct buffer note = {0}, surveyed = {0}, out = {0};
    uint64_t size;
    int rc = attempt->format->survey != NULL
                 ? attempt->format->survey(attempt->schema, attempt->group, &surveyed, &size)
                 : 0;
    const struct note notes[] = {{surveyed.data, surveyed.size}};
    const struct format_view told = {
        .schema = attempt->schema, .rows = attempt->group->rows, .groups = 1, .notes = notes};
    if (rc == 0)
        rc = format_head(attempt->format, &told, &out);
    if (rc == 0)
        rc = attempt->format->body(attempt->schema, attempt->group, &note, &out);
    buffer_clear(&note);
    buffer_clear(&surveyed);
    buffer_clear(&out);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    static const struct value whole[] = {V("\0\2\0\0\1\2\3\4\5\6\7\x8"),
                                         V("\0\2\0\0\x9\xa\xb\xc\xd\xe\xf\x10")},
                              sparse[] = {V(SPARSE_A), V(SPARSE_B)};
    struct schema *dense_schema = schema_of("vector", "vector", "vector");
    struct schema *sparse_schema = schema_of("vector", "sparsevec", "sparsevec");
    struct rowgroup *dense_group = group_of(dense_schema, whole, 2);
    struct rowgroup *sparse_group = group_of(sparse_schema, sparse, 2);
    for (int k = 0; k < COLUMN_FORMAT_COUNT; k++) {
        bool dense = column_formats[k]->possible(dense_schema);
        struct attempt attempt = {column_formats[k], dense ? dense_schema : sparse_schema,
                                  dense ? dense_group : sparse_group};
        no_memory_each(render_once, &attempt, -ENOMEM);
    }
    rowgroup_free(dense_group);
    rowgroup_free(sparse_group);
    schema_free(dense_schema);
    schema_free(sparse_schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_head_is_read),
        cmocka_unit_test(test_big_endian),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_vectors_without_shape),
        cmocka_unit_test(test_bits_and_uuids),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_possible),
        cmocka_unit_test(test_null_of_generated),
        cmocka_unit_test(test_numbers_are_fixed),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
