/* Vectors as written, against the bytes that the type's own output function turns back into the
 * same text, and numbers against strtof. */
#include "codec/vector_parse.h"

#include "codec/bytes.h"
#include "codec/decimal.h"
#include "codec/vector_text.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static render_value *const renders[] = {vector_render, halfvec_render, sparsevec_render,
                                        bit_render};

static int parse_bytes(enum vector_kind kind, uint32_t dims, const void *bytes, size_t size,
                       struct vector_batch *out, struct error *error)
{
    struct vector_form form = {.kind = kind, .dims = dims};
    uint8_t *copy = malloc(size + 1); /* exactly its size, so that a read behind it is seen */
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    copy = realloc(copy, size > 0 ? size : 1);
    int rc = vector_parse(&form, copy, size, out, error);
    free(copy);
    return rc;
}

/* All values of the batch as text, with spaces between. */
static void assert_batch(enum vector_kind kind, const struct vector_batch *batch, const char *texts)
{
    struct buffer out = {0};
    for (size_t i = 0; i < batch->count; i++) {
        size_t size;
        const uint8_t *value = vector_batch_value(batch, i, &size);
        if (i > 0)
            assert_int_equal(buffer_append_byte(&out, ' '), 0);
        assert_int_equal(renders[kind](value, size, &out), 0);
    }
    assert_int_equal(buffer_append_byte(&out, '\0'), 0);
    assert_string_equal((const char *)out.data, texts);
    buffer_clear(&out);
}

static void assert_parsed(enum vector_kind kind, uint32_t dims, const char *text,
                          const char *expected)
{
    struct vector_batch batch = {0};
    struct error error = {""};
    if (parse_bytes(kind, dims, text, strlen(text), &batch, &error) != 0)
        fail_msg("%s: %s", text, error.text);
    assert_batch(kind, &batch, expected);
    vector_batch_clear(&batch);
}

static void assert_refused(enum vector_kind kind, uint32_t dims, const char *text,
                           const char *reason)
{
    struct vector_batch batch = {0};
    struct error error = {""};
    assert_int_equal(parse_bytes(kind, dims, text, strlen(text), &batch, &error), -EINVAL);
    if (strstr(error.text, reason) == NULL)
        fail_msg("%s: \"%s\" is not \"%s\"", text, error.text, reason);
    assert_null(batch.values.data);
}

static void test_text(void **state)
{
    (void)state;
    assert_parsed(VECTOR_FLOAT32, 3, "[1,2,3]", "[1,2,3]");
    assert_parsed(VECTOR_FLOAT32, 0, " [ 0.1 , -2.5e-3,+3.E2 ] \r\n", "[0.1,-0.0025,300]");
    assert_parsed(VECTOR_FLOAT32, 1, "[1e-50]\n[2]\n\n  \n", "[0] [2]");
    assert_parsed(VECTOR_FLOAT32, 1, "\n \n[2]\n\n", "[2]");
    assert_parsed(VECTOR_FLOAT16, 2, "[0.1,65504]", "[0.099975586,65504]");
    assert_parsed(VECTOR_FLOAT16, 3, "[5.9604645e-08,2.9e-8,3e-8]",
                  "[5.9604645e-08,0,5.9604645e-08]");
    assert_parsed(VECTOR_FLOAT16, 2, "[2049,2051]", "[2048,2052]"); /* ties to even */
    assert_parsed(VECTOR_SPARSE, 300, "{1:0.5,300:-2}/300", "{1:0.5,300:-2}/300");
    assert_parsed(VECTOR_SPARSE, 0, "{ 7 : 1 , 2 : 3, 4:0 } / 9\n{}/9", "{2:3,7:1}/9 {}/9");
    assert_parsed(VECTOR_BIT, 4, "0101\n1111\n", "0101 1111");
    assert_parsed(VECTOR_BIT, 0, "110100111", "110100111");
}

