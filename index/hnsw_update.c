/* A changed index out of an old one.
 *
 * The old one is copied. Lists that lead to deleted slots choose anew, among what these led to (as
 * in FreshDiskANN, arXiv 2105.09613, but by the rule of graph_links.h). Then new rows are inserted,
 * into deleted slots as long as there are some, and some old rows once more. A slot on an upper
 * layer is inserted there, too. Slots added at the end are on the lowest layer only: so, after many
 * of them, the index has to be built whole. */
#include "index/hnsw_making.h"
#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- which slots ---- */

struct changes {
    uint64_t *gone;   /* slots that were deleted: lists must not lead to what they held */
    uint32_t *slots;  /* to be inserted, ascending: new rows, and twins of what is gone */
    uint64_t *fresh;  /* the same as a set */
    uint32_t *usable; /* numbers of the new rows that have a place */
    size_t slot_count, usable_count;
};

static void changes_clear(struct changes *changes)
{
    free(changes->gone);
    free(changes->fresh);
    free(changes->slots);
    free(changes->usable);
}

static int compare_slots(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Takes the dead out of the chains of twins. If the first of a chain is dead, the others have to be
 * inserted. */
static int unchain(struct making *making, const struct hnsw *old, const uint64_t *dead,
                   struct changes *changes)
{
    struct hnsw *hnsw = making->hnsw;
    if (old->twins == NULL)
        return 0;
    uint64_t *twin = making->twin;
    uint64_t *was_twin = bits_new(old->slots);
    if (was_twin == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < old->slots; slot++)
        if (old->twins[slot] != NOBODY) {
            bit_set(twin, old->twins[slot]);
            bit_set(was_twin, old->twins[slot]);
        }
    for (uint32_t first = 0; first < old->slots; first++) {
        if (!slot_taken(old, first) || bit_is_set(was_twin, first) || old->twins[first] == NOBODY)
            continue;
        uint32_t last = first;
        hnsw->twins[first] = NOBODY;
        for (uint32_t next = old->twins[first]; next != NOBODY; next = old->twins[next]) {
            hnsw->twins[next] = NOBODY;
            bit_clear(twin, next);
            if (bit_is_set(dead, next))
                continue;
            if (bit_is_set(dead, first)) {
                changes->slots[changes->slot_count++] = next;
            } else {
                hnsw->twins[last] = next;
                bit_set(twin, next);
                last = next;
            }
        }
    }
    free(was_twin);
    return 0;
}

/* Frees the slots of the dead, and gives the new rows the free slots, in order. */
static int plan_slots(struct making *making, const struct hnsw *old, const uint64_t *dead,
                      struct changes *changes)
{
    struct hnsw *hnsw = making->hnsw;
    size_t row = 0;
    for (uint32_t slot = 0; slot < hnsw->slots; slot++) {
        bool taken = slot < old->slots && slot_taken(old, slot);
        if (taken && bit_is_set(dead, slot)) {
            bit_set(changes->gone, slot);
            hnsw->places[slot] = NO_PLACE;
            hnsw->rows--;
            hnsw->churn++;
            taken = false;
        }
        if (taken || row == changes->usable_count)
            continue;
        making->row_of_slot[slot] = changes->usable[row++];
        changes->slots[changes->slot_count++] = slot;
        hnsw->rows++;
        hnsw->churn++;
    }
    return row == changes->usable_count ? 0 : -EFBIG;
}

static uint32_t free_slots(const struct hnsw *old, const uint64_t *dead)
{
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < old->slots; slot++)
        n += !slot_taken(old, slot) || bit_is_set(dead, slot);
    return n;
}

/* ---- the copy ---- */

static int copy_layers(const struct hnsw *old, struct hnsw *hnsw)
{
    hnsw->layer_count = old->layer_count;
    for (uint32_t l = 0; l < old->layer_count; l++) {
        struct layer layer = old->layers[l];
        layer.count = l == 0 ? hnsw->slots : layer.count;
        size_t row = layer.degree * sizeof *layer.lists;
        layer.lists = pages_new(layer.count * row);
        if (layer.lists == NULL)
            return -ENOMEM;
        memset(layer.lists, 0xff, layer.count * row);
        memcpy(layer.lists, old->layers[l].lists, old->layers[l].count * row);
        hnsw->layers[l] = layer;
    }
    return 0;
}

