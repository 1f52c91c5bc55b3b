/* Compressed files: what they hold, where members and frames begin and end, the seek table. They
 * are read here with zlib and zstd alone. */
#include "codec/compress.h"
#include "codec/encoder.h"
#include "codec/gzip.h"
#include "codec/seek_table.h"
#include "tests/unit/no_memory.h"
#include "tests/unit/rows.h"

#include <zlib.h>
#include <zstd.h>

enum { FRAMES_MOST = 64, PIECE = 8 << 20 };

/* A file, taken apart. */
struct parts {
    struct buffer plain;
    size_t count;                                 /* of members or frames: */
    size_t packed[FRAMES_MOST], raw[FRAMES_MOST]; /* their sizes in the file, and unpacked */
    size_t behind;                                /* where the last one ends */
};

static void add_part(struct parts *parts, size_t packed, size_t raw)
{
    must(parts->count < FRAMES_MOST);
    parts->packed[parts->count] = packed;
    parts->raw[parts->count++] = raw;
    parts->behind += packed;
}

static void read_members(const struct buffer *file, struct parts *out)
{
    while (out->behind < file->size) {
        z_stream stream = {.next_in = file->data + out->behind,
                           .avail_in = (uInt)(file->size - out->behind)};
        size_t before = out->plain.size;
        int rc = Z_OK;
        assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
        while (rc == Z_OK) {
            must(buffer_reserve(&out->plain, 1 << 20) == 0);
            stream.next_out = out->plain.data + out->plain.size;
            stream.avail_out = 1 << 20;
            rc = inflate(&stream, Z_NO_FLUSH);
            out->plain.size = (size_t)(stream.next_out - out->plain.data);
        }
        assert_int_equal(rc, Z_STREAM_END);
        add_part(out, stream.total_in, out->plain.size - before);
        inflateEnd(&stream);
    }
}

static void read_frames(const struct buffer *file, struct parts *out)
{
    while (load_le32(file->data + out->behind) == ZSTD_MAGICNUMBER) {
        const uint8_t *frame = file->data + out->behind;
        size_t left = file->size - out->behind, packed = ZSTD_findFrameCompressedSize(frame, left);
        assert_false(ZSTD_isError(packed));
        unsigned long long raw = ZSTD_getFrameContentSize(frame, left);
        assert_true(raw <= PIECE);
        assert_true(frame[4] & 4); /* it ends with a checksum */
        must(buffer_reserve(&out->plain, raw + 1) == 0);
        size_t n = ZSTD_decompress(out->plain.data + out->plain.size, raw, frame, packed);
        assert_int_equal(n, raw);
        out->plain.size += n;
        add_part(out, packed, raw);
    }
}

/* As the format's document has it. */
static void check_seek_table(const struct buffer *file, const struct parts *parts)
{
    const uint8_t *at = file->data + parts->behind;
    size_t size = file->size - parts->behind;
    assert_int_equal(size, 8 + 8 * parts->count + 9);
    assert_true(load_le32(at) == 0x184D2A5E);
    assert_int_equal(load_le32(at + 4), size - 8);
    for (size_t i = 0; i < parts->count; i++) {
        assert_int_equal(load_le32(at + 8 + 8 * i), parts->packed[i]);
        assert_int_equal(load_le32(at + 12 + 8 * i), parts->raw[i]);
    }
    const uint8_t *foot = at + size - 9;
    assert_int_equal(load_le32(foot), parts->count);
    assert_int_equal(foot[4], 0);
    assert_true(load_le32(foot + 5) == 0x8F92EAB1);
}

static bool is_zst(const struct format *format)
{
    return strcmp(strrchr(format->name, '.'), ".zst") == 0;
}

static struct parts take_apart(const struct format *format, const struct buffer *file)
{
    struct parts parts = {.count = 0};
    assert_true(file->size > 0 && file->data[file->size - 1] == format->last);
    if (is_zst(format))
        read_frames(file, &parts);
    else
        read_members(file, &parts);
    if (is_zst(format))
        check_seek_table(file, &parts);
    else
        assert_int_equal(parts.behind, file->size);
    return parts;
}

