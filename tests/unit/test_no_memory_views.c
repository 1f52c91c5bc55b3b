/* Views, their bodies and strips, what is said of them, and partitions, without memory
 * (no_memory.h). Each attempt has a store, a snapshot of one row group and caches of its own, so that
 * nothing is rendered ahead by another thread. */
#include "tests/unit/no_memory.h"

#include "fs/tables/partitions.h"
#include "fs/views/follow.h"
#include "fs/views/manifest.h"
#include "fs/views/vdf.h"
#include "pgclient/catalog.h"

#include "tests/unit/place.h"

static const struct rows_table wide = {
    "wide",
    true,
    8,
    {ROWS_ALL_NULL, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_VECTOR}};

enum { ROWS = 100 };

static struct workers *workers; /* without work */
static const atomic_bool never = false;

/* What is to be done with a view, and what it must give. */
struct course {
    int format;
    bool some; /* two of its columns */
    int (*run)(struct body_cache *cache, const struct view *view, const struct buffer *whole);
};

static int read_all(struct body_cache *cache, const struct view *view, const struct buffer *whole)
{
    struct view_bytes bytes = {0};
    int rc = view_read(cache, view, 0, UINT64_MAX, true, &bytes, NULL);
    if (rc == 0)
        assert_int_equal(bytes.size, whole->size);
    size_t at = 0;
    for (int i = 0; rc == 0 && i < bytes.count; at += bytes.pieces[i++].iov_len)
        assert_memory_equal(whole->data + at, bytes.pieces[i].iov_base, bytes.pieces[i].iov_len);
    view_bytes_clear(cache, &bytes);
    return rc;
}

/* The first bytes of each part, of which Parquet has strips. */
static int read_little(struct body_cache *cache, const struct view *view,
                       const struct buffer *whole)
{
    const struct face *face = view_face(view);
    struct view_bytes bytes = {0};
    uint64_t at = face->offsets[0];
    int rc = view_read(cache, view, at, 20, true, &bytes, NULL);
    if (rc == 0)
        assert_memory_equal(whole->data + at, bytes.pieces[0].iov_base, bytes.pieces[0].iov_len);
    view_bytes_clear(cache, &bytes);
    return rc;
}

static int hash_all(struct body_cache *cache, const struct view *view, const struct buffer *whole)
{
    struct hash128 hash;
    int rc = view_hash(cache, view, &never, &hash, NULL);
    if (rc == 0)
        assert_true(hash128_equal(hash, hash128(whole->data, whole->size)));
    return rc;
}

static int measure(const struct place *place, struct view *view)
{
    struct progress progress = {0};
    return fetch_measure(&place->fetch, view, &never, NULL, &progress, NULL);
}

static int go_through(void *context)
{
    static const int chosen[] = {7, 1};
    const struct course *course = context;
    long at = no_memory_not_now();
    struct place place;
    struct body_cache *cache = NULL;
    struct buffer whole = {0};
    place_open(&place, 100 << 20);
    struct snapshot *snapshot = place_snapshot(&place, &wide, ROWS, ROWS);
    struct view view = view_whole(snapshot, formats[course->format]);
    struct schema *schema = NULL;
    if (course->some)
        must(schema_choose(snapshot->schema, chosen, 2, &schema) == 0);
    rows_view(&wide, snapshot->schema, course->some ? schema : snapshot->schema,
              formats[course->format], 0, ROWS, ROWS, &whole);
    schema_free(schema);
    no_memory_again(at);
    int rc = course->some ? columns_new(chosen, 2, &view.rendition.columns) : 0;
    if (rc == 0)
        rc = measure(&place, &view);
    if (rc == 0)
        rc = body_cache_new(&place.fetch, workers, 2, NULL, 1 << 20, &cache);
    if (rc == 0)
        rc = course->run(cache, &view, &whole);
    at = no_memory_not_now();
    columns_unref(view.rendition.columns);
    body_cache_free(cache);
    snapshot_unref(snapshot);
    place_close(&place);
    buffer_clear(&whole);
    no_memory_again(at);
    return rc;
}

static void test_views(void **state)
{
    (void)state;
    for (int f = 0; f < FORMAT_COUNT; f++)
        for (int some = 0; some < 1 + (f % 4 == 1); some++) {
            no_memory_each(go_through, &(struct course){f, some, read_all}, 0);
            no_memory_each(go_through, &(struct course){f, some, read_little}, 0);
        }
    no_memory_each(go_through, &(struct course){0, false, hash_all}, 0);
}

static int say(void *context)
{
    const struct snapshot *snapshot = context;
    struct buffer text = {0};
    int rc = manifest_write(snapshot, (1U << FORMAT_COUNT) - 1, false, &text);
    if (rc == 0)
        rc = vdf_write(snapshot, &text);
    buffer_clear(&text);
    return rc;
}

static int begin_to_follow(void *context)
{
    struct follow *follow;
    (void)context;
    int rc = follow_new(NULL, NULL, &follow);
    if (rc == 0) {
        follow_stop(follow);
        follow_free(follow);
    }
    return rc;
}

static void test_texts(void **state)
{
    struct place place;
    (void)state;
    place_open(&place, 100 << 20);
    struct snapshot *snapshot = place_snapshot(&place, &wide, ROWS, ROWS);
    no_memory_each(say, snapshot, 0);
    no_memory_each(begin_to_follow, NULL, -EAGAIN);
    snapshot_unref(snapshot);
    place_close(&place);
}

static int name_partitions(void *context)
{
    struct partitions partitions = {0};
    int rc = partitions_make(context, &partitions);
    if (rc == 0) {
        assert_int_equal(partitions.count, 3);
        assert_non_null(partitions_find(&partitions, 1, "other%2Ea%2Fpart"));
    }
    partitions_clear(&partitions);
    return rc;
}

static void test_partitions(void **state)
{
    struct relation relations[] = {
        {.schema = "other", .name = "a/part", .oid = 2, .parent = 1},
        {.schema = "public", .name = "b", .oid = 3, .parent = 1, .kind = RELATION_PARTITIONED},
        {.schema = "public", .name = "c", .oid = 4, .parent = 3},
        {.schema = "public", .name = "whole", .oid = 1, .kind = RELATION_PARTITIONED},
    };
    struct catalog catalog = {.relations = relations, .relation_count = 4};
    (void)state;
    no_memory_each(name_partitions, &catalog, 0);
}

static int set_up(void **state)
{
    (void)state;
    return workers_new(1, &workers);
}

static int tear_down(void **state)
{
    (void)state;
    workers_free(workers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_partitions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
