/* Bodies with notes, of which the tail tells: a format of that kind stands here in place of csv,
 * whose rows it has. Run from the root of the checkout. */
#include "codec/csv_text.h"
#include "codec/separated.h"
#include "fs/views/stream.h"
#include "tests/unit/place.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct separated commas = {',', csv_text};

static int head(const struct format_view *view, struct buffer *out)
{
    (void)view;
    return buffer_append_text(out, "noted\n");
}

/* The note is how many rows there are, in as many bytes, so that there are some of all lengths; and
 * then a byte that is no text. */
static int body(const struct schema *schema, const struct rowgroup *group, struct buffer *note,
                struct buffer *out)
{
    int rc = 0;
    for (uint32_t row = 0; note != NULL && rc == 0 && row < group->rows; row++)
        rc = buffer_append_byte(note, row == 0 ? 0 : (uint8_t)group->rows);
    return rc < 0 ? rc : separated_body(&commas, schema, group, out);
}

static int tail(const struct format_view *view, const struct note *notes, const uint64_t *offsets,
                struct buffer *out)
{
    int rc = buffer_printf(out, "%d columns, %" PRIu64 " rows\n", view->schema->column_count,
                           view->rows);
    for (size_t i = 0; rc == 0 && i < view->groups; i++) {
        rc = buffer_printf(out, "%" PRIu64 ":", offsets[i]);
        if (rc == 0)
            rc = buffer_append(out, notes[i].bytes, notes[i].size);
    }
    return rc < 0 ? rc : buffer_printf(out, "%" PRIu64 "\n", offsets[view->groups]);
}

const struct format format_csv = {.name = "csv",
                                  .number = 0,
                                  .parts = 1 << PART_TEXT,
                                  .last = '\n',
                                  .notes = true,
                                  .possible = separated_possible,
                                  .head = head,
                                  .body = body,
                                  .tail = tail};

enum { ROWS = 30, EACH = 7 };

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

/* The file of these groups, as it must be. */
static struct buffer expected_file(const struct schema *schema, uint32_t first, uint32_t end)
{
    struct buffer out = {0}, behind = {0};
    uint32_t groups = (ROWS + EACH - 1) / EACH, from = first * EACH;
    uint32_t until = end < groups ? end * EACH : ROWS;
    rows_put_text(&out, "noted\n");
    must(buffer_printf(&behind, "%d columns, %u rows\n", schema->column_count, until - from) == 0);
    for (; from < until; from += EACH) {
        uint32_t to = from + EACH < until ? from + EACH : until;
        struct rowgroup *rows = rows_group(&rows_tables[0], snapshot->schema, from, to);
        must(buffer_printf(&behind, "%zu:", out.size) == 0);
        for (uint32_t row = from; row < to; row++)
            must(buffer_append_byte(&behind, row == from ? 0 : (uint8_t)(to - from)) == 0);
        must(separated_body(&commas, schema, rows, &out) == 0);
        rowgroup_free(rows);
    }
    must(buffer_printf(&behind, "%zu\n", out.size) == 0);
    must(buffer_append(&out, behind.data, behind.size) == 0);
    buffer_clear(&behind);
    return out;
}

static void assert_reads(const struct view *view, const struct buffer *expected)
{
    struct workers *workers;
    struct body_cache *cache;
    struct buffer got = {0};
    must(workers_new(1, &workers) == 0);
    must(body_cache_new(&place.fetch, workers, 1, NULL, 1 << 20, &cache) == 0);
    assert_true(view_face(view)->measured);
    assert_int_equal(place_read(cache, view, 0, UINT64_MAX, true, &got, NULL), 0);
    assert_int_equal(got.size, expected->size);
    assert_memory_equal(got.data, expected->data, got.size);
    buffer_clear(&got);
    workers_free(workers);
    body_cache_free(cache);
}

static void test_views(void **state)
{
    (void)state;
    static const int numbers[] = {1, 0};
    struct columns *columns;
    struct schema *chosen;
    assert_int_equal(columns_new(numbers, 2, &columns), 0);
    must(schema_choose(snapshot->schema, numbers, 2, &chosen) == 0);
    static const struct {
        uint32_t first, end;
    } ranges[] = {{0, 5}, {0, 0}, {2, 4}, {4, 5}};
    for (size_t r = 0; r < 4; r++)
        for (int some = 0; some < 2; some++) {
            const atomic_bool stop = false;
            struct progress progress = {0};
            struct view view = {snapshot,
                                {&format_csv, some ? columns : NULL},
                                ranges[r].first,
                                ranges[r].end == 5 ? VIEW_TO_END : ranges[r].end};
            struct buffer expected =
                expected_file(some ? chosen : snapshot->schema, ranges[r].first, ranges[r].end);
            assert_int_equal(fetch_measure(&place.fetch, &view, &stop, NULL, &progress, NULL), 0);
            assert_reads(&view, &expected);
            buffer_clear(&expected);
        }
    schema_free(chosen);
    columns_unref(columns);
}

static bool never(void *context)
{
    (void)context;
    return false;
}

