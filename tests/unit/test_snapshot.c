#include "fs/rows/snapshot_choose.h"
#include "fs/rows/snapshot_records.h"
#include "fs/rows/snapshot_times.h"

#include "tests/unit/place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct place place;

static int set_up(void **state)
{
    (void)state;
    place_open(&place, 100 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    place_close(&place);
    return 0;
}

static void assert_same_face(const struct face *a, const struct face *b, size_t groups)
{
    assert_int_equal(a->refused, b->refused);
    assert_int_equal(a->reason != NULL, b->reason != NULL);
    if (a->reason != NULL)
        assert_string_equal(a->reason, b->reason);
    assert_int_equal(a->measured, b->measured);
    assert_int_equal(a->hashed, b->hashed);
    assert_true(hash128_equal(a->hash, b->hash));
    assert_int_equal(a->head.size, b->head.size);
    assert_int_equal(a->tail.size, b->tail.size);
    if (a->measured)
        assert_memory_equal(a->offsets, b->offsets, (groups + 1) * sizeof *a->offsets);
}

static void assert_same_group(const struct group *a, const struct group *b)
{
    assert_true(a->id == b->id && a->relation == b->relation && a->source == b->source);
    assert_true(a->rows == b->rows && a->bytes == b->bytes && a->row_id_sum == b->row_id_sum);
    assert_true(a->range.first.block == b->range.first.block &&
                a->range.first.offset == b->range.first.offset);
    assert_true(a->range.end.block == b->range.end.block &&
                a->range.end.offset == b->range.end.offset);
    assert_true(hash128_equal(a->content, b->content));
    for (int i = 0; i < RUNS_KEPT; i++)
        assert_true(a->proven[i] == b->proven[i]);
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct rendition rendition = {.format = formats[i]};
        assert_true(group_size(a, &rendition) == group_size(b, &rendition));
    }
    assert_true(a->kept && b->kept);
}

static void assert_same(const struct snapshot *a, const struct snapshot *b)
{
    assert_true(a->key.system_id == b->key.system_id && a->key.output == b->key.output);
    assert_true(a->key.database == b->key.database && a->key.relation == b->key.relation);
    assert_string_equal(a->key.mark, b->key.mark);
    assert_string_equal(a->key.signature, b->key.signature);
    assert_int_equal(a->key.run_count, b->key.run_count);
    for (int i = 0; i < a->key.run_count; i++) {
        assert_string_equal(a->key.runs[i].text, b->key.runs[i].text);
        assert_true(a->key.runs[i].timeline == b->key.runs[i].timeline &&
                    a->key.runs[i].position == b->key.runs[i].position);
    }
    assert_int_equal(a->key.proves, b->key.proves);
    assert_int_equal(a->relation.kind, b->relation.kind);
    assert_string_equal(a->relation.schema, b->relation.schema);
    assert_string_equal(a->relation.name, b->relation.name);
    assert_true(a->serial == b->serial && a->lineage == b->lineage && a->mtime == b->mtime &&
                a->fetched_at == b->fetched_at);
    assert_true(a->rows == b->rows);
    assert_int_equal(a->source_count, b->source_count);
    for (size_t i = 0; i < a->source_count; i++)
        assert_true(a->sources[i].oid == b->sources[i].oid &&
                    a->sources[i].filenode == b->sources[i].filenode &&
                    a->sources[i].by_ctid == b->sources[i].by_ctid);
    assert_int_equal(a->group_count, b->group_count);
    for (size_t i = 0; i < a->group_count; i++) {
        assert_same_group(a->groups[i], b->groups[i]);
        assert_int_equal(snapshot_times(a, i).since, snapshot_times(b, i).since);
        assert_int_equal(snapshot_times(a, i).behind, snapshot_times(b, i).behind);
    }
    for (int i = 0; i < FORMAT_COUNT; i++)
        assert_same_face(snapshot_face(a, formats[i]), snapshot_face(b, formats[i]),
                         a->group_count);
}

static void set_times(struct snapshot *snapshot)
{
    struct group_times *times = calloc(snapshot->group_count + 1, sizeof *times);
    must(times != NULL);
    for (size_t i = 0; i < snapshot->group_count; i++)
        times[i] = (struct group_times){.since = 1600000000 + (int64_t)i, .behind = 1 + (int64_t)i};
    snapshot->times = times;
}

static void test_record_round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (uint32_t rows = 0; rows < 40; rows += 13) {
            struct snapshot *snapshot = place_snapshot(&place, &rows_tables[i], rows, 5), *back;
            place_face(snapshot, 0)->hash = (struct hash128){1, 2};
            place_face(snapshot, 0)->hashed = true;
            set_times(snapshot);
            assert_int_equal(snapshot_save(snapshot), 0);
            assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
            assert_same(snapshot, back);
            assert_true(snapshot_same_content(snapshot, back));
            snapshot_unref(back);
            snapshot_unref(snapshot);
        }
}

static void test_no_record(void **state)
{
    (void)state;
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &snapshot), -ENOENT);
    assert_null(snapshot);
    snapshot_unref(NULL);
}

