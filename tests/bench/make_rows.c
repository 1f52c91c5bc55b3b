/* Writes the rows of a benchmark table to stdout, as COPY BINARY; scripts/make-bench-data feeds
 * them to psql.
 *
 *   make_rows vector DIM ROWS         id int, embedding vector(DIM): length 1, normal-like
 *   make_rows halfvec DIM ROWS        the same as halfvec(DIM)
 *   make_rows sparsevec DIM ROWS      id int, embedding sparsevec(DIM): about 100 values each
 *   make_rows ints 0 ROWS             id int, a int, b int, c bigint
 *   make_rows text 0 ROWS             id int, title text, body text, created timestamptz, price
 * numeric, code uuid
 *
 * The same on every run: the generator has a fixed seed.
 */
#include <endian.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_MAX = 16000, SPARSE_VALUES = 100, TEXT_MAX = 2048 };

static char out[1 << 20];
static size_t out_used;
static uint64_t seed = 42;

/* ---- random numbers: splitmix64 ---- */

static uint64_t random64(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint32_t random_below(uint32_t n) { return (uint32_t)(((random64() >> 32) * n) >> 32); }

/* The sum of four even ones is near enough to normal. */
static float random_normal(void)
{
    uint64_t r = random64();
    int32_t sum = (int32_t)((r & 0xffff) + (r >> 16 & 0xffff) + (r >> 32 & 0xffff) + (r >> 48));
    return (float)(sum - 131070);
}

/* ---- COPY BINARY ---- */

static void flush(void)
{
    if (fwrite(out, 1, out_used, stdout) != out_used) {
        perror("make_rows");
        exit(1);
    }
    out_used = 0;
}

static void put(const void *bytes, size_t size)
{
    if (size > sizeof out - out_used)
        flush();
    memcpy(out + out_used, bytes, size);
    out_used += size;
}

static void put16(uint16_t value)
{
    value = htobe16(value);
    put(&value, sizeof value);
}

static void put32(uint32_t value)
{
    value = htobe32(value);
    put(&value, sizeof value);
}

static void put64(uint64_t value)
{
    value = htobe64(value);
    put(&value, sizeof value);
}

static void put_float(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    put32(bits);
}

/* |number| is at most 1. */
static void put_half(float number)
{
    uint32_t bits;
    float magnitude = fabsf(number);
    memcpy(&bits, &number, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, half;
    if (magnitude < 0x1p-14F) { /* subnormal: a multiple of 2^-24 */
        half = (uint32_t)lrintf(magnitude * 0x1p24F);
    } else {
        memcpy(&bits, &magnitude, sizeof bits);
        half = (bits + 0xfff + (bits >> 13 & 1) - (112U << 23)) >> 13;
    }
    put16((uint16_t)(sign | half));
}

static void put_id(uint16_t columns, uint32_t id)
{
    put16(columns);
    put32(4);
    put32(id);
}

/* ---- the tables ---- */

static void fill_unit(float *numbers, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        numbers[i] = random_normal();
        sum += (double)numbers[i] * numbers[i];
    }
    float scale = (float)(1 / sqrt(sum > 0 ? sum : 1));
    for (size_t i = 0; i < n; i++)
        numbers[i] *= scale;
}

static void put_dense(uint32_t id, uint32_t dim, uint32_t size, void (*put_number)(float))
{
    static float numbers[DIM_MAX];
    fill_unit(numbers, dim);
    put_id(2, id);
    put32(4 + dim * size);
    put16((uint16_t)dim);
    put16(0);
    for (uint32_t i = 0; i < dim; i++)
        put_number(numbers[i]);
}

static void put_vector(uint32_t id, uint32_t dim) { put_dense(id, dim, 4, put_float); }

static void put_halfvec(uint32_t id, uint32_t dim) { put_dense(id, dim, 2, put_half); }

/* One value in each of as many equal stretches, so that the indices ascend; a few stretches stay
 * empty. */
static void put_sparsevec(uint32_t id, uint32_t dim)
{
    float numbers[SPARSE_VALUES + 10];
    uint32_t indices[SPARSE_VALUES + 10], n = 0;
    uint32_t stretches = SPARSE_VALUES - 10 + random_below(20), width = dim / stretches;
    for (uint32_t i = 0; i < stretches && width > 0; i++)
        indices[n++] = i * width + random_below(width);
    fill_unit(numbers, n);
    for (uint32_t i = 0; i < n; i++)
        if (numbers[i] == 0)
            numbers[i] = 0.5F; /* a stored zero is refused */
    put_id(2, id);
    put32(12 + 8 * n);
    put32(dim);
    put32(n);
    put32(0);
    for (uint32_t i = 0; i < n; i++)
        put32(indices[i]);
    for (uint32_t i = 0; i < n; i++)
        put_float(numbers[i]);
}

static void put_ints(uint32_t id, uint32_t unused)
{
    (void)unused;
    put_id(4, id);
    put32(4);
    put32(random_below(1000000));
    put32(4);
    put32((uint32_t)random64());
    put32(8);
    put64(random64() >> random_below(48));
}

static const char *const words[] = {
    "the",      "of",      "and",    "database",  "vector",   "a",       "to",       "distance",
    "in",       "page",    "index",  "neighbour", "is",       "for",     "recall",   "with",
    "row",      "column",  "query",  "on",        "by",       "storage", "snapshot", "that",
    "replica",  "as",      "at",     "cluster",   "Zürich",   "café",    "naïve",    "from",
    "checksum", "backup",  "memory", "cache",     "it",       "kernel",  "an",       "embedding",
    "model",    "token",   "or",     "sentence",  "search",   "rank",    "price",    "inventory",
    "customer", "invoice", "be",     "shipping",  "north",    "winter",  "this",     "archive",
    "measure",  "was",     "sample", "network",   "protocol", "ledger",  "garden",   "Œuvre",
};

/* About `length` bytes of words; `plain`: without anything that CSV would quote. Returns the size.
 */
static uint32_t make_prose(char *text, uint32_t length, int plain, int broken)
{
    uint32_t n = 0;
    while (n < length) {
        uint64_t r = random64();
        const char *word = words[r % (sizeof words / sizeof *words)];
        uint32_t kind = r >> 32 & 63;
        int quoted = !plain && kind == 0;
        n += (uint32_t)sprintf(text + n, quoted ? "\"%s\"" : "%s", word);
        if (!plain && kind >= 1 && kind <= 5)
            text[n++] = ',';
        else if (kind == 6)
            text[n++] = '.';
        text[n++] = broken && kind >= 60 ? '\n' : ' ';
    }
    return n - 1;
}

/* Half of the titles need no quotes; a third of the bodies has line breaks. */
static void put_text(uint32_t id, uint32_t unused)
{
    char text[TEXT_MAX];
    (void)unused;
    put_id(6, id);
    uint32_t n = make_prose(text, 25 + random_below(25), (int)random_below(2), 0);
    put32(n);
    put(text, n);
    n = make_prose(text, 350 + random_below(300), 0, random_below(3) == 0);
    put32(n);
    put(text, n);
    put32(8); /* microseconds since 2000: ten years from 2015 on */
    put64(473385600000000 + random64() % 315532800000000);
    uint32_t cents = random_below(1000000);
    put32(12); /* numeric: two digits of base 10000, weight 0, positive, scale 2 */
    put16(2);
    put16(0);
    put16(0);
    put16(2);
    put16((uint16_t)(cents / 100));
    put16((uint16_t)(cents % 100 * 100));
    put32(16); /* a random UUID, version 4 */
    put64((random64() & ~UINT64_C(0xf000)) | 0x4000);
    put64((random64() >> 2) | (UINT64_C(1) << 63));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*put_row)(uint32_t id, uint32_t dim);
    } kinds[] = {{"vector", put_vector},
                 {"halfvec", put_halfvec},
                 {"sparsevec", put_sparsevec},
                 {"ints", put_ints},
                 {"text", put_text}};
    void (*put_row)(uint32_t, uint32_t) = NULL;
    for (size_t i = 0; argc == 4 && i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            put_row = kinds[i].put_row;
    unsigned long dim = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    unsigned long rows = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (put_row == NULL || rows == 0 || rows > INT32_MAX ||
        (dim > DIM_MAX && put_row != put_sparsevec)) {
        fputs("usage: make_rows vector|halfvec|sparsevec|ints|text DIM ROWS\n", stderr);
        return 2;
    }
    put("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (unsigned long id = 1; id <= rows; id++)
        put_row((uint32_t)id, (uint32_t)dim);
    put16(UINT16_MAX);
    flush();
    if (fclose(stdout) != 0) {
        perror("make_rows");
        return 1;
    }
    return 0;
}
