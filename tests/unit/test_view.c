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

/* A cache of its own, with threads of its own: none renders ahead any more once it is freed. */
static struct workers *own;

static struct body_cache *fresh_cache(uint64_t limit)
{
    struct body_cache *fresh;
    must(workers_new(2, &own) == 0);
    must(body_cache_new(&place.fetch, own, 2, NULL, limit, &fresh) == 0);
    return fresh;
}

static void free_fresh(struct body_cache *fresh)
{
    workers_free(own);
    body_cache_free(fresh);
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
        assert_int_equal(view_hash(cache, PLACE_WHOLE(snapshot, f), &stop, &hash, NULL), 0);
        assert_true(hash128_equal(hash, hash128(whole.data, whole.size)));
        assert_true(snapshot_face(snapshot, formats[f])->hashed);
        buffer_clear(&whole);
    }
}

static void test_hash_is_stopped(void **state)
{
    (void)state;
    atomic_bool stop = true;
    struct hash128 hash;
    assert_int_equal(view_hash(cache, PLACE_WHOLE(snapshot, 0), &stop, &hash, NULL), -EINTR);
    assert_false(snapshot_face(snapshot, formats[0])->hashed);
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
        uint64_t start = snapshot_face(snapshot, formats[0])->offsets[1];
        assert_true(place_read(cache, PLACE_WHOLE(snapshot, 0), 0, UINT64_MAX, true, &out, &error) <
                    0);
        assert_true(error.text[0] != '\0');
        out.size = 0;
        assert_int_equal(place_read(cache, PLACE_WHOLE(snapshot, 0), 0, start, true, &out, &error),
                         0);
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
    ++*place_size(snapshot->groups[2], 1);
    assert_int_equal(place_read(cache, PLACE_WHOLE(snapshot, 1), 0, UINT64_MAX, true, &out, &error),
                     -EIO);
    assert_true(error.text[0] != '\0');
    buffer_clear(&out);
}

/* Measured as it is when somebody asks for it, and read; as it must be, without the store. */
static void check_some(struct columns *columns, const int *numbers, int format, size_t first,
                       size_t end)
{
    const struct view view = {snapshot, {formats[format], columns}, first, end};
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct buffer got = {0}, expected = {0};
    struct hash128 hash;
    struct schema *chosen;
    must(schema_choose(snapshot->schema, numbers, columns->count, &chosen) == 0);
    uint32_t until = end == VIEW_TO_END ? 30 : (uint32_t)end * 7;
    rows_view(&rows_tables[0], snapshot->schema, chosen, formats[format], (uint32_t)first * 7,
              until, 7, &expected);
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, NULL), 0);
    assert_int_equal(view_face(&view)->size, expected.size);
    assert_int_equal(place_read(cache, &view, 0, UINT64_MAX, true, &got, NULL), 0);
    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, got.size);
    assert_int_equal(view_hash(cache, &view, &stop, &hash, NULL), 0);
    assert_true(hash128_equal(hash, hash128(expected.data, expected.size)));
    assert_true(view_face(&view)->hashed);
    buffer_clear(&got);
    buffer_clear(&expected);
    schema_free(chosen);
}

/* In one cache, beside each other and whole files: some columns, some groups. */
static void test_some_columns_and_groups(void **state)
{
    (void)state;
    static const int choices[][3] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {3, 0, 1}};
    static const struct {
        size_t first, end;
    } ranges[] = {{0, VIEW_TO_END}, {0, 2}, {1, 3}, {2, VIEW_TO_END}, {1, 1}};
    for (int pass = 0; pass < 2; pass++)
        for (int f = 0; f < FORMAT_COUNT; f++)
            for (size_t c = 0; c < 4; c++)
                for (size_t r = 0; r < 5; r++) {
                    struct columns *columns; /* another, of the same numbers, each time */
                    assert_int_equal(columns_new(choices[c], 3, &columns), 0);
                    check_some(columns, choices[c], f, ranges[r].first, ranges[r].end);
                    columns_unref(columns);
                }
    test_hash(state);
}

static const struct rows_table wide = {
    "wide",
    true,
    8,
    {ROWS_ALL_NULL, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT, ROWS_TEXT}};

