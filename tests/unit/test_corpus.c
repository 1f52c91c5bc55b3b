/* Snapshots' rows at hand, without a server. */
#include "fs/search/corpus.h"

#include "fs/base/patience.h"
#include "tests/unit/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { FIXED = 3, ROWS = 40, EACH = 7 };

static struct place place;
static struct snapshot *snapshot;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    snapshot = place_snapshot(&place, &rows_tables[FIXED], ROWS, EACH);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    snapshot_unref(snapshot);
    place_close(&place);
    return 0;
}

static struct corpus *open_corpus(void)
{
    struct corpus *corpus;
    assert_int_equal(corpus_get(place.corpora, snapshot, &corpus, NULL), 0);
    return corpus;
}

/* The server's answer about the key. */
static void set_key(int column)
{
    struct key_columns key = {column >= 0 ? 1 : 0, {column}, {KEY_SIGNED}};
    corpus_cache_keep_key(place.corpora, snapshot->relation.oid, snapshot->key.mark, &key);
}

static bool before(struct corpus *corpus, const struct key_columns *key, uint64_t a, uint64_t b)
{
    bool out;
    assert_int_equal(corpus_before(corpus, key, a, b, &out, NULL), 0);
    return out;
}

static void group_path(size_t number, char path[128])
{
    const struct group *group = snapshot->groups[number];
    snprintf(path, 128, "%s/%u/%016" PRIx64 ".rows", store_path(place.store), group->relation,
             group->id);
}

static void check_spans(struct corpus *corpus)
{
    const struct span *spans;
    size_t count, size;
    uint64_t row = 0;
    assert_int_equal(corpus_spans(corpus, 1, &spans, &count, NULL), 0);
    assert_int_equal(count, snapshot->group_count);
    for (size_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < spans[i].rows; k++, row++) {
            struct buffer expected = {0};
            assert_true(rows_value(ROWS_VECTOR, PART_BINARY, (uint32_t)row, &expected));
            const uint8_t *value = span_value(&spans[i], k, &size);
            assert_int_equal(size, expected.size);
            assert_memory_equal(value, expected.data, size);
            buffer_clear(&expected);
        }
    assert_int_equal(row, ROWS);
}

static void test_spans(void **state)
{
    (void)state;
    struct corpus *corpus = open_corpus(), *again = open_corpus();
    assert_ptr_equal(corpus, again);
    check_spans(corpus);
    check_spans(corpus);
    assert_true(corpus_intact(corpus));
    corpus_unref(again);
    corpus_unref(corpus);
}

/* The identities of all rows. */
static bool read_keys(struct corpus *corpus, struct row_key *keys)
{
    const struct snapshot *of = corpus_snapshot(corpus);
    bool good = true;
    for (size_t i = 0; good && i < of->group_count; i++)
        good = corpus_group_keys(corpus, i, keys + corpus_number(corpus, (struct corpus_row){i, 0}),
                                 NULL) == 0;
    return good;
}

