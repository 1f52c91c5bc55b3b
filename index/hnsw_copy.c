/* Copies of an index, and what must hold of one that lies in somebody else's bytes.
 *
 * Such bytes are first copied, then checked: otherwise they could change in between. */
#include "index/hnsw_parts.h"

#include "index/bits.h"
#include "index/pages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what must hold ---- */

bool hnsw_places_hold(const struct hnsw *hnsw)
{
    uint32_t taken = 0;
    for (uint32_t slot = 0; slot < hnsw->slots; slot++)
        taken += slot_taken(hnsw, slot);
    return taken == hnsw->rows;
}

/* No two slots lead to the same, and none into a ring: so a chain that is followed ends. */
int hnsw_twins_hold(const struct hnsw *hnsw)
{
    if (hnsw->twins == NULL)
        return 0;
    uint64_t *led_to = bits_new(hnsw->slots);
    if (led_to == NULL)
        return -ENOMEM;
    bool good = true;
    uint32_t links = 0, followed = 0;
    for (uint32_t slot = 0; good && slot < hnsw->slots; slot++) {
        uint32_t next = hnsw->twins[slot];
        if (next == NOBODY)
            continue;
        good = slot_taken(hnsw, slot) && slot_taken(hnsw, next) && !bit_is_set(led_to, next);
        if (good)
            bit_set(led_to, next);
        links++;
    }
    for (uint32_t slot = 0; good && slot < hnsw->slots; slot++)
        for (uint32_t next = bit_is_set(led_to, slot) ? NOBODY : hnsw->twins[slot];
             next < hnsw->slots; next = hnsw->twins[next])
            if (followed++ > links) /* it changes while it is read */
                break;
    free(led_to);
    return good && followed == links ? 0 : -EBADMSG;
}

static bool lists_hold(const struct hnsw *hnsw)
{
    for (uint32_t l = 0; l < hnsw->layer_count; l++) {
        const struct layer *layer = &hnsw->layers[l];
        for (size_t i = 0; i < (size_t)layer->count * layer->degree; i++)
            if (layer->lists[i] != NOBODY &&
                (layer->lists[i] >= layer->count || !slot_taken(hnsw, layer->lists[i])))
                return false;
    }
    return true;
}

/* ---- copies ---- */

void hnsw_clear_graph(struct hnsw *hnsw)
{
    for (uint32_t l = 0; l < LAYERS_MOST; l++)
        pages_free(hnsw->layers[l].lists,
                   (size_t)hnsw->layers[l].count * hnsw->layers[l].degree * sizeof(uint32_t));
    pages_free(hnsw->places, hnsw->slots * sizeof *hnsw->places);
    pages_free(hnsw->xmins, hnsw->slots * sizeof *hnsw->xmins);
    pages_free(hnsw->twins, hnsw->slots * sizeof *hnsw->twins);
}

static void *copy_pages(const void *from, size_t size, bool *good)
{
    void *copy = from != NULL ? pages_new(size) : NULL;
    if (from != NULL && copy == NULL)
        *good = false;
    return copy != NULL ? memcpy(copy, from, size) : NULL;
}

int hnsw_copy_graph(const struct hnsw *from, struct hnsw *out)
{
    bool good = true;
    *out = *from;
    out->places = copy_pages(from->places, from->slots * sizeof *from->places, &good);
    out->xmins = copy_pages(from->xmins, from->slots * sizeof *from->xmins, &good);
    out->twins = copy_pages(from->twins, from->slots * sizeof *from->twins, &good);
    for (uint32_t l = 0; l < LAYERS_MOST; l++) {
        const struct layer *layer = &from->layers[l];
        size_t size = (size_t)layer->count * layer->degree * sizeof *layer->lists;
        out->layers[l].lists = copy_pages(layer->lists, size, &good);
    }
    int rc = good ? 0 : -ENOMEM;
    if (rc == 0 && from->borrowed)
        rc = hnsw_places_hold(out) && lists_hold(out) ? hnsw_twins_hold(out) : -EBADMSG;
    if (rc < 0)
        hnsw_clear_graph(out);
    return rc;
}

int hnsw_copy(const struct hnsw *from, struct hnsw **out)
{
    struct hnsw *hnsw = malloc(sizeof *hnsw);
    if (hnsw == NULL)
        return -ENOMEM;
    int rc = hnsw_copy_graph(from, hnsw);
    if (rc < 0) {
        free(hnsw);
        return rc;
    }
    struct field field = {0};
    rc = field_copy(&from->field, from->slots, from->field.arena_size, &field);
    if (rc == 0 && from->borrowed && !field_arena_holds(&field, from->slots))
        rc = -EBADMSG;
    hnsw->field = field;
    hnsw->borrowed = false;
    if (rc < 0) {
        hnsw_free(hnsw);
        return rc;
    }
    *out = hnsw;
    return 0;
}