/* The record of another relation, by its name on disk, is none of this one. */
static void test_record_of_another(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 10, 5), *back = NULL;
    struct buffer record = {0};
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, "table", &record), 0);
    assert_int_equal(store_put_record(place.store, 1, "table", &record), 0);
    assert_int_equal(snapshot_load(place.store, 1, &back), -EBADMSG);
    assert_null(back);
    buffer_clear(&record);
    snapshot_unref(snapshot);
}

/* Records whose checksum holds, but which end early, go on, or have a byte changed: an error, or a
 * snapshot that can be measured and let go; never a crash. */
static void test_damaged_records(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 10, 5), *back;
    struct buffer record = {0};
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, "table", &record), 0);
    size_t whole = record.size;
    assert_int_equal(buffer_append_byte(&record, 0), 0);
    for (size_t size = 0; size <= whole + 1; size++) {
        record.size = size;
        assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
        int rc = snapshot_load(place.store, PLACE_RELATION, &back);
        assert_int_equal(rc, size == whole ? 0 : -EBADMSG);
        if (rc == 0)
            snapshot_unref(back);
    }
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x7F};
    record.size = whole;
    for (size_t at = 0; at < whole; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            record.data[at] ^= changes[i];
            assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
            record.data[at] ^= changes[i];
            int rc = snapshot_load(place.store, PLACE_RELATION, &back);
            assert_true(rc == 0 || rc == -EBADMSG);
            if (rc < 0)
                continue;
            for (int f = 0; f < FORMAT_COUNT; f++) {
                const struct face *face = snapshot_face(back, formats[f]);
                assert_true(!face->asked || face->refused < 0 ||
                            formats[f]->possible(back->schema));
                assert_true(!face->measured || face->size > 0);
            }
            snapshot_unref(back);
        }
    buffer_clear(&record);
    snapshot_unref(snapshot);
}

/* Numbers that no fetch makes, in a record whose checksum holds. */
static void be_late(struct snapshot *s) { s->mtime = INT64_MAX; }
static void be_early(struct snapshot *s) { s->mtime = -1; }
static void be_fetched_late(struct snapshot *s) { s->fetched_at = INT64_MAX; }
static void be_the_last(struct snapshot *s) { s->serial = UINT64_MAX; }
static void be_of_the_last(struct snapshot *s) { s->lineage = UINT64_MAX; }
static void be_of_no_kind(struct snapshot *s) { s->relation.kind = (enum relation_kind)'x'; }
static void have_the_last_id(struct snapshot *s) { s->groups[1]->id = UINT64_MAX; }
static void have_an_id_twice(struct snapshot *s) { s->groups[1]->id = s->groups[0]->id; }
static void have_many_rows(struct snapshot *s) { s->groups[1]->rows = ROWGROUP_ROWS_MOST + 1; }
static void have_many_bytes(struct snapshot *s) { s->groups[1]->bytes = UINT64_MAX; }
static void have_a_vast_body(struct snapshot *s) { *place_size(s->groups[1], 0) = UINT64_MAX - 1; }
static void be_of_the_last_second(struct snapshot *s) { s->mtime = RECORD_SECONDS_MOST; }
static void be_renewed_late(struct snapshot *s) { s->renewed[0] = RECORD_SECONDS_MOST; }
static void have_late_pieces(struct snapshot *s) { s->times[1].behind = RECORD_SECONDS_MOST; }
static void be_of_the_last_serial(struct snapshot *s) { s->serial = RECORD_MICROSECONDS_MOST; }
static void have_an_id_at_the_end(struct snapshot *s)
{
    s->groups[1]->id = store_id_end() + (1 << 30);
}
static void have_no_source(struct snapshot *s) { s->groups[1]->source = (uint32_t)s->source_count; }
static void be_refused_oddly(struct snapshot *s) { place_face(s, 2)->refused = -4096; }

static void test_numbers_out_of_bounds(void **state)
{
    (void)state;
    static void (*const changes[])(struct snapshot *) = {be_late,
                                                         be_early,
                                                         be_fetched_late,
                                                         be_the_last,
                                                         be_of_the_last,
                                                         be_of_no_kind,
                                                         have_the_last_id,
                                                         have_an_id_twice,
                                                         have_many_rows,
                                                         have_many_bytes,
                                                         have_a_vast_body,
                                                         be_refused_oddly,
                                                         be_of_the_last_second,
                                                         be_of_the_last_serial,
                                                         have_an_id_at_the_end,
                                                         have_no_source,
                                                         be_renewed_late,
                                                         have_late_pieces};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 10, 5), *back = NULL;
        uint64_t id = snapshot->groups[1]->id;
        for (int f = 0; f < FORMAT_COUNT; f++) /* sizes count, measured or not */
            place_face(snapshot, f)->measured = false;
        set_times(snapshot);
        changes[i](snapshot);
        assert_int_equal(snapshot_save(snapshot), 0);
        int rc = snapshot_load(place.store, PLACE_RELATION, &back);
        if (rc != -EBADMSG)
            fail_msg("change %zu: %d", i, rc);
        snapshot->groups[1]->id = id;
        snapshot_unref(snapshot);
    }
}

