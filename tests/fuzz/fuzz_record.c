/* The cache's records: byte 0 chooses what the rest is read as: a schema, or a whole table snapshot
 * whose checksum holds. What is accepted can be written again, and then is the same. */
#include "tests/unit/place.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_schema(const uint8_t *data, size_t size)
{
    struct record_reader in = {.at = data, .end = data + size};
    struct schema *schema;
    int rc = schema_get(&in, &schema);
    must(rc == 0 || rc == -EBADMSG);
    if (rc < 0)
        return;
    struct buffer first = {0}, second = {0};
    struct schema *again;
    must(schema_put(schema, &first) == 0);
    in = (struct record_reader){.at = first.data, .end = first.data + first.size};
    must(schema_get(&in, &again) == 0 && in.at == in.end);
    must(schema_put(again, &second) == 0);
    must(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    must(schema_parts(schema) == schema_parts(again) &&
         rowgroup_fields(schema) == rowgroup_fields(again));
    buffer_clear(&first);
    buffer_clear(&second);
    schema_free(schema);
    schema_free(again);
}

static struct place place;

static void close_place(void) { place_close(&place); }

/* The store that the records are put into, which also makes their checksums. */
static void need_place(void)
{
    static bool open;
    if (!open) {
        place_open(&place, 1 << 20);
        atexit(close_place);
    }
    open = true;
}

static void check_snapshot(const uint8_t *data, size_t size)
{
    struct buffer record = {.data = (uint8_t *)(uintptr_t)data, .size = size};
    struct snapshot *snapshot;
    need_place();
    must(store_put_record(place.store, PLACE_RELATION, "table", &record) == 0);
    int rc = snapshot_load(place.store, PLACE_RELATION, &snapshot);
    must(rc == 0 || rc == -EBADMSG);
    if (rc < 0)
        return;
    must(snapshot->mtime >= 0 && snapshot->mtime < INT64_MAX - 1 && snapshot->serial < INT64_MAX);
    must(snapshot->fetched_at >= 0 && snapshot->fetched_at < INT64_MAX);
    for (size_t i = 0; i < snapshot->group_count; i++)
        must(store_new_id(place.store) > snapshot->groups[i]->id);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        must(snapshot->faces[f].refused < 0 || formats[f]->possible(snapshot->schema));
        must(!snapshot->faces[f].measured || snapshot_size(snapshot, f) <= INT64_MAX);
    }
    must(snapshot_save(snapshot) == 0);
    struct snapshot *second;
    must(snapshot_load(place.store, PLACE_RELATION, &second) == 0);
    must(snapshot_same_content(snapshot, second));
    snapshot_unref(second);
    snapshot_unref(snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] % 2 == 0)
        check_schema(data + 1, size - 1);
    else
        check_snapshot(data + 1, size - 1);
    return 0;
}
