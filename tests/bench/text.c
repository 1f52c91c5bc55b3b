/* Prints how long the text of a number takes: nanoseconds a number, the least of many runs, for
 * each level of instructions that the machine has, and for PostgreSQL's own routine. The numbers
 * are those of vectors: 64 of 1536 components. */
#include "codec/bytes.h"
#include "codec/float_text.h"
#include "codec/isa.h"
#include "codec/vector_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int float_to_shortest_decimal_bufn(float f, char *result);
int double_to_shortest_decimal_bufn(double f, char *result);

#define DIM 1536
#define VECTORS 64
#define SPARSE_DIM 30522 /* a vocabulary */
#define SPARSE_NNZ 128
#define RUNS 41

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
    uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static double uniform(void) { return ((double)(random_next() >> 11) + 0.5) * 0x1p-53; }

static double normal(void)
{
    return sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform());
}

static double component(void) { return normal() / sqrt(DIM); }

/* Half of them print with an exponent. */
static double mixed(void) { return normal() * exp((uniform() - 0.5) * 60); }

static double small_integer(void) { return (double)(int)(random_next() % 201) - 100; }

static uint32_t float_bits(double number)
{
    float narrow = (float)number;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    return bits;
}

static uint64_t double_bits(double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

/* Rounds towards 0; small numbers become 0. */
static uint16_t half_bits(double number)
{
    uint32_t bits = float_bits(number);
    int biased = (int)(bits >> 23 & 0xff) - 112;
    uint32_t rest = biased < 1 ? 0 : (uint32_t)biased << 10 | (bits >> 13 & 0x3ff);
    return (uint16_t)((bits >> 16 & 0x8000) | rest);
}

/* VECTORS values of the same size. */
struct values {
    uint8_t *bytes;
    size_t size, numbers;
};

static struct values values_new(size_t size, size_t numbers)
{
    struct values values = {malloc(VECTORS * size), size, VECTORS * numbers};
    if (values.bytes == NULL)
        exit(1);
    return values;
}

static struct values float4_vectors(double make(void))
{
    struct values values = values_new(4 + 4 * DIM, DIM);
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t *at = values.bytes + i * values.size;
        store_be32(at, (uint32_t)DIM << 16);
        for (size_t j = 0; j < DIM; j++)
            store_be32(at + 4 + 4 * j, float_bits(make()));
    }
    return values;
}

static struct values half_vectors(double make(void))
{
    struct values values = values_new(4 + 2 * DIM, DIM);
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t *at = values.bytes + i * values.size;
        store_be32(at, (uint32_t)DIM << 16);
        for (size_t j = 0; j < DIM; j++)
            store_be16(at + 4 + 2 * j, half_bits(make()));
    }
    return values;
}

static struct values sparse_vectors(void)
{
    struct values values = values_new(12 + 8 * SPARSE_NNZ, SPARSE_NNZ);
    for (size_t i = 0; i < VECTORS; i++) {
        uint8_t *at = values.bytes + i * values.size;
        store_be32(at, SPARSE_DIM);
        store_be32(at + 4, SPARSE_NNZ);
        store_be32(at + 8, 0);
        uint32_t step = SPARSE_DIM / SPARSE_NNZ;
        for (uint32_t j = 0; j < SPARSE_NNZ; j++) {
            store_be32(at + 12 + 4 * j, j * step + (uint32_t)(random_next() % step));
            store_be32(at + 12 + 4 * (SPARSE_NNZ + j), float_bits(0.01 + fabs(normal())));
        }
    }
    return values;
}

static struct values doubles(double make(void))
{
    struct values values = values_new(8 * DIM, DIM);
    for (size_t i = 0; i < VECTORS * DIM; i++)
        store_be64(values.bytes + 8 * i, double_bits(make()));
    return values;
}

typedef void work(const struct values *values);

static struct buffer out;
static render_value *render;

static void render_all(const struct values *values)
{
    out.size = 0;
    for (size_t i = 0; i < VECTORS; i++)
        if (render(values->bytes + i * values->size, values->size, &out) != 0)
            exit(1);
}

static void float8_all(const struct values *values)
{
    for (size_t i = 0; i < VECTORS; i++) {
        char *at = (char *)out.data; /* large enough from the vectors */
        for (size_t j = 0; j < DIM; j++)
            at += float8_text(load_be64(values->bytes + 8 * (i * DIM + j)), at);
    }
}

static void float8_theirs(const struct values *values)
{
    for (size_t i = 0; i < VECTORS; i++) {
        char *at = (char *)out.data;
        for (size_t j = 0; j < DIM; j++) {
            uint64_t bits = load_be64(values->bytes + 8 * (i * DIM + j));
            double number;
            memcpy(&number, &bits, sizeof number);
            at += double_to_shortest_decimal_bufn(number, at);
        }
    }
}

static void float4_theirs(const struct values *values)
{
    for (size_t i = 0; i < VECTORS; i++) {
        const uint8_t *wire = values->bytes + i * values->size + 4;
        char *at = (char *)out.data;
        for (size_t j = 0; j < DIM; j++) {
            uint32_t bits = load_be32(wire + 4 * j);
            float number;
            memcpy(&number, &bits, sizeof number);
            at += float_to_shortest_decimal_bufn(number, at);
            *at++ = ',';
        }
    }
}

static double run_ns(work *what, const struct values *values)
{
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    what(values);
    clock_gettime(CLOCK_MONOTONIC, &to);
    double ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    return ns / (double)values->numbers;
}

/* In turns, so that all meet the same machine. */
static void bench_levels(const char *name, work *what, render_value *how, struct values values,
                         work *theirs)
{
    static const enum isa levels[] = {ISA_SCALAR, ISA_AVX2, ISA_AVX512};
    enum { LEVELS = sizeof levels / sizeof *levels };
    double least[LEVELS + 1];
    for (size_t i = 0; i <= LEVELS; i++)
        least[i] = INFINITY;
    render = how;
    for (int run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < LEVELS; i++)
            if (isa_force(levels[i]) == levels[i])
                least[i] = fmin(least[i], run_ns(what, &values));
        if (theirs != NULL)
            least[LEVELS] = fmin(least[LEVELS], run_ns(theirs, &values));
    }
    printf("%-22s", name);
    for (size_t i = 0; i <= LEVELS; i++)
        if (least[i] < INFINITY)
            printf(i < LEVELS ? "%9.2f" : "%12.2f", least[i]);
        else
            printf("%9s", "");
    putchar('\n');
    free(values.bytes);
}

int main(void)
{
    printf("%-22s%9s%9s%9s%12s\n", "ns a number", isa_name(ISA_SCALAR), isa_name(ISA_AVX2),
           isa_name(ISA_AVX512), "libpgcommon");
    bench_levels("vector", render_all, vector_render, float4_vectors(component), float4_theirs);
    bench_levels("vector, mixed", render_all, vector_render, float4_vectors(mixed), float4_theirs);
    bench_levels("vector, integers", render_all, vector_render, float4_vectors(small_integer),
                 float4_theirs);
    bench_levels("halfvec", render_all, halfvec_render, half_vectors(component), NULL);
    bench_levels("sparsevec", render_all, sparsevec_render, sparse_vectors(), NULL);
    bench_levels("sparsevec as JSON", render_all, sparsevec_render_json, sparse_vectors(), NULL);
    bench_levels("float8", float8_all, NULL, doubles(component), float8_theirs);
    bench_levels("float8, mixed", float8_all, NULL, doubles(mixed), float8_theirs);
    buffer_clear(&out);
    return 0;
}