/* One column of many, which alone is rendered for that; and every other range, too. */
static void test_strips(void **state)
{
    (void)state;
    const int parquet = format_find("parquet", strlen("parquet"));
    struct snapshot *many = place_snapshot(&place, &wide, 300, 100);
    struct body_cache *fresh;
    struct buffer whole = {0};
    fresh = fresh_cache(1 << 20);
    place_view(&wide, many, 300, parquet, &whole);
    const struct view *view = PLACE_WHOLE(many, parquet);
    const struct face *face = view_face(view);
    for (size_t group = 0; group < 3; group++) {
        struct buffer got = {0};
        uint64_t at = face->offsets[group];
        assert_int_equal(place_read(fresh, view, at, 20, true, &got, NULL), 0);
        assert_memory_equal(got.data, whole.data + at, 20);
        buffer_clear(&got);
    }
    assert_true(body_cache_used(fresh) > 0);
    assert_true(body_cache_used(fresh) < whole.size / 4);
    for (uint64_t at = 0; at < whole.size; at += 13)
        for (uint64_t size = 1; size < 400; size += 57) {
            struct buffer got = {0};
            uint64_t there = whole.size - at < size ? whole.size - at : size;
            assert_int_equal(place_read(fresh, view, at, size, true, &got, NULL), 0);
            assert_int_equal(got.size, there);
            assert_memory_equal(got.data, whole.data + at, there);
            buffer_clear(&got);
        }
    buffer_clear(&whole);
    free_fresh(fresh);
    snapshot_unref(many);
}

static const struct rows_table tall = {
    "tall", true, 4, {ROWS_ALL_NULL, ROWS_ALL_NULL, ROWS_VECTOR, ROWS_ALL_NULL}};

/* A page of a file, of the kernel's, has bytes of one column: no other is rendered for it, in no
 * group; nor for a page's zeros. */
static void test_pages(void **state)
{
    (void)state;
    enum { ROWS = 200000, EACH = 100000, PAGE = 4096 };
    const int parquet = format_find("parquet", strlen("parquet"));
    struct snapshot *many = place_snapshot(&place, &tall, ROWS, EACH);
    struct body_cache *fresh;
    struct buffer whole = {0};
    fresh = fresh_cache(8 << 20);
    place_view(&tall, many, ROWS, parquet, &whole);
    const struct view *view = PLACE_WHOLE(many, parquet);
    const struct face *face = view_face(view);
    for (size_t group = 0; group < 2; group++)
        assert_int_equal(face->offsets[group] % PAGE, 4);
    /* the first column, the second, the last */
    const uint64_t pages[] = {0, PAGE, face->offsets[1] - 4 - PAGE, face->offsets[1] - 4,
                              face->offsets[1] - 4 + PAGE};
    for (size_t i = 0; i < 5; i++) {
        struct buffer got = {0};
        assert_int_equal(place_read(fresh, view, pages[i], PAGE, true, &got, NULL), 0);
        assert_memory_equal(got.data, whole.data + pages[i], PAGE);
        assert_int_equal(body_cache_rendered(fresh), i + 1);
        buffer_clear(&got);
        assert_int_equal(place_read(fresh, view, pages[i] + PAGE - 20, 20, true, &got, NULL), 0);
        assert_memory_equal(got.data, whole.data + pages[i] + PAGE - 20, 20);
        buffer_clear(&got);
    }
    assert_true(body_cache_used(fresh) < 5 * PAGE);
    for (uint64_t at = 0; at < whole.size; at += PAGE) {
        struct buffer got = {0};
        uint64_t there = whole.size - at < PAGE ? whole.size - at : PAGE;
        assert_int_equal(place_read(fresh, view, at, PAGE, true, &got, NULL), 0);
        assert_int_equal(got.size, there);
        assert_memory_equal(got.data, whole.data + at, there);
        buffer_clear(&got);
    }
    buffer_clear(&whole);
    free_fresh(fresh);
    snapshot_unref(many);
}

/* Who reads much of a body gets it as one. */
static void test_no_strips(void **state)
{
    (void)state;
    const int parquet = format_find("parquet", strlen("parquet"));
    struct snapshot *many = place_snapshot(&place, &wide, 100, 100);
    struct body_cache *fresh;
    struct buffer got = {0};
    fresh = fresh_cache(1 << 20);
    assert_int_equal(place_read(fresh, PLACE_WHOLE(many, parquet), 0, UINT64_MAX, true, &got, NULL),
                     0);
    assert_int_equal(body_cache_rendered(fresh), 1);
    buffer_clear(&got);
    free_fresh(fresh);
    snapshot_unref(many);
}

/* A note whose strips are not the whole body is not believed; a strip that is not as large as the
 * note says is no part of the file. */
static void test_strips_of_another_size(void **state)
{
    (void)state;
    const int parquet = format_find("parquet", strlen("parquet"));
    struct snapshot *many = place_snapshot(&place, &wide, 100, 100);
    const struct view *view = PLACE_WHOLE(many, parquet);
    struct measure *measure =
        (struct measure *)(uintptr_t)measures_find(&many->groups[0]->measures, &view->rendition);
    struct buffer whole = {0}, got = {0};
    struct body_cache *fresh;
    struct error error = {""};
    fresh = fresh_cache(1 << 20);
    place_view(&wide, many, 100, parquet, &whole);
    /* behind the rows of the group: of each leaf the stored size, and three more numbers */
    assert_true(measure->note[1] < 0x7f && (measure->note[5] & 0x7f) > 0);
    measure->note[1]++;
    assert_int_equal(place_read(fresh, view, 4, 20, true, &got, &error), 0);
    assert_memory_equal(got.data, whole.data + 4, 20);
    free_fresh(fresh);
    fresh = fresh_cache(1 << 20);
    measure->note[5]--;
    assert_int_equal(place_read(fresh, view, 4, 20, true, &got, &error), -EIO);
    assert_true(error.text[0] != '\0');
    free_fresh(fresh);
    buffer_clear(&got);
    buffer_clear(&whole);
    snapshot_unref(many);
}

