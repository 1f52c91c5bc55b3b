#include "fs/base/patience.h"
#include "fs/views/body.h"

#include "tests/unit/place.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct place place;
static struct workers *workers;
static struct body_cache *cache;
static struct snapshot *snapshot;

static int set_up_with(uint64_t limit)
{
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[0], 60, 5);
    return workers_new(2, &workers) < 0 ||
                   body_cache_new(&place.fetch, workers, 2, NULL, limit, &cache) < 0
               ? -1
               : 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(1 << 20);
}

/* All bodies together need more, and none of them more than half of it. */
enum { LIMIT = 10000 };

static int set_up_limit(void **state)
{
    (void)state;
    return set_up_with(LIMIT);
}

static int set_up_small(void **state)
{
    (void)state;
    return set_up_with(1000);
}

static int set_up_tiny(void **state)
{
    (void)state;
    return set_up_with(100); /* no two bodies fit beside each other */
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

static struct buffer expected_body(int format, size_t group)
{
    struct buffer out = {0};
    struct rowgroup *rows =
        rows_group(&rows_tables[0], snapshot->schema, 5 * (uint32_t)group, 5 * (uint32_t)group + 5);
    must(formats[format]->body(snapshot->schema, rows, NULL, &out) == 0);
    rowgroup_free(rows);
    return out;
}

static bool is_right(const struct body *body, int format, size_t group)
{
    struct buffer expected = expected_body(format, group);
    const struct buffer *bytes = body_bytes(body);
    bool same =
        bytes->size == expected.size && memcmp(bytes->data, expected.data, expected.size) == 0;
    buffer_clear(&expected);
    return same;
}

static void test_get(void **state)
{
    (void)state;
    for (int pass = 0; pass < 2; pass++)
        for (size_t group = 0; group < snapshot->group_count; group++)
            for (int f = 0; f < FORMAT_COUNT; f++) {
                struct body *body, *again;
                assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, f), group, &body),
                                 pass == 0 ? -EAGAIN : 0);
                if (pass == 1)
                    body_release(cache, body, 0);
                assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, f), group, &body, NULL), 0);
                assert_true(is_right(body, f, group));
                assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, f), group, &again), 0);
                assert_ptr_equal(body, again);
                body_release(cache, again, 0);
                body_release(cache, body, 0);
            }
    assert_true(body_cache_used(cache) > 0 && body_cache_used(cache) <= 1 << 20);
}

/* Whatever is asked for, what nobody borrows is within the limit; what is borrowed stays whole. */
static void test_limit(void **state)
{
    (void)state;
    struct body *held;
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 0, &held, NULL), 0);
    uint64_t borrowed = body_bytes(held)->capacity;
    for (size_t group = 0; group < snapshot->group_count; group++)
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct body *body;
            assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, f), group, &body, NULL), 0);
            body_release(cache, body, 0);
            assert_true(body_cache_used(cache) <= LIMIT + borrowed);
            assert_true(is_right(held, 0, 0));
        }
    body_release(cache, held, 0);
    assert_true(body_cache_used(cache) <= LIMIT);
}

/* The least recently used goes first. */
static void test_order_of_leaving(void **state)
{
    (void)state;
    struct body *body;
    size_t fit = 0;
    for (; fit < snapshot->group_count; fit++) { /* fill it until the first has gone */
        assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 1), fit, &body, NULL), 0);
        body_release(cache, body, 0);
        if (body_try(cache, PLACE_WHOLE(snapshot, 1), 0, &body) < 0)
            break;
        body_release(cache, body, 0); /* which makes it the most recently used again */
    }
    assert_true(fit > 1);
    if (fit == snapshot->group_count) { /* never: it was always the last one used */
        assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, 1), 0, &body), 0);
        body_release(cache, body, 0);
        assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, 1), 1, &body), -EAGAIN);
    }
}

static void test_failure_is_tried_again(void **state)
{
    (void)state;
    struct body *body = NULL;
    struct error error = {""};
    ++*place_size(snapshot->groups[3], 0);
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 3, &body, &error), -EIO);
    assert_null(body);
    assert_true(error.text[0] != '\0');
    assert_true(body_cache_used(cache) == 0);
    assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, 0), 3, &body), -EAGAIN);
    --*place_size(snapshot->groups[3], 0);
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 3, &body, &error), 0);
    assert_true(is_right(body, 0, 3));
    body_release(cache, body, 0);
}