static void assert_plain(const struct parts *parts, const struct buffer *plain)
{
    assert_int_equal(parts->plain.size, plain->size);
    if (plain->size > 0)
        assert_memory_equal(parts->plain.data, plain->data, plain->size);
}

static const struct {
    const struct format *format, *of;
} all[] = {{&format_csv_gz, &format_csv},     {&format_csv_zst, &format_csv},
           {&format_jsonl_gz, &format_jsonl}, {&format_jsonl_zst, &format_jsonl},
           {&format_bin_gz, &format_bin},     {&format_bin_zst, &format_bin},
           {&format_tsv_gz, &format_tsv},     {&format_tsv_zst, &format_tsv}};
enum { ALL = sizeof all / sizeof *all };

/* The sizes that the pieces of the plain file have, if they are not empty; all are small. */
static size_t list_pieces(const struct format *of, const struct rows_table *table,
                          const struct schema *schema, uint32_t rows, uint32_t each,
                          size_t sizes[FRAMES_MOST])
{
    const struct format_view told = {
        .schema = schema, .rows = rows, .groups = (rows + each - 1) / each};
    struct buffer piece = {0};
    size_t count = 0;
    must(format_head(of, &told, &piece) == 0);
    if (piece.size > 0)
        sizes[count++] = piece.size;
    for (uint32_t first = 0; first < rows; first += each) {
        struct rowgroup *group =
            rows_group(table, schema, first, first + each < rows ? first + each : rows);
        piece.size = 0;
        must(of->body(schema, group, NULL, &piece) == 0);
        sizes[count++] = piece.size;
        rowgroup_free(group);
    }
    piece.size = 0;
    must(format_tail(of, &told, NULL, NULL, &piece) == 0);
    if (piece.size > 0)
        sizes[count++] = piece.size;
    if (count == 0)
        sizes[count++] = 0;
    buffer_clear(&piece);
    return count;
}

/* Head, groups and tail are members or frames of their own; together they are the plain file. */
static void test_files(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, 7, 30};
    for (size_t i = 0; i < ROWS_TABLES; i++)
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
            for (size_t f = 0; f < ALL; f++) {
                const struct rows_table *table = &rows_tables[i];
                struct schema *schema = rows_schema(table);
                struct buffer plain = {0}, file = {0};
                size_t sizes[FRAMES_MOST];
                assert_int_equal(all[f].format->possible(schema), all[f].of->possible(schema));
                if (all[f].of->possible(schema)) {
                    rows_view(table, schema, schema, all[f].of, 0, counts[c], 7, &plain);
                    rows_view(table, schema, schema, all[f].format, 0, counts[c], 7, &file);
                    struct parts parts = take_apart(all[f].format, &file);
                    assert_plain(&parts, &plain);
                    size_t n = list_pieces(all[f].of, table, schema, counts[c], 7, sizes);
                    assert_int_equal(parts.count, n);
                    assert_memory_equal(parts.raw, sizes, n * sizeof *sizes);
                    buffer_clear(&parts.plain);
                }
                buffer_clear(&plain);
                buffer_clear(&file);
                schema_free(schema);
            }
}

/* Some columns of a table, whose groups have them all. */
static void test_some_columns(void **state)
{
    (void)state;
    static const int numbers[] = {2, 0};
    struct schema *schema = rows_schema(&rows_tables[0]), *chosen;
    must(schema_choose(schema, numbers, 2, &chosen) == 0);
    for (size_t f = 0; f < ALL; f++) {
        struct buffer plain = {0}, file = {0};
        rows_view(&rows_tables[0], schema, chosen, all[f].of, 0, 30, 7, &plain);
        rows_view(&rows_tables[0], schema, chosen, all[f].format, 0, 30, 7, &file);
        struct parts parts = take_apart(all[f].format, &file);
        assert_plain(&parts, &plain);
        buffer_clear(&parts.plain);
        buffer_clear(&plain);
        buffer_clear(&file);
    }
    schema_free(chosen);
    schema_free(schema);
}