/* A clock may have been far ahead: what was fetched then is believed, and so is what comes next. */
static void test_clock_set_back(void **state)
{
    (void)state;
    struct snapshot *old = place_snapshot(&place, &rows_tables[0], 10, 5), *fresh, *back;
    old->mtime = (int64_t)time(NULL) + RECORD_SECONDS_AHEAD - 60;
    old->serial = (uint64_t)old->mtime * 1000000;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(snapshot_save(old), 0);
        assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
        assert_true(back->mtime == old->mtime && back->serial == old->serial);
        snapshot_unref(old);
        fresh = place_snapshot(&place, &rows_tables[0], 10, 5);
        snapshot_stamp(fresh, back, 0);
        assert_true(fresh->mtime > back->mtime && fresh->serial > back->serial);
        snapshot_unref(back);
        old = fresh;
    }
    snapshot_unref(old);
}

/* Ids that a record names are not given out again, though their files are lost. */
static void test_ids_of_a_record(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 10, 5), *back;
    uint64_t first = snapshot->groups[0]->id, later = first + (UINT64_C(1) << 40);
    store_drop_group(place.store, PLACE_RELATION, first);
    snapshot->groups[0]->id = later;
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
    assert_true(store_new_id(place.store) > later);
    snapshot_unref(back);
    snapshot_unref(snapshot);
}

/* Renames the format in the record, to one that this program does not have: what it says of that
 * one is passed over, and of the format itself nothing is known. */
static void rename_format(int format)
{
    struct buffer record = {0};
    struct text named = {0};
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, "table", &record), 0);
    record_put_string(&named, formats[format]->name);
    uint8_t *at = memmem(record.data, record.size, named.bytes.data, named.bytes.size);
    assert_non_null(at);
    at[named.bytes.size - 1] = 'X';
    assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
    buffer_clear(&record);
    text_clear(&named);
}

static void test_other_formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct snapshot *snapshot = place_snapshot(&place, &rows_tables[i], 20, 5), *back;
            const struct face nothing = {0};
            assert_int_equal(snapshot_save(snapshot), 0);
            rename_format(f);
            for (int again = 0; again < 2; again++) { /* what is not known is not written */
                assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), 0);
                assert_true(back->serial == snapshot->serial && back->mtime == snapshot->mtime);
                assert_true(snapshot_same_content(snapshot, back));
                for (int other = 0; other < FORMAT_COUNT; other++) {
                    const struct face *face = snapshot_face(back, formats[other]);
                    const struct rendition rendition = {.format = formats[other]};
                    assert_int_equal(face_is_known(face), other != f);
                    assert_same_face(other != f ? snapshot_face(snapshot, formats[other])
                                                : &nothing,
                                     face, back->group_count);
                    for (size_t g = 0; g < back->group_count; g++)
                        assert_true(group_size(back->groups[g], &rendition) ==
                                    (other != f ? group_size(snapshot->groups[g], &rendition)
                                                : SIZE_UNKNOWN));
                }
                assert_int_equal(snapshot_save(back), 0);
                if (again == 0)
                    snapshot_unref(back);
            }
            /* A fetch tells what was not known. */
            const struct face *face = snapshot_face(snapshot, formats[f]);
            assert_int_equal(snapshot_has_news(snapshot, back), face->refused < 0);
            assert_int_equal(snapshot_take_identity(back, snapshot), 0);
            assert_int_equal(face_is_known(snapshot_face(back, formats[f])), face->measured);
            snapshot_unref(back);
            snapshot_unref(snapshot);
        }
}

/* ---- formats whose bytes are a library's ---- */

static const struct format *encoded; /* NULL: as they are */
static const char *encoder;

const char *__real_format_encoder(const struct format *format);
const char *__wrap_format_encoder(const struct format *format);
const char *__wrap_format_encoder(const struct format *format)
{
    return format == encoded ? encoder : __real_format_encoder(format);
}

/* What the record says, if that format's bytes come from this encoder now. */
static struct snapshot *load_with(const char *now)
{
    struct snapshot *snapshot;
    encoder = now;
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &snapshot), 0);
    return snapshot;
}

static struct snapshot *snapshot_of_encoder(size_t table, int format)
{
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[table], 20, 5);
    encoded = formats[format];
    encoder = "zip 1.0";
    if (place_face(snapshot, format)->measured)
        assert_int_equal(view_hashed(PLACE_WHOLE(snapshot, format), (struct hash128){1, 2}), 0);
    assert_int_equal(snapshot_save(snapshot), 0);
    return snapshot;
}

/* Nothing is known of the bytes; whether the server refuses the format still is. */
static void assert_renewed(struct snapshot *before, struct snapshot *now, int format)
{
    const struct rendition rendition = {.format = formats[format]};
    const struct face *old = snapshot_face(before, formats[format]),
                      *face = snapshot_face(now, formats[format]);
    assert_true(face->asked && !face->measured && !face->hashed);
    assert_int_equal(face->refused, old->refused);
    for (size_t g = 0; g < now->group_count; g++)
        assert_true(group_size(now->groups[g], &rendition) == SIZE_UNKNOWN);
    assert_true(now->renewed[format] > now->mtime && now->renewed[format] >= time(NULL) - 60);
    assert_true(now->renewed[format] > before->renewed[format]);
    assert_true(snapshot_latest(now) == now->renewed[format]);
    assert_true(view_id(PLACE_WHOLE(now, format)) != view_id(PLACE_WHOLE(before, format)));
}

