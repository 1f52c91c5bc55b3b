/* Row groups at hand for queries: the map of a group's file in the cache, or, if the cache does not
 * have it, its rows in memory. All snapshots that have the group share it.
 *
 * A part of it (a run of values, codec/schema.h) is verified and unpacked when it is first used.
 * Unpacked parts are freed when memory gets short, unless the group is pinned or the part is held.
 *
 * Threads: any. Lifetime: the cache is freed after all groups have been let go. Errors: those of
 * fetch_group; -ENOSPC a part that must be held does not fit into the budget.
 */
#ifndef FS_ROWS_GROUP_ROWS_H
#define FS_ROWS_GROUP_ROWS_H

#include "fs/rows/fetch.h"

struct group_cache;
struct group_rows;

/* `memory`: bytes for unpacked parts; half of them may be held. */
MUST_CHECK int group_cache_new(uint64_t memory, struct group_cache **out);
void group_cache_free(struct group_cache *cache);
/* For tests: how many bytes it has in memory. */
uint64_t group_cache_used(const struct group_cache *cache);
uint64_t group_cache_budget(const struct group_cache *cache);

/* The rows of this group, a new reference; made if need be, without reading anything yet. */
MUST_CHECK int group_rows_get(struct group_cache *cache, struct group *group,
                              const struct schema *schema, struct group_rows **out);
void group_rows_unref(struct group_rows *rows);

/* The place from which its rows can be read. */
struct group_origin {
    const struct fetch_place *place;
    struct snapshot *snapshot;
    size_t number; /* of the group in the snapshot */
};

/* A run of values at hand. */
struct part {
    struct run run;
    /* The offset of each value, and that of the end; NULL: all have one size. */
    const uint64_t *starts;
    struct buffer memory[3];
    size_t bytes;      /* of the memory */
    size_t held_bytes; /* with the rows in memory that it points into, if it is held */
    bool held, of_memory;
};

/* While it is pinned, its parts stay. */
void group_rows_pin(struct group_rows *rows);
void group_rows_unpin(struct group_rows *rows);

/* The part of this number; number schema_parts() is the row ids. The caller has pinned the
 * group. */
MUST_CHECK int group_rows_part(struct group_rows *rows, const struct group_origin *origin,
                               int number, const struct part **out, struct error *error);

/* The same; the part stays as long as the group has references. */
MUST_CHECK int group_rows_hold(struct group_rows *rows, const struct group_origin *origin,
                               int number, const struct part **out, struct error *error);

/* One more part, number schema_parts() + 1, whose bytes `make` computes from others. It is kept as
 * it was made, and for longer than the parts it was computed from. The caller has pinned the
 * group. */
typedef int make_part(void *context, struct buffer *out, struct error *error);
MUST_CHECK int group_rows_made(struct group_rows *rows, make_part *make, void *context,
                               const struct part **out, struct error *error);

/* False: its file was cut short while it was mapped; what was read from it must not be used. */
bool group_rows_intact(const struct group_rows *rows);

/* The value of a row; *size is -1 for NULL. */
static inline const uint8_t *part_value(const struct part *part, uint32_t row, int32_t *size)
{
    const struct run *run = &part->run;
    if (run->fixed != RUN_VARIABLE) {
        *size = (int32_t)run->fixed;
        return run->bytes + (size_t)run->fixed * row;
    }
    *size = run->sizes[row];
    return run->bytes + part->starts[row];
}

#endif
