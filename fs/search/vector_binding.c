#include "fs/search/vector_binding.h"

#include <errno.h>
#include <stdlib.h>

#define NONE UINT32_MAX

/* Goes through the rows of spans, upwards. */
struct span_cursor {
    const struct span *span;
    const struct span *end;
    uint64_t first; /* the span's first row */
};

static bool row_has_place(struct span_cursor *cursor, const struct space *space, uint64_t row)
{
    while (cursor->span < cursor->end && row >= cursor->first + cursor->span->rows) {
        cursor->first += cursor->span->rows;
        cursor->span++;
    }
    if (cursor->span == cursor->end)
        return false;
    size_t size;
    const uint8_t *value = span_value(cursor->span, (uint32_t)(row - cursor->first), &size);
    return value_has_place(space, value, size);
}

/* ---- slots by key ---- */

struct slot_map {
    const struct hnsw *hnsw;
    uint32_t *slots; /* open addressing; NONE: free */
    uint64_t mask;
};

static uint64_t key_hash(struct row_key key)
{
    uint64_t mixed = (key.place ^ (uint64_t)key.xmin << 40) * UINT64_C(0x9E3779B97F4A7C15) +
                     key.xmin * UINT64_C(0xC2B2AE3D27D4EB4F);
    return mixed ^ mixed >> 29;
}

/* Fills the map with the slots in use for which no row has been found yet. */
static int slot_map_init(struct slot_map *map, const struct hnsw *hnsw, const uint32_t *row_of_slot)
{
    uint32_t slots = hnsw_slots(hnsw), left = 0;
    struct row_key key;
    for (uint32_t slot = 0; slot < slots; slot++)
        left += row_of_slot[slot] == NONE;
    uint64_t room = 16;
    while (room < 2 * (uint64_t)left)
        room *= 2;
    *map = (struct slot_map){hnsw, malloc(room * sizeof *map->slots), room - 1};
    if (map->slots == NULL)
        return -ENOMEM;
    memset(map->slots, 0xFF, room * sizeof *map->slots);
    for (uint32_t slot = 0; slot < slots; slot++) {
        if (row_of_slot[slot] != NONE || !hnsw_key(hnsw, slot, &key))
            continue;
        uint64_t at = key_hash(key) & map->mask;
        while (map->slots[at] != NONE)
            at = (at + 1) & map->mask;
        map->slots[at] = slot;
    }
    return 0;
}

static uint32_t slot_map_find(const struct slot_map *map, struct row_key key)
{
    struct row_key found;
    for (uint64_t at = key_hash(key) & map->mask; map->slots[at] != NONE; at = (at + 1) & map->mask)
        if (hnsw_key(map->hnsw, map->slots[at], &found) && found.place == key.place &&
            found.xmin == key.xmin)
            return map->slots[at];
    return NONE;
}

/* ---- the join ---- */

struct join {
    struct vector_binding *binding;
    const struct vector_binding *before;
    struct corpus *corpus;
    const struct space *space;
    struct span_cursor cursor;
    struct bound_group *groups;     /* in the order of rows */
    const struct bound_group **was; /* what each group was in `before`; NULL: it was not there */
    struct row_key *keys;           /* those of one group */
    struct slot_map map;
    struct error *error;
    size_t fresh_room;
};