/* All other formats are as they were. */
static void assert_others(struct snapshot *before, struct snapshot *now, int format)
{
    assert_true(now->serial == before->serial && now->mtime == before->mtime);
    for (int other = 0; other < FORMAT_COUNT; other++) {
        if (other == format)
            continue;
        assert_same_face(snapshot_face(before, formats[other]), snapshot_face(now, formats[other]),
                         now->group_count);
        assert_true(now->renewed[other] == 0);
        assert_true(view_id(PLACE_WHOLE(now, other)) == view_id(PLACE_WHOLE(before, other)));
    }
}

static void test_another_encoder(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (int f = 0; f < FORMAT_COUNT; f++) {
            struct snapshot *before = snapshot_of_encoder(i, f), *same = load_with("zip 1.0");
            assert_same(before, same);
            assert_true(!same->unsaved && snapshot_latest(same) == same->mtime);
            assert_true(view_id(PLACE_WHOLE(same, f)) == view_id(PLACE_WHOLE(before, f)));
            struct snapshot *now = load_with("zip 1.1");
            assert_renewed(before, now, f);
            assert_others(before, now, f);
            assert_true(now->unsaved);
            snapshot_unref(before);
            snapshot_unref(same);
            snapshot_unref(now);
        }
    encoded = NULL;
}

/* The later time stays, and the next one is later again; so is that of a version made since, also
 * if the clock was set back. */
static void test_times_of_encoders(void **state)
{
    (void)state;
    struct snapshot *before = snapshot_of_encoder(0, 0), *now = load_with("zip 1.1");
    assert_int_equal(snapshot_save(now), 0);
    struct snapshot *same = load_with("zip 1.1");
    assert_true(!same->unsaved && same->renewed[0] == now->renewed[0]);
    assert_true(view_id(PLACE_WHOLE(same, 0)) == view_id(PLACE_WHOLE(now, 0)));
    struct snapshot *third = load_with("zip 1.0");
    assert_renewed(now, third, 0);
    same->renewed[0] += 1000000;
    encoder = "zip 1.1";
    assert_int_equal(snapshot_save(same), 0);
    struct snapshot *fourth = load_with("zip 1.0"), *fresh, *twin;
    assert_true(fourth->renewed[0] == same->renewed[0] + 1);
    assert_int_equal(snapshot_new(place.store, &fresh), 0);
    snapshot_stamp(fresh, fourth, 0);
    assert_true(fresh->mtime == fourth->renewed[0] + 1 && snapshot_latest(fresh) == fresh->mtime);
    twin = place_snapshot(&place, &rows_tables[0], 20, 5);
    assert_int_equal(snapshot_take_identity(twin, fourth), 0);
    assert_true(twin->renewed[0] == fourth->renewed[0] && twin->renewed[1] == 0);
    assert_true(view_id(PLACE_WHOLE(twin, 0)) == view_id(PLACE_WHOLE(fourth, 0)));
    struct snapshot *all[] = {before, now, same, third, fourth, fresh, twin};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        snapshot_unref(all[i]);
    encoded = NULL;
}

/* A time of a format's own that is not later than that of all others is none that a program
 * notes. */
static void test_early_time_of_an_encoder(void **state)
{
    (void)state;
    struct snapshot *snapshot = snapshot_of_encoder(0, 0), *back;
    snapshot->renewed[0] = snapshot->mtime;
    assert_int_equal(snapshot_save(snapshot), 0);
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), -EBADMSG);
    snapshot_unref(snapshot);
    encoded = NULL;
}

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (uint32_t rows = 0; rows < 30; rows += 7) {
            struct snapshot *snapshot = place_snapshot(&place, &rows_tables[i], rows, 4);
            for (int f = 0; f < FORMAT_COUNT; f++) {
                struct buffer whole = {0};
                if (!formats[f]->possible(snapshot->schema))
                    continue;
                place_view(&rows_tables[i], snapshot, rows, f, &whole);
                assert_true(snapshot_face(snapshot, formats[f])->size == whole.size);
                buffer_clear(&whole);
            }
            snapshot_unref(snapshot);
        }
}

/* However a group is written, its file is within the bound that is read by. */
static void test_files_are_bounded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (uint32_t count = 0; count < 200; count += 1 + count / 2) {
            struct schema *schema = rows_schema(&rows_tables[i]);
            struct rowgroup *rows = rows_group(&rows_tables[i], schema, 0, count);
            struct group *group = group_new(place.store, PLACE_RELATION, rows);
            assert_non_null(group);
            for (int small = 0; small < 2; small++) {
                struct rowgroup_image image;
                assert_int_equal(rowgroup_encode(rows, schema, small != 0, &image), 0);
                assert_true(image.size <= rowgroup_file_most(schema, count, group->bytes));
                rowgroup_image_clear(&image);
            }
            group_unref(group);
            rowgroup_free(rows);
            schema_free(schema);
        }
}

