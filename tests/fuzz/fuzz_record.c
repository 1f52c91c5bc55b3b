/* The cache's records: byte 0 chooses what the rest is read as: a schema, or a whole table snapshot
 * whose checksum holds. What is accepted can be written again, and then is the same. */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/place.h"

#include <errno.h>

enum { SCHEMA, SNAPSHOT };
unsigned long fuzz_taken[FUZZ_KINDS_MOST];

/* A schema and a snapshot of each table. */
const char *fuzz_kind(unsigned kind)
{
    static char name[60];
    if (kind / 2 >= ROWS_TABLES)
        return NULL;
    snprintf(name, sizeof name, "a %s of %s", kind % 2 == SCHEMA ? "schema" : "snapshot",
             rows_tables[kind / 2].name);
    return name;
}

/* By its columns; none of them: the first. */
static unsigned table_of(const struct schema *schema)
{
    unsigned found = 0;
    struct text own = {0};
    schema_put(schema, &own);
    must(own.failed == 0);
    for (unsigned i = ROWS_TABLES; i-- > 0;) {
        struct schema *other = rows_schema(&rows_tables[i]);
        struct text its = {0};
        schema_put(other, &its);
        must(its.failed == 0);
        if (own.bytes.size == its.bytes.size &&
            memcmp(own.bytes.data, its.bytes.data, own.bytes.size) == 0)
            found = i;
        text_clear(&its);
        schema_free(other);
    }
    text_clear(&own);
    return found;
}

static void check_schema(const uint8_t *data, size_t size)
{
    struct record_reader in = {.at = data, .end = data + size};
    struct schema *schema;
    int rc = schema_get(&in, &schema);
    must(rc == 0 || rc == -EBADMSG);
    if (rc < 0)
        return;
    struct text first = {0}, second = {0};
    struct schema *again;
    schema_put(schema, &first);
    fuzz_taken[2 * table_of(schema) + SCHEMA]++;
    in = (struct record_reader){.at = first.bytes.data, .end = first.bytes.data + first.bytes.size};
    must(schema_get(&in, &again) == 0 && in.at == in.end);
    schema_put(again, &second);
    must(first.failed == 0 && second.failed == 0 && first.bytes.size == second.bytes.size &&
         memcmp(first.bytes.data, second.bytes.data, first.bytes.size) == 0);
    must(schema_parts(schema) == schema_parts(again) &&
         rowgroup_fields(schema) == rowgroup_fields(again));
    text_clear(&first);
    text_clear(&second);
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
        const struct face *face = snapshot_face(snapshot, formats[f]);
        must(!face->asked || face->refused < 0 || formats[f]->possible(snapshot->schema));
        must(!face->measured || face->size <= INT64_MAX);
    }
    must(snapshot_save(snapshot) == 0);
    struct snapshot *second;
    must(snapshot_load(place.store, PLACE_RELATION, &second) == 0);
    must(snapshot_same_content(snapshot, second));
    fuzz_taken[2 * table_of(snapshot->schema) + SNAPSHOT]++;
    snapshot_unref(second);
    snapshot_unref(snapshot);
}

static void put_snapshot(fuzz_put *put, const struct rows_table *table, uint32_t rows)
{
    struct buffer record = {0};
    struct snapshot *snapshot = place_snapshot(&place, table, rows, 7);
    must(snapshot_save(snapshot) == 0);
    must(store_get_record(place.store, PLACE_RELATION, "table", &record) == 0);
    snapshot_unref(snapshot);
    fuzz_put_behind(put, &(uint8_t){SNAPSHOT}, 1, record.data, record.size);
    buffer_clear(&record);
}

void fuzz_seeds(fuzz_put *put)
{
    need_place();
    for (int i = 0; i < ROWS_TABLES; i++) {
        struct schema *schema = rows_schema(&rows_tables[i]);
        struct text record = {0};
        schema_put(schema, &record);
        must(record.failed == 0);
        fuzz_put_behind(put, &(uint8_t){SCHEMA}, 1, record.bytes.data, record.bytes.size);
        text_clear(&record);
        schema_free(schema);
        for (uint32_t rows = 0; rows <= 20; rows += 10)
            put_snapshot(put, &rows_tables[i], rows);
    }
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
