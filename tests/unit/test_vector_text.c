/* Vectors longer than those of test_type.c, on every level of instructions, against their numbers
 * one by one. */
#include "codec/vector_text.h"

#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/half_text.h"
#include "codec/isa.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIM_MAX 16000

static const enum isa levels[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
static const uint32_t dims[] = {1, 2, 15, 16, 17, 127, 128, 129, 255, 256, 257, 513, 1536, DIM_MAX};
#define DIMS (sizeof dims / sizeof *dims)

static uint8_t wire[12 + 8 * DIM_MAX];
static char expected[64 + 40 * DIM_MAX];
static size_t expected_size;

static void expect(const char *text)
{
    memcpy(expected + expected_size, text, strlen(text));
    expected_size += strlen(text);
}

static void expect_float4(uint32_t bits)
{
    expected_size += float4_text(bits, expected + expected_size);
}

/* Finite and not 0, of any size. */
static uint32_t number(uint32_t i)
{
    uint32_t bits = i * 2654435761U;
    return (bits & 0x7f800000) == 0x7f800000 || bits << 1 == 0 ? 0x3f800000 + i : bits;
}

static void check(render_value *render, size_t size)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct buffer out = {0};
        isa_force(levels[i]);
        assert_int_equal(render(wire, size, &out), 0);
        assert_int_equal(out.size, expected_size);
        assert_memory_equal(out.data, expected, expected_size);
        buffer_clear(&out);
    }
    expected_size = 0;
}

static void test_vector(void **state)
{
    (void)state;
    for (size_t i = 0; i < DIMS; i++) {
        store_be32(wire, dims[i] << 16);
        for (uint32_t j = 0; j < dims[i]; j++) {
            store_be32(wire + 4 + 4 * j, number(j));
            expect(j == 0 ? "[" : ",");
            expect_float4(number(j));
        }
        expect("]");
        check(vector_render, 4 + 4 * dims[i]);
    }
}

static void test_halfvec(void **state)
{
    (void)state;
    for (size_t i = 0; i < DIMS; i++) {
        store_be32(wire, dims[i] << 16);
        for (uint32_t j = 0; j < dims[i]; j++) {
            uint16_t half = (uint16_t)(j * 40503U) & 0xbfff;
            store_be16(wire + 4 + 2 * j, half);
            expect(j == 0 ? "[" : ",");
            expect_float4(half_to_float4(half));
        }
        expect("]");
        check(halfvec_render, 4 + 2 * dims[i]);
    }
}

static uint32_t make_sparse(size_t i)
{
    uint32_t nnz = dims[i], step = 1000000000 / DIM_MAX;
    store_be32(wire, 1000000000);
    store_be32(wire + 4, nnz);
    store_be32(wire + 8, 0);
    for (uint32_t j = 0; j < nnz; j++) {
        store_be32(wire + 12 + 4 * j, j * step);
        store_be32(wire + 12 + 4 * (nnz + j), number(j));
    }
    return nnz;
}

static void expect_index(uint32_t j)
{
    char text[16];
    snprintf(text, sizeof text, "%u", j * (1000000000 / DIM_MAX) + 1);
    expect(text);
}

static void test_sparsevec(void **state)
{
    (void)state;
    for (size_t i = 0; i < DIMS; i++) {
        uint32_t nnz = make_sparse(i);
        for (uint32_t j = 0; j < nnz; j++) {
            expect(j == 0 ? "{" : ",");
            expect_index(j);
            expect(":");
            expect_float4(number(j));
        }
        expect("}/1000000000");
        check(sparsevec_render, 12 + 8 * nnz);
    }
}

static void test_sparsevec_json(void **state)
{
    (void)state;
    for (size_t i = 0; i < DIMS; i++) {
        uint32_t nnz = make_sparse(i);
        expect("{\"dim\":1000000000,\"indices\":");
        for (uint32_t j = 0; j < nnz; j++) {
            expect(j == 0 ? "[" : ",");
            expect_index(j);
        }
        expect("],\"values\":");
        for (uint32_t j = 0; j < nnz; j++) {
            expect(j == 0 ? "[" : ",");
            expect_float4(number(j));
        }
        expect("]}");
        check(sparsevec_render_json, 12 + 8 * nnz);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vector),
        cmocka_unit_test(test_halfvec),
        cmocka_unit_test(test_sparsevec),
        cmocka_unit_test(test_sparsevec_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