static int copy_places(const struct hnsw *old, struct hnsw *hnsw, uint32_t slots)
{
    int rc = hnsw_make_places(hnsw, slots);
    if (rc < 0)
        return rc;
    memcpy(hnsw->places, old->places, old->slots * sizeof *hnsw->places);
    memcpy(hnsw->xmins, old->xmins, old->slots * sizeof *hnsw->xmins);
    if (old->twins == NULL)
        return 0;
    hnsw->twins = pages_new(slots * sizeof *hnsw->twins);
    if (hnsw->twins == NULL)
        return -ENOMEM;
    memset(hnsw->twins, 0xff, slots * sizeof *hnsw->twins);
    memcpy(hnsw->twins, old->twins, old->slots * sizeof *hnsw->twins);
    return 0;
}

static int copy_old(struct making *making, const struct hnsw *old, uint32_t slots)
{
    struct hnsw *hnsw = making->hnsw;
    hnsw->m = old->m;
    hnsw->ef_construction = old->ef_construction;
    hnsw->seed = old->seed;
    hnsw->rows = old->rows;
    hnsw->churn = old->churn;
    hnsw->entry = old->entry;
    hnsw->curve_count = old->curve_count;
    memcpy(hnsw->curve, old->curve, sizeof hnsw->curve);
    making->twin = bits_new(slots);
    making->row_of_slot = malloc(((size_t)slots + 1) * sizeof *making->row_of_slot);
    if (making->twin == NULL || making->row_of_slot == NULL)
        return -ENOMEM;
    memset(making->row_of_slot, 0xff, ((size_t)slots + 1) * sizeof *making->row_of_slot);
    int rc = copy_places(old, hnsw, slots);
    return rc == 0 ? copy_layers(old, hnsw) : rc;
}

/* Copies the old vectors, with room for the new ones. */
static int copy_field(struct making *making, const struct hnsw *old)
{
    struct hnsw *hnsw = making->hnsw;
    uint64_t arena;
    struct field from = old->field;
    from.slots = old->slots;
    hnsw->field = (struct field){.space = old->field.space, .kind = old->field.kind};
    int rc = making_plan_arena(making, old->field.arena_size, &arena);
    if (rc == 0)
        rc = field_copy(&from, hnsw->slots, arena, &hnsw->field);
    if (rc == 0 && old->borrowed && !field_arena_holds(&hnsw->field, old->slots))
        rc = error_set(making->error, -EBADMSG, "the index is damaged");
    if (rc == 0) {
        hnsw->field.arena_size = arena;
        if (hnsw->field.bits == 4)
            rc = field_join(&hnsw->field, old->slots);
    }
    return rc;
}

/* ---- lists without the gone ---- */

struct repair {
    struct making *making;
    const struct hnsw *old;
    const uint64_t *gone;
    uint32_t level;
};

/* Neighbours that are gone give way to what they led to. */
static void repair_list(void *context, int thread, size_t number)
{
    enum { MOST = DEGREE_MOST * 8 };
    const struct repair *repair = context;
    const struct layer *from = &repair->old->layers[repair->level];
    struct graph_builder *builder = &repair->making->builder;
    uint32_t list[MOST], gone[DEGREE_MOST], n = 0, gone_count = 0, slot = (uint32_t)number;
    const uint32_t *own = layer_list(from, slot);
    if (bit_is_set(repair->gone, slot)) {
        graph_set_list(builder, thread, slot, NULL, 0);
        return;
    }
    for (uint32_t i = 0; i < from->degree && own[i] != NOBODY; i++) {
        if (bit_is_set(repair->gone, own[i]))
            gone[gone_count++] = own[i];
        else
            list[n++] = own[i];
    }
    for (uint32_t i = 0; i < gone_count; i++) {
        const uint32_t *theirs = layer_list(from, gone[i]);
        for (uint32_t j = 0; j < from->degree && theirs[j] != NOBODY && n < MOST; j++)
            if (!bit_is_set(repair->gone, theirs[j]) && theirs[j] != slot)
                list[n++] = theirs[j];
    }
    if (gone_count > 0)
        graph_set_list(builder, thread, slot, list, n);
}

/* Whether it is the slot's turn to be inserted anew. As many are as rows have come and gone; turns
 * go round, and are spread over all slots. */
static bool has_turn(const struct hnsw *old, const struct hnsw *hnsw, uint32_t slot)
{
    uint64_t place = (uint64_t)(uint32_t)(slot * UINT32_C(2654435761)) * hnsw->slots >> 32;
    uint64_t from = old->churn, count = hnsw->churn - from;
    return (place + hnsw->slots - from % hnsw->slots) % hnsw->slots < count;
}