/* ---- a format of numbers that count ---- */

/* Of each row the one behind the last, by three. */
static int count_rows(const struct schema *schema, const struct rowgroup *group,
                      struct buffer *note, struct buffer *out)
{
    (void)schema;
    must(buffer_reserve(out, 8 * (size_t)group->rows) == 0);
    for (uint32_t row = 0; row < group->rows; row++) {
        store_le64(out->data + out->size, 3 * ((uint64_t)row + 1));
        out->size += 8;
    }
    uint8_t last[8];
    store_le64(last, 3 * (uint64_t)group->rows);
    return note != NULL ? buffer_append(note, last, sizeof last) : 0;
}

static int head_of_rows(const struct format_view *view, struct buffer *out)
{
    /* the notes are known by now */
    for (size_t i = 0; i < view->groups; i++)
        assert_int_equal(view->notes[i].size, 8);
    return buffer_append_text(out, "a head of 21 bytes...");
}

static const struct format counting = {
    .name = "count", .notes = true, .counts = true, .head = head_of_rows, .body = count_rows};

static void test_counts(void **state)
{
    (void)state;
    const struct view view = view_whole(snapshot, &counting);
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct buffer whole = {0};
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, NULL), 0);
    assert_int_equal(view_face(&view)->size, 21 + 30 * 8);
    assert_int_equal(buffer_append_text(&whole, "a head of 21 bytes..."), 0);
    for (uint64_t row = 1; row <= 30; row++) {
        uint8_t number[8];
        store_le64(number, 3 * row);
        assert_int_equal(buffer_append(&whole, number, 8), 0);
    }
    for (size_t offset = 0; offset <= whole.size; offset++)
        for (size_t size = 0; size <= whole.size - offset + 1; size++) {
            struct buffer got = {0};
            size_t given = size < whole.size - offset ? size : whole.size - offset;
            assert_int_equal(place_read(cache, &view, offset, size, true, &got, NULL), 0);
            assert_int_equal(got.size, given);
            if (given > 0)
                assert_memory_equal(got.data, whole.data + offset, given);
            buffer_clear(&got);
        }
    buffer_clear(&whole);
}

/* ---- values without a form ---- */

static int find_17(const struct schema *schema, const struct rowgroup *group, struct formless *out)
{
    const struct run *run = &group->runs[schema->columns[0].part[PART_BINARY]];
    for (uint32_t row = 0; row < group->rows; row++)
        if (load_be32(run->bytes + 4 * (size_t)row) == 17) {
            *out = (struct formless){0, row, "17"};
            return 0;
        }
    return -ENOENT;
}

static int survey_without_17(const struct schema *schema, const struct rowgroup *group,
                             struct buffer *note, uint64_t *size)
{
    struct formless formless;
    (void)note;
    *size = 8 * (uint64_t)group->rows;
    return find_17(schema, group, &formless) == 0 ? -EDOM : 0;
}

static void test_gap(void **state)
{
    (void)state;
    static const struct format without_17 = {
        .name = "x", .body = count_rows, .survey = survey_without_17, .formless = find_17};
    static const int number = 0;
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct columns *columns;
    struct error error = {""};
    assert_int_equal(columns_new(&number, 1, &columns), 0);
    const struct view view = {snapshot, {&without_17, columns}, 0, VIEW_TO_END};
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, &error), -EDOM);
    assert_string_equal(error.text, "column c,0, row 18: 17 has no form in x");
    assert_false(view_face(&view)->measured);
    columns_unref(columns);
}

static int no_shape(const struct format_view *view, struct buffer *out)
{
    (void)view, (void)out;
    return -EDOM;
}

static void test_no_shape(void **state)
{
    (void)state;
    static const struct format shapeless = {.name = "x", .head = no_shape, .body = count_rows};
    static const int number = 2;
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct columns *columns;
    struct error error = {""};
    assert_int_equal(columns_new(&number, 1, &columns), 0);
    const struct view view = {snapshot, {&shapeless, columns}, 0, VIEW_TO_END};
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, &error), -EDOM);
    assert_string_equal(error.text,
                        "column \"c,2\": the values have different numbers of dimensions");
    columns_unref(columns);
}

