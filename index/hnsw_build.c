/* Building an index whole.
 *
 * Memory: the field and the lists of the result. While a layer is built: its lists with half as
 * much room again, and their distances. While slots get new numbers: each array twice, in turn. */
#include "index/hnsw_making.h"

#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So many rows are held out, one in HELD_SHARE at most: they measure the rest, and come in last. */
enum { HELD_OUT = 256, HELD_SHARE = 20 };

/* ---- the order of the rows ---- */

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint32_t level_of(const struct hnsw *hnsw, uint32_t row)
{
    uint64_t h = mix(hnsw->seed ^ mix(row));
    uint32_t level = 0;
    while (level + 1 < LAYERS_MOST && h % hnsw->m == 0) {
        h /= hnsw->m;
        level++;
    }
    return level;
}

/* Rows by level, highest first; behind these `count` the `held` ones. */
struct order {
    uint32_t *rows;
    uint32_t count, held;
    uint32_t above[LAYERS_MOST]; /* how many are of this level or a higher one */
};

/* Rows that stand side by side are often near each other, but those of one batch do not see each
 * other. So they come in another order, which is always the same. */
static void shuffle(uint32_t *rows, uint32_t n, uint64_t seed)
{
    for (uint32_t i = n; i > 1; i--) {
        uint32_t other = (uint32_t)(mix(seed + i) % i), swap = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = swap;
    }
}

static int order_levels(const struct making *making, struct order *order)
{
    const struct rows *rows = &making->rows;
    uint32_t all = rows->count;
    uint8_t *levels = malloc((size_t)all + 1);
    order->rows = malloc(((size_t)all + 1) * sizeof *order->rows);
    if (levels == NULL || order->rows == NULL) {
        free(levels);
        return -ENOMEM;
    }
    for (uint32_t row = 0; row < all; row++) {
        bool used = rows_has_place(rows, &making->options->space, row);
        levels[row] = used ? (uint8_t)level_of(making->hnsw, row) : UINT8_MAX;
    }
    for (int level = LAYERS_MOST - 1; level >= 0; level--) {
        uint32_t first = order->count;
        for (uint32_t row = 0; row < all; row++)
            if (levels[row] == level)
                order->rows[order->count++] = row;
        order->above[level] = order->count;
        shuffle(order->rows + first, order->count - first, making->hnsw->seed);
    }
    free(levels);
    return 0;
}

/* Some rows of the lowest level, evenly spread, go to the end. */
static int hold_out(struct order *order)
{
    uint32_t first = order->above[1], n = order->count - first;
    uint32_t held = n / HELD_SHARE < HELD_OUT ? n / HELD_SHARE : HELD_OUT;
    uint32_t *rows = malloc(((size_t)n + 1) * sizeof *rows);
    if (rows == NULL)
        return -ENOMEM;
    uint32_t kept = 0, out = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool hold = out < held && i == (uint32_t)((uint64_t)out * n / held + n / held / 2);
        if (hold)
            rows[n - held + out++] = order->rows[first + i];
        else
            rows[kept++] = order->rows[first + i];
    }
    memcpy(order->rows + first, rows, n * sizeof *rows);
    free(rows);
    order->held = out;
    order->count -= out;
    order->above[0] = order->count;
    return 0;
}

/* ---- a build ---- */

static int build_level(struct making *making, int level)
{
    struct hnsw *hnsw = making->hnsw;
    struct graph_builder *builder = &making->builder;
    uint32_t above = level < builder->top ? hnsw->layers[level + 1].count : 0;
    uint32_t end = hnsw->layers[level].count;
    size_t count, old = 0;
    uint32_t *slots = making_linked(making, end, &count);
    while (slots != NULL && old < count && slots[old] < above)
        old++;
    uint32_t degree = level == 0 ? 2 * hnsw->m : hnsw->m;
    int rc = slots == NULL ? -ENOMEM : graph_begin(builder, level, end, degree, degree);
    if (rc == 0 && above > 0)
        rc = graph_seed(builder, &hnsw->layers[level + 1]);
    if (rc == 0)
        rc = graph_insert(builder, slots + old, count - old, old);
    if (rc == 0 && old > 0) /* those from above have only far neighbours yet */
        rc = graph_insert(builder, slots, old, count);
    if (rc == 0)
        rc = graph_finish(builder, slots, count, hnsw->entry);
    free(slots);
    return rc;
}

static int make_hnsw(struct making *making)
{
    const struct hnsw_options *options = making->options;
    struct hnsw *hnsw = calloc(1, sizeof *hnsw);
    if (hnsw == NULL)
        return -ENOMEM;
    hnsw->m = options->m < 2 ? 2 : options->m > 100 ? 100 : options->m;
    hnsw->ef_construction = options->ef_construction < 2 * hnsw->m ? 2 * hnsw->m
                            : options->ef_construction > 1000      ? 1000
                                                                   : options->ef_construction;
    hnsw->seed = options->seed;
    making->hnsw = hnsw;
    return 0;
}