static void test_refused_text(void **state)
{
    (void)state;
    assert_refused(VECTOR_FLOAT32, 3, "[1,2]",
                   "line 1: a vector of 2 dimensions, but the column has 3");
    assert_refused(VECTOR_FLOAT32, 0, "[1,2]\n[1]",
                   "line 2: a vector of 1 dimensions, those before have 2");
    assert_refused(VECTOR_FLOAT32, 1, "[1]\n\n  \n[2]\n", "line 2 is blank");
    assert_refused(VECTOR_FLOAT32, 1, "\n[1]\n[2]", "line 1 is blank");
    assert_refused(VECTOR_FLOAT32, 1, "[1]\n[2]\n\n[3]", "line 3 is blank");
    assert_refused(VECTOR_FLOAT32, 2, "[1,x]", "line 1, position 4: not a number");
    assert_refused(VECTOR_FLOAT32, 2, "[1,2]\n[1,NaN]", "line 2, position 4: NaN");
    assert_refused(VECTOR_FLOAT32, 2, "[1,-Infinity]", "position 4: out of range");
    assert_refused(VECTOR_FLOAT32, 2, "[1,1e39]", "position 4: out of range");
    assert_refused(VECTOR_FLOAT16, 1, "[65520]", "position 2: out of range for a halfvec");
    assert_refused(VECTOR_FLOAT32, 2, "[1,2", "] is missing");
    assert_refused(VECTOR_FLOAT32, 2, "[1 2]", "position 4: a comma or ]");
    assert_refused(VECTOR_FLOAT32, 2, "[1,2]]", "position 6: something stands behind");
    assert_refused(VECTOR_FLOAT32, 2, "[]", "not a number");
    assert_refused(VECTOR_FLOAT32, 2, "1,2", "begins with [");
    assert_refused(VECTOR_FLOAT32, 2, "", "there is no vector");
    assert_refused(VECTOR_FLOAT32, 2, " \n\t\n", "there is no vector");
    assert_refused(VECTOR_SPARSE, 0, "{0:1}/3", "position 2: not a dimension");
    assert_refused(VECTOR_SPARSE, 0, "{4:1}/3", "dimension 4 is beyond the 3");
    assert_refused(VECTOR_SPARSE, 0, "{2:1,2:3}/3", "dimension 2 is set twice");
    assert_refused(VECTOR_SPARSE, 0, "{2:1}", "/ and the number of dimensions");
    assert_refused(VECTOR_SPARSE, 0, "{2:1}/1000000001", "not a number of dimensions");
    assert_refused(VECTOR_SPARSE, 0, "{99999999999999999999:1}/3", "not a dimension");
    assert_refused(VECTOR_SPARSE, 5, "{2:1}/3", "3 dimensions, but the column has 5");
    assert_refused(VECTOR_BIT, 4, "012", "bits are written as 0 and 1");
    assert_refused(VECTOR_BIT, 4, "011", "3 dimensions, but the column has 4");
}

static void test_too_many(void **state)
{
    (void)state;
    struct buffer text = {0};
    struct vector_batch batch;
    struct error error = {""};
    for (int i = 0; i < 16001; i++)
        assert_int_equal(buffer_append_text(&text, i == 0 ? "[1" : ",1"), 0);
    assert_int_equal(buffer_append_byte(&text, ']'), 0);
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 0, text.data, text.size, &batch, &error), -EINVAL);
    assert_non_null(strstr(error.text, "16000 dimensions at most"));
    text.data[text.size - 3] = ' '; /* one less */
    text.data[text.size - 2] = ' ';
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 0, text.data, text.size, &batch, &error), 0);
    assert_int_equal(batch.dims, 16000);
    vector_batch_clear(&batch);
    buffer_clear(&text);
}