static void test_ahead(void **state)
{
    (void)state;
    for (size_t group = 0; group < snapshot->group_count; group++)
        body_ahead(cache, PLACE_WHOLE(snapshot, 0), group);
    workers_free(workers); /* they are run to their end */
    workers = NULL;
    struct body *body;
    assert_int_equal(body_try(cache, PLACE_WHOLE(snapshot, 0), 0, &body), 0);
    assert_true(is_right(body, 0, 0));
    body_release(cache, body, 0);
    assert_int_equal(snapshot->refs, 1);
}

static void read_some(size_t group, uint64_t bytes)
{
    struct body *body;
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), group, &body, NULL), 0);
    assert_true(is_right(body, 0, group));
    body_release(cache, body, bytes);
}

/* What is larger than the cache is rendered once for a reader who reads it in pieces, beside
 * another who does the same, and for one who goes from one to the next; then it goes. */
static void test_large(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        read_some(0, 1);
        read_some(1, 1);
        body_ahead(cache, PLACE_WHOLE(snapshot, 0), 2);
    }
    assert_int_equal(body_cache_rendered(cache), 2);
    read_some(2, 1); /* the third is one too many */
    assert_int_equal(body_cache_rendered(cache), 3);
    read_some(1, 1);
    assert_int_equal(body_cache_rendered(cache), 3);
    read_some(0, 1);
    assert_int_equal(body_cache_rendered(cache), 4);
    read_some(0, 1 << 20); /* to its end */
    read_some(1, 1 << 20);
    read_some(2, 1 << 20);
    assert_int_equal(body_cache_used(cache), 0);
}

/* Who may not wait for the server is told so, and is not in the way of who may. */
static void test_lost(void **state)
{
    (void)state;
    struct body *body = NULL;
    struct error error = {""};
    store_drop_group(place.store, snapshot->groups[0]->relation, snapshot->groups[0]->id);
    struct patience none = {.waits = false};
    patience_begin(&none);
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 0, &body, &error), -EAGAIN);
    assert_true(none.refused);
    none.refused = false;
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 1, &body, &error), 0);
    assert_false(none.refused);
    body_release(cache, body, 0);
    patience_end(&none);
    assert_int_equal(body_get(cache, PLACE_WHOLE(snapshot, 0), 0, &body, &error), -ENOTCONN);
    assert_true(body_cache_used(cache) > 0);
}

static atomic_int wrong;

static void *ask(void *argument)
{
    unsigned seed = *(unsigned *)argument;
    for (int i = 0; i < 400; i++) {
        seed = seed * 1103515245 + 12345;
        size_t group = (seed >> 8) % snapshot->group_count;
        int format = (int)((seed >> 20) % FORMAT_COUNT);
        struct body *body;
        if (seed >> 28 == 0)
            body_ahead(cache, PLACE_WHOLE(snapshot, format), group);
        if (body_get(cache, PLACE_WHOLE(snapshot, format), group, &body, NULL) < 0) {
            wrong++;
            continue;
        }
        if (!is_right(body, format, group))
            wrong++;
        body_release(cache, body, 0);
    }
    return NULL;
}

/* Several threads over few groups, with a cache that is too small: all get the right bytes, and
 * what is left is within the limit. */
static void test_many_threads(void **state)
{
    (void)state;
    pthread_t threads[8];
    unsigned seeds[8];
    wrong = 0;
    for (unsigned i = 0; i < 8; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &seeds[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    workers_free(workers);
    workers = NULL;
    assert_int_equal(wrong, 0);
    assert_true(body_cache_used(cache) <= LIMIT);
    assert_int_equal(snapshot->refs, 1);
}

int main(void)
{
#define TEST(f, set_up) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_get, set_up),
        TEST(test_limit, set_up_limit),
        TEST(test_order_of_leaving, set_up_small),
        TEST(test_failure_is_tried_again, set_up),
        TEST(test_ahead, set_up),
        TEST(test_large, set_up_tiny),
        TEST(test_lost, set_up),
        TEST(test_many_threads, set_up_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