static int compare_ids(const void *a, const void *b)
{
    const struct bound_group *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Lists the groups of the corpus, and finds which of them `before` has. */
static int list_groups(struct join *join, const struct snapshot *snapshot)
{
    struct vector_binding *binding = join->binding;
    size_t count = snapshot->group_count;
    join->groups = calloc(count + 1, sizeof *join->groups);
    join->was = calloc(count + 1, sizeof *join->was);
    binding->groups = calloc(count + 1, sizeof *binding->groups);
    if (join->groups == NULL || join->was == NULL || binding->groups == NULL)
        return -ENOMEM;
    uint64_t row = 0;
    for (size_t i = 0; i < count; i++) {
        const struct group *group = snapshot->groups[i];
        join->groups[i] = (struct bound_group){group->id, row, group->rows};
        row += group->rows;
        if (join->before != NULL)
            join->was[i] = bsearch(&join->groups[i], join->before->groups,
                                   join->before->group_count, sizeof *join->groups, compare_ids);
        if (join->was[i] != NULL && join->was[i]->rows != group->rows)
            join->was[i] = NULL;
    }
    memcpy(binding->groups, join->groups, count * sizeof *binding->groups);
    qsort(binding->groups, count, sizeof *binding->groups, compare_ids);
    binding->group_count = count;
    return row == binding->rows ? 0 : -EBADMSG;
}

static void put(struct vector_binding *binding, uint64_t row, uint32_t slot)
{
    binding->slot_of_row[row] = slot;
    if (slot != NONE)
        binding->row_of_slot[slot] = (uint32_t)row;
}

static void carry_group(struct join *join, size_t number)
{
    const struct bound_group *was = join->was[number], *is = &join->groups[number];
    for (uint32_t i = 0; i < is->rows; i++)
        put(join->binding, is->first + i, join->before->slot_of_row[was->first + i]);
    join->binding->carried += is->rows;
}

static int add_fresh(struct join *join, uint64_t row)
{
    struct vector_binding *binding = join->binding;
    if (binding->index.fresh_count == join->fresh_room) {
        size_t room = 2 * join->fresh_room + 256;
        uint32_t *grown = realloc(binding->fresh, room * sizeof *grown);
        if (grown == NULL)
            return -ENOMEM;
        binding->fresh = grown;
        join->fresh_room = room;
    }
    binding->fresh[binding->index.fresh_count++] = (uint32_t)row;
    return 0;
}

/* Lists the fresh rows of a group that was taken over: they were fresh before, or had nothing to be
 * found by. */
static int carry_fresh(struct join *join, size_t number)
{
    const struct bound_group *was = join->was[number], *is = &join->groups[number];
    const struct vector_index *before = &join->before->index;
    uint32_t low = 0, high = before->fresh_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (before->fresh[middle] < was->first)
            low = middle + 1;
        else
            high = middle;
    }
    int rc = 0;
    for (; rc == 0 && low < before->fresh_count && before->fresh[low] < was->first + was->rows;
         low++)
        rc = add_fresh(join, is->first + (before->fresh[low] - was->first));
    return rc;
}

/* Loads the group's keys into `keys`. */
static int load_keys(struct join *join, size_t number)
{
    const struct bound_group *is = &join->groups[number];
    struct row_key *keys = realloc(join->keys, ((size_t)is->rows + 1) * sizeof *keys);
    if (keys == NULL)
        return -ENOMEM;
    join->keys = keys;
    if (join->binding->graph->basis.lasting)
        return corpus_group_keys(join->corpus, number, keys, join->error);
    for (uint32_t i = 0; i < is->rows; i++)
        keys[i] = (struct row_key){is->first + i, 0};
    return 0;
}

static int join_group(struct join *join, size_t number)
{
    const struct bound_group *is = &join->groups[number];
    int rc = load_keys(join, number);
    for (uint64_t row = is->first; rc == 0 && row < is->first + is->rows; row++) {
        uint32_t slot = slot_map_find(&join->map, join->keys[row - is->first]);
        /* Only a damaged group has a second row with the same key: that row is searched exactly. */
        if (slot != NONE && join->binding->row_of_slot[slot] != NONE)
            slot = NONE;
        put(join->binding, row, slot);
        if (slot == NONE && row_has_place(&join->cursor, join->space, row))
            rc = add_fresh(join, row);
    }
    return rc;
}

static int join_groups(struct join *join)
{
    size_t count = join->binding->group_count;
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        if (join->was[i] != NULL)
            carry_group(join, i);
        all &= join->was[i] != NULL;
    }
    int rc =
        all ? 0 : slot_map_init(&join->map, join->binding->graph->hnsw, join->binding->row_of_slot);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = join->was[i] != NULL ? carry_fresh(join, i) : join_group(join, i);
    return rc;
}

/* Marks which slots have rows; marks nothing if all in use have. */
static int mark_live(struct vector_binding *binding)
{
    uint32_t slots = hnsw_slots(binding->graph->hnsw), live = 0;
    for (uint32_t slot = 0; slot < slots; slot++)
        live += binding->row_of_slot[slot] != NONE;
    uint32_t used = hnsw_rows(binding->graph->hnsw);
    binding->dead = used > live ? used - live : 0;
    if (binding->dead == 0)
        return 0;
    binding->live = calloc((size_t)slots / 64 + 1, sizeof *binding->live);
    if (binding->live == NULL)
        return -ENOMEM;
    for (uint32_t slot = 0; slot < slots; slot++)
        if (binding->row_of_slot[slot] != NONE)
            binding->live[slot / 64] |= UINT64_C(1) << slot % 64;
    return 0;
}

static int allocate(struct vector_binding *binding, uint64_t rows)
{
    size_t slots = hnsw_slots(binding->graph->hnsw);
    binding->rows = (uint32_t)rows;
    binding->row_of_slot = malloc((slots + 1) * sizeof *binding->row_of_slot);
    binding->slot_of_row = malloc(((size_t)rows + 1) * sizeof *binding->slot_of_row);
    if (binding->row_of_slot == NULL || binding->slot_of_row == NULL)
        return -ENOMEM;
    memset(binding->row_of_slot, 0xFF, slots * sizeof *binding->row_of_slot);
    return 0;
}

