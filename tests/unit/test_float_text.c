/* Known numbers with the answers of PostgreSQL 15; all float4 and many float8 are compared in
 * tests/exhaustive. */
#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/half_text.h"
#include "codec/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    uint32_t bits;
    const char *text;
} float4_answers[] = {
    {0x00000000, "0"},
    {0x80000000, "-0"},
    {0x3f800000, "1"},
    {0xbf800000, "-1"},
    {0x41200000, "10"},
    {0x497423f0, "999999"},
    {0x49742400, "1e+06"},
    {0xc9742400, "-1e+06"},
    {0x4b18967f, "9.999999e+06"},
    {0x4b7fffff, "1.6777215e+07"},
    {0x4b800000, "1.6777216e+07"},
    {0x4b800000, "1.6777216e+07"},
    {0x47f12000, "123456"},
    {0x4996b438, "1.234567e+06"},
    {0x47c35000, "100000"},
    {0x3dcccccd, "0.1"},
    {0x3f000000, "0.5"},
    {0x3e800000, "0.25"},
    {0xba83126f, "-0.001"},
    {0x38d1b717, "0.0001"},
    {0x3901742d, "0.00012345678"},
    {0xba83126f, "-0.001"},
    {0x3727c5ac, "1e-05"},
    {0x3e99999a, "0.3"},
    {0x40490fdb, "3.1415927"},
    {0x402df854, "2.7182817"},
    {0xbf800001, "-1.0000001"},
    {0x3fc00000, "1.5"},
    {0x41180000, "9.5"},
    {0x47c34ff3, "99999.9"},
    {0x47c35040, "100000.5"},
    {0x497423fe, "999999.9"},
    {0x4b000000, "8.388608e+06"},
    {0x4a800001, "4.1943045e+06"},
    {0x4c000000, "3.3554432e+07"},
    {0x50000000, "8.589935e+09"},
    {0x4d000000, "1.3421773e+08"},
    {0x4f000000, "2.1474836e+09"},
    {0x4f800000, "4.2949673e+09"},
    {0x501502f9, "1e+10"},
    {0x60ad78ec, "1e+20"},
    {0x7e967699, "1e+38"},
    {0x7f7fffff, "3.4028235e+38"},
    {0x7f7ffffe, "3.4028233e+38"},
    {0x7f000000, "1.7014118e+38"},
    {0x00800000, "1.1754944e-38"},
    {0x007fffff, "1.1754942e-38"},
    {0x00800001, "1.1754945e-38"},
    {0x02081cea, "1e-37"},
    {0x000116c2, "1e-40"},
    {0x00000007, "1e-44"},
    {0x00000007, "1e-44"},
    {0x00000001, "1e-45"},
    {0x00000002, "3e-45"},
    {0x00000003, "4e-45"},
    {0x00000005, "7e-45"},
    {0x1f6c1e4a, "5e-20"},
    {0x59be6cea, "6.7e+15"},
    {0x5d5ab6c4, "9.85e+17"},
    {0x2cc4a9bd, "5.5895e-12"},
    {0x15ae43fd, "7.038531e-26"},
    {0x2cf757ca, "7.0299088e-12"},
    {0x15461206, "4e-26"},
    {0x14c61206, "2e-26"},
    {0x17558b6f, "6.9e-25"},
    {0x1e6036b3, "1.1869773e-20"},
    {0x35800000, "9.536743e-07"},
    {0x2d800000, "1.4551915e-11"},
    {0x0d800000, "7.888609e-31"},
    {0x3d800000, "0.0625"},
    {0x3be56042, "0.007"},
    {0x3d8f5c29, "0.07"},
    {0x3f333333, "0.7"},
    {0x40e00000, "7"},
    {0x428c0000, "70"},
    {0x49742400, "1e+06"},
    {0x4b189680, "1e+07"},
    {0x38d1b717, "0.0001"},
    {0x38d1b68e, "9.9999e-05"},
    {0x7fc00000, "NaN"},
    {0x7f800000, "Infinity"},
    {0xff800000, "-Infinity"},
};

