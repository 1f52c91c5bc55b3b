/* bench-index --churn: an index that was brought up to date again and again, and one made anew. */
#include "tests/bench/index.h"

enum { ROUNDS = 20 };

/* The rows in some order: the first `live` are in the index. */
struct population {
    uint32_t *rows, count, live;
};

static void swap_rows(struct population *all, uint32_t a, uint32_t b)
{
    uint32_t row = all->rows[a];
    all->rows[a] = all->rows[b];
    all->rows[b] = row;
}

static struct hnsw *churn_once(struct hnsw *old, const struct values *base, struct population *all,
                               uint64_t *state, double *seconds)
{
    struct error error = {{0}};
    struct hnsw_options options = options_now();
    uint32_t moved = all->live / 10, others = all->count - all->live;
    uint64_t *gone = bits_new(base->span.rows);
    /* Those that go change places with rows that are not in the index. */
    for (uint32_t i = 0; i < moved; i++) {
        uint32_t from = i + (uint32_t)(random64(state) % (all->live - i));
        uint32_t to = all->live + i + (uint32_t)(random64(state) % (others - i));
        swap_rows(all, i, from);
        swap_rows(all, all->live + i, to);
        set_bit(gone, all->rows[i]);
        swap_rows(all, i, all->live + i);
    }
    uint64_t *dead = slots_of_rows(old, gone);
    struct some_rows some;
    struct hnsw *fresh;
    some_rows_init(&some, base, all->rows, moved);
    double from = seconds_now();
    check(hnsw_update(old, &options, dead, &(struct hnsw_rows){&some.span, 1, some.keys}, &fresh,
                      &error),
          "hnsw_update", &error);
    *seconds = seconds_now() - from;
    some_rows_clear(&some);
    hnsw_free(old);
    free(dead);
    free(gone);
    return fresh;
}

static void print_checked(const struct hnsw *hnsw, const struct values *base,
                          const struct truth *truth, const char *prefix)
{
    struct error error = {{0}};
    check(hnsw_check(hnsw, &error), prefix, &error);
    print_curve_of(hnsw, base, truth, prefix);
}

void measure_churn(const struct values *base)
{
    struct population all = {.rows = vectors_room(base->span.rows, sizeof *all.rows),
                             .count = base->span.rows,
                             .live = (uint32_t)(base->span.rows * UINT64_C(4) / 5)};
    double seconds[ROUNDS];
    uint64_t state = 1;
    for (uint32_t i = 0; i < all.count; i++)
        all.rows[i] = i;
    struct hnsw *hnsw = build(base, all.rows, all.live);
    for (int round = 0; round < ROUNDS; round++)
        hnsw = churn_once(hnsw, base, &all, &state, &seconds[round]);
    qsort(seconds, ROUNDS, sizeof *seconds, vectors_compare_doubles);
    printf("churn_update_s\t%.3f\n", seconds[ROUNDS / 2]);

    uint64_t *live = bits_new(base->span.rows);
    for (uint32_t i = 0; i < all.live; i++)
        set_bit(live, all.rows[i]);
    struct truth truth;
    search_exactly(base, live, queries.span.rows, settings.threads, &truth);
    print_checked(hnsw, base, &truth, "churned\t");
    hnsw_free(hnsw);
    hnsw = build(base, all.rows, all.live);
    print_checked(hnsw, base, &truth, "fresh\t");
    hnsw_free(hnsw);
    truth_clear(&truth);
    free(live);
    free(all.rows);
}
