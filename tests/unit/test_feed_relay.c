/* The feeds of the attempts of one fetch: who goes on where, and what the rows are made of. */
#include "fs/rows/feed_relay.h"

#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ROWS = 12, EACH = 3 };

static struct place place;
static struct snapshot *snapshot;
static struct feed_relay relay;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[0], ROWS, EACH);
    feed_relay_init(&relay);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    feed_relay_clear(&relay);
    snapshot_unref(snapshot);
    place_close(&place);
    return 0;
}

/* An attempt begins, and gets these groups of the snapshot. A new reference to its feed. */
static struct feed *begin(size_t first, size_t end)
{
    struct snapshot *basis;
    struct feed *feed = NULL;
    must(snapshot_copy_basis(snapshot, &basis) == 0 && feed_new(basis, &feed) == 0);
    feed_relay_begin(&relay, feed);
    for (size_t i = first; i < end; i++)
        must(feed_put(feed, 0, snapshot->groups[i]) == 0);
    return feed_ref(feed);
}

static void finish(struct feed *feed)
{
    feed_run_done(feed, 0);
    feed_relay_end(&relay, 0, false, "");
}

static void assert_made_of(struct feed *const *feeds, int count)
{
    int found = 0;
    for (int i = 0; i < FEEDS_IN_A_ROW; i++)
        found += relay.made_of.ids[i] != 0;
    assert_int_equal(found, count);
    for (int i = 0; i < count; i++)
        assert_true(feed_ids_have(&relay.made_of, feed_id(feeds[i])));
}

static void test_one(void **state)
{
    (void)state;
    assert_null(feed_relay_now(&relay));
    struct feed *feed = begin(0, 4), *now = feed_relay_now(&relay);
    assert_ptr_equal(now, feed);
    assert_made_of(NULL, 0);
    finish(feed);
    assert_null(feed_relay_now(&relay));
    assert_made_of(&feed, 1);
    feed_relay_settle(&relay, 0, snapshot, "");
    assert_made_of(&feed, 1);
    feed_unref(feed);
    feed_unref(now);
}

/* The readers of an attempt that failed go on in the next one's feed, and are part of what it is
 * made of if it begins with what they have read. */
static void test_again(void **state)
{
    (void)state;
    struct feed *feeds[3], *next;
    for (int i = 0; i < 3; i++) {
        feeds[i] = begin(0, i < 2 ? (size_t)i + 1 : 4);
        if (i > 0) {
            next = feed_successor(feeds[i - 1]);
            assert_ptr_equal(next, feeds[i]);
            feed_unref(next);
        }
        if (i < 2)
            feed_relay_end(&relay, -EAGAIN, true, "lost");
        assert_made_of(NULL, 0);
    }
    finish(feeds[2]);
    assert_made_of(feeds, 3);
    for (int i = 0; i < 3; i++)
        feed_unref(feeds[i]);
}

static void test_other_groups(void **state)
{
    (void)state;
    struct feed *other = begin(2, 3);
    feed_relay_end(&relay, -EAGAIN, true, "lost");
    struct feed *feed = begin(0, 4);
    finish(feed);
    assert_made_of(&feed, 1);
    feed_unref(other);
    feed_unref(feed);
}

/* What a first copying gave does not count if a second one has failed, or could not begin. */
static void test_made_of_nothing(void **state)
{
    (void)state;
    struct feed *feed = begin(0, 4);
    finish(feed);
    assert_made_of(&feed, 1);
    feed_relay_end(&relay, -ENOMEM, false, "no memory");
    assert_made_of(NULL, 0);
    feed_unref(feed);
}

static void read_all(struct feed *feed, size_t groups, int end, const char *reason)
{
    struct feed_place at = {0};
    struct group *group;
    struct error error = {""};
    for (size_t i = 0; i < groups; i++) {
        assert_int_equal(feed_next(feed, &at, 0, &group, &error), 0);
        assert_ptr_equal(group, snapshot->groups[i]);
        group_unref(group);
    }
    assert_int_equal(feed_next(feed, &at, 0, &group, &error), end);
    assert_string_equal(error.text, reason);
}

/* The readers of the last attempt are told how the fetch has failed. */
static void test_failed(void **state)
{
    (void)state;
    struct feed *first = begin(0, 1);
    feed_relay_end(&relay, -EAGAIN, true, "lost");
    struct feed *second = begin(0, 2);
    feed_relay_end(&relay, -EAGAIN, true, "lost");
    read_all(second, 2, -EAGAIN, "");
    feed_relay_settle(&relay, -EIO, NULL, "the server is gone");
    read_all(second, 2, -EIO, "the server is gone");
    feed_unref(first);
    feed_unref(second);

    struct feed *third = begin(0, 1);
    feed_relay_end(&relay, -EACCES, false, "refused");
    read_all(third, 1, -EACCES, "refused");
    feed_unref(third);
}

/* After the attempts that failed nothing had to be copied: readers go on in what is there. */
static void test_found_there(void **state)
{
    (void)state;
    struct feed *feed = begin(0, 2);
    feed_relay_end(&relay, -EAGAIN, true, "lost");
    feed_relay_settle(&relay, 0, snapshot, "");
    struct feed *next = feed_successor(feed);
    assert_non_null(next);
    read_all(next, snapshot->group_count, 0, "");
    assert_made_of((struct feed *[]){next, feed}, 2);
    feed_unref(feed);
    feed_unref(next);
}

/* However many attempts there are, the last ones are kept. */
static void test_many(void **state)
{
    (void)state;
    struct feed *feeds[FEEDS_IN_A_ROW + 4];
    for (int i = 0; i < FEEDS_IN_A_ROW + 4; i++) {
        feeds[i] = begin(0, i < FEEDS_IN_A_ROW + 3 ? 1 : 4);
        if (i < FEEDS_IN_A_ROW + 3)
            feed_relay_end(&relay, -EAGAIN, true, "lost");
    }
    finish(feeds[FEEDS_IN_A_ROW + 3]);
    assert_made_of(feeds + 4, FEEDS_IN_A_ROW);
    for (int i = 0; i < FEEDS_IN_A_ROW + 4; i++)
        feed_unref(feeds[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_one),          TEST(test_again),
                                       TEST(test_other_groups), TEST(test_made_of_nothing),
                                       TEST(test_failed),       TEST(test_found_there),
                                       TEST(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