static const struct {
    uint64_t bits;
    const char *text;
} float8_answers[] = {
    {UINT64_C(0x0000000000000000), "0"},
    {UINT64_C(0x8000000000000000), "-0"},
    {UINT64_C(0x3ff0000000000000), "1"},
    {UINT64_C(0xbff0000000000000), "-1"},
    {UINT64_C(0x4024000000000000), "10"},
    {UINT64_C(0x3fb999999999999a), "0.1"},
    {UINT64_C(0x3fd3333333333333), "0.3"},
    {UINT64_C(0x42d6bcc41e900000), "100000000000000"},
    {UINT64_C(0x430c6bf526340000), "1e+15"},
    {UINT64_C(0x4341c37937e08000), "1e+16"},
    {UINT64_C(0x430c6bf52633fff8), "999999999999999"},
    {UINT64_C(0x430c6bf52633ffff), "999999999999999.9"},
    {UINT64_C(0x42dc12218377de40), "123456789012345"},
    {UINT64_C(0x43118b54f22aeb00), "1.234567890123456e+15"},
    {UINT64_C(0x433fffffffffffff), "9.007199254740991e+15"},
    {UINT64_C(0x4340000000000000), "9.007199254740992e+15"},
    {UINT64_C(0x4340000000000001), "9.007199254740994e+15"},
    {UINT64_C(0x4330000000000000), "4.503599627370496e+15"},
    {UINT64_C(0x4330000000000002), "4.503599627370498e+15"},
    {UINT64_C(0x4320000000000004), "2.25179981368525e+15"},
    {UINT64_C(0x444b1ae4d6e2ef50), "1e+21"},
    {UINT64_C(0x4480f0cf064dd592), "1e+22"},
    {UINT64_C(0x44b52d02c7e14af6), "9.999999999999999e+22"},
    {UINT64_C(0x7e41eb2d66005835), "1.5e+300"},
    {UINT64_C(0xbf1a36e2eb1c432d), "-0.0001"},
    {UINT64_C(0x3f202e85be180b74), "0.00012345678901234567"},
    {UINT64_C(0x3f1797cc39ffd60f), "9e-05"},
    {UINT64_C(0x3ee4f8b588e368f1), "1e-05"},
    {UINT64_C(0x0000000000000001), "5e-324"},
    {UINT64_C(0x0000000000000002), "1e-323"},
    {UINT64_C(0x0000000000000003), "1.5e-323"},
    {UINT64_C(0x0000000000000004), "2e-323"},
    {UINT64_C(0x0000000000000014), "1e-322"},
    {UINT64_C(0x0000000000000002), "1e-323"},
    {UINT64_C(0x0010000000000000), "2.2250738585072014e-308"},
    {UINT64_C(0x000fffffffffffff), "2.225073858507201e-308"},
    {UINT64_C(0x0010000000000000), "2.2250738585072014e-308"},
    {UINT64_C(0x7fefffffffffffff), "1.7976931348623157e+308"},
    {UINT64_C(0x7feffffffffffffe), "1.7976931348623155e+308"},
    {UINT64_C(0x7fe0000000000000), "8.98846567431158e+307"},
    {UINT64_C(0x4011666666666666), "4.35"},
    {UINT64_C(0x3ff4cccccccccccd), "1.3"},
    {UINT64_C(0x405edd2f1a9fbe77), "123.456"},
    {UINT64_C(0x4023000000000000), "9.5"},
    {UINT64_C(0x3fee666666666666), "0.95"},
    {UINT64_C(0x3e60000000000000), "2.9802322387695312e-08"},
    {UINT64_C(0x3eb0000000000000), "9.5367431640625e-07"},
    {UINT64_C(0x5fef06d5a4bf631f), "1.3e+154"},
    {UINT64_C(0x4c26afad26e465e9), "7.120190517612959e+58"},
    {UINT64_C(0x3ddb7cdfd9d7bdbb), "1e-10"},
    {UINT64_C(0x54b249ad2594c37d), "1e+100"},
    {UINT64_C(0x2b2bff2ee48e0530), "1e-100"},
    {UINT64_C(0x0020000000000000), "4.450147717014403e-308"},
    {UINT64_C(0x4112a3f07ae147ae), "305404.12"},
    {UINT64_C(0x40bfa307fcb923a3), "8099.0312"},
    {UINT64_C(0x4352bd2668e077c4), "2.1098088986959632e+16"},
    {UINT64_C(0x00000000000f4240), "4.940656e-318"},
    {UINT64_C(0x00000000016e3600), "1.18575755e-316"},
    {UINT64_C(0x0000008cdcdea440), "2.989102097996e-312"},
    {UINT64_C(0x434018601510c000), "9.0608011534336e+15"},
    {UINT64_C(0x43d055dc36f24000), "4.708356024711512e+18"},
    {UINT64_C(0x43e052961c6f8000), "9.409340012568248e+18"},
    {UINT64_C(0x4830f0cf064dd592), "5.764607523034235e+39"},
    {UINT64_C(0x4840f0cf064dd592), "1.152921504606847e+40"},
    {UINT64_C(0x4850f0cf064dd592), "2.305843009213694e+40"},
    {UINT64_C(0x4040000000000000), "32"},
    {UINT64_C(0x401203af9ee7561a), "4.5035996273705"},
    {UINT64_C(0x4180000000000000), "33554432"},
    {UINT64_C(0x4200000000000000), "8589934592"},
    {UINT64_C(0x7ff8000000000000), "NaN"},
    {UINT64_C(0x7ff0000000000000), "Infinity"},
    {UINT64_C(0xfff0000000000000), "-Infinity"},
};