static void test_raw(void **state)
{
    (void)state;
    uint8_t bytes[24];
    const uint32_t bits[] = {0x3f800000, 0xbe99999a, 0x40490fdb, 0, 0xc0000000, 0x41200000};
    struct vector_batch batch = {0};
    struct error error = {""};
    for (size_t i = 0; i < 6; i++)
        store_le32(bytes + 4 * i, bits[i]);
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 3, bytes, 24, &batch, &error), 0);
    assert_batch(VECTOR_FLOAT32, &batch, "[1,-0.3,3.1415927] [0,-2,10]");
    vector_batch_clear(&batch);
    assert_int_equal(parse_bytes(VECTOR_FLOAT16, 0, bytes, 24, &batch, &error), 0);
    assert_batch(VECTOR_FLOAT16, &batch, "[1,-0.30004883,3.140625,0,-2,10]");
    vector_batch_clear(&batch);
    assert_int_equal(parse_bytes(VECTOR_SPARSE, 3, bytes, 24, &batch, &error), 0);
    assert_batch(VECTOR_SPARSE, &batch, "{1:1,2:-0.3,3:3.1415927}/3 {2:-2,3:10}/3");
    vector_batch_clear(&batch);
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 4, bytes, 24, &batch, &error), -EINVAL);
    assert_non_null(strstr(error.text, "24 bytes"));
    assert_int_equal(parse_bytes(VECTOR_BIT, 4, bytes, 24, &batch, &error), -EINVAL);
    store_le32(bytes + 16, 0x7fc00000);
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 3, bytes, 24, &batch, &error), -EINVAL);
    assert_non_null(strstr(error.text, "vector 2, dimension 2: NaN"));
    store_le32(bytes + 16, 0x7f7fffff);
    assert_int_equal(parse_bytes(VECTOR_FLOAT16, 3, bytes, 24, &batch, &error), -EINVAL);
}

/* A .npy file; `wide` as float64. */
static size_t make_npy(uint8_t *out, int version, const char *header, size_t numbers, bool wide)
{
    size_t n = strlen(header), at = version == 1 ? 10 : 12;
    memcpy(out, "\x93NUMPY", 6);
    out[6] = (uint8_t)version;
    out[7] = 0;
    if (version == 1)
        store_le16(out + 8, (uint16_t)n);
    else
        store_le32(out + 8, (uint32_t)n);
    memcpy(out + at, header, n);
    for (size_t i = 0; i < numbers; i++) {
        double number = (double)i + 0.5;
        float narrow = (float)number;
        if (wide)
            memcpy(out + at + n + 8 * i, &number, 8);
        else
            memcpy(out + at + n + 4 * i, &narrow, 4);
    }
    return at + n + numbers * (wide ? 8 : 4);
}

static void assert_npy(int version, const char *header, size_t numbers, bool wide,
                       const char *expected)
{
    uint8_t file[512];
    size_t size = make_npy(file, version, header, numbers, wide);
    struct vector_batch batch = {0};
    struct error error = {""};
    if (parse_bytes(VECTOR_FLOAT32, 0, file, size, &batch, &error) != 0)
        fail_msg("%s: %s", header, error.text);
    assert_batch(VECTOR_FLOAT32, &batch, expected);
    vector_batch_clear(&batch);
    for (size_t cut = 8; cut < size; cut++)
        assert_int_equal(parse_bytes(VECTOR_FLOAT32, 0, file, cut, &batch, NULL), -EINVAL);
}

static void assert_npy_refused(const char *header, size_t numbers, const char *reason)
{
    uint8_t file[512];
    struct vector_batch batch = {0};
    struct error error = {""};
    size_t size = make_npy(file, 1, header, numbers, false);
    assert_int_equal(parse_bytes(VECTOR_FLOAT32, 0, file, size, &batch, &error), -EINVAL);
    if (strstr(error.text, reason) == NULL)
        fail_msg("%s: \"%s\" is not \"%s\"", header, error.text, reason);
}

static void test_npy(void **state)
{
    (void)state;
    assert_npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }  \n", 3, false,
               "[0.5,1.5,2.5]");
    assert_npy(2, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n", 4, false,
               "[0.5,1.5] [2.5,3.5]");
    assert_npy(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (2,), }\n", 2, true,
               "[0.5,1.5]");
    assert_npy_refused("{'descr': '>f4', 'fortran_order': False, 'shape': (3,), }", 3, "'<f4'");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 3), }", 3, "Fortran");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3), }", 3,
                       "one or two dimensions");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 3,
                       "one or two dimensions");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", 3,
                       "does not fit");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 3), }", 0,
                       "there is no vector");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0), }", 0,
                       "0 dimensions");
    assert_npy_refused("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999, 1), }",
                       3, "");
}

/* ---- numbers ---- */

static void assert_number(const char *text)
{
    char *after;
    float expected = strtof(text, &after), got = 0;
    const char *end = decimal_float(text, text + strlen(text), &got);
    uint32_t a, b;
    memcpy(&a, &expected, 4);
    memcpy(&b, &got, 4);
    if (end != after || a != b)
        fail_msg("%s: %a instead of %a, ends at %s", text, (double)got, (double)expected,
                 end != NULL ? end : "nothing");
}

