#include "fs/base/first_seen.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

enum { NONE = UINT32_MAX };

struct entry {
    uint64_t path, contents;
    int64_t since;
    uint32_t next;           /* in its bucket */
    uint32_t later, earlier; /* in the order in which they were seen */
};

struct first_seen {
    uint32_t most, count;
    uint32_t latest, earliest;
    struct entry *entries;
    uint32_t *buckets; /* `most` of them */
};

int first_seen_new(uint32_t most, struct first_seen **out)
{
    struct first_seen *seen = calloc(1, sizeof *seen);
    struct entry *entries = calloc(most, sizeof *entries);
    uint32_t *buckets = malloc(most * sizeof *buckets);
    if (seen == NULL || entries == NULL || buckets == NULL) {
        free(seen);
        free(entries);
        free(buckets);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < most; i++)
        buckets[i] = NONE;
    *seen = (struct first_seen){
        .most = most, .latest = NONE, .earliest = NONE, .entries = entries, .buckets = buckets};
    *out = seen;
    return 0;
}

void first_seen_free(struct first_seen *seen)
{
    if (seen == NULL)
        return;
    free(seen->entries);
    free(seen->buckets);
    free(seen);
}

/* The link that leads to the path's entry, or to NONE. */
static uint32_t *link_to(const struct first_seen *seen, uint64_t path)
{
    uint32_t *at = &seen->buckets[path % seen->most];
    while (*at != NONE && seen->entries[*at].path != path)
        at = &seen->entries[*at].next;
    return at;
}

static void take_off(struct first_seen *seen, const struct entry *entry)
{
    if (entry->later != NONE)
        seen->entries[entry->later].earlier = entry->earlier;
    else
        seen->latest = entry->earlier;
    if (entry->earlier != NONE)
        seen->entries[entry->earlier].later = entry->later;
    else
        seen->earliest = entry->later;
}

static void put_latest(struct first_seen *seen, uint32_t number)
{
    struct entry *entry = &seen->entries[number];
    entry->later = NONE;
    entry->earlier = seen->latest;
    if (seen->latest != NONE)
        seen->entries[seen->latest].later = number;
    else
        seen->earliest = number;
    seen->latest = number;
}

/* Gives the path an entry: a new one, or that of the path seen longest ago. */
static uint32_t add(struct first_seen *seen, uint64_t path)
{
    uint32_t number = seen->count;
    if (seen->count < seen->most) {
        seen->count++;
    } else {
        number = seen->earliest;
        take_off(seen, &seen->entries[number]);
        *link_to(seen, seen->entries[number].path) = seen->entries[number].next;
    }
    uint32_t *bucket = &seen->buckets[path % seen->most];
    seen->entries[number] = (struct entry){.path = path, .next = *bucket};
    *bucket = number;
    put_latest(seen, number);
    return number;
}

int64_t first_seen_note(struct first_seen *seen, uint64_t path, uint64_t contents, int64_t now)
{
    uint32_t number = *link_to(seen, path);
    bool known = number != NONE;
    if (!known)
        number = add(seen, path);
    struct entry *entry = &seen->entries[number];
    if (known) {
        take_off(seen, entry);
        put_latest(seen, number);
    }
    if (known && entry->contents == contents)
        return entry->since;
    entry->since = known && entry->since >= now ? entry->since + 1 : now;
    entry->contents = contents;
    return entry->since;
}