static void test_float4(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof float4_answers / sizeof *float4_answers; i++) {
        char out[FLOAT4_TEXT_MAX + 1];
        out[float4_text(float4_answers[i].bits, out)] = '\0';
        assert_string_equal(out, float4_answers[i].text);
    }
}

static void test_float8(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof float8_answers / sizeof *float8_answers; i++) {
        char out[FLOAT8_TEXT_MAX + 1];
        out[float8_text(float8_answers[i].bits, out)] = '\0';
        assert_string_equal(out, float8_answers[i].text);
    }
}

/* Any NaN, of either sign, is NaN. */
static void test_nan(void **state)
{
    (void)state;
    char out[FLOAT8_TEXT_MAX];
    for (uint32_t fraction = 1; fraction < 1U << 23; fraction = fraction * 3 + 1) {
        assert_int_equal(float4_text(0x7f800000 | fraction, out), 3);
        assert_memory_equal(out, "NaN", 3);
        assert_int_equal(float4_text(0xff800000 | fraction, out), 3);
        assert_memory_equal(out, "NaN", 3);
        assert_int_equal(float8_text(UINT64_C(0xfff0000000000000) | fraction, out), 3);
        assert_memory_equal(out, "NaN", 3);
    }
}

/* Every exponent with the ends of its fractions: shorter than the maximum, nothing written behind
 * it, and it reads back as the same number. */
static void test_every_exponent(void **state)
{
    (void)state;
    static const uint64_t fractions[] = {
        0, 1, 0x5555555555555, 0x7ffffffffffff, 0x8000000000000, 0xfffffffffffff};
    for (uint32_t top = 0; top < 4096; top++) {
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
            char out[FLOAT8_TEXT_MAX + 1] = {[FLOAT8_TEXT_MAX] = '#'};
            uint64_t bits = (uint64_t)top << 52 | fractions[i], back;
            size_t n = float8_text(bits, out);
            assert_int_equal(out[FLOAT8_TEXT_MAX], '#');
            assert_true(n >= 1 && n <= 24);
            out[n] = '\0';
            double number = strtod(out, NULL);
            memcpy(&back, &number, sizeof back);
            assert_true(back == bits || strcmp(out, "NaN") == 0);
        }
    }
    for (uint32_t top = 0; top < 512; top++) {
        for (size_t i = 0; i < sizeof fractions / sizeof *fractions; i++) {
            char out[FLOAT4_TEXT_MAX + 1] = {[FLOAT4_TEXT_MAX] = '#'};
            uint32_t bits = top << 23 | (uint32_t)(fractions[i] >> 29), back;
            size_t n = float4_text(bits, out);
            assert_int_equal(out[FLOAT4_TEXT_MAX], '#');
            assert_true(n >= 1 && n <= 15);
            out[n] = '\0';
            float number = strtof(out, NULL);
            memcpy(&back, &number, sizeof back);
            assert_true(back == bits || strcmp(out, "NaN") == 0);
        }
    }
}

static void test_half(void **state)
{
    (void)state;
    static const struct {
        uint16_t half;
        uint32_t bits;
    } known[] = {
        {0x0000, 0x00000000}, {0x8000, 0x80000000}, {0x0001, 0x33800000}, {0x8001, 0xb3800000},
        {0x0002, 0x34000000}, {0x0003, 0x34400000}, {0x03ff, 0x387fc000}, {0x0400, 0x38800000},
        {0x3555, 0x3eaaa000}, {0x3c00, 0x3f800000}, {0xc000, 0xc0000000}, {0x7bff, 0x477fe000},
        {0x7c00, 0x7f800000}, {0xfc00, 0xff800000}, {0x7e00, 0x7fc00000}, {0x7c01, 0x7f802000},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(half_to_float4(known[i].half), known[i].bits);
}

static const enum isa levels[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
#define LEVELS (sizeof levels / sizeof *levels)

#define BATCH_MAX 40

/* All levels give float4_text's texts and their sizes, and write no further than they may, wherever
 * the numbers lie. */
static void check_batch(const uint32_t *numbers, size_t count)
{
    uint8_t memory[4 * BATCH_MAX + 4], lengths[BATCH_MAX + 1], sizes[BATCH_MAX];
    char expected[FLOAT4_TEXTS_MAX(BATCH_MAX)], out[FLOAT4_TEXTS_MAX(BATCH_MAX) + 1];
    size_t size = 0, room = FLOAT4_TEXTS_MAX(count), at = numbers[0] >> 3 & 3;
    for (size_t i = 0; i < count; i++) {
        store_be32(memory + at + 4 * i, numbers[i]);
        sizes[i] = (uint8_t)(float4_text(numbers[i], expected + size) + 1);
        size += sizes[i];
        expected[size - 1] = ',';
    }
    for (size_t i = 0; i < LEVELS; i++) {
        isa_force(levels[i]);
        out[room] = '#';
        lengths[count] = 0x55;
        assert_int_equal(float4_texts(memory + at, count, out, lengths), size);
        assert_memory_equal(out, expected, size);
        assert_int_equal(out[room], '#');
        assert_memory_equal(lengths, sizes, count);
        assert_int_equal(lengths[count], 0x55);
        memset(out, 0, size);
        assert_int_equal(float4_texts(memory + at, count, out, NULL), size);
        assert_memory_equal(out, expected, size);
    }
}

static uint32_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 32);
}

