/* How much of a core's memory bandwidth the exact search has.
 *
 *   scan [MIB]              of memory that the values fill; 512
 *   PGVECFS_ISA=avx2 scan   another level of instructions
 *
 * Prints, for one thread, one query and k = 10, medians of seven runs that alternate with plain
 * reads (sums of its 64-bit words) of the same memory:
 *
 *   scan  METRIC  ELEMENT  DIMS  GB/s  read GB/s  percent */
#include "codec/bytes.h"
#include "codec/isa.h"
#include "index/exact.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum { RUNS = 7, SPARSE_NUMBERS = 100 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *runs)
{
    qsort(runs, RUNS, sizeof *runs, by_size);
    return runs[RUNS / 2];
}

static uint64_t random_state = 88172645463325252U;

static uint32_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 20);
}

static size_t value_size(struct space space)
{
    size_t dims = space.dims;
    size_t sizes[] = {4 + 4 * dims, 4 + 2 * dims, 12 + 8 * SPARSE_NUMBERS, 4 + (dims + 7) / 8};
    return sizes[space.element];
}

/* Numbers from -2 to 2. */
static void make_value(struct space space, uint8_t *value)
{
    size_t size = value_size(space);
    if (space.element == ELEMENT_BIT) {
        store_be32(value, space.dims);
        for (size_t i = 4; i < size; i++)
            value[i] = (uint8_t)next_random();
        if (space.dims % 8 != 0)
            value[size - 1] &= (uint8_t)(0xff00 >> space.dims % 8);
    } else if (space.element == ELEMENT_SPARSE) {
        store_be32(value, space.dims);
        store_be32(value + 4, SPARSE_NUMBERS);
        store_be32(value + 8, 0);
        uint32_t room = space.dims / SPARSE_NUMBERS;
        for (uint32_t i = 0; i < SPARSE_NUMBERS; i++) {
            store_be32(value + 12 + 4 * i, i * room + next_random() % room);
            store_be32(value + 12 + 4 * (SPARSE_NUMBERS + i), 0x3f800000 | next_random() >> 9);
        }
    } else {
        store_be32(value, space.dims << 16);
        size_t width = space.element == ELEMENT_FLOAT16 ? 2 : 4;
        for (size_t i = 4; i < size; i += width)
            if (width == 2)
                store_be16(value + i, next_random() & 0xbfff);
            else
                store_be32(value + i, (next_random() & 0x807fffff) | 0x3f000000);
    }
}

typedef uint64_t words __attribute__((vector_size(64), aligned(8), may_alias));

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint64_t
read_all(const uint8_t *bytes, size_t size)
{
    words a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t i = 0; i + 256 <= size; i += 256) {
        const words *at = (const words *)(bytes + i);
        a += at[0];
        b += at[1];
        c += at[2];
        d += at[3];
    }
    a += b + c + d;
    return a[0] + a[1] + a[2] + a[3] + a[4] + a[5] + a[6] + a[7];
}

static void measure(struct space space, uint8_t *memory, size_t room)
{
    size_t size = value_size(space);
    struct span span = {memory, (uint32_t)(room / size), (uint32_t)size, NULL};
    for (size_t i = 0; i < span.rows; i++) {
        /* making each anew would take longer than all else */
        if (i < 1000)
            make_value(space, memory + i * size);
        else
            memcpy(memory + i * size, memory + (i - 1000) * size, size);
    }
    size_t bytes = span.rows * size;
    uint8_t *value = malloc(size);
    make_value(space, value);
    struct query *query;
    struct error error = {""};
    if (query_new(&space, value, size, &query, &error) != 0) {
        fprintf(stderr, "scan: %s\n", error.text);
        exit(1);
    }
    const struct query *queries[] = {query};
    struct neighbour found[10];
    uint32_t count;
    struct exact_search search = {.spans = &span, .span_count = 1, .k = 10, .threads = 1};
    double reads[RUNS], scans[RUNS];
    volatile uint64_t sum = read_all(memory, bytes);
    for (int i = 0; i < RUNS; i++) {
        double start = seconds();
        sum += read_all(memory, bytes);
        reads[i] = (double)bytes / (seconds() - start) / 1e9;
        start = seconds();
        if (exact_search(&search, queries, 1, found, &count, &error) != 0) {
            fprintf(stderr, "scan: %s\n", error.text);
            exit(1);
        }
        scans[i] = (double)bytes / (seconds() - start) / 1e9;
    }
    static const char *const elements[] = {"float32", "float16", "sparse", "bit"};
    double scan = median(scans), read = median(reads);
    printf("scan\t%s\t%s\t%u\t%.2f\t%.2f\t%.0f\n", metric_name(space.metric),
           elements[space.element], space.dims, scan, read, 100 * scan / read);
    fflush(stdout);
    query_free(query);
    free(value);
}

int main(int argc, char **argv)
{
    static const struct space spaces[] = {
        {ELEMENT_FLOAT32, METRIC_L2, 1536},     {ELEMENT_FLOAT32, METRIC_IP, 1536},
        {ELEMENT_FLOAT32, METRIC_COSINE, 1536}, {ELEMENT_FLOAT32, METRIC_L1, 1536},
        {ELEMENT_FLOAT32, METRIC_L2, 100},      {ELEMENT_FLOAT32, METRIC_IP, 100},
        {ELEMENT_FLOAT32, METRIC_COSINE, 100},  {ELEMENT_FLOAT32, METRIC_L1, 100},
        {ELEMENT_FLOAT32, METRIC_L2, 3},        {ELEMENT_FLOAT16, METRIC_L2, 1536},
        {ELEMENT_FLOAT16, METRIC_COSINE, 1536}, {ELEMENT_BIT, METRIC_HAMMING, 1024},
        {ELEMENT_BIT, METRIC_JACCARD, 1024},    {ELEMENT_SPARSE, METRIC_L2, 30000},
        {ELEMENT_SPARSE, METRIC_IP, 30000},
    };
    size_t room = (argc > 1 ? strtoull(argv[1], NULL, 10) : 512) << 20;
    uint8_t *memory = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == 0 || memory == MAP_FAILED) {
        perror("scan: memory");
        return 1;
    }
    madvise(memory, room, MADV_HUGEPAGE);
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++)
        measure(spaces[i], memory, room);
    return 0;
}
