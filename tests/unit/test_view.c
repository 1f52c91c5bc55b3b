#include "fs/views/view.h"

#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Every (offset, length): tests/exhaustive/view_reads.c, whose short form is run with these. */

static struct place place;
static struct workers *workers;
static struct body_cache *cache;
static struct snapshot *snapshot;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[0], 30, 7);
    return workers_new(2, &workers) < 0 ||
                   body_cache_new(&place.fetch, workers, 2, NULL, 1 << 20, &cache) < 0
               ? -1
               : 0;
}

static int tear_down(void **state)
{
    (void)state;
    workers_free(workers);
    body_cache_free(cache);
    snapshot_unref(snapshot);
    place_close(&place);
    return 0;
}

static void test_hash(void **state)
{
    (void)state;
    atomic_bool stop = false;
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct buffer whole = {0};
        struct hash128 hash;
        place_view(&rows_tables[0], snapshot, 30, f, &whole);
        assert_int_equal(view_hash(cache, snapshot, f, &stop, &hash, NULL), 0);
        assert_true(hash128_equal(hash, hash128(whole.data, whole.size)));
        assert_true(snapshot->faces[f].hashed);
        buffer_clear(&whole);
    }
}

static void test_hash_is_stopped(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct hash128 hash;
    assert_int_equal(view_hash(cache, snapshot, 0, &stop, &hash, NULL), -EINTR);
    assert_false(snapshot->faces[0].hashed);
}

/* A lost or damaged group is an error in words, not bytes of something else. */
static void test_lost_groups(void **state)
{
    (void)state;
    uint64_t second = snapshot->groups[1]->id;
    char path[400];
    snprintf(path, sizeof path, "%s/%d/%016llx.rows", store_path(place.store), PLACE_RELATION,
             (unsigned long long)second);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    int last = fgetc(file);
    assert_int_equal(fseek(file, -1, SEEK_END), 0);
    assert_int_equal(fputc(last ^ 1, file), last ^ 1);
    fclose(file);
    for (int damaged = 1; damaged >= 0; damaged--) {
        struct buffer out = {0};
        struct error error = {""};
        uint64_t start = snapshot->faces[0].offsets[1];
        assert_true(place_read(cache, snapshot, 0, 0, UINT64_MAX, true, &out, &error) < 0);
        assert_true(error.text[0] != '\0');
        out.size = 0;
        assert_int_equal(place_read(cache, snapshot, 0, 0, start, true, &out, &error), 0);
        assert_int_equal(out.size, start);
        buffer_clear(&out);
        store_drop_group(place.store, PLACE_RELATION, second);
    }
}

/* A group of another size than was measured must not shift what follows. */
static void test_wrong_size(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct error error = {""};
    snapshot->groups[2]->sizes[1]++;
    assert_int_equal(place_read(cache, snapshot, 1, 0, UINT64_MAX, true, &out, &error), -EIO);
    assert_true(error.text[0] != '\0');
    buffer_clear(&out);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_hash),
        TEST(test_hash_is_stopped),
        TEST(test_lost_groups),
        TEST(test_wrong_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