/* A row whose text is this long, and does not compress well. */
static struct rowgroup *long_row(const struct schema *schema, uint32_t size)
{
    struct buffer tuple = {0};
    struct rowgroup_builder *builder;
    struct rowgroup *group;
    uint32_t state = 1;
    rows_put_be32(&tuple, size);
    must(buffer_reserve(&tuple, size) == 0);
    for (uint32_t i = 0; i < size; i++) {
        state = state * 1664525 + 1013904223;
        tuple.data[tuple.size++] = (uint8_t)('a' + (state >> 24) % 26);
    }
    must(rowgroup_builder_new(schema, &builder) == 0);
    must(rowgroup_builder_add(builder, tuple.data, tuple.size, NULL) == 0);
    must(rowgroup_builder_finish(builder, &group) == 0);
    rowgroup_builder_free(builder);
    buffer_clear(&tuple);
    return group;
}

/* A long body is several pieces; what is in memory for it is about what it holds. */
static void test_long_bodies(void **state)
{
    (void)state;
    const bool with_binary[] = {true};
    struct schema *schema;
    must(schema_new(false, &schema) == 0);
    must(schema_add(schema, "t", "text", type_find(NULL, "text"), true) == 0);
    schema_number(schema, with_binary, ROWS_ALL_PARTS);
    for (int more = -1; more <= 1; more++) {
        /* the body is the row and a line's end */
        struct rowgroup *group = long_row(schema, 3 * PIECE - 1 + (uint32_t)more);
        const struct format *both[] = {&format_csv_gz, &format_csv_zst};
        for (int f = 0; f < 2; f++) {
            const struct format_view told = {.schema = schema, .rows = 1, .groups = 1};
            struct buffer file = {0}, note = {0}, head = {0}, plain = {0};
            must(format_head(&format_csv, &told, &head) == 0);
            must(format_csv.body(schema, group, NULL, &plain) == 0);
            must(format_head(both[f], &told, &file) == 0);
            uint64_t offsets[2] = {file.size};
            must(both[f]->body(schema, group, &note, &file) == 0);
            offsets[1] = file.size;
            assert_int_equal(note.size, both[f]->notes ? 8 * (more > 0 ? 4 : 3) : 0);
            assert_true(file.capacity < plain.size * 3 / 2);
            const struct note one = {note.data, note.size};
            must(format_tail(both[f], &told, both[f]->notes ? &one : NULL, offsets, &file) == 0);
            struct parts parts = take_apart(both[f], &file);
            assert_int_equal(parts.count, more > 0 ? 5 : 4);
            assert_int_equal(parts.raw[0], head.size);
            assert_int_equal(parts.raw[1], PIECE);
            assert_int_equal(parts.raw[parts.count - 1], more > 0 ? 1 : PIECE + more);
            assert_memory_equal(parts.plain.data + head.size, plain.data, plain.size);
            buffer_clear(&parts.plain);
            buffer_clear(&file);
            buffer_clear(&note);
            buffer_clear(&head);
            buffer_clear(&plain);
        }
        rowgroup_free(group);
    }
    schema_free(schema);
}

/* Any place can be read by the seek table alone, which is found from the file's end. */
static void test_seeking(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[0]);
    struct buffer plain = {0}, file = {0};
    rows_view(&rows_tables[0], schema, schema, &format_csv, 0, 100, 9, &plain);
    rows_view(&rows_tables[0], schema, schema, &format_csv_zst, 0, 100, 9, &file);
    size_t frames = load_le32(file.data + file.size - 9);
    const uint8_t *entry = file.data + file.size - 9 - SEEK_ENTRY_SIZE * frames;
    size_t at = 0, raw_at = 0;
    assert_int_equal(frames, 13);
    for (size_t i = 0; i < frames; i++, entry += SEEK_ENTRY_SIZE) {
        uint8_t raw[4096];
        size_t size = load_le32(entry), raw_size = load_le32(entry + 4);
        must(raw_size <= sizeof raw);
        assert_int_equal(ZSTD_decompress(raw, sizeof raw, file.data + at, size), raw_size);
        assert_memory_equal(raw, plain.data + raw_at, raw_size);
        at += size;
        raw_at += raw_size;
    }
    assert_int_equal(raw_at, plain.size);
    buffer_clear(&plain);
    buffer_clear(&file);
    schema_free(schema);
}