static bool is_finite(uint32_t bits) { return (bits & 0x7f800000) != 0x7f800000; }

/* Batches of every length: of the answers above, so with zeros and subnormals among others, and of
 * random numbers of all sizes and of one. */
static void test_batches(void **state)
{
    (void)state;
    uint64_t random = 1;
    size_t answer = 0, answers = sizeof float4_answers / sizeof *float4_answers;
    for (size_t count = 1; count <= BATCH_MAX; count++)
        for (int round = 0; round < 300; round++) {
            uint32_t numbers[BATCH_MAX], sample = random_next(&random);
            for (size_t i = 0; i < count; i++) {
                uint32_t bits = random_next(&random);
                if (round % 3 == 0)
                    bits = float4_answers[answer++ % answers].bits;
                else if (round % 3 == 1)
                    bits = (sample & 0x7f800000) | (bits & 0x807fffff);
                numbers[i] = is_finite(bits) ? bits : bits & 0x807fffff;
            }
            check_batch(numbers, count);
        }
}

/* All exponents with random fractions, and the neighbours of powers of two and of ten; those of a
 * batch are of 16 exponents. */
static void test_batch_exponents(void **state)
{
    (void)state;
    uint64_t random = 1;
    uint32_t numbers[16];
    for (int round = 0; round < 200; round++)
        for (uint32_t from = 0; from < 512; from += 16) {
            for (uint32_t i = 0; i < 16; i++) {
                uint32_t fraction = random_next(&random), bits = (from + i) << 23;
                if (round < 8) /* -4 to 3 */
                    fraction = (uint32_t)round - 4;
                bits = round < 8 ? bits + fraction : bits | (fraction & 0x7fffff);
                numbers[i] = is_finite(bits) ? bits : 0;
            }
            check_batch(numbers, 16);
        }
    for (int exponent = -45; exponent <= 38; exponent++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", exponent);
        float power = strtof(text, NULL);
        uint32_t bits;
        memcpy(&bits, &power, sizeof bits);
        for (uint32_t i = 0; i < 16; i++)
            numbers[i] = bits + i - 8 < 0x80000000 ? bits + i - 8 : 0;
        check_batch(numbers, 16);
    }
}

/* No vector holds a number that is not finite, wherever it stands. */
static void test_batch_not_finite(void **state)
{
    (void)state;
    static const uint32_t others[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffffffff, 0x7f800001};
    uint8_t wire[4 * BATCH_MAX];
    char out[FLOAT4_TEXTS_MAX(BATCH_MAX)];
    for (size_t level = 0; level < LEVELS; level++) {
        isa_force(levels[level]);
        assert_int_equal(float4_texts(wire, 0, out, NULL), 0);
        for (size_t count = 1; count <= BATCH_MAX; count++)
            for (size_t where = 0; where < count; where++) {
                for (size_t i = 0; i < count; i++)
                    store_be32(wire + 4 * i, 0x3f800000 + (uint32_t)i);
                store_be32(wire + 4 * where, others[(where + count) % 5]);
                assert_int_equal(float4_texts(wire, count, out, NULL), 0);
            }
    }
}

static void test_half_texts(void **state)
{
    (void)state;
    static const uint8_t wire[] = {0x3c, 0x00, 0x80, 0x00, 0x00, 0x01, 0x7b, 0xff, 0xb5, 0x55};
    static const uint8_t infinite[] = {0x3c, 0x00, 0x7c, 0x00}, nan[] = {0xfe, 0x01};
    char out[FLOAT4_TEXTS_MAX(5)];
    size_t n = half_texts(wire, 5, out);
    assert_int_equal(n, strlen("1,-0,5.9604645e-08,65504,-0.33325195,"));
    assert_memory_equal(out, "1,-0,5.9604645e-08,65504,-0.33325195,", n);
    assert_int_equal(half_texts(wire, 0, out), 0);
    assert_int_equal(half_texts(infinite, 2, out), 0);
    assert_int_equal(half_texts(nan, 1, out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float4),
        cmocka_unit_test(test_float8),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_every_exponent),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_batch_exponents),
        cmocka_unit_test(test_batch_not_finite),
        cmocka_unit_test(test_half_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