static void test_same_content(void **state)
{
    (void)state;
    struct snapshot *a = place_snapshot(&place, &rows_tables[0], 20, 5),
                    *same = place_snapshot(&place, &rows_tables[0], 20, 5);
    struct snapshot *longer = place_snapshot(&place, &rows_tables[0], 21, 5);
    struct snapshot *cut_elsewhere = place_snapshot(&place, &rows_tables[0], 20, 4);
    assert_true(snapshot_same_content(a, same));
    assert_false(snapshot_same_content(a, longer));
    assert_false(snapshot_same_content(a, cut_elsewhere));
    same->key.signature[0] ^= 1; /* files were written anew, the server was brought up to date */
    assert_true(snapshot_same_content(a, same));
    same->key.output++;
    assert_false(snapshot_same_content(a, same));
    same->key.output--;
    same->schema->columns[0].name[0] ^= 1;
    assert_false(snapshot_same_content(a, same));
    snapshot_unref(same);
    same = place_snapshot(&place, &rows_tables[0], 20, 5);
    place_face(same, 1)->refused = -EIO;
    assert_false(snapshot_same_content(a, same));
    place_face(same, 1)->refused = 0;
    struct group *first = same->groups[0]; /* the same groups in another order */
    same->groups[0] = same->groups[1];
    same->groups[1] = first;
    assert_false(snapshot_same_content(a, same));
    snapshot_unref(a);
    snapshot_unref(same);
    snapshot_unref(longer);
    snapshot_unref(cut_elsewhere);
}

/* Other row ids, measured less: the files are the same for all who look at them. */
static void test_taking_an_identity(void **state)
{
    (void)state;
    struct snapshot *old = place_snapshot(&place, &rows_tables[0], 20, 5),
                    *fresh = place_snapshot(&place, &rows_tables[0], 20, 5);
    assert_true(snapshot_same_row_ids(old, fresh));
    fresh->groups[1]->row_id_sum++;
    assert_true(snapshot_same_content(old, fresh));
    assert_false(snapshot_same_row_ids(old, fresh));
    place_face(old, 0)->hash = (struct hash128){1, 2};
    place_face(old, 0)->hashed = true;
    fresh->serial = 99, fresh->lineage = 98, fresh->mtime++, fresh->fetched_at++;
    for (int f = 0; f < FORMAT_COUNT; f++) {
        place_face(fresh, f)->measured = false;
        free(place_face(fresh, f)->offsets);
        place_face(fresh, f)->offsets = NULL;
    }
    measures_clear(&fresh->groups[2]->measures);
    assert_int_equal(snapshot_take_identity(fresh, old), 0);
    assert_true(fresh->serial == old->serial && fresh->mtime == old->mtime &&
                fresh->fetched_at == old->fetched_at && fresh->lineage == 98);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct face *was = snapshot_face(old, formats[f]);
        const struct face *is = snapshot_face(fresh, formats[f]);
        assert_int_equal(is->measured, was->measured);
        assert_true(!was->measured || is->size == was->size);
        assert_int_equal(is->hashed, f == 0);
        assert_true(!is->hashed || hash128_equal(is->hash, was->hash));
    }
    snapshot_unref(old);
    snapshot_unref(fresh);
}

static struct version_key now_under(const char *run, uint64_t position)
{
    struct version_key now = {.mark = place_copy("mark"),
                              .run_count = 1,
                              .runs = {{.timeline = 1, .position = position}}};
    snprintf(now.runs[0].text, sizeof now.runs[0].text, "%s", run);
    return now;
}

static bool believes(struct snapshot *snapshot, const char *run, uint64_t position)
{
    struct version_key now = now_under(run, position);
    bool yes = snapshot_believes(snapshot, &now);
    version_key_clear(&now);
    return yes;
}

static int prove(struct snapshot *snapshot, const char *run, uint64_t position)
{
    struct version_key now = now_under(run, position);
    int rc = snapshot_prove(snapshot, &now);
    version_key_clear(&now);
    return rc;
}

static void test_runs(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 20, 5);
    assert_false(believes(snapshot, "1700000000.5-1", 5000)); /* only half of the groups */
    assert_int_equal(prove(snapshot, "1700000000.5-1", 5000), 0);
    assert_true(believes(snapshot, "1700000000.5-1", 5000));
    assert_true(believes(snapshot, "1700000000.5-1", 5001));
    assert_false(believes(snapshot, "1700000000.5-1", 4999)); /* it was set back */
    assert_false(believes(snapshot, "1700000000.5-2", 5000));
    assert_int_equal(prove(snapshot, "1700000000.5-1", 6000), 0);
    assert_false(believes(snapshot, "1700000000.5-1", 5999));
    assert_int_equal(prove(snapshot, "1700000000.5-1", 100), 1);
    assert_true(believes(snapshot, "1700000000.5-1", 100));
    char run[32];
    for (int i = 1; i <= RUNS_KEPT - 2; i++) {
        snprintf(run, sizeof run, "%d", i);
        assert_int_equal(prove(snapshot, run, 1), 1);
    }
    assert_true(believes(snapshot, "1700000000.5-1", 100));
    assert_int_equal(prove(snapshot, "1", 2), 0); /* again in front */
    assert_int_equal(prove(snapshot, "more", 1), 1);
    assert_int_equal(prove(snapshot, "and more", 1), 1);
    assert_false(believes(snapshot, "1700000000.5-1", 100));
    assert_true(believes(snapshot, "1", 2));
    assert_int_equal(snapshot->key.run_count, RUNS_KEPT);
    snapshot_unref(snapshot);
}