/* Lists wear out as neighbours come and go. So some old slots look for theirs again. `slots`: all
 * of the layer. */
static int refresh(struct making *making, const struct hnsw *old, const struct changes *changes,
                   const uint32_t *slots, size_t count)
{
    struct graph_builder *builder = &making->builder;
    uint32_t *some = malloc((count + 1) * sizeof *some);
    size_t n = 0;
    if (some == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!bit_is_set(changes->fresh, slots[i]) && has_turn(old, making->hnsw, slots[i]))
            some[n++] = slots[i];
    atomic_ulong *done = builder->done;
    builder->done = NULL; /* it counts new rows */
    int rc = graph_insert(builder, some, n, count);
    builder->done = done;
    free(some);
    return rc;
}

static int update_level(struct making *making, const struct hnsw *old,
                        const struct changes *changes, uint32_t level)
{
    struct graph_builder *builder = &making->builder;
    struct layer before = making->hnsw->layers[level], kept = before;
    struct repair repair = {making, old, changes->gone, level};
    size_t count, inserted = 0;
    uint32_t *slots = making_linked(making, before.count, &count);
    int rc = slots == NULL
                 ? -ENOMEM
                 : graph_begin(builder, (int)level, before.count, before.degree, before.degree);
    if (rc < 0) {
        free(slots);
        return rc;
    }
    kept.count = old->layers[level].count;
    rc = graph_seed(builder, &kept);
    pages_free(before.lists, (size_t)before.count * before.degree * sizeof *before.lists);
    if (rc == 0)
        rc = graph_each(builder, kept.count, repair_list, &repair);
    while (inserted < changes->slot_count && changes->slots[inserted] < before.count)
        inserted++;
    if (rc == 0)
        rc = graph_insert(builder, changes->slots, inserted, count - inserted);
    if (rc == 0)
        rc = refresh(making, old, changes, slots, count);
    if (rc == 0)
        rc = graph_finish(builder, slots, count, making->hnsw->entry);
    free(slots);
    return rc;
}

/* ---- all together ---- */

/* Links twins; those of the slots that are some need not be inserted. */
static int settle_twins(struct making *making, const struct hnsw *old, struct changes *changes)
{
    size_t count = 0, kept = 0;
    uint32_t *slots = malloc(((size_t)making->hnsw->slots + 1) * sizeof *slots);
    if (slots == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < old->slots; slot++)
        if (slot_taken(old, slot) && !bit_is_set(changes->gone, slot) &&
            !making_is_twin(making, slot) && !bit_is_set(changes->fresh, slot))
            slots[count++] = slot;
    memcpy(slots + count, changes->slots, changes->slot_count * sizeof *slots);
    int rc = making_link_twins(making, slots, count + changes->slot_count);
    free(slots);
    for (size_t i = 0; i < changes->slot_count; i++)
        if (!making_is_twin(making, changes->slots[i]))
            changes->slots[kept++] = changes->slots[i];
    changes->slot_count = kept;
    return rc;
}

/* The first old slot that stays in the lists of the layer; NOBODY: there is none. */
static uint32_t first_staying(const struct making *making, const struct hnsw *old,
                              const struct changes *changes, uint32_t level)
{
    uint32_t end = old->layers[level].count;
    for (uint32_t slot = 0; slot < end; slot++)
        if (slot_taken(old, slot) && !bit_is_set(changes->gone, slot) &&
            !making_is_twin(making, slot) && !bit_is_set(changes->fresh, slot))
            return slot;
    return NOBODY;
}

/* The entry is an old slot on the highest layer that still has one. If all are gone or inserted
 * anew, it is the first slot to be inserted, with which the graph then begins. Layers above it
 * go. */
static void choose_entry(struct making *making, const struct hnsw *old,
                         const struct changes *changes)
{
    struct hnsw *hnsw = making->hnsw;
    uint32_t count = hnsw->layer_count, entry = NOBODY;
    while (count > 0 && (entry = first_staying(making, old, changes, count - 1)) == NOBODY)
        count--;
    if (count == 0) {
        entry = changes->slots[0];
        while (count < hnsw->layer_count && entry < hnsw->layers[count].count)
            count++;
    }
    while (hnsw->layer_count > count) {
        struct layer *top = &hnsw->layers[--hnsw->layer_count];
        pages_free(top->lists, (size_t)top->count * top->degree * sizeof *top->lists);
        *top = (struct layer){0};
    }
    hnsw->entry = entry;
}

