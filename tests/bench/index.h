/* bench-index: what its parts share. */
#ifndef BENCH_INDEX_H
#define BENCH_INDEX_H

#include "index/exact.h"
#include "index/hnsw.h"
#include "tests/bench/values.h"

enum { EFS_MOST = 64 };

struct settings {
    const char *base, *query, *metric, *save, *open, *open_once;
    uint32_t k, m, ef_construction, efs[EFS_MOST], ef_count;
    int threads, code_bits;
    double seconds, filters[EFS_MOST];
    uint32_t filter_count;
    bool exact, churn, rescore, truth;
};

extern struct settings settings;
extern struct space space;
extern struct values queries;

/* Ends the program where the code is an error. */
void check(int code, const char *what, const struct error *error);
void load_base(struct values *base);

/* index_exact.c */
struct query *query_of(uint32_t row);
/* The nearest of each of the first queries among the rows of the bitmap (NULL: all); returns the
 * seconds it took. Where there are fewer than k: row UINT32_MAX. */
double search_exactly(const struct values *base, const uint64_t *filter, uint32_t count,
                      int threads, struct truth *out);
void get_truth(const struct values *base, struct truth *out);
void measure_exact(const struct values *base);

/* index_make.c */
struct hnsw_options options_now(void);
/* Some rows of the base (NULL: all), with their numbers there as keys. */
struct some_rows {
    struct span span;
    struct row_key *keys;
    uint8_t *bytes;
    uint64_t *starts;
};
void some_rows_init(struct some_rows *some, const struct values *base, const uint32_t *rows,
                    uint32_t count);
void some_rows_clear(struct some_rows *some);
struct hnsw *build(const struct values *base, const uint32_t *rows, uint32_t count);
struct hnsw *open_saved(const char *path);
void save(const struct hnsw *hnsw);

/* index_ask.c: all measure what goes with the ef of the settings, and print it. */
void measure_curve(const struct hnsw *hnsw, struct values *base, const struct truth *truth);
void measure_filter(const struct hnsw *hnsw, const struct values *base, double share);
/* Each line begins with the prefix. */
void print_curve_of(const struct hnsw *hnsw, const struct values *base, const struct truth *truth,
                    const char *prefix);

/* index_churn.c */
void measure_churn(const struct values *base);

/* Bitmaps. */
static inline uint64_t *bits_new(size_t count)
{
    return vectors_room(count / 64 + 1, sizeof(uint64_t));
}
static inline void set_bit(uint64_t *bits, size_t at) { bits[at / 64] |= UINT64_C(1) << at % 64; }
static inline bool has_bit(const uint64_t *bits, size_t at) { return bits[at / 64] >> at % 64 & 1; }
/* Of the slots that hold the rows of a bitmap. */
uint64_t *slots_of_rows(const struct hnsw *hnsw, const uint64_t *rows);

static inline uint64_t random64(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

#endif
