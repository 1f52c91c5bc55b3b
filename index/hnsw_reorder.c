/* Gives slots new numbers, so that neighbours in the graph lie near each other in memory: by
 * breadth first search over the lowest layer, each level by itself. */
#include "index/hnsw_making.h"

#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { OFTEN = 4096 }; /* slots between two looks at whether to stop */

struct reorder {
    const struct making *making;
    const struct hnsw *hnsw;
    uint32_t *queue;   /* old numbers, in the order in which they were reached */
    uint32_t *renamed; /* of each old number, the new one */
};

/* Puts the slot and its twins into the queue. */
static void enqueue(struct reorder *reorder, uint32_t slot, uint32_t *end)
{
    const struct hnsw *hnsw = reorder->hnsw;
    for (; slot != NOBODY && reorder->renamed[slot] == NOBODY;
         slot = hnsw->twins != NULL ? hnsw->twins[slot] : NOBODY) {
        reorder->renamed[slot] = 0;
        reorder->queue[(*end)++] = slot;
    }
}

static void walk_all(struct reorder *reorder)
{
    const struct layer *layer = &reorder->hnsw->layers[0];
    uint32_t end = 0;
    enqueue(reorder, reorder->hnsw->entry, &end);
    for (uint32_t first = 0, next = 0; first < layer->count; first++) {
        while (first == end) /* never: all can be reached */
            enqueue(reorder, next++, &end);
        const uint32_t *list = layer_list(layer, reorder->queue[first]);
        for (uint32_t i = 0; i < layer->degree && list[i] != NOBODY; i++)
            enqueue(reorder, list[i], &end);
    }
}

/* Slots of a level get the numbers of their level. */
static void rename_all(struct reorder *reorder)
{
    const struct hnsw *hnsw = reorder->hnsw;
    uint32_t next[LAYERS_MOST];
    for (uint32_t l = 0; l < hnsw->layer_count; l++)
        next[l] = l + 1 < hnsw->layer_count ? hnsw->layers[l + 1].count : 0;
    for (uint32_t i = 0; i < hnsw->slots; i++) {
        uint32_t slot = reorder->queue[i], level = 0;
        while (level + 1 < hnsw->layer_count && slot < hnsw->layers[level + 1].count)
            level++;
        reorder->renamed[slot] = next[level]++;
    }
}

/* Moves records of `size` bytes into their new order; frees the old memory. */
static int move_records(const struct reorder *reorder, void **records, uint32_t count, size_t size)
{
    if (*records == NULL)
        return 0;
    uint8_t *moved = pages_new(count * size), *from = *records;
    if (moved == NULL)
        return -ENOMEM;
    bool stopped = false;
    for (uint32_t slot = 0; slot < count && !stopped; slot++) {
        memcpy(moved + size * reorder->renamed[slot], from + size * slot, size);
        stopped = slot % OFTEN == 0 && making_is_stopped(reorder->making);
    }
    pages_free(from, count * size);
    *records = moved;
    return stopped ? -EINTR : 0;
}

static void rename_in(const struct reorder *reorder, uint32_t *slots, size_t n)
{
    for (size_t i = 0; slots != NULL && i < n; i++)
        if (slots[i] != NOBODY)
            slots[i] = reorder->renamed[slots[i]];
}

static int move_numbers(const struct reorder *reorder, uint32_t **numbers, uint32_t count,
                        uint32_t each)
{
    void *moved = *numbers;
    int rc = move_records(reorder, &moved, count, each * sizeof **numbers);
    *numbers = moved;
    return rc;
}

static int move_all(const struct reorder *reorder, struct making *making)
{
    struct hnsw *hnsw = making->hnsw;
    struct field *field = &hnsw->field;
    void *look = field->look, *fine = field->fine, *places = hnsw->places;
    int rc = move_records(reorder, &look, hnsw->slots, field->look_stride);
    field->look = look;
    if (rc == 0 && field->fine_stride > 0)
        rc = move_records(reorder, &fine, hnsw->slots, field->fine_stride);
    field->fine = fine;
    if (rc == 0)
        rc = move_records(reorder, &places, hnsw->slots, sizeof *hnsw->places);
    hnsw->places = places;
    if (rc == 0)
        rc = move_numbers(reorder, &hnsw->xmins, hnsw->slots, 1);
    if (rc == 0)
        rc = move_numbers(reorder, &hnsw->twins, hnsw->slots, 1);
    rename_in(reorder, hnsw->twins, hnsw->twins != NULL ? hnsw->slots : 0);
    for (uint32_t l = 0; rc == 0 && l < hnsw->layer_count; l++) {
        struct layer *layer = &hnsw->layers[l];
        rc = move_numbers(reorder, &layer->lists, layer->count, layer->degree);
        rename_in(reorder, layer->lists, (size_t)layer->count * layer->degree);
    }
    hnsw->entry = reorder->renamed[hnsw->entry];
    return rc;
}

int hnsw_reorder(struct making *making)
{
    struct hnsw *hnsw = making->hnsw;
    struct reorder reorder = {.making = making, .hnsw = hnsw};
    if (hnsw->layer_count == 0)
        return 0;
    size_t bytes = (size_t)hnsw->slots * sizeof(uint32_t);
    uint32_t *rows = malloc(bytes);
    reorder.queue = malloc(bytes);
    reorder.renamed = malloc(bytes);
    int rc = rows == NULL || reorder.queue == NULL || reorder.renamed == NULL ? -ENOMEM : 0;
    if (rc == 0) {
        memset(reorder.renamed, 0xff, bytes);
        walk_all(&reorder);
        rename_all(&reorder);
        rc = move_all(&reorder, making);
    }
    if (rc == 0) {
        for (uint32_t slot = 0; slot < hnsw->slots; slot++)
            rows[reorder.renamed[slot]] = making->row_of_slot[slot];
        memcpy(making->row_of_slot, rows, bytes);
    }
    free(rows);
    free(reorder.queue);
    free(reorder.renamed);
    return rc;
}