static int fill_slots(struct making *making, const struct order *order)
{
    struct hnsw *hnsw = making->hnsw;
    uint64_t arena;
    int rc = hnsw_make_places(hnsw, order->count);
    making->twin = bits_new(order->count);
    making->row_of_slot = malloc(((size_t)order->count + 1) * sizeof *making->row_of_slot);
    if (rc < 0 || making->twin == NULL || making->row_of_slot == NULL)
        return -ENOMEM;
    memcpy(making->row_of_slot, order->rows, order->count * sizeof *order->rows);
    rc = making_plan_arena(making, 0, &arena);
    if (rc == 0)
        rc = field_reserve(&hnsw->field, order->count);
    if (rc == 0 && arena > 0) {
        hnsw->field.arena = pages_new(arena);
        hnsw->field.arena_size = hnsw->field.arena_room = arena;
        rc = hnsw->field.arena == NULL ? -ENOMEM : 0;
    }
    if (rc == 0)
        rc = making_put_rows(making);
    size_t count;
    uint32_t *slots = rc == 0 ? making_linked(making, order->count, &count) : NULL;
    if (rc == 0)
        rc = slots == NULL ? -ENOMEM : making_link_twins(making, slots, count);
    free(slots);
    hnsw->rows = order->count;
    return rc;
}

static void shape_layers(struct hnsw *hnsw, const struct order *order)
{
    for (uint32_t l = 0; l < LAYERS_MOST && order->above[l] > 0; l++) {
        if (l > 0 && order->above[l] == order->count)
            break; /* it would have the same slots as the layer below */
        hnsw->layers[l].count = order->above[l];
        hnsw->layer_count = l + 1;
    }
}

static int build_layers(struct making *making, const struct order *order)
{
    struct hnsw *hnsw = making->hnsw;
    shape_layers(hnsw, order);
    int rc = hnsw->layer_count == 0 ? 0 : making_begin_graph(making);
    for (uint32_t level = hnsw->layer_count; rc == 0 && level-- > 0;)
        rc = build_level(making, (int)level);
    graph_builder_clear(&making->builder);
    return rc;
}

static int build(struct making *making, const struct order *order)
{
    const struct hnsw_options *options = making->options;
    const struct rows *rows = &making->rows;
    struct field *field = &making->hnsw->field;
    int rc = field_init(&options->space, rows->all->spans, rows->all->span_count, field);
    bool four = options->code_bits == 4 && field_may_split(field);
    if (rc == 0 && four) { /* then nothing below the eight bits is kept */
        field->fine_stride = 0;
        field->refine = NULL;
    }
    if (rc == 0)
        rc = fill_slots(making, order);
    if (rc == 0)
        rc = build_layers(making, order);
    if (rc == 0)
        rc = hnsw_reorder(making);
    return rc == 0 && four ? field_split(field, making->hnsw->slots) : rc;
}

/* ---- those held out ---- */

static int measure_held(struct making *making, const struct order *order)
{
    uint64_t *in = bits_new(making->rows.count);
    if (in == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < order->count; i++)
        bit_set(in, order->rows[i]);
    int rc = hnsw_measure(making, order->rows + order->count, order->held, in);
    free(in);
    return rc;
}

/* Each held row is a span of its own. */
static int insert_held(struct making *making, const struct order *order)
{
    struct span *spans = calloc(order->held, sizeof *spans);
    struct row_key *keys = calloc(order->held, sizeof *keys);
    struct hnsw *old = making->hnsw, *whole;
    int rc = spans == NULL || keys == NULL ? -ENOMEM : 0;
    for (uint32_t i = 0; rc == 0 && i < order->held; i++) {
        uint32_t row = order->rows[order->count + i];
        size_t size;
        const uint8_t *value = rows_value(&making->rows, row, &size);
        spans[i] = (struct span){.bytes = value, .rows = 1, .fixed = (uint32_t)size};
        keys[i] = making->rows.all->keys[row];
    }
    if (rc == 0)
        rc = hnsw_update(old, making->options, NULL, &(struct hnsw_rows){spans, order->held, keys},
                         &whole, making->error);
    if (rc == 0) {
        whole->churn = 0;
        making->hnsw = whole;
        hnsw_free(old);
    }
    free(spans);
    free(keys);
    return rc;
}

int hnsw_build(const struct hnsw_options *options, const struct hnsw_rows *rows, struct hnsw **out,
               struct error *error)
{
    struct making making = {.options = options, .error = error};
    struct order order = {0};
    int rc = making_init(&making, rows);
    if (rc == 0)
        rc = make_hnsw(&making);
    if (rc == 0)
        rc = order_levels(&making, &order);
    if (rc == 0)
        rc = hold_out(&order);
    if (rc == 0)
        rc = build(&making, &order);
    if (rc == 0 && order.held > 0) {
        rc = measure_held(&making, &order);
        if (rc == 0)
            rc = insert_held(&making, &order);
    }
    free(order.rows);
    if (rc == 0) {
        *out = making.hnsw;
        making.hnsw = NULL;
    }
    making_clear(&making);
    return rc;
}