static void test_odd_numbers(void **state)
{
    static const char *const texts[] = {"0",
                                        "-0",
                                        "1",
                                        "+1",
                                        "-1.5",
                                        ".5",
                                        "5.",
                                        "1e5",
                                        "1E+5",
                                        "1e-5",
                                        "1e",
                                        "1e+",
                                        "1x",
                                        "1e5e",
                                        "0x1p-3",
                                        "0x1.8p1",
                                        "inf",
                                        "-Infinity",
                                        "1e39",
                                        "-1e39",
                                        "3.4028235e38",
                                        "3.4028236e38",
                                        "3.40282356e38",
                                        "1e-45",
                                        "7e-46",
                                        "1.17549435e-38",
                                        "1.1754942e-38",
                                        "16777217",
                                        "16777219",
                                        "33554435",
                                        "9007199791611904",
                                        "9007199791611905",
                                        "9007199791611903",
                                        "123456789012345678901234567890",
                                        "0.00000000000000000000000000000000000000000000001",
                                        "1000000000000000000000000e-24",
                                        "1.00000005960464477539062500",
                                        "1e99999",
                                        "1e-99999",
                                        "8388608.5",
                                        "8388609.5",
                                        "1.000000059604644775390625",
                                        "0.1234567890123456789"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_number(texts[i]);
    float out;
    static const char none[] = "-abc";
    assert_null(decimal_float(none, none, &out));
    assert_null(decimal_float(none, none + 1, &out));
    assert_null(decimal_float(none + 1, none + 4, &out));
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Shortest texts, texts with more digits than needed, and texts at the middle between two floats.
 */
static void test_random_numbers(void **state)
{
    uint64_t random = 88172645463325252;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint32_t bits = (uint32_t)next_random(&random);
        float value, next;
        memcpy(&value, &bits, 4);
        if (!isfinite(value))
            continue;
        bits++;
        memcpy(&next, &bits, 4);
        snprintf(text, sizeof text, "%.9g", (double)value);
        assert_number(text);
        snprintf(text, sizeof text, "%.*g", (int)(next_random(&random) % 25 + 1), (double)value);
        assert_number(text);
        snprintf(text, sizeof text, "%.17g", ((double)value + (double)next) / 2);
        assert_number(text);
        snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)(next_random(&random) >> 40),
                 (unsigned long long)(next_random(&random) >> (next_random(&random) % 64)));
        assert_number(text);
    }
}

/* What is too much is refused as soon as that is known. */
static void a_batch_has_bounds(void **state)
{
    (void)state;
    static const char text[] = "[1,2]\n[3,4]\n[5,6]\nno vector at all";
    const uint8_t *bytes = (const uint8_t *)text;
    struct vector_batch batch = {0};
    struct error error = {""};
    struct vector_form form = {.kind = VECTOR_FLOAT32, .most = 2};
    assert_int_equal(vector_parse(&form, bytes, sizeof text - 1, &batch, &error), -EINVAL);
    assert_non_null(strstr(error.text, "more than 2 vectors"));
    form = (struct vector_form){.kind = VECTOR_FLOAT32, .bytes_most = 30};
    assert_int_equal(vector_parse(&form, bytes, sizeof text - 1, &batch, &error), -EINVAL);
    assert_non_null(strstr(error.text, "vectors at once"));
    form = (struct vector_form){.kind = VECTOR_FLOAT32, .most = 3, .bytes_most = 60};
    assert_int_equal(vector_parse(&form, bytes, 18, &batch, &error), 0);
    assert_int_equal(batch.count, 3);
    vector_batch_clear(&batch);
    static const float numbers[] = {1.5F, 2.5F, 3.5F};
    form = (struct vector_form){.kind = VECTOR_FLOAT32, .dims = 1, .most = 2};
    assert_int_equal(vector_parse(&form, (const uint8_t *)numbers, sizeof numbers, &batch, &error),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_refused_text),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_npy),
        cmocka_unit_test(test_odd_numbers),
        cmocka_unit_test(test_random_numbers),
        cmocka_unit_test(a_batch_has_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