static void test_rows(void **state)
{
    (void)state;
    struct corpus *corpus = open_corpus();
    struct row_key keys[ROWS];
    uint64_t found;
    assert_true(read_keys(corpus, keys));
    for (uint32_t row = 0; row < ROWS; row++) {
        struct row_key key;
        assert_int_equal(keys[row].place, (uint64_t)(row / 3) << 16 | (row % 3 + 1));
        assert_int_equal(keys[row].xmin, 700 + row);
        assert_int_equal(corpus_row_key(corpus, row, &key, NULL), 0);
        assert_int_equal(key.place, keys[row].place);
        assert_int_equal(corpus_find_row(corpus, &key, &found, NULL), 1);
        assert_int_equal(found, row);
        key.xmin++;
        assert_int_equal(corpus_find_row(corpus, &key, &found, NULL), 0);
        assert_int_equal(corpus_number(corpus, corpus_row(corpus, row)), row);
    }
    struct row_key nowhere[] = {{UINT64_C(1) << 48, 700}, {0, 700}, {(uint64_t)99 << 16 | 1, 700}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(corpus_find_row(corpus, &nowhere[i], &found, NULL), 0);
    corpus_unref(corpus);
}

static void test_values(void **state)
{
    (void)state;
    struct corpus *corpus = open_corpus();
    for (uint32_t row = ROWS; row-- > 0;) {
        struct buffer expected = {0};
        const uint8_t *bytes;
        int32_t size;
        struct corpus_row at = corpus_row(corpus, row);
        corpus_pin(corpus, at.group);
        assert_int_equal(corpus_value(corpus, at, 0, &bytes, &size, NULL), 0);
        assert_true(rows_value(ROWS_INT4, PART_BINARY, row, &expected));
        assert_int_equal(size, expected.size);
        assert_memory_equal(bytes, expected.data, expected.size);
        corpus_unpin(corpus, at.group);
        buffer_clear(&expected);
    }
    corpus_unref(corpus);
}

/* Rows 4, 9, 14, … have mixed numbers, the others their own. */
static void test_key(void **state)
{
    (void)state;
    set_key(0);
    struct corpus *corpus = open_corpus();
    struct error error = {""};
    for (uint32_t row = 0; row < ROWS; row++) {
        char text[16];
        uint64_t found;
        snprintf(text, sizeof text, "%d",
                 row % 5 == 4 ? (int32_t)(row * 2654435761U) : (int32_t)row);
        assert_int_equal(corpus_find_key(corpus, text, &found, NULL), 0);
        assert_int_equal(found, row);
    }
    uint64_t found;
    assert_int_equal(corpus_find_key(corpus, "4", &found, &error), -ENOENT);
    assert_int_equal(corpus_find_key(corpus, "07", &found, &error), -ENOENT);
    assert_int_equal(corpus_find_key(corpus, "", &found, &error), -ENOENT);
    struct key_columns key;
    assert_int_equal(corpus_key_columns(corpus, &key, NULL), 0);
    for (uint32_t a = 0; a < ROWS; a++)
        for (uint32_t b = 0; b < ROWS; b++) {
            int32_t x = a % 5 == 4 ? (int32_t)(a * 2654435761U) : (int32_t)a;
            int32_t y = b % 5 == 4 ? (int32_t)(b * 2654435761U) : (int32_t)b;
            assert_int_equal(before(corpus, &key, a, b), x != y ? x < y : a < b);
        }
    corpus_unref(corpus);
}

static void assert_finds(struct corpus *corpus, const char *text, uint64_t row)
{
    uint64_t found;
    assert_int_equal(corpus_find_key(corpus, text, &found, NULL), 0);
    assert_int_equal(found, row);
}

/* What keys are looked up by is kept with the row groups, and made for one key. */
static void test_another_key(void **state)
{
    (void)state;
    struct snapshot *mixed = place_snapshot(&place, &rows_tables[0], ROWS, EACH);
    struct key_columns one = {.count = 1}, two = {2, {0, 1}, {KEY_TEXT}};
    struct corpus_cache *corpora = place.corpora;
    struct corpus *corpus;
    uint64_t found;
    assert_int_equal(corpus_get(place.corpora, mixed, &corpus, NULL), 0);
    corpus_cache_keep_key(corpora, mixed->relation.oid, mixed->key.mark, &one);
    assert_finds(corpus, "3", 3);
    corpus_cache_keep_key(corpora, mixed->relation.oid, mixed->key.mark, &two);
    assert_finds(corpus, "3,q\"q", 3);
    assert_int_equal(corpus_find_key(corpus, "3", &found, NULL), -ENOENT);
    corpus_cache_keep_key(corpora, mixed->relation.oid, "2/3/later", &one);
    assert_false(corpus_cache_find_key(corpora, mixed->relation.oid, "2/3/later still", &one));
    assert_true(corpus_cache_find_key(corpora, mixed->relation.oid, "2/3/later", &one));
    corpus_unref(corpus);
    snapshot_unref(mixed);
}

/* With room for it or without. */
static void test_keys_in_little_memory(void **state)
{
    (void)state;
    for (uint64_t memory = 1; memory < 1 << 20; memory = memory * 4 + 60) {
        struct corpus *corpus;
        struct corpus_cache *mine;
        struct key_columns key = {.count = 1};
        assert_int_equal(corpus_cache_new(&place.fetch, memory, &mine), 0);
        corpus_cache_keep_key(mine, snapshot->relation.oid, snapshot->key.mark, &key);
        assert_int_equal(corpus_get(mine, snapshot, &corpus, NULL), 0);
        for (int round = 0; round < 2; round++)
            for (uint32_t row = 0; row < ROWS; row += 5) {
                char text[16];
                snprintf(text, sizeof text, "%u", row);
                assert_finds(corpus, text, row);
            }
        assert_true(group_cache_used(corpus_cache_groups(mine)) <= memory);
        corpus_unref(corpus);
        corpus_cache_free(mine);
    }
}

static void test_looking_up_ends(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct patience patience = {.waits = true, .stop = &stop};
    struct error error = {""};
    uint64_t found;
    set_key(0);
    struct corpus *corpus = open_corpus();
    patience_begin(&patience);
    assert_int_equal(corpus_find_key(corpus, "3", &found, &error), -EINTR);
    patience_end(&patience);
    assert_finds(corpus, "3", 3);
    corpus_unref(corpus);
}

static void test_no_key(void **state)
{
    (void)state;
    set_key(-1);
    struct corpus *corpus = open_corpus();
    struct error error = {""};
    uint64_t found;
    assert_int_equal(corpus_find_key(corpus, "4", &found, &error), -ENOENT);
    assert_non_null(strstr(error.text, "no primary key"));
    struct key_columns key;
    assert_int_equal(corpus_key_columns(corpus, &key, NULL), 0);
    assert_true(before(corpus, &key, 3, 4));
    assert_false(before(corpus, &key, 4, 3));
    corpus_unref(corpus);
}

/* What two corpora have in common is read once; the older one is not kept. */
static void test_shared_groups(void **state)
{
    (void)state;
    struct corpus *corpus = open_corpus();
    check_spans(corpus);
    struct snapshot *newer;
    const struct span *spans, *shared;
    size_t count;
    assert_int_equal(snapshot_copy_basis(snapshot, &newer), 0);
    for (size_t i = 2; i < snapshot->group_count; i++)
        assert_int_equal(snapshot_add_group(newer, group_ref(snapshot->groups[i])), 0);
    struct corpus *second;
    assert_int_equal(corpus_get(place.corpora, newer, &second, NULL), 0);
    assert_ptr_not_equal(second, corpus);
    assert_int_equal(corpus_spans(corpus, 1, &spans, &count, NULL), 0);
    assert_int_equal(corpus_spans(second, 1, &shared, &count, NULL), 0);
    assert_int_equal(count, snapshot->group_count - 2);
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(shared[i].bytes, spans[i + 2].bytes);
    assert_null(corpus_cache_find(place.corpora, snapshot));
    corpus_unref(second);
    snapshot_unref(newer);
    corpus_unref(corpus);
}

/* The server would be asked for it, and is not there. */
static void test_lost_group(void **state)
{
    (void)state;
    const struct span *spans;
    size_t count;
    store_drop_group(place.store, PLACE_RELATION, snapshot->groups[2]->id);
    struct corpus *corpus = open_corpus();
    assert_int_equal(corpus_spans(corpus, 1, &spans, &count, NULL), -ENOTCONN);
    corpus_unref(corpus);
}

/* Rows whose keys are lost have no order: that is an error, not another order. */
static void test_lost_keys(void **state)
{
    (void)state;
    set_key(0);
    struct corpus *corpus = open_corpus();
    struct error error = {""};
    struct key_columns key;
    bool out;
    assert_int_equal(corpus_key_columns(corpus, &key, NULL), 0);
    store_drop_group(place.store, PLACE_RELATION, snapshot->groups[2]->id);
    assert_true(before(corpus, &key, 3, 6));
    assert_true(corpus_before(corpus, &key, 3, 2 * EACH, &out, &error) < 0);
    assert_true(error.text[0] != '\0');
    assert_true(corpus_before(corpus, &key, 2 * EACH, 3, &out, NULL) < 0);
    corpus_unref(corpus);
}

static void flip(size_t number, off_t at)
{
    char path[128];
    uint8_t byte;
    group_path(number, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0)
        at += lseek(fd, 0, SEEK_END);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 4;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void test_damaged_group(void **state)
{
    (void)state;
    const struct span *spans;
    size_t count;
    flip(0, 20); /* its head */
    struct corpus *corpus = open_corpus();
    assert_int_equal(corpus_spans(corpus, 1, &spans, &count, NULL), -ENOTCONN);
    corpus_unref(corpus);
}

/* Whatever byte behind the head is damaged, a part is what it was, or is not had. */
static void test_damaged_part(void **state)
{
    enum { HEAD = 320 };
    (void)state;
    char path[128];
    struct stat st;
    const struct span *spans;
    size_t count;
    int lost_vectors = 0, lost_keys = 0;
    group_path(3, path);
    assert_int_equal(stat(path, &st), 0);
    for (off_t at = HEAD; at < st.st_size; at += 8) {
        flip(3, at);
        struct corpus *corpus = open_corpus();
        struct row_key keys[ROWS];
        int rc = corpus_spans(corpus, 1, &spans, &count, NULL);
        bool read = read_keys(corpus, keys);
        if (rc == 0)
            check_spans(corpus);
        else
            assert_int_equal(rc, -ENOTCONN);
        for (uint32_t row = 0; read && row < ROWS; row++)
            assert_int_equal(keys[row].place, (uint64_t)(row / 3) << 16 | (row % 3 + 1));
        lost_vectors += rc < 0;
        lost_keys += !read;
        corpus_cache_drop(place.corpora, corpus);
        corpus_unref(corpus);
        flip(3, at);
    }
    assert_true(lost_vectors > 0);
    assert_true(lost_keys > 0);
}

/* Cut short while it is mapped: zeroes, and it is found out. */
static void test_cut_short(void **state)
{
    (void)state;
    char path[128];
    struct corpus *corpus = open_corpus();
    check_spans(corpus);
    group_path(1, path);
    assert_int_equal(truncate(path, 0), 0);
    const struct span *spans;
    size_t count, size;
    assert_int_equal(corpus_spans(corpus, 1, &spans, &count, NULL), 0);
    const volatile uint8_t *value = span_value(&spans[1], 0, &size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(value[i], 0);
    assert_false(corpus_intact(corpus));
    assert_null(corpus_cache_find(place.corpora, snapshot));
    /* The next one sees that the file is no row group any more. */
    struct corpus *next = open_corpus();
    assert_ptr_not_equal(next, corpus);
    assert_int_equal(corpus_spans(next, 1, &spans, &count, NULL), -ENOTCONN);
    corpus_unref(next);
    corpus_unref(corpus);
}

/* ---- little memory ---- */

enum { READS = 20000, READERS = 4 };

/* Reads a text, or a key, and compares it. */
static bool read_one(struct corpus *corpus, uint32_t row, bool text)
{
    struct buffer expected = {0};
    struct corpus_row at = corpus_row(corpus, row);
    const uint8_t *bytes;
    int32_t size = -2;
    corpus_pin(corpus, at.group);
    must(corpus_value(corpus, at, text ? 1 : 0, &bytes, &size, NULL) == 0);
    bool given = rows_value(text ? ROWS_TEXT : ROWS_INT4, PART_BINARY, row, &expected);
    bool same = given ? size == (int32_t)expected.size &&
                            (size == 0 || memcmp(bytes, expected.data, expected.size) == 0)
                      : size == -1;
    corpus_unpin(corpus, at.group);
    buffer_clear(&expected);
    return same;
}

static void *read_many(void *argument)
{
    struct corpus *corpus = argument;
    uint32_t row = 1;
    for (int i = 0; i < READS; i++) {
        row = row * 1664525 + 1013904223;
        must(read_one(corpus, (row >> 8) % ROWS, (row >> 7 & 1) != 0));
    }
    return NULL;
}

/* Reads all of the mixed table's values; how many bytes are then in memory. */
static uint64_t read_with(uint64_t memory, bool threads)
{
    struct corpus *corpus;
    struct snapshot *mixed = place_snapshot(&place, &rows_tables[0], ROWS, EACH);
    struct corpus_cache *mine;
    assert_int_equal(corpus_cache_new(&place.fetch, memory, &mine), 0);
    assert_int_equal(corpus_get(mine, mixed, &corpus, NULL), 0);
    pthread_t readers[READERS];
    for (int i = 0; threads && i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_many, corpus), 0);
    for (int i = 0; threads && i < READERS; i++)
        pthread_join(readers[i], NULL);
    for (uint32_t row = 0; row < ROWS; row++)
        assert_true(read_one(corpus, row, true) && read_one(corpus, row, false));
    uint64_t used = group_cache_used(corpus_cache_groups(mine));
    corpus_unref(corpus);
    corpus_cache_free(mine);
    snapshot_unref(mixed);
    return used;
}

static void test_little_memory(void **state)
{
    (void)state;
    uint64_t all = read_with(1 << 20, false);
    assert_true(all > 0);
    assert_true(read_with(all / 2, false) <= all / 2);
    assert_true(read_with(1, true) < all / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spans, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_in_little_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_looking_up_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_group, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_part, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_short, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_little_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
