#include "fs/views/stream.h"

#include "fs/base/patience.h"
#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 30, EACH = 4 };

static struct place place;
static struct snapshot *snapshot;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[0], ROWS, EACH);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_unref(snapshot);
    place_close(&place);
    return 0;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static bool at_once(void *context)
{
    (void)context;
    return true;
}

static struct feed *new_feed(void)
{
    struct snapshot *basis = NULL;
    struct feed *feed = NULL;
    must(snapshot_copy_basis(snapshot, &basis) == 0 && feed_new(basis, &feed) == 0);
    return feed;
}

/* ---- feeds ---- */

/* Runs come in any order, and are handed out in theirs. */
static void test_order(void **state)
{
    (void)state;
    static const size_t runs[] = {2, 0, 1, 2, 0, 3, 1};
    struct feed *feed = new_feed();
    struct feed_place at = {0};
    struct group *group;
    assert_int_equal(feed_next(feed, &at, 0, &group, NULL), -EAGAIN);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(feed_put(feed, runs[i], snapshot->groups[i]), 0);
    static const size_t expected[] = {1, 4, 2, 6, 0, 3, 5};
    for (size_t i = 0; i < 7; i++) {
        if (i == 2 || i == 4 || i == 6) { /* the run before may go on */
            assert_int_equal(feed_next(feed, &at, 0, &group, NULL), -EAGAIN);
            feed_run_done(feed, i / 2 - 1);
        }
        assert_int_equal(feed_next(feed, &at, 0, &group, NULL), 0);
        assert_ptr_equal(group, snapshot->groups[expected[i]]);
        group_unref(group);
    }
    assert_int_equal(feed_next(feed, &at, 0, &group, NULL), -EAGAIN);
    feed_end(feed, 0, "");
    assert_int_equal(feed_next(feed, &at, 0, &group, NULL), 0);
    assert_null(group);
    /* Somebody who comes later gets it all. */
    struct feed_place second = {0};
    size_t count = 0;
    while (feed_next(feed, &second, 0, &group, NULL) == 0 && group != NULL) {
        group_unref(group);
        count++;
        if (count == 6)
            feed_run_done(feed, 2);
    }
    assert_int_equal(count, 7);
    feed_unref(feed);
}

/* What had come before it failed is still there; then the reason. */
static void test_failure(void **state)
{
    (void)state;
    struct feed *feed = new_feed();
    struct feed_place at = {0};
    struct group *group;
    struct error error = {""};
    assert_int_equal(feed_put(feed, 0, snapshot->groups[0]), 0);
    feed_end(feed, -ENOTCONN, "the connection was lost");
    feed_end(feed, 0, "");
    assert_int_equal(feed_next(feed, &at, 0, &group, &error), 0);
    group_unref(group);
    assert_int_equal(feed_next(feed, &at, 1000, &group, &error), -ENOTCONN);
    assert_string_equal(error.text, "the connection was lost");
    feed_unref(feed);
}

/* ---- streams ---- */

static struct feed *whole_feed(void)
{
    struct feed *feed = NULL;
    must(feed_of_snapshot(snapshot, &feed) == 0);
    return feed;
}

static void read_and_compare(struct stream *stream, const struct buffer *whole, uint64_t offset,
                             uint64_t size)
{
    struct buffer out = {0};
    assert_int_equal(stream_read(stream, offset, size, never, NULL, &out, NULL), 0);
    uint64_t there = offset < whole->size ? whole->size - offset : 0;
    uint64_t expected = size < there ? size : there;
    assert_int_equal(out.size, expected);
    if (expected > 0)
        assert_memory_equal(out.data, whole->data + offset, expected);
    buffer_clear(&out);
}

static void test_every_range(void **state)
{
    (void)state;
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct buffer whole = {0};
        place_view(&rows_tables[0], snapshot, ROWS, f, &whole);
        for (uint64_t step = 1; step < whole.size + 2; step += step / 2 + 1) {
            struct feed *feed = whole_feed();
            struct stream *stream;
            assert_int_equal(
                stream_new(&place.fetch, feed, &(struct rendition){.format = formats[f]}, &stream),
                0);
            for (uint64_t at = 0; at <= whole.size + 3; at += step)
                read_and_compare(stream, &whole, at, step);
            read_and_compare(stream, &whole, whole.size / 2, UINT64_MAX);
            read_and_compare(stream, &whole, 0, 7);
            read_and_compare(stream, &whole, UINT64_MAX - 5, 5);
            stream_unref(stream);
            feed_unref(feed);
        }
        buffer_clear(&whole);
    }
}