/* ---- several threads ---- */

/* The Makefile links this test with --wrap for what reads and changes a version key. */
int __real_version_key_copy(const struct version_key *from, struct version_key *out);
bool __real_version_key_believes(const struct version_key *known, const struct version_key *now);
int __real_version_key_prove(struct version_key *known, const struct version_key *now);
char *__real_strdup(const char *text);
uint64_t __real_hash64(const void *bytes, size_t size);
void __real_crew_unref(struct crew *crew);
int __wrap_version_key_copy(const struct version_key *from, struct version_key *out);
bool __wrap_version_key_believes(const struct version_key *known, const struct version_key *now);
int __wrap_version_key_prove(struct version_key *known, const struct version_key *now);
char *__wrap_strdup(const char *text);
uint64_t __wrap_hash64(const void *bytes, size_t size);
void __wrap_crew_unref(struct crew *crew);

static struct snapshot *watched;
static int uses;

/* While the key is in use nobody else gets at it. */
static void meet_another(const void *used)
{
    if (watched == NULL || (used != &watched->key && used != watched->key.mark))
        return;
    uses++;
    assert_int_equal(pthread_mutex_trylock(&watched->lock), EBUSY);
}

int __wrap_version_key_copy(const struct version_key *from, struct version_key *out)
{
    meet_another(from);
    return __real_version_key_copy(from, out);
}

bool __wrap_version_key_believes(const struct version_key *known, const struct version_key *now)
{
    meet_another(known);
    return __real_version_key_believes(known, now);
}

int __wrap_version_key_prove(struct version_key *known, const struct version_key *now)
{
    meet_another(known);
    return __real_version_key_prove(known, now);
}

char *__wrap_strdup(const char *text)
{
    meet_another(text);
    return __real_strdup(text);
}

uint64_t __wrap_hash64(const void *bytes, size_t size)
{
    meet_another(bytes);
    return __real_hash64(bytes, size);
}

/* A job proves the version anew while others begin to read along with it, and ask for its mark. */
static void test_key_is_used_by_one(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 20, 5), *copy;
    watched = snapshot;
    assert_int_equal(snapshot_copy_basis(snapshot, &copy), 0);
    assert_true(uses >= 1);
    uses = 0;
    assert_int_equal(prove(snapshot, "1700000000.5-1", 6000), 0);
    assert_true(uses >= 2);
    uses = 0;
    assert_true(believes(snapshot, "1700000000.5-1", 6000));
    assert_true(uses >= 1);
    uses = 0;
    char *mark = snapshot_mark(snapshot);
    assert_non_null(mark);
    assert_true(uses >= 1);
    uses = 0;
    assert_true(snapshot_mark_number(snapshot) != 0);
    assert_true(uses >= 1);
    watched = NULL;
    free(mark);
    snapshot_unref(copy);
    snapshot_unref(snapshot);
}

static struct held held;
static struct snapshot *holder_to_be;
static struct crew *crew_to_hold;

/* To end a crew takes long: meanwhile another reader has made one for the same snapshot. */
void __wrap_crew_unref(struct crew *crew)
{
    struct snapshot *snapshot = holder_to_be;
    holder_to_be = NULL;
    if (snapshot != NULL) {
        assert_int_equal(pthread_mutex_trylock(&snapshot->lock), 0);
        pthread_mutex_unlock(&snapshot->lock);
        assert_true(snapshot_hold(snapshot, crew_to_hold, &held));
    }
    __real_crew_unref(crew);
}

/* However often, none of the places for held read points is lost. */
static void test_held_while_let_go(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 20, 5);
    held_init(&held, 10);
    for (int i = 0; i < 3 * HELD_AT_MOST; i++) {
        struct crew *crew, *found;
        assert_int_equal(crew_new(place.fetch.pool, 1, NULL, &crew), 0);
        assert_int_equal(crew_new(place.fetch.pool, 1, NULL, &crew_to_hold), 0);
        assert_true(snapshot_hold(snapshot, crew, &held));
        assert_int_equal(held_count(&held), 1);
        holder_to_be = snapshot;
        snapshot_let_go(snapshot);
        assert_int_equal(held_count(&held), 1);
        assert_ptr_equal(found = snapshot_held(snapshot), crew_to_hold);
        crew_unref(found);
        snapshot_let_go(snapshot);
        assert_int_equal(held_count(&held), 0);
        crew_unref(crew);
        crew_unref(crew_to_hold);
    }
    snapshot_unref(snapshot);
    held_clear(&held);
}