static int plan(struct making *making, const struct hnsw *old, const uint64_t *dead,
                struct changes *changes)
{
    const struct rows *rows = &making->rows;
    uint32_t all = rows->count;
    changes->usable = malloc(((size_t)all + 1) * sizeof *changes->usable);
    if (changes->usable == NULL)
        return -ENOMEM;
    for (uint32_t row = 0; row < all; row++)
        if (rows_has_place(rows, &old->field.space, row))
            changes->usable[changes->usable_count++] = row;
    uint32_t free = free_slots(old, dead);
    uint64_t slots = old->slots + (changes->usable_count > free ? changes->usable_count - free : 0);
    if (slots >= SLOTS_MOST)
        return -EFBIG;
    int rc = copy_old(making, old, (uint32_t)slots);
    changes->gone = bits_new(slots);
    changes->fresh = bits_new(slots);
    changes->slots = malloc((slots + 1) * sizeof *changes->slots);
    if (rc < 0 || changes->gone == NULL || changes->fresh == NULL || changes->slots == NULL)
        return -ENOMEM;
    rc = unchain(making, old, dead, changes);
    if (rc == 0)
        rc = plan_slots(making, old, dead, changes);
    qsort(changes->slots, changes->slot_count, sizeof *changes->slots, compare_slots);
    for (size_t i = 0; i < changes->slot_count; i++)
        bit_set(changes->fresh, changes->slots[i]);
    return rc;
}

static int update(struct making *making, const struct hnsw *old, const uint64_t *dead)
{
    struct changes changes = {0};
    int rc = plan(making, old, dead, &changes);
    if (rc == 0)
        rc = copy_field(making, old);
    if (rc == 0)
        rc = making_put_rows(making);
    if (rc == 0)
        rc = settle_twins(making, old, &changes);
    if (rc == 0) {
        choose_entry(making, old, &changes);
        rc = making_begin_graph(making);
    }
    for (uint32_t level = making->hnsw->layer_count; rc == 0 && level-- > 0;)
        rc = update_level(making, old, &changes, level);
    graph_builder_clear(&making->builder);
    if (rc == 0 && old->field.bits == 4)
        rc = field_split(&making->hnsw->field, making->hnsw->slots);
    changes_clear(&changes);
    return rc;
}

static bool any_lives(const struct hnsw *old, const uint64_t *dead)
{
    uint32_t slot = 0;
    while (slot < old->slots && (!slot_taken(old, slot) || bit_is_set(dead, slot)))
        slot++;
    return slot < old->slots;
}

static int update_or_build(const struct hnsw *old, struct making *making, const uint64_t *dead,
                           const struct hnsw_rows *rows, struct hnsw **out)
{
    if (!any_lives(old, dead))
        return hnsw_build(making->options, rows, out, making->error);
    making->hnsw = calloc(1, sizeof *making->hnsw);
    int rc = making->hnsw == NULL ? -ENOMEM : making_init(making, rows);
    if (rc == 0)
        rc = update(making, old, dead);
    if (rc == 0) {
        *out = making->hnsw;
        making->hnsw = NULL;
    }
    making_clear(making);
    return rc;
}

/* A search copes with whatever stands in the caller's bytes, an update does not: it gets a copy. */
static int update_borrowed(const struct hnsw *old, struct making *making, const uint64_t *dead,
                           const struct hnsw_rows *rows, struct hnsw **out)
{
    struct hnsw copy;
    int rc = hnsw_copy_graph(old, &copy);
    if (rc == -EBADMSG)
        return error_set(making->error, rc, "the index is damaged");
    if (rc < 0)
        return rc;
    rc = update_or_build(&copy, making, dead, rows, out);
    hnsw_clear_graph(&copy);
    return rc;
}

int hnsw_update(const struct hnsw *old, const struct hnsw_options *options, const uint64_t *dead,
                const struct hnsw_rows *rows, struct hnsw **out, struct error *error)
{
    struct hnsw_options own = *options;
    own.space = old->field.space;
    own.m = old->m;
    own.ef_construction = old->ef_construction;
    own.seed = old->seed;
    own.code_bits = (int)old->field.bits;
    struct making making = {.options = &own, .error = error};
    uint64_t *none = dead == NULL ? bits_new(old->slots) : NULL;
    if (dead == NULL && none == NULL)
        return -ENOMEM;
    int rc = (old->borrowed ? update_borrowed
                            : update_or_build)(old, &making, dead != NULL ? dead : none, rows, out);
    free(none);
    return rc;
}