/* Some columns, in another order; what has been rendered is measured. */
static void test_some_columns(void **state)
{
    (void)state;
    static const int numbers[] = {3, 0};
    struct columns *columns;
    struct schema *chosen;
    assert_int_equal(columns_new(numbers, 2, &columns), 0);
    must(schema_choose(snapshot->schema, numbers, 2, &chosen) == 0);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct rendition rendition = {formats[f], columns};
        struct buffer whole = {0};
        struct feed *feed = whole_feed();
        struct stream *stream;
        rows_view(&rows_tables[0], snapshot->schema, chosen, formats[f], 0, ROWS,
                  snapshot->groups[0]->rows, &whole);
        assert_int_equal(stream_new(&place.fetch, feed, &rendition, &stream), 0);
        for (uint64_t at = 0; at <= whole.size + 3; at += 11)
            read_and_compare(stream, &whole, at, 11);
        for (size_t i = 0; i < snapshot->group_count; i++)
            assert_true(group_size(snapshot->groups[i], &rendition) < whole.size);
        stream_unref(stream);
        feed_unref(feed);
        buffer_clear(&whole);
    }
    schema_free(chosen);
    columns_unref(columns);
}

/* The head is there before any row; the rest is waited for, or given up. */
static void test_waiting(void **state)
{
    (void)state;
    struct feed *feed = new_feed();
    struct stream *stream;
    struct buffer whole = {0}, out = {0};
    struct error error = {""};
    place_view(&rows_tables[0], snapshot, ROWS, 0, &whole);
    assert_int_equal(
        stream_new(&place.fetch, feed, &(struct rendition){.format = formats[0]}, &stream), 0);
    read_and_compare(stream, &whole, 0, 3);
    assert_int_equal(stream_read(stream, 0, 4096, at_once, NULL, &out, &error), -EINTR);
    assert_int_equal(feed_put(feed, 0, snapshot->groups[0]), 0);
    read_and_compare(stream, &whole, 0, snapshot_face(snapshot, formats[0])->offsets[1]);
    assert_int_equal(stream_read(stream, 0, 1 << 20, at_once, NULL, &out, &error), -EINTR);
    feed_end(feed, -ENOTCONN, "gone");
    assert_int_equal(stream_read(stream, 0, 1 << 20, never, NULL, &out, &error), -ENOTCONN);
    assert_string_equal(error.text, "gone");
    /* For good, even for what it had. */
    assert_int_equal(stream_read(stream, 0, 10, never, NULL, &out, &error), -ENOTCONN);
    assert_int_equal(out.size, 0);
    stream_unref(stream);
    feed_unref(feed);
    buffer_clear(&whole);
    buffer_clear(&out);
}

/* The fetch is tried again, more than once, and cuts its runs in another way. */
static void test_another_feed(void **state)
{
    (void)state;
    struct feed *feed = new_feed();
    struct stream *stream;
    struct buffer whole = {0}, out = {0};
    place_view(&rows_tables[0], snapshot, ROWS, 0, &whole);
    assert_int_equal(
        stream_new(&place.fetch, feed, &(struct rendition){.format = formats[0]}, &stream), 0);
    uint64_t id = feed_id(feed);
    for (size_t had = 1; had < 4; had++) {
        struct feed *next = new_feed();
        for (size_t i = 0; i < had; i++)
            assert_int_equal(feed_put(feed, had > 1 ? i : 0, snapshot->groups[i]), 0);
        for (size_t i = 0; i + 1 < had; i++)
            feed_run_done(feed, i);
        read_and_compare(stream, &whole, 0, snapshot_face(snapshot, formats[0])->offsets[had]);
        assert_null(feed_successor(feed));
        assert_false(feed_goes_on(feed, next)); /* not yet */
        feed_hand_over(feed, next);
        for (size_t i = 0; i < had; i++)
            assert_int_equal(feed_put(next, 7, snapshot->groups[i]), 0);
        for (size_t i = 0; i < 7; i++)
            feed_run_done(next, i);
        assert_true(feed_goes_on(feed, next));
        assert_int_equal(stream_read(stream, 0, 1 << 20, at_once, NULL, &out, NULL), -EINTR);
        read_and_compare(stream, &whole, 0, snapshot_face(snapshot, formats[0])->offsets[had]);
        feed_unref(feed);
        feed = new_feed();
        feed_hand_over(next, feed);
        feed_unref(next);
    }
    for (size_t i = 0; i < snapshot->group_count; i++)
        assert_int_equal(feed_put(feed, 0, snapshot->groups[i]), 0);
    feed_run_done(feed, 0);
    feed_end(feed, 0, "");
    read_and_compare(stream, &whole, 0, UINT64_MAX);
    assert_int_equal(stream_feed(stream), id);
    stream_unref(stream);
    feed_unref(feed);
    buffer_clear(&whole);
    buffer_clear(&out);
}

