/* The files that scripts/make-index-data writes; all numbers are little-endian, as the machine's. A
 * row is
 *
 *   .fvecs   i32 dims | f32 × dims
 *   .bits    i32 bits | the bits, the first one the highest of its byte
 *   .svecs   i32 dims | i32 n | i32 × n, dimensions from 0, ascending | f32 × n
 *
 * and QUERY.METRIC.K.truth has the nearest k rows of each query: u32 queries, u32 k, u64 the base's
 * number of rows, then u32 row × k, f64 distance × k for each query.
 *
 * For benchmarks, in C and C++: whatever goes wrong ends the program.
 */
#ifndef BENCH_VECTORS_H
#define BENCH_VECTORS_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static inline void vectors_die(const char *path, const char *what)
{
    fprintf(stderr, "%s: %s\n", path, what);
    exit(1);
}

static inline void *vectors_room(size_t count, size_t size)
{
    void *room = calloc(count > 0 ? count : 1, size);
    if (room == NULL)
        vectors_die("memory", "there is not enough");
    return room;
}

/* A file in memory, private to this process: it may be written to. */
struct vectors_file {
    uint8_t *bytes;
    size_t size;
};

static inline struct vectors_file vectors_map(const char *path)
{
    struct vectors_file file = {NULL, 0};
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0 || status.st_size == 0)
        vectors_die(path, "cannot be read; scripts/make-index-data makes the data");
    file.size = (size_t)status.st_size;
    file.bytes = (uint8_t *)mmap(NULL, file.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (file.bytes == MAP_FAILED)
        vectors_die(path, "cannot be mapped");
    close(fd);
    return file;
}

static inline void vectors_unmap(struct vectors_file file) { munmap(file.bytes, file.size); }

static inline uint32_t vectors_u32(const uint8_t *at)
{
    uint32_t number;
    memcpy(&number, at, sizeof number);
    return number;
}

/* The rows of a .fvecs, all of the same dimensions. */
static inline uint32_t vectors_dense(const char *path, struct vectors_file file, uint32_t *dims)
{
    *dims = file.size >= 4 ? vectors_u32(file.bytes) : 0;
    size_t stride = 4 + 4 * (size_t)*dims;
    if (*dims == 0 || file.size % stride != 0)
        vectors_die(path, "is no .fvecs of rows of one size");
    for (size_t at = 0; at < file.size; at += stride)
        if (vectors_u32(file.bytes + at) != *dims)
            vectors_die(path, "is no .fvecs of rows of one size");
    return (uint32_t)(file.size / stride);
}

/* ---- the nearest rows ---- */

struct truth {
    uint32_t queries, k;
    uint32_t *rows;    /* k a query, nearest first */
    double *distances; /* the same */
};

static inline void truth_init(struct truth *truth, uint32_t queries, uint32_t k)
{
    truth->queries = queries;
    truth->k = k;
    truth->rows = (uint32_t *)vectors_room((size_t)queries * k, sizeof(uint32_t));
    truth->distances = (double *)vectors_room((size_t)queries * k, sizeof(double));
}

static inline void truth_clear(struct truth *truth)
{
    free(truth->rows);
    free(truth->distances);
}

static inline void truth_path(char *out, size_t size, const char *query, const char *metric,
                              uint32_t k)
{
    snprintf(out, size, "%s.%s.%u.truth", query, metric, k);
}

static inline int truth_read_head(FILE *file, uint32_t head[2], uint64_t *base_rows)
{
    return fread(head, 4, 2, file) == 2 && fread(base_rows, 8, 1, file) == 1;
}

/* Whether the file was there. */
static inline int truth_read_any(struct truth *truth, const char *path)
{
    uint32_t head[2];
    uint64_t base_rows;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    if (!truth_read_head(file, head, &base_rows))
        vectors_die(path, "is cut short; delete it");
    truth_init(truth, head[0], head[1]);
    for (size_t q = 0; q < head[0]; q++)
        if (fread(truth->rows + q * head[1], 4, head[1], file) != head[1] ||
            fread(truth->distances + q * head[1], 8, head[1], file) != head[1])
            vectors_die(path, "is cut short; delete it");
    fclose(file);
    return 1;
}

/* Whether the file was there, is of this base and not older, and of these queries. */
static inline int truth_read(struct truth *truth, const char *path, const char *base_path,
                             uint64_t base_rows, uint32_t queries, uint32_t k)
{
    struct stat status, base;
    uint32_t head[2];
    uint64_t rows;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    int good = fstat(fileno(file), &status) == 0 && stat(base_path, &base) == 0 &&
               status.st_mtime >= base.st_mtime && truth_read_head(file, head, &rows) &&
               head[0] == queries && head[1] == k && rows == base_rows;
    fclose(file);
    return good && truth_read_any(truth, path);
}

static inline void truth_write(const struct truth *truth, const char *path, uint64_t base_rows)
{
    char part[4200];
    snprintf(part, sizeof part, "%s.part", path);
    FILE *file = fopen(part, "wb");
    uint32_t head[2] = {truth->queries, truth->k};
    if (file == NULL)
        vectors_die(part, "cannot be written");
    fwrite(head, 4, 2, file);
    fwrite(&base_rows, 8, 1, file);
    for (uint32_t q = 0; q < truth->queries; q++) {
        fwrite(truth->rows + (size_t)q * truth->k, 4, truth->k, file);
        fwrite(truth->distances + (size_t)q * truth->k, 8, truth->k, file);
    }
    if (ferror(file) || fclose(file) != 0 || rename(part, path) != 0)
        vectors_die(path, "cannot be written");
}

/* Whether a row that was found is one of the k nearest: by its number, or since it is as near as
 * the last of them. */
static inline int truth_has(const struct truth *truth, uint32_t query, uint32_t row,
                            double distance)
{
    const uint32_t *rows = truth->rows + (size_t)query * truth->k;
    for (uint32_t i = 0; i < truth->k; i++)
        if (rows[i] == row)
            return 1;
    double last = truth->distances[(size_t)query * truth->k + truth->k - 1];
    return distance <= last + 1e-7 * (last < 0 ? -last : last);
}

/* ---- measuring ---- */

static inline double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline int vectors_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline void print_latencies(const char *what, double recall, double *seconds, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += seconds[i];
    qsort(seconds, count, sizeof *seconds, vectors_compare_doubles);
    printf("%s\trecall\t%.4f\tqps\t%.1f\tp50_us\t%.1f\tp99_us\t%.1f\n", what, recall,
           (double)count / sum, seconds[count / 2] * 1e6, seconds[count * 99 / 100] * 1e6);
    fflush(stdout);
}

/* Memory of this process that is its own or of files it has mapped, in bytes. */
static inline uint64_t memory_resident(void)
{
    char line[256];
    unsigned long kib, sum = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %lu kB", &kib) == 1 ||
            sscanf(line, "RssFile: %lu kB", &kib) == 1)
            sum += kib;
    fclose(file);
    return (uint64_t)sum * 1024;
}

#endif