/* The files go with the last reference, unless a record names them. */
static void test_files_of_groups(void **state)
{
    (void)state;
    struct snapshot *a = place_snapshot(&place, &rows_tables[0], 20, 5), *b;
    uint64_t id = a->groups[0]->id, other = a->groups[1]->id;
    struct group *shared = group_ref(a->groups[0]);
    snapshot_unref(a);
    assert_true(store_has_group(place.store, PLACE_RELATION, id));
    assert_false(store_has_group(place.store, PLACE_RELATION, other));
    group_unref(shared);
    assert_false(store_has_group(place.store, PLACE_RELATION, id));
    assert_true(store_used(place.store) == 0);

    a = place_snapshot(&place, &rows_tables[0], 20, 5);
    id = a->groups[0]->id, other = a->groups[1]->id;
    assert_int_equal(snapshot_save(a), 0);
    snapshot_unref(a);
    assert_true(store_has_group(place.store, PLACE_RELATION, id));

    /* A newer one that shares the first group takes its place. */
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &a), 0);
    assert_int_equal(snapshot_new(place.store, &b), 0);
    assert_int_equal(snapshot_add_group(b, group_ref(a->groups[0])), 0);
    snapshot_forsake(a, b);
    assert_true(store_has_group(place.store, PLACE_RELATION, other)); /* somebody may read it yet */
    snapshot_unref(a);
    assert_true(store_has_group(place.store, PLACE_RELATION, id));
    assert_false(store_has_group(place.store, PLACE_RELATION, other));
    snapshot_unref(b);
    assert_true(store_has_group(place.store, PLACE_RELATION, id));
    group_unref(NULL);
}

/* The snapshots of a relation's columns have records of their own, and are other files. */
static void test_columns(void **state)
{
    (void)state;
    static const char *const lists[] = {NULL, "a", "b,a", ""};
    enum { LISTS = sizeof lists / sizeof *lists };
    struct snapshot *all[LISTS], *back = NULL;
    for (int i = 0; i < LISTS; i++) {
        all[i] = place_snapshot(&place, &rows_tables[0], 10, 5);
        assert_int_equal(snapshot_take_columns(all[i], lists[i]), 0);
        assert_int_equal(snapshot_save(all[i]), 0);
        assert_int_equal(selection_number(lists[i]) == 0, lists[i] == NULL);
        for (int k = 0; k < i; k++) {
            assert_true(selection_number(lists[i]) != selection_number(lists[k]));
            assert_true(view_id(PLACE_WHOLE(all[i], 0)) != view_id(PLACE_WHOLE(all[k], 0)));
        }
    }
    for (int i = 0; i < LISTS; i++) {
        struct snapshot *copy;
        assert_int_equal(snapshot_load_columns(place.store, PLACE_RELATION, lists[i], &back), 0);
        assert_same(all[i], back);
        assert_int_equal(snapshot_copy_basis(back, &copy), 0);
        assert_int_equal(back->columns != NULL, lists[i] != NULL);
        if (lists[i] != NULL) {
            assert_string_equal(back->columns, lists[i]);
            assert_string_equal(copy->columns, lists[i]);
        }
        snapshot_unref(copy);
        snapshot_unref(back);
    }
    for (int i = 0; i < LISTS; i++) {
        char kind[40] = "table";
        assert_int_equal(snapshot_load_any(place.store, PLACE_RELATION, &back), 0);
        snapshot_unref(back);
        if (lists[i] != NULL)
            snprintf(kind, sizeof kind, "select-%016llx",
                     (unsigned long long)selection_number(lists[i]));
        store_drop_record(place.store, PLACE_RELATION, kind);
    }
    back = NULL;
    assert_int_equal(snapshot_load_any(place.store, PLACE_RELATION, &back), -ENOENT);
    assert_int_equal(snapshot_load_columns(place.store, PLACE_RELATION, "b", &back), -ENOENT);
    assert_null(back);
    for (int i = 0; i < LISTS; i++)
        snapshot_unref(all[i]);
}

/* Two lists may have one number: then the record is the other one's. */
static void test_columns_of_another_list(void **state)
{
    (void)state;
    struct snapshot *snapshot = place_snapshot(&place, &rows_tables[0], 10, 5), *back = NULL;
    struct buffer record = {0};
    char kind[40];
    assert_int_equal(snapshot_take_columns(snapshot, "a"), 0);
    assert_int_equal(snapshot_save(snapshot), 0);
    snprintf(kind, sizeof kind, "select-%016llx", (unsigned long long)selection_number("a"));
    assert_int_equal(store_get_record(place.store, PLACE_RELATION, kind, &record), 0);
    snprintf(kind, sizeof kind, "select-%016llx", (unsigned long long)selection_number("b"));
    assert_int_equal(store_put_record(place.store, PLACE_RELATION, kind, &record), 0);
    assert_int_equal(store_put_record(place.store, PLACE_RELATION, "table", &record), 0);
    assert_int_equal(snapshot_load_columns(place.store, PLACE_RELATION, "b", &back), -EBADMSG);
    assert_int_equal(snapshot_load(place.store, PLACE_RELATION, &back), -EBADMSG);
    assert_null(back);
    buffer_clear(&record);
    snapshot_unref(snapshot);
}

/* What no record names goes: neither the table's, nor that of some of its columns. */
static void test_sweep(void **state)
{
    (void)state;
    struct snapshot *all[3];
    for (int i = 0; i < 3; i++)
        all[i] = place_snapshot(&place, &rows_tables[0], 10, 5);
    assert_int_equal(snapshot_take_columns(all[1], "a"), 0);
    assert_int_equal(snapshot_save(all[0]), 0);
    assert_int_equal(snapshot_save(all[1]), 0);
    snapshot_sweep(place.store, PLACE_RELATION + 1); /* there is none */
    snapshot_sweep(place.store, PLACE_RELATION);
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < all[i]->group_count; k++)
            assert_int_equal(store_has_group(place.store, PLACE_RELATION, all[i]->groups[k]->id),
                             i < 2);
        snapshot_unref(all[i]);
    }
}

