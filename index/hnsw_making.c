#include "index/hnsw_making.h"

#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

static int rows_init(struct rows *rows, const struct hnsw_rows *all)
{
    uint64_t sum = 0;
    *rows = (struct rows){.all = all};
    rows->firsts = malloc((all->span_count + 1) * sizeof *rows->firsts);
    if (rows->firsts == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < all->span_count; i++) {
        rows->firsts[i] = sum;
        sum += all->spans[i].rows;
    }
    rows->firsts[all->span_count] = sum;
    rows->count = (uint32_t)sum;
    return sum < SLOTS_MOST ? 0 : -EFBIG;
}

const uint8_t *rows_value(const struct rows *rows, uint32_t row, size_t *size)
{
    size_t low = 0, high = rows->all->span_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (rows->firsts[middle] <= row)
            low = middle;
        else
            high = middle;
    }
    return span_value(&rows->all->spans[low], (uint32_t)(row - rows->firsts[low]), size);
}

bool rows_has_place(const struct rows *rows, const struct space *space, uint32_t row)
{
    size_t size;
    const uint8_t *value = rows_value(rows, row, &size);
    return value_has_place(space, value, size);
}

/* ---- putting rows into slots ---- */

static void put_slot(void *context, int thread, size_t slot)
{
    struct making *making = context;
    struct hnsw *hnsw = making->hnsw;
    uint32_t row = making->row_of_slot[slot];
    size_t size;
    if (row == NOBODY || making->rc < 0)
        return;
    if (making_is_stopped(making)) {
        making->rc = -EINTR;
        return;
    }
    const uint8_t *value = rows_value(&making->rows, row, &size);
    uint64_t arena = making->arenas != NULL ? making->arenas[slot] : 0;
    int rc = field_put(&hnsw->field, (uint32_t)slot, arena, value, size, making->scratch[thread]);
    if (rc != 0) {
        making->bad = row;
        making->rc = rc > 0 ? -EBADMSG : rc;
        return;
    }
    hnsw->places[slot] = making->rows.all->keys[row].place;
    hnsw->xmins[slot] = making->rows.all->keys[row].xmin;
}

int making_plan_arena(struct making *making, uint64_t from, uint64_t *end)
{
    const struct field *field = &making->hnsw->field;
    *end = from;
    if (!field_in_arena(field))
        return 0;
    making->arenas = calloc((size_t)making->hnsw->slots + 1, sizeof *making->arenas);
    if (making->arenas == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < making->hnsw->slots; slot++) {
        size_t size;
        if (making->row_of_slot[slot] == NOBODY)
            continue;
        const uint8_t *value = rows_value(&making->rows, making->row_of_slot[slot], &size);
        making->arenas[slot] = *end;
        *end += field_arena_of(field, value, size);
    }
    return 0;
}

int making_put_rows(struct making *making)
{
    struct hnsw *hnsw = making->hnsw;
    team_run(making->team, hnsw->slots, 64, put_slot, making);
    if (making->rc == -EBADMSG)
        return error_set(making->error, -EBADMSG,
                         "row %u holds no %u-dimensional vector of the column's type",
                         (unsigned)making->bad, hnsw->field.space.dims);
    return making->rc;
}

/* ---- twins ---- */

int making_link_twins(struct making *making, const uint32_t *slots, size_t count)
{
    struct hnsw *hnsw = making->hnsw;
    size_t room = 64;
    while (room < 2 * (size_t)hnsw->slots)
        room *= 2;
    uint32_t *table = malloc(room * sizeof *table);
    uint64_t *hashes = malloc(((size_t)hnsw->slots + 1) * sizeof *hashes);
    int rc = table == NULL || hashes == NULL ? -ENOMEM : 0;
    if (rc == 0)
        memset(table, 0xff, room * sizeof *table);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint32_t slot = slots[i];
        if (making_is_stopped(making)) {
            rc = -EINTR;
            break;
        }
        hashes[slot] = field_hash(&hnsw->field, slot);
        size_t at = hashes[slot] & (room - 1);
        while (table[at] != NOBODY &&
               (hashes[table[at]] != hashes[slot] || !field_equal(&hnsw->field, table[at], slot)))
            at = (at + 1) & (room - 1);
        if (table[at] == NOBODY) {
            table[at] = slot;
            continue;
        }
        if (hnsw->twins == NULL) {
            hnsw->twins = pages_new(hnsw->slots * sizeof *hnsw->twins);
            if (hnsw->twins == NULL) {
                rc = -ENOMEM;
                break;
            }
            memset(hnsw->twins, 0xff, hnsw->slots * sizeof *hnsw->twins);
        }
        hnsw->twins[slot] = hnsw->twins[table[at]];
        hnsw->twins[table[at]] = slot;
        bit_set(making->twin, slot);
    }
    free(table);
    free(hashes);
    return rc;
}

uint32_t *making_linked(const struct making *making, uint32_t end, size_t *count)
{
    uint32_t *slots = malloc(((size_t)end + 1) * sizeof *slots);
    *count = 0;
    for (uint32_t slot = 0; slots != NULL && slot < end; slot++)
        if (slot_taken(making->hnsw, slot) && !making_is_twin(making, slot))
            slots[(*count)++] = slot;
    return slots;
}

/* ---- a making ---- */

int making_init(struct making *making, const struct hnsw_rows *rows)
{
    const struct hnsw_options *options = making->options;
    int rc = rows_init(&making->rows, rows);
    if (rc == 0)
        rc = team_new(options->threads < 1 ? 1 : options->threads, &making->team);
    if (rc < 0)
        return rc;
    making->scratch = calloc((size_t)team_size(making->team), sizeof *making->scratch);
    for (int i = 0; making->scratch != NULL && i < team_size(making->team); i++) {
        making->scratch[i] = malloc((field_scratch(&options->space) + 1) * sizeof(float));
        if (making->scratch[i] == NULL)
            return -ENOMEM;
    }
    return making->scratch == NULL ? -ENOMEM : 0;
}

void making_clear(struct making *making)
{
    graph_builder_clear(&making->builder);
    for (int i = 0; making->scratch != NULL && i < team_size(making->team); i++)
        free(making->scratch[i]);
    free(making->scratch);
    free(making->rows.firsts);
    free(making->row_of_slot);
    free(making->arenas);
    free(making->twin);
    team_free(making->team);
    hnsw_free(making->hnsw);
}

/* A slot chooses as many neighbours as a list has room for, and not half as many as in the paper.
 * So about half the paper's width of search gives a graph that is no worse. */
static uint32_t search_width(const struct hnsw *hnsw)
{
    uint32_t least = 2 * hnsw->m + hnsw->m / 2;
    return hnsw->ef_construction * 11 / 20 < least ? least : hnsw->ef_construction * 11 / 20;
}

int making_begin_graph(struct making *making)
{
    struct hnsw *hnsw = making->hnsw;
    making->builder = (struct graph_builder){.ef = search_width(hnsw),
                                             .stop = making->options->stop,
                                             .done = making->options->done,
                                             .layers = hnsw->layers,
                                             .top = (int)hnsw->layer_count - 1,
                                             .entry = hnsw->entry};
    return graph_builder_init(&making->builder, &hnsw->field, making->team, hnsw->slots);
}
