/* The vectors of a file (vectors.h) as COPY BINARY has them (index/span.h), for benchmarks. */
#ifndef BENCH_VALUES_H
#define BENCH_VALUES_H

#include "codec/bytes.h"
#include "index/span.h"
#include "tests/bench/vectors.h"

#include <stdbool.h>

struct values {
    struct span span;
    enum element element;
    uint32_t dims;
    struct vectors_file memory;
    uint64_t *starts; /* the span's, or NULL */
};

static inline bool path_ends(const char *path, const char *end)
{
    size_t size = strlen(path), end_size = strlen(end);
    return size > end_size && strcmp(path + size - end_size, end) == 0;
}

/* In place: a value is as large as its row. */
static inline void values_from_dense(struct values *values, const char *path)
{
    values->span.rows = vectors_dense(path, values->memory, &values->dims);
    values->span.fixed = 4 + 4 * values->dims;
    for (size_t row = 0; row < values->span.rows; row++) {
        uint8_t *at = values->memory.bytes + row * values->span.fixed;
        store_be16(at, (uint16_t)values->dims);
        store_be16(at + 2, 0);
        for (size_t i = 1; i <= values->dims; i++)
            store_be32(at + 4 * i, load_le32(at + 4 * i));
    }
}

static inline void values_from_bits(struct values *values, const char *path)
{
    size_t size = values->memory.size;
    values->dims = size >= 4 ? load_le32(values->memory.bytes) : 0;
    values->span.fixed = 4 + (values->dims + 7) / 8;
    values->span.rows = (uint32_t)(size / values->span.fixed);
    if (values->dims == 0 || size % values->span.fixed != 0)
        vectors_die(path, "is no .bits of rows of one size");
    for (size_t row = 0; row < values->span.rows; row++)
        store_be32(values->memory.bytes + row * values->span.fixed, values->dims);
}

/* A value is four bytes longer than its row. */
static inline void values_from_sparse(struct values *values, const char *path)
{
    struct vectors_file file = values->memory;
    uint32_t rows = 0;
    for (size_t at = 0; at < file.size; rows++) {
        if (file.size - at < 8 || (file.size - at - 8) / 8 < load_le32(file.bytes + at + 4))
            vectors_die(path, "is no .svecs");
        at += 8 + 8 * (size_t)load_le32(file.bytes + at + 4);
    }
    values->memory.size = file.size + 4 * (size_t)rows;
    values->memory.bytes =
        mmap(NULL, values->memory.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (values->memory.bytes == MAP_FAILED)
        vectors_die(path, "there is not enough memory for it");
    values->starts = vectors_room((size_t)rows + 1, sizeof *values->starts);
    const uint8_t *from = file.bytes;
    uint8_t *to = values->memory.bytes;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t numbers = 2 * load_le32(from + 4); /* dimensions and what is there */
        values->dims = load_le32(from);
        values->starts[row] = (uint64_t)(to - values->memory.bytes);
        store_be32(to, values->dims);
        store_be32(to + 4, numbers / 2);
        store_be32(to + 8, 0);
        for (size_t i = 0; i < numbers; i++)
            store_be32(to + 12 + 4 * i, load_le32(from + 8 + 4 * i));
        from += 8 + 4 * (size_t)numbers;
        to += 12 + 4 * (size_t)numbers;
    }
    values->starts[rows] = (uint64_t)(to - values->memory.bytes);
    values->span.rows = rows;
    vectors_unmap(file);
}

static inline void values_load(struct values *values, const char *path)
{
    memset(values, 0, sizeof *values);
    values->memory = vectors_map(path);
    if (path_ends(path, ".fvecs")) {
        values->element = ELEMENT_FLOAT32;
        values_from_dense(values, path);
    } else if (path_ends(path, ".bits")) {
        values->element = ELEMENT_BIT;
        values_from_bits(values, path);
    } else if (path_ends(path, ".svecs")) {
        values->element = ELEMENT_SPARSE;
        values_from_sparse(values, path);
    } else {
        vectors_die(path, "is no .fvecs, .bits or .svecs");
    }
    values->span.bytes = values->memory.bytes;
    values->span.starts = values->starts;
}

static inline void values_free(struct values *values)
{
    if (values->memory.bytes != NULL)
        vectors_unmap(values->memory);
    free(values->starts);
    memset(values, 0, sizeof *values);
}

/* The bytes that all values have. */
static inline size_t values_bytes(const struct values *values) { return values->memory.size; }

#endif