static void test_too_many_frames(void **state)
{
    (void)state;
    struct buffer out = {0}, entries = {.size = (size_t)SEEK_ENTRY_SIZE * (SEEK_FRAMES_MOST + 1)};
    assert_int_equal(seek_table_put(&entries, &out), -EFBIG);
    assert_int_equal(out.size, 0);
}

/* ---- encoders ---- */

static int copied(const void *raw, size_t size, struct buffer *out)
{
    return buffer_append(out, raw, size);
}

static int none(const void *raw, size_t size, struct buffer *out)
{
    (void)raw, (void)size, (void)out;
    return -ENOMEM;
}

static void test_encoders(void **state)
{
    (void)state;
    char expected[64], one[ENCODER_SIZE], other[ENCODER_SIZE];
    snprintf(expected, sizeof expected, "zstd %s, level 3, ", ZSTD_versionString());
    assert_memory_equal(zstd_encoder(), expected, strlen(expected));
    snprintf(expected, sizeof expected, "zlib %s, level 3, ", zlibVersion());
    assert_memory_equal(gzip_encoder(), expected, strlen(expected));
    for (size_t f = 0; f < ALL; f++) {
        assert_string_equal(format_encoder(all[f].format),
                            is_zst(all[f].format) ? zstd_encoder() : gzip_encoder());
        assert_string_equal(format_encoder(all[f].of), "");
        assert_true(all[f].format->whole);
    }
    encoder_describe("zlib", zlibVersion(), 3, gzip_member, one);
    assert_string_equal(one, gzip_encoder());
    encoder_describe("zlib", zlibVersion(), 3, copied, other);
    assert_string_not_equal(one, other);
    encoder_describe("none", "1", 9, none, other);
    assert_string_equal(other, "none 1, level 9, 00000000");
    memset(other, 'v', sizeof other);
    other[sizeof other - 1] = '\0';
    encoder_describe("none", other, 9, none, one);
    assert_int_equal(strlen(one), 5 + 40 + 10 + 8 + 1);
}

/* ---- no memory ---- */

struct setting {
    const struct format *format;
    struct schema *schema;
    struct rowgroup *group;
};

static int write_file(void *context)
{
    const struct setting *setting = context;
    const struct format_view told = {
        .schema = setting->schema, .rows = setting->group->rows, .groups = 1};
    struct buffer file = {0}, made = {0};
    uint64_t offsets[2] = {0};
    int rc = format_head(setting->format, &told, &file);
    offsets[0] = file.size;
    if (rc == 0)
        rc = setting->format->body(setting->schema, setting->group, &made, &file);
    offsets[1] = file.size;
    const struct note note = {made.data, made.size};
    if (rc == 0)
        rc = format_tail(setting->format, &told, &note, offsets, &file);
    buffer_clear(&file);
    buffer_clear(&made);
    return rc;
}

static void test_no_memory(void **state)
{
    (void)state;
    struct schema *schema = rows_schema(&rows_tables[3]);
    for (uint32_t rows = 0; rows < 20; rows += 19)
        for (size_t f = 0; f < ALL; f++) {
            struct setting setting = {all[f].format, schema,
                                      rows_group(&rows_tables[3], schema, 0, rows)};
            no_memory_each(write_file, &setting, 0);
            rowgroup_free(setting.group);
        }
    schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),           cmocka_unit_test(test_some_columns),
        cmocka_unit_test(test_long_bodies),     cmocka_unit_test(test_seeking),
        cmocka_unit_test(test_too_many_frames), cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