/* Its tail needs the notes of all that it has rendered itself. */
static void test_stream(void **state)
{
    (void)state;
    const struct rendition rendition = {.format = &format_csv};
    struct buffer expected = expected_file(snapshot->schema, 0, 5), got = {0};
    struct feed *feed;
    struct stream *stream;
    for (size_t i = 0; i < snapshot->group_count; i++)
        measures_clear(&snapshot->groups[i]->measures);
    must(feed_of_snapshot(snapshot, &feed) == 0);
    assert_int_equal(stream_new(&place.fetch, feed, &rendition, &stream), 0);
    for (uint64_t at = 0; at < expected.size + 9; at += 9)
        assert_int_equal(stream_read(stream, at, 9, never, NULL, &got, NULL), 0);
    assert_int_equal(got.size, expected.size);
    assert_memory_equal(got.data, expected.data, got.size);
    stream_unref(stream);
    feed_unref(feed);
    buffer_clear(&got);
    buffer_clear(&expected);
}

/* From the record, and from another snapshot of the same rows. */
static void test_kept(void **state)
{
    (void)state;
    struct buffer expected = expected_file(snapshot->schema, 0, 5);
    struct snapshot *back, *fresh = place_snapshot(&place, &rows_tables[0], ROWS, EACH);
    for (size_t i = 0; i < fresh->group_count; i++)
        measures_clear(&fresh->groups[i]->measures);
    faces_free(fresh);
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
    assert_reads(PLACE_WHOLE(back, format_find("csv", 3)), &expected);
    assert_int_equal(snapshot_take_identity(fresh, back), 0);
    assert_reads(PLACE_WHOLE(fresh, format_find("csv", 3)), &expected);
    snapshot_unref(back);
    snapshot_unref(fresh);
    buffer_clear(&expected);
}

/* Cut anywhere, or with a length that is none. */
static void test_damage(void **state)
{
    (void)state;
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x7F};
    struct buffer record = {0};
    struct snapshot *back;
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, "table", &record), 0);
    size_t whole = record.size;
    for (size_t size = 0; size <= whole; size++) {
        record.size = size;
        assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
        int rc = snapshot_load(place.store, PLACE_RELATION, &back);
        assert_int_equal(rc, size == whole ? 0 : -EBADMSG);
        if (rc == 0)
            snapshot_unref(back);
    }
    for (size_t at = 0; at < whole; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            record.data[at] ^= changes[i];
            assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
            record.data[at] ^= changes[i];
            int rc = snapshot_load(place.store, PLACE_RELATION, &back);
            assert_true(rc == 0 || rc == -EBADMSG);
            if (rc == 0)
                snapshot_unref(back);
        }
    buffer_clear(&record);
}

static void rename_in_record(const char *from, const char *to)
{
    struct buffer record = {0};
    struct text name = {0};
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, "table", &record), 0);
    record_put_string(&name, from);
    uint8_t *at = memmem(record.data, record.size, name.bytes.data, name.bytes.size);
    assert_non_null(at);
    memcpy(at + 4, to, strlen(to));
    assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
    buffer_clear(&record);
    text_clear(&name);
}

static void assert_known(const struct snapshot *back, const char *name, bool known)
{
    const struct rendition rendition = {.format = formats[format_find(name, strlen(name))]};
    const struct face *face = snapshot_face(back, rendition.format);
    assert_int_equal(face_is_known(face), known);
    assert_int_equal(face->measured, known);
    for (size_t i = 0; i < back->group_count; i++)
        assert_int_equal(group_size(back->groups[i], &rendition) != SIZE_UNKNOWN, known);
}

/* A record whose notes belong to a format that this program does not have, or that takes none here:
 * they are passed over, and what stands behind them is read. */
static void test_notes_of_others(void **state)
{
    (void)state;
    struct snapshot *back;
    for (int taken = 0; taken < 2; taken++) {
        assert_int_equal(snapshot_save(snapshot), 0);
        if (taken)
            rename_in_record("tsv", "xsv");
        rename_in_record("csv", taken ? "tsv" : "ysv");
        assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
        assert_known(back, "csv", false);
        assert_known(back, "tsv", !taken);
        assert_known(back, "bin", true);
        assert_known(back, "jsonl", true);
        assert_true(snapshot_same_content(snapshot, back));
        snapshot_unref(back);
    }
}

/* A record from before there were notes: of a format that takes some here nothing is known. */
static void test_record_without_notes(void **state)
{
    (void)state;
    static const struct store_name name = {
        .system_id = UINT64_C(7000000000000000003), .database = 20000, .role = "postgres"};
    char command[200];
    struct store *store;
    struct snapshot *back;
    snprintf(command, sizeof command,
             "cp -r tests/cache-layout-5/cache/. '%s' && chmod -R go-rwx '%s'", place.dir,
             place.dir);
    must(system(command) == 0);
    must(store_open(place.dir, &name, 1 << 20, &store, NULL) == 0);
    assert_int_equal(snapshot_load(store, 30000, &back), 0);
    assert_known(back, "csv", false);
    assert_known(back, "bin", true);
    assert_known(back, "jsonl", true);
    snapshot_unref(back);
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_views),  TEST(test_stream),          TEST(test_kept),
        TEST(test_damage), TEST(test_notes_of_others), TEST(test_record_without_notes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