static void test_identity(void **state)
{
    (void)state;
    static const int numbers[] = {0, 1};
    struct columns *columns, *again;
    assert_int_equal(columns_new(numbers, 2, &columns), 0);
    assert_int_equal(columns_new(numbers, 2, &again), 0);
    const struct view all[] = {{snapshot, {formats[0], NULL}, 0, VIEW_TO_END},
                               {snapshot, {formats[1], NULL}, 0, VIEW_TO_END},
                               {snapshot, {formats[0], columns}, 0, VIEW_TO_END},
                               {snapshot, {formats[0], NULL}, 0, 2},
                               {snapshot, {formats[0], NULL}, 1, VIEW_TO_END},
                               {snapshot, {formats[0], columns}, 1, VIEW_TO_END}};
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < i; k++)
            assert_true(view_id(&all[i]) != view_id(&all[k]));
    struct view same = all[2];
    same.rendition.columns = again;
    assert_true(view_id(&same) == view_id(&all[2]));
    uint64_t before = view_id(&same);
    snapshot->serial++; /* as another version would have it */
    assert_true(view_id(&same) != before);
    struct view kept = view_ref(&all[2]);
    assert_int_equal(snapshot->refs, 2);
    columns_unref(columns);
    assert_int_equal(kept.rendition.columns->numbers[1], 1);
    view_unref(&kept);
    assert_int_equal(snapshot->refs, 1);
    columns_unref(again);
}

static void test_no_such_column(void **state)
{
    (void)state;
    static const int number = 5;
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct columns *columns;
    struct error error = {""};
    assert_int_equal(columns_new(&number, 1, &columns), 0);
    const struct view view = {snapshot, {formats[0], columns}, 0, VIEW_TO_END};
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, &error), -EINVAL);
    assert_string_equal(error.text, "there is no such column");
    assert_false(face_is_known(view_face(&view)));
    columns_unref(columns);
}

/* Another version of the same rows knows what is known of all views. */
static void test_taken_over(void **state)
{
    (void)state;
    static const int number = 1;
    const struct hash128 hash = {3, 4};
    struct columns *columns;
    assert_int_equal(columns_new(&number, 1, &columns), 0);
    struct view view = {snapshot, {formats[0], columns}, 1, 3};
    const atomic_bool stop = false;
    struct progress progress = {0};
    struct snapshot *fresh = place_snapshot(&place, &rows_tables[0], 30, 7);
    assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, NULL), 0);
    assert_int_equal(view_hashed(&view, hash), 0);
    assert_int_equal(snapshot_take_identity(fresh, snapshot), 0);
    uint64_t size = view_face(&view)->size;
    view.snapshot = fresh;
    assert_true(view_face(&view)->measured && view_face(&view)->size == size);
    assert_true(view_face(&view)->hashed && hash128_equal(view_face(&view)->hash, hash));
    columns_unref(columns);
    snapshot_unref(fresh);
}

/* A format that a row has no form in is refused as long as the rows are the same, also after the next
 * mount; and another look that has not found that out yet is the same version. */
static void test_without_a_form(void **state)
{
    (void)state;
    struct snapshot *fresh = place_snapshot(&place, &rows_tables[0], 30, 7), *back;
    struct face *face = place_face(snapshot, 4);
    face->measured = false;
    assert_int_equal(view_refuse(PLACE_WHOLE(snapshot, 4), -EDOM, "column d, row 3: odd"), 0);
    place_face(fresh, 4)->measured = false;
    assert_false(face_is_denied(face));
    assert_true(snapshot_same_content(fresh, snapshot));
    assert_false(snapshot_has_news(snapshot, fresh));
    assert_int_equal(snapshot_take_identity(fresh, snapshot), 0);
    assert_int_equal(snapshot_face(fresh, formats[4])->refused, -EDOM);
    assert_string_equal(snapshot_face(fresh, formats[4])->reason, "column d, row 3: odd");
    assert_int_equal(snapshot_save(fresh), 0);
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
    assert_int_equal(snapshot_face(back, formats[4])->refused, -EDOM);
    assert_string_equal(snapshot_face(back, formats[4])->reason, "column d, row 3: odd");
    assert_int_equal(snapshot_face(back, formats[0])->refused, 0);
    snapshot_unref(back);
    snapshot_unref(fresh);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_hash),           TEST(test_hash_is_stopped),
        TEST(test_without_a_form), TEST(test_lost_groups),
        TEST(test_wrong_size),     TEST(test_some_columns_and_groups),
        TEST(test_strips),         TEST(test_pages),
        TEST(test_no_strips),      TEST(test_strips_of_another_size),
        TEST(test_counts),         TEST(test_gap),
        TEST(test_no_shape),       TEST(test_identity),
        TEST(test_no_such_column), TEST(test_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
