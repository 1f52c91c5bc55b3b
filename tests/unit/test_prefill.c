/* What is stored in the page cache, and what waits for it. */
#include "fs/base/kernel.h"
#include "fs/rows/prefill.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* The page cache of nodes 1 and 2. */
static struct buffer stored[3];

static bool forgotten; /* the kernel does not know the nodes */

static int store(void *context, uint64_t node, uint64_t offset, const void *bytes, size_t size)
{
    (void)context;
    assert_int_equal(offset, stored[node].size);
    return forgotten ? -ENOENT : buffer_append(&stored[node], bytes, size);
}

static const struct kernel kernel = {.store = store};

static int forget(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        buffer_clear(&stored[i]);
    forgotten = false;
    return 0;
}

enum { RUN = 10000 }; /* bytes of a run, in two pieces */

static void fill(size_t major, size_t at, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(major * 31 + (at + i) * 7);
}

static void put_run(struct prefill *prefill, size_t major)
{
    uint8_t bytes[RUN];
    fill(major, 0, bytes, RUN);
    prefill_put(prefill, major, bytes, 3000);
    prefill_put(prefill, major, bytes + 3000, RUN - 3000);
    prefill_run_done(prefill, major);
}

static struct prefill *begin(uint64_t node, struct prefill_room *room)
{
    struct prefill *prefill;
    static uint8_t text[] = {'h', 'e', 'a', 'd'};
    struct buffer head = {.data = text, .size = sizeof text};
    assert_int_equal(prefill_new(&kernel, node, room, &prefill), 0);
    prefill_head(prefill, &head);
    return prefill;
}

static void assert_stored(uint64_t node, size_t size)
{
    uint8_t bytes[RUN];
    assert_int_equal(stored[node].size, size);
    assert_memory_equal(stored[node].data, "head", 4);
    for (size_t at = 4, major = 0; at + RUN <= size; at += RUN, major++) {
        fill(major, 0, bytes, RUN);
        assert_memory_equal(stored[node].data + at, bytes, RUN);
    }
}

/* In whatever order the runs come, the file is stored in its own, and nothing waits at the end. */
static void test_order(void **state)
{
    (void)state;
    static const size_t orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}, {1, 3, 0, 2}};
    static uint8_t text[] = {'t', 'a', 'i', 'l'};
    struct buffer tail = {.data = text, .size = sizeof text};
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        struct prefill_room room = {.limit = 3 * RUN};
        struct prefill *prefill = begin(1, &room);
        for (size_t i = 0; i < 4; i++)
            put_run(prefill, orders[o][i]);
        assert_true(room.used == 0);
        assert_int_equal(prefill_end(prefill, &tail, 4 + 4 * RUN + 4), PREFILL_GOOD);
        assert_stored(1, 4 + 4 * RUN + 4);
        assert_memory_equal(stored[1].data + 4 + 4 * RUN, "tail", 4);
        forget(NULL);
    }
}

/* All together keep to the limit: whichever meets it gives up, and the others have its room. */
static void test_one_room(void **state)
{
    (void)state;
    struct prefill_room room = {.limit = 3 * RUN};
    struct prefill *first = begin(1, &room), *second = begin(2, &room);
    put_run(first, 1);
    put_run(second, 1);
    put_run(first, 2);
    assert_true(room.used == 3 * RUN);
    put_run(second, 2);
    assert_true(room.used == 2 * RUN);
    put_run(first, 3);
    assert_true(room.used == 3 * RUN);
    put_run(second, 0); /* too late */
    put_run(first, 0);
    assert_true(room.used == 0);
    assert_int_equal(prefill_end(second, NULL, 0), PREFILL_NOTHING);
    assert_int_equal(stored[2].size, 0);
    put_run(first, 5);
    assert_true(room.used == RUN);
    assert_int_equal(prefill_end(first, NULL, 0), PREFILL_GOOD);
    assert_true(room.used == 0);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_stored(1, (4 + 4 * RUN) / page * page);
}

static void test_spoiled(void **state)
{
    (void)state;
    struct prefill_room room = {.limit = RUN};
    struct prefill *prefill = begin(1, &room);
    put_run(prefill, 0);
    put_run(prefill, 2);
    assert_true(room.used == RUN);
    prefill_spoil(prefill);
    assert_true(room.used == 0);
    put_run(prefill, 1);
    assert_int_equal(prefill_end(prefill, NULL, 0), PREFILL_SPOILED);
    assert_int_equal(prefill_end(NULL, NULL, 0), PREFILL_NOTHING);
}

/* Once the kernel takes nothing, nothing more is stored, nor kept. */
static void test_forgotten(void **state)
{
    (void)state;
    struct prefill_room room = {.limit = 3 * RUN};
    struct prefill *prefill = begin(1, &room);
    put_run(prefill, 1);
    assert_true(room.used == RUN);
    forgotten = true;
    put_run(prefill, 0);
    assert_true(room.used == 0);
    forgotten = false;
    put_run(prefill, 2);
    assert_true(room.used == 0);
    assert_int_equal(prefill_end(prefill, NULL, 0), PREFILL_GOOD);
    assert_int_equal(stored[1].size, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, forget, forget)
    const struct CMUnitTest tests[] = {TEST(test_order), TEST(test_one_room), TEST(test_spoiled),
                                       TEST(test_forgotten)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