/* What has been read is not there any more: an error, and never a mix. */
static void test_another_feed_of_other_rows(void **state)
{
    (void)state;
    for (int fewer = 0; fewer < 2; fewer++) {
        struct feed *feed = new_feed(), *next = new_feed();
        struct stream *stream;
        struct buffer whole = {0}, out = {0};
        place_view(&rows_tables[0], snapshot, ROWS, 0, &whole);
        assert_int_equal(
            stream_new(&place.fetch, feed, &(struct rendition){.format = formats[0]}, &stream), 0);
        assert_int_equal(feed_put(feed, 0, snapshot->groups[0]), 0);
        assert_int_equal(feed_put(feed, 0, snapshot->groups[1]), 0);
        read_and_compare(stream, &whole, 0, snapshot_face(snapshot, formats[0])->offsets[2]);
        feed_hand_over(feed, next);
        assert_int_equal(feed_put(next, 0, snapshot->groups[0]), 0);
        if (!fewer)
            assert_int_equal(feed_put(next, 0, snapshot->groups[2]), 0);
        feed_run_done(next, 0);
        feed_end(next, 0, "");
        unsigned refs = snapshot->groups[2]->refs;
        assert_false(feed_goes_on(feed, next));
        assert_int_equal(snapshot->groups[2]->refs, refs);
        assert_int_equal(stream_read(stream, 0, 1 << 20, never, NULL, &out, NULL), -ESTALE);
        assert_int_equal(stream_read(stream, 0, 1, never, NULL, &out, NULL), -ESTALE);
        assert_int_equal(out.size, 0);
        stream_unref(stream);
        feed_unref(feed);
        feed_unref(next);
        buffer_clear(&whole);
        buffer_clear(&out);
    }
}

/* The group is in no store, and the server is not there. */
static void test_lost_group(void **state)
{
    (void)state;
    struct feed *feed = whole_feed();
    struct stream *stream;
    struct buffer out = {0};
    struct error error = {""};
    store_drop_group(place.store, PLACE_RELATION, snapshot->groups[1]->id);
    assert_int_equal(
        stream_new(&place.fetch, feed, &(struct rendition){.format = formats[1]}, &stream), 0);
    assert_true(stream_read(stream, 0, 1 << 20, never, NULL, &out, &error) < 0);
    assert_true(error.text[0] != '\0');
    assert_int_equal(out.size, 0);
    stream_unref(stream);
    feed_unref(feed);
    buffer_clear(&out);
}

/* A reader is killed while he waits for a group that the store has lost: it is his error, and nobody
 * else's. */
static void test_killed_reader(void **state)
{
    (void)state;
    struct feed *feed = whole_feed();
    struct stream *stream;
    struct rowgroup *rows;
    struct buffer whole = {0}, out = {0};
    const struct group *group = snapshot->groups[1];
    const atomic_bool stop = true;
    struct patience killed = {.waits = true, .stop = &stop};
    place_view(&rows_tables[0], snapshot, ROWS, 0, &whole);
    assert_int_equal(fetch_stored(place.store, snapshot, group, &rows), 0);
    store_drop_group(place.store, PLACE_RELATION, group->id);
    assert_int_equal(
        stream_new(&place.fetch, feed, &(struct rendition){.format = formats[0]}, &stream), 0);
    patience_begin(&killed);
    for (int i = 0; i < 2; i++)
        assert_int_equal(stream_read(stream, 0, 1 << 20, at_once, NULL, &out, NULL), -EINTR);
    patience_end(&killed);
    assert_int_equal(out.size, 0);
    assert_int_equal(store_put_rows(place.store, PLACE_RELATION, group->id, rows, snapshot->schema),
                     0);
    read_and_compare(stream, &whole, 0, UINT64_MAX);
    rowgroup_free(rows);
    stream_unref(stream);
    feed_unref(feed);
    buffer_clear(&whole);
    buffer_clear(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),        TEST(test_failure),
        TEST(test_every_range),  TEST(test_waiting),
        TEST(test_lost_group),   TEST(test_killed_reader),
        TEST(test_another_feed), TEST(test_another_feed_of_other_rows),
        TEST(test_some_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
