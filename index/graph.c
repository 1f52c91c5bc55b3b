/* A search waits for memory. So a neighbour's record is fetched as soon as the neighbour is known,
 * and the list of the candidate that is likely next, while those before are computed. */
#include "index/graph.h"

#include "index/bits.h"

#include <errno.h>
#include <string.h>

/* Up to one slot in so many is forgotten one by one, more are all together. */
enum { TOUCHED_SHARE = 64 };

int walk_init(struct walk *walk, const struct field *field, const struct probe *probe,
              uint32_t slots, uint32_t room)
{
    *walk = (struct walk){.field = field,
                          .probe = probe,
                          .slots = slots,
                          .touched_room = slots / TOUCHED_SHARE + 1024};
    walk->seen = bits_new(slots);
    walk->touched = malloc((walk->touched_room + DEGREE_MOST) * sizeof *walk->touched);
    if (walk->seen == NULL || walk->touched == NULL || walk_reserve(walk, room) < 0) {
        walk_clear(walk);
        return -ENOMEM;
    }
    return 0;
}

void walk_clear(struct walk *walk)
{
    free(walk->seen);
    free(walk->touched);
    free(walk->pool);
    *walk = (struct walk){0};
}

int walk_reserve(struct walk *walk, uint32_t room)
{
    if (room <= walk->room)
        return 0;
    candidate *pool = realloc(walk->pool, ((size_t)room + 1) * sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    walk->pool = pool;
    walk->room = room;
    return 0;
}

static inline void touch(struct walk *walk, const uint32_t *slots, uint32_t n)
{
    if (walk->touched_count < walk->touched_room) {
        memcpy(walk->touched + walk->touched_count, slots, n * sizeof *slots);
        walk->touched_count += n;
    }
}

static void forget(struct walk *walk)
{
    if (walk->touched_count >= walk->touched_room)
        memset(walk->seen, 0, bit_words(walk->slots) * sizeof *walk->seen);
    else
        for (uint32_t i = 0; i < walk->touched_count; i++)
            walk->seen[walk->touched[i] / 64] = 0;
    walk->touched_count = 0;
}

static inline void fetch_list(const struct layer *layer, uint32_t slot)
{
    const uint32_t *list = layer_list(layer, slot);
    for (uint32_t i = 0; i < layer->degree; i += 16)
        __builtin_prefetch(list + i);
}

/* The neighbours that were not seen yet, into `out`; their number. */
static inline uint32_t list_unseen(struct walk *walk, const struct layer *layer, uint32_t slot,
                                   uint32_t *out)
{
    const struct field *field = walk->field;
    const uint32_t *list = layer_list(layer, slot);
    uint32_t n = 0;
    for (uint32_t i = 0; i < layer->degree; i++) {
        uint32_t next = list[i];
        if (next >= layer->count)
            break;
        const uint8_t *record = field->look + field->look_stride * next;
        __builtin_prefetch(record);
        __builtin_prefetch(record + 64);
        uint64_t bit = UINT64_C(1) << next % 64, word = walk->seen[next / 64];
        walk->seen[next / 64] = word | bit;
        out[n] = next;
        n += (word & bit) == 0;
    }
    return n;
}

/* Puts it into its place, and returns that. If the pool is full its last one falls out. */
static inline uint32_t pool_insert(struct walk *walk, uint32_t ef, candidate one)
{
    uint32_t low = 0, n = walk->size;
    while (n > 0) {
        uint32_t half = n / 2;
        bool after = walk->pool[low + half] < one;
        low = after ? low + half + 1 : low;
        n = after ? n - half - 1 : half;
    }
    uint32_t last = walk->size < ef ? walk->size++ : ef - 1;
    memmove(walk->pool + low + 1, walk->pool + low, (size_t)(last - low) * sizeof one);
    walk->pool[low] = one;
    return low;
}

/* Scores the neighbours of the pool's candidate `at`. Returns the first place in the pool that has
 * changed. */
static uint32_t expand(struct walk *walk, const struct layer *layer, uint32_t ef, uint32_t at)
{
    uint32_t slots[DEGREE_MOST], first = UINT32_MAX;
    float scores[DEGREE_MOST];
    uint32_t n = list_unseen(walk, layer, candidate_slot(walk->pool[at]), slots);
    walk->pool[at] |= 1;
    touch(walk, slots, n);
    walk->visited += n;
    if (at + 1 < walk->size)
        fetch_list(layer, candidate_slot(walk->pool[at + 1]));
    walk->field->score(walk->field, walk->probe, slots, n, scores);
    for (uint32_t i = 0; i < n; i++) {
        candidate one = candidate_make(scores[i], slots[i]);
        if (walk->size == ef && one >= walk->pool[ef - 1])
            continue;
        uint32_t place = pool_insert(walk, ef, one);
        if (place <= first) {
            first = place;
            fetch_list(layer, slots[i]);
        }
    }
    return first;
}

static bool walk_is_stopped(const struct walk *walk)
{
    return walk->stop != NULL && atomic_load_explicit(walk->stop, memory_order_relaxed);
}

int graph_search(struct walk *walk, const struct layer *layer, uint32_t entry, uint32_t ef)
{
    enum { OFTEN = 1024 }; /* between two looks at whether to stop */
    float score;
    walk->field->score(walk->field, walk->probe, &entry, 1, &score);
    walk->pool[0] = candidate_make(score, entry);
    walk->size = 1;
    walk->visited++;
    bit_set(walk->seen, entry);
    touch(walk, &entry, 1);
    uint32_t at = 0, left = OFTEN;
    int rc = 0;
    while (rc == 0 && at < walk->size) {
        if (walk->pool[at] & 1) {
            at++;
            continue;
        }
        uint32_t first = expand(walk, layer, ef, at);
        at = first <= at ? first : at + 1;
        if (--left == 0) {
            left = OFTEN;
            rc = walk_is_stopped(walk) ? -EINTR : 0;
        }
    }
    forget(walk);
    return rc;
}

/* The nearest of the candidate and its neighbours. */
static candidate step_down(struct walk *walk, const struct layer *layer, candidate best)
{
    float scores[DEGREE_MOST];
    const uint32_t *list = layer_list(layer, candidate_slot(best));
    uint32_t n = 0;
    while (n < layer->degree && list[n] < layer->count)
        n++;
    walk->field->score(walk->field, walk->probe, list, n, scores);
    walk->visited += n;
    for (uint32_t i = 0; i < n; i++) {
        candidate one = candidate_make(scores[i], list[i]);
        best = one < best ? one : best;
    }
    return best;
}

uint32_t graph_descend(struct walk *walk, const struct layer *layers, int from, int to,
                       uint32_t entry)
{
    float score;
    if (from < to)
        return entry;
    walk->field->score(walk->field, walk->probe, &entry, 1, &score);
    candidate best = candidate_make(score, entry), before;
    for (int l = from; l >= to; l--)
        do {
            before = best;
            best = step_down(walk, &layers[l], best);
        } while (best != before);
    return candidate_slot(best);
}