/* Fills in what other files see. */
static void show(struct vector_binding *binding)
{
    struct vector_index *index = &binding->index;
    index->hnsw = binding->graph->hnsw;
    index->row_of_slot = binding->row_of_slot;
    index->live = binding->live;
    index->live_count = hnsw_rows(binding->graph->hnsw) - binding->dead;
    index->fresh = binding->fresh;
    index->serial = binding->graph->basis.serial;
    index->fetched_at = binding->graph->basis.fetched_at;
}

static int run_join(struct join *join, int column, struct error *error)
{
    const struct snapshot *snapshot = corpus_snapshot(join->corpus);
    const struct span *spans;
    size_t count;
    int rc = allocate(join->binding, snapshot->rows);
    if (rc == 0)
        rc = corpus_spans(join->corpus, column, &spans, &count, error);
    if (rc == 0) {
        join->cursor = (struct span_cursor){spans, spans + count, 0};
        rc = list_groups(join, snapshot);
    }
    if (rc == 0)
        rc = join_groups(join);
    if (rc == 0)
        rc = mark_live(join->binding);
    free(join->groups);
    free(join->was);
    free(join->keys);
    free(join->map.slots);
    return rc;
}

int vector_binding_new(struct vector_graph *graph, struct corpus *corpus, int column,
                       const struct vector_binding *before, struct vector_binding **out,
                       struct error *error)
{
    const struct snapshot *snapshot = corpus_snapshot(corpus);
    if (!vector_basis_fits(&graph->basis, snapshot, column))
        return error_set(error, -ESTALE, "the index is of other rows");
    if (snapshot->rows >= NONE)
        return error_set(error, -EFBIG, "there are more rows than an index can have");
    struct vector_binding *binding = calloc(1, sizeof *binding);
    if (binding == NULL)
        return -ENOMEM;
    binding->index.refs = 1;
    binding->graph = vector_graph_ref(graph);
    binding->serial = snapshot->serial;
    if (before != NULL && (before->graph != graph || !graph->basis.lasting))
        before = NULL;
    struct join join = {.binding = binding,
                        .before = before,
                        .corpus = corpus,
                        .space = hnsw_space(graph->hnsw),
                        .error = error};
    int rc = run_join(&join, column, error);
    if (rc < 0) {
        vector_index_unref(&binding->index);
        return rc;
    }
    show(binding);
    *out = binding;
    return 0;
}

static void *copy_of(const void *from, size_t size, bool *good)
{
    void *copy = from != NULL ? malloc(size + 1) : NULL;
    *good &= from == NULL || copy != NULL;
    return copy != NULL ? memcpy(copy, from, size) : NULL;
}

int vector_binding_move(const struct vector_binding *from, struct vector_graph *graph,
                        struct vector_binding **out)
{
    struct vector_binding *binding = calloc(1, sizeof *binding);
    size_t slots = hnsw_slots(graph->hnsw);
    bool good = true;
    if (binding == NULL)
        return -ENOMEM;
    binding->index.refs = 1;
    binding->index.fresh_count = from->index.fresh_count;
    binding->graph = vector_graph_ref(graph);
    binding->serial = from->serial;
    binding->rows = from->rows;
    binding->dead = from->dead;
    binding->group_count = from->group_count;
    binding->carried = from->carried;
    binding->row_of_slot = copy_of(from->row_of_slot, slots * sizeof(uint32_t), &good);
    binding->slot_of_row = copy_of(from->slot_of_row, from->rows * sizeof(uint32_t), &good);
    binding->fresh = copy_of(from->fresh, from->index.fresh_count * sizeof(uint32_t), &good);
    binding->live = copy_of(from->live, (slots / 64 + 1) * sizeof(uint64_t), &good);
    binding->groups = copy_of(from->groups, from->group_count * sizeof *from->groups, &good);
    show(binding);
    if (!good) {
        vector_index_unref(&binding->index);
        return -ENOMEM;
    }
    *out = binding;
    return 0;
}

/* ---- for searches ---- */

void vector_index_unref(struct vector_index *index)
{
    if (index == NULL || atomic_fetch_sub(&index->refs, 1) > 1)
        return;
    struct vector_binding *binding = (struct vector_binding *)index;
    vector_graph_unref(binding->graph);
    free(binding->row_of_slot);
    free(binding->slot_of_row);
    free(binding->fresh);
    free(binding->live);
    free(binding->groups);
    free(binding);
}

bool vector_index_intact(const struct vector_index *index)
{
    return vector_graph_is_intact(((const struct vector_binding *)index)->graph);
}

int vector_index_searcher(struct vector_index *index, struct hnsw_searcher **out)
{
    return vector_graph_searcher(((struct vector_binding *)index)->graph, out);
}

void vector_index_done(struct vector_index *index, struct hnsw_searcher *searcher)
{
    vector_graph_done(((struct vector_binding *)index)->graph, searcher);
}
