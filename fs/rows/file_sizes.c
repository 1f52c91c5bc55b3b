/* A hash table with open addressing: a key is at its own place, or at the next free one behind
 * it. */
#include "fs/rows/file_sizes.h"

#include "codec/hash.h"

#include <errno.h>
#include <stdlib.h>

void file_sizes_clear(struct file_sizes *sizes)
{
    free(sizes->places);
    *sizes = (struct file_sizes){0};
}

static bool same(const struct file_key *a, const struct file_key *b)
{
    return a->id == b->id && a->relation == b->relation && a->index == b->index;
}

static size_t home(const struct file_sizes *sizes, const struct file_key *key)
{
    uint64_t parts[] = {key->id, (uint64_t)key->relation << 1 | key->index};
    return (size_t)hash64(parts, sizeof parts) & (sizes->room - 1);
}

/* The place where the key is, or may be put. */
static struct file_size *find(const struct file_sizes *sizes, const struct file_key *key)
{
    size_t at = home(sizes, key);
    while (sizes->places[at].size != 0 && !same(&sizes->places[at].key, key))
        at = (at + 1) & (sizes->room - 1);
    return &sizes->places[at];
}

static int grow(struct file_sizes *sizes)
{
    size_t room = sizes->room > 0 ? 2 * sizes->room : 64;
    struct file_sizes grown = {.places = calloc(room, sizeof *grown.places), .room = room};
    if (grown.places == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < sizes->room; i++)
        if (sizes->places[i].size != 0)
            *find(&grown, &sizes->places[i].key) = sizes->places[i];
    grown.count = sizes->count;
    free(sizes->places);
    *sizes = grown;
    return 0;
}

int file_sizes_set(struct file_sizes *sizes, struct file_key key, uint64_t size, uint64_t *before)
{
    if (size == 0) {
        *before = file_sizes_remove(sizes, key);
        return 0;
    }
    int rc = 2 * (sizes->count + 1) > sizes->room ? grow(sizes) : 0;
    if (rc < 0)
        return rc;
    struct file_size *place = find(sizes, &key);
    *before = place->size;
    sizes->count += place->size == 0;
    *place = (struct file_size){key, size};
    return 0;
}

/* Moves what stands behind the gap into it, unless it is at its own place: else it would not be
 * found. */
static void close_gap(struct file_sizes *sizes, size_t gap)
{
    size_t mask = sizes->room - 1;
    for (size_t at = (gap + 1) & mask; sizes->places[at].size != 0; at = (at + 1) & mask) {
        size_t from = home(sizes, &sizes->places[at].key);
        if (((at - from) & mask) < ((at - gap) & mask))
            continue;
        sizes->places[gap] = sizes->places[at];
        gap = at;
    }
    sizes->places[gap] = (struct file_size){0};
}

uint64_t file_sizes_remove(struct file_sizes *sizes, struct file_key key)
{
    struct file_size *place = sizes->room > 0 ? find(sizes, &key) : NULL;
    if (place == NULL || place->size == 0)
        return 0;
    uint64_t size = place->size;
    sizes->count--;
    close_gap(sizes, (size_t)(place - sizes->places));
    return size;
}

int file_sizes_list(const struct file_sizes *sizes, struct file_key **out, size_t *count)
{
    struct file_key *keys = malloc((sizes->count + 1) * sizeof *keys);
    if (keys == NULL)
        return -ENOMEM;
    *count = 0;
    for (size_t i = 0; i < sizes->room; i++)
        if (sizes->places[i].size != 0)
            keys[(*count)++] = sizes->places[i].key;
    *out = keys;
    return 0;
}