static const atomic_bool going;

static int choose(struct snapshot *whole, const char *columns, struct snapshot **out)
{
    return snapshot_choose(whole, columns, 0, &going, out);
}

/* What is chosen of a group is what a group of these columns alone would be, and is in the store. */
static void assert_chosen(const struct snapshot *whole, const struct snapshot *chosen,
                          const struct rows_table *alone)
{
    struct schema *schema = rows_schema(alone);
    assert_int_equal(chosen->group_count, whole->group_count);
    for (size_t i = 0, first = 0; i < chosen->group_count; i++) {
        const struct group *from = whole->groups[i], *group = chosen->groups[i];
        struct rowgroup *wanted = rows_group(alone, schema, (uint32_t)first,
                                             (uint32_t)first + from->rows),
                        *rows;
        assert_int_equal(fetch_stored(place.store, chosen, group, &rows), 0);
        assert_true(hash128_equal(group->content, wanted->content));
        assert_true(hash128_equal(rows->content, wanted->content));
        assert_true(group->rows == from->rows && group->source == from->source &&
                    group->row_id_sum == from->row_id_sum && group->id != from->id);
        assert_memory_equal(&group->range, &from->range, sizeof from->range);
        for (int k = 0; k < 2; k++) {
            uint64_t run = server_run_id(&whole->key.runs[k]);
            assert_int_equal(group_is_proven(group, run), group_is_proven(from, run));
        }
        first += from->rows;
        rowgroup_free(rows);
        rowgroup_free(wanted);
    }
    schema_free(schema);
}

static void test_choosing(void **state)
{
    (void)state;
    static const struct {
        const char *columns;
        struct rows_table alone;
    } all[] = {
        {"\"c,2\"", {"mixed", true, 1, {ROWS_VECTOR}}},
        {"\"c,3\", \"c,1\"", {"mixed", true, 2, {ROWS_SERVER, ROWS_TEXT}}},
        {"\"c,0\",\"c,1\",\"c,2\",\"c,3\"",
         {"mixed", true, 4, {ROWS_INT4, ROWS_TEXT, ROWS_VECTOR, ROWS_SERVER}}},
    };
    struct snapshot *whole = place_snapshot(&place, &rows_tables[0], 20, 7), *chosen;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(choose(whole, all[i].columns, &chosen), 0);
        assert_string_equal(chosen->columns, all[i].columns);
        assert_int_equal(chosen->schema->column_count, all[i].alone.count);
        assert_chosen(whole, chosen, &all[i].alone);
        assert_string_equal(chosen->key.mark, whole->key.mark);
        assert_true(chosen->unsaved && chosen->serial == chosen->lineage);
        snapshot_unref(chosen);
    }
    snapshot_unref(whole);
}

/* It is left to the server what is not there, or may be had from it in more ways. */
static void test_nothing_to_choose_from(void **state)
{
    (void)state;
    struct snapshot *whole = place_snapshot(&place, &rows_tables[0], 20, 7), *chosen = NULL;
    static const atomic_bool stopped = true;
    assert_int_equal(choose(whole, "\"c,9\"", &chosen), -ENOENT);
    assert_int_equal(choose(whole, "\"c,4\"", &chosen), -ENOENT); /* generated */
    assert_int_equal(snapshot_choose(whole, "\"c,0\"", 0, &stopped, &chosen), -EINTR);
    whole->broken = true;
    assert_int_equal(choose(whole, "\"c,0\"", &chosen), -ENOENT);
    whole->broken = false;
    whole->key.proves = false;
    assert_int_equal(choose(whole, "\"c,0\"", &chosen), -ENOENT);
    whole->key.proves = true;
    uint64_t used = store_used(place.store);
    store_drop_group(place.store, PLACE_RELATION, whole->groups[2]->id);
    assert_int_equal(choose(whole, "\"c,0\"", &chosen), -ENOENT);
    assert_true(store_used(place.store) < used); /* what had been chosen is gone, too */
    assert_null(chosen);
    snapshot_unref(whole);
    whole = place_snapshot(&place, &rows_tables[6], 20, 7); /* binary is refused */
    whole->key.proves = true;
    assert_int_equal(choose(whole, "\"c,0\"", &chosen), -ENOENT);
    snapshot_unref(whole);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_record_round_trip),
        TEST(test_no_record),
        TEST(test_record_of_another),
        TEST(test_damaged_records),
        TEST(test_numbers_out_of_bounds),
        TEST(test_clock_set_back),
        TEST(test_ids_of_a_record),
        TEST(test_other_formats),
        TEST(test_another_encoder),
        TEST(test_times_of_encoders),
        TEST(test_early_time_of_an_encoder),
        TEST(test_sizes),
        TEST(test_files_are_bounded),
        TEST(test_same_content),
        TEST(test_files_of_groups),
        TEST(test_columns),
        TEST(test_columns_of_another_list),
        TEST(test_sweep),
        TEST(test_choosing),
        TEST(test_nothing_to_choose_from),
        TEST(test_taking_an_identity),
        TEST(test_runs),
        TEST(test_key_is_used_by_one),
        TEST(test_held_while_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
