/* Table records of layouts 3 to 6, which earlier programs wrote (tests/cache-layout-3, …), of
 * the same tables: each field of them, the files that they make, and what damage does to them. Run from
 * the root of the checkout.
 */
#include "fs/tables/table.h"
#include "fs/tree/node.h"
#include "fs/views/manifest.h"
#include "tests/unit/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define FILES "tests/cache-layout-3/files"

static const struct store_name name = {
    .system_id = UINT64_C(7000000000000000003), .database = 20000, .role = "postgres"};
/* The first was proven under the other one of layout 4, too. */
static const char *const runs[] = {"1795992308.596177-1795992298.762781",
                                   "1795972476.025826-1795972464.930817"};
static int layout;
static char dir[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    char command[256];
    snprintf(dir, sizeof dir, "/tmp/pgvecfs-test.XXXXXX");
    must(mkdtemp(dir) != NULL);
    snprintf(command, sizeof command,
             "cp -r tests/cache-layout-%d/cache/. '%s' && chmod -R go-rwx '%s'", layout, dir, dir);
    must(system(command) == 0);
    must(store_open(dir, &name, 1 << 20, &store, NULL) == 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    nftw(dir, place_remove, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static struct snapshot *load(uint32_t relation)
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(snapshot_load(store, relation, &snapshot), 0);
    return snapshot;
}

/* What the programs that wrote them knew: these formats, and of each group the size in them. */
static const char *const known[] = {"csv", "bin", "jsonl"};
enum { KNOWN = sizeof known / sizeof *known };

static int place_of(int format)
{
    int place = format_find(known[format], strlen(known[format]));
    assert_true(place >= 0);
    return place;
}

struct known_group {
    uint64_t id;
    struct ctid_range range;
    uint32_t source, rows;
    uint64_t bytes, row_id_sum;
    struct hash128 content;
    uint64_t sizes[KNOWN];
};

static const struct {
    const char *name, *signature, *snapshot;
    enum relation_kind kind;
    uint32_t oid;
    bool proves;
    uint64_t serial, lineage;
    int64_t mtime;
    size_t source_count;
    struct snapshot_source sources[2];
    size_t group_count;
    struct known_group groups[2];
    struct hash128 hashes[KNOWN];
} expected[] = {
    {.name = "pieces",
     .signature = "ec8b4daa2d2d0360cec3d02ae0e00aa394b5ed209531634082c94fbcb4bc294d",
     .snapshot = "735:735:",
     .kind = RELATION_TABLE,
     .oid = 30000,
     .proves = true,
     .serial = 1795972487263809,
     .lineage = 1795972477911310,
     .mtime = 1795972487,
     .source_count = 1,
     .sources = {{30000, 0, true}},
     .group_count = 2,
     .groups = {{.id = 0x006b0c5d7c00000a,
                 .range = {{0, 0}, {4, 0}},
                 .rows = 480,
                 .bytes = 2886720,
                 .row_id_sum = 0xbd0063021a959163,
                 .content = {0x2291b86f210b320a, 0xb6acca3946befd79},
                 .sizes = {2894025, 2897280, 2909385}},
                {.id = 0x006b0c5d7c00001d,
                 .range = {{4, 0}, {UINT32_MAX, 0}},
                 .rows = 520,
                 .bytes = 3127280,
                 .row_id_sum = 0x1dfcf2f53bb1b3c2,
                 .content = {0x18946b1ae7de32de, 0x9a7dba8af815bbd9},
                 .sizes = {3135281, 3138720, 3151921}}},
     .hashes = {{0x9e91e2b39f594b5c, 0x28695a955835d622},
                {0x5f6c91d634ed4cc4, 0xb95e5c473daddf3e},
                {0xc9d2c07efd56c840, 0xe1cd81ce86c0567e}}},
    {.name = "a view",
     .signature = "d0bb5c55253552b24503326853a65cbcd9479c48db61976b7d057c9294dce915",
     .snapshot = "733:733:",
     .kind = RELATION_VIEW,
     .oid = 40000,
     .serial = 1795972476831861,
     .lineage = 1795972476831861,
     .mtime = 1795972476,
     .source_count = 1,
     .sources = {{40000, 0, false}},
     .group_count = 1,
     .groups = {{.id = 0x006b0c5d7c000000,
                 .range = {{0, 0}, {UINT32_MAX, 0}},
                 .rows = 3,
                 .bytes = 33,
                 .content = {0xd0fd891ae8a42a5f, 0xdf83f8c8f4d22ce9},
                 .sizes = {42, 63, 75}}},
     .hashes = {{0x955c4a085ce6cae9, 0x8d2f2618433a09e5},
                {0x91ab22555600063f, 0x3c3756d580317ea8},
                {0xe8e9a1a1e6159c6b, 0x72b58b66a4c7b754}}},
    {.name = "halves",
     .signature = "9d7f40052050b2498b6099c1762baa288aa718524413e3e268eb02d31fa0a0b5",
     .snapshot = "733:733:",
     .kind = RELATION_PARTITIONED,
     .oid = 50000,
     .proves = true,
     .serial = 1795972477303215,
     .lineage = 1795972477303215,
     .mtime = 1795972477,
     .source_count = 2,
     .sources = {{50003, 0, true}, {50008, 0, true}},
     .group_count = 2,
     .groups = {{.id = 0x006b0c5d7c000008,
                 .range = {{0, 0}, {UINT32_MAX, 0}},
                 .rows = 4,
                 .bytes = 408,
                 .row_id_sum = 0xa05840ea15a2819f,
                 .content = {0xb880bb60b2de401c, 0x3b8fe3067b877907},
                 .sizes = {136, 232, 196}},
                {.id = 0x006b0c5d7c000009,
                 .source = 1,
                 .range = {{0, 0}, {UINT32_MAX, 0}},
                 .rows = 5,
                 .bytes = 474,
                 .row_id_sum = 0xc9ec3fa0441be66a,
                 .content = {0xce64633e3cdfb04e, 0x8aa93fa80cd5de74},
                 .sizes = {155, 284, 230}}},
     .hashes = {{0x9a8f90b46cabdfa8, 0xfad1fe0820371102},
                {0xf03a1d5e96ec14df, 0x7bc5e3d9d5e0a75c},
                {0x96575aef41044cc3, 0x5e340949f612ca93}}},
};
enum { EXPECTED = sizeof expected / sizeof *expected };

static void assert_key(const struct snapshot *snapshot, int i)
{
    const struct version_key *key = &snapshot->key;
    char mark[128];
    snprintf(mark, sizeof mark, "7000000000000000003/1/%s/%s", runs[1], expected[i].snapshot);
    assert_true(key->system_id == name.system_id);
    assert_int_equal(key->database, name.database);
    assert_int_equal(key->relation, expected[i].oid);
    assert_int_equal(key->output, 1);
    if (layout == 3) {
        assert_string_equal(key->mark, mark);
        assert_false(mark_holds(key->mark, key->mark)); /* it does not tell the position */
    } else {
        assert_true(mark_holds(key->mark, key->mark));
    }
    assert_string_equal(key->signature, expected[i].signature);
    assert_int_equal(key->proves, expected[i].proves);
    assert_int_equal(key->run_count, layout == 3 ? 1 : 2);
    for (int r = 0; r < key->run_count; r++) {
        bool old = r == key->run_count - 1;
        assert_string_equal(key->runs[r].text, runs[old]);
        assert_int_equal(key->runs[r].timeline, 1);
        assert_true((key->runs[r].position == 0) == old);
    }
}

static void assert_groups(const struct snapshot *snapshot, int i)
{
    assert_int_equal(snapshot->group_count, expected[i].group_count);
    for (size_t g = 0; g < snapshot->group_count; g++) {
        const struct group *a = snapshot->groups[g];
        const struct known_group *b = &expected[i].groups[g];
        assert_true(a->id == b->id && a->source == b->source && a->bytes == b->bytes);
        assert_true(a->row_id_sum == b->row_id_sum && a->rows == b->rows);
        assert_true(hash128_equal(a->content, b->content));
        assert_int_equal(a->range.first.block, b->range.first.block);
        assert_int_equal(a->range.first.offset, b->range.first.offset);
        assert_true(a->range.end.block == b->range.end.block);
        assert_int_equal(a->range.end.offset, b->range.end.offset);
        for (int f = 0; f < KNOWN; f++) {
            const struct rendition rendition = {.format = formats[place_of(f)]};
            assert_true(group_size(a, &rendition) == b->sizes[f]);
        }
        assert_true(a->kept);
        for (int r = 0; r < snapshot->key.run_count; r++)
            assert_true(group_is_proven(a, server_run_id(&snapshot->key.runs[r])));
    }
}

static void assert_expected(const struct snapshot *snapshot, int i)
{
    assert_key(snapshot, i);
    assert_int_equal(snapshot->relation.oid, expected[i].oid);
    assert_int_equal(snapshot->relation.kind, expected[i].kind);
    assert_string_equal(snapshot->relation.schema, "public");
    assert_string_equal(snapshot->relation.name, expected[i].name);
    assert_true(snapshot->serial == expected[i].serial && snapshot->mtime == expected[i].mtime);
    assert_true(snapshot->lineage == expected[i].lineage);
    assert_true(snapshot->fetched_at == (int64_t)expected[i].serial);
    assert_int_equal(snapshot->schema->with_row_ids, expected[i].kind != RELATION_VIEW);
    assert_int_equal(snapshot->source_count, expected[i].source_count);
    for (size_t k = 0; k < snapshot->source_count; k++)
        assert_true(
            snapshot->sources[k].oid == expected[i].sources[k].oid &&
            snapshot->sources[k].by_ctid == expected[i].sources[k].by_ctid &&
            (snapshot->sources[k].filenode == 0 || (layout > 3 && snapshot->sources[k].by_ctid)));
    assert_groups(snapshot, i);
    for (int f = 0; f < KNOWN; f++) {
        const struct face *face = snapshot_face(snapshot, formats[place_of(f)]);
        assert_true(face->refused == 0 && face->measured && face->hashed && face->asked);
        assert_null(face->reason);
        assert_true(hash128_equal(face->hash, expected[i].hashes[f]));
    }
    int asked = 0;
    for (int f = 0; f < FORMAT_COUNT; f++)
        asked += face_is_known(snapshot_face(snapshot, formats[f]));
    assert_int_equal(asked, KNOWN);
}

/* As they are, and once this program has written them. */
static void test_fields(void **state)
{
    (void)state;
    for (int i = 0; i < EXPECTED; i++) {
        struct snapshot *snapshot = load(expected[i].oid);
        assert_expected(snapshot, i);
        assert_int_equal(snapshot_save(snapshot), 0);
        struct snapshot *again = load(expected[i].oid);
        assert_expected(again, i);
        assert_true(snapshot_same_content(snapshot, again) &&
                    snapshot_same_row_ids(snapshot, again));
        snapshot_unref(snapshot);
        snapshot_unref(again);
    }
}

/* The face of a line of what stat said then: the file's name below public/, inode, time, size. */
static int face_of_line(const char *line, int i, unsigned long long *ino, long long *mtime,
                        unsigned long long *size)
{
    char path[128];
    for (int f = 0; f <= KNOWN; f++) {
        if (f < KNOWN)
            snprintf(path, sizeof path, "%s/%s.%s ", expected[i].name, expected[i].name, known[f]);
        else
            snprintf(path, sizeof path, "%s/manifest.json ", expected[i].name);
        if (strncmp(line, path, strlen(path)) == 0 &&
            sscanf(line + strlen(path), "%llu %lld %llu", ino, mtime, size) == 3)
            return f < KNOWN ? place_of(f) : FACE_MANIFEST;
    }
    return -1;
}

static void test_files(void **state)
{
    (void)state;
    static struct mount mount;
    mount.system_id = name.system_id;
    mount.database = name.database;
    int seen = 0;
    for (int i = 0; i < EXPECTED; i++) {
        struct snapshot *snapshot = load(expected[i].oid);
        struct buffer manifest = {0};
        char line[256];
        assert_int_equal(manifest_write(snapshot, 7, true, &manifest), 0);
        FILE *lines = fopen(FILES, "r");
        assert_non_null(lines);
        while (fgets(line, sizeof line, lines) != NULL) {
            unsigned long long ino, size;
            long long mtime;
            int face = face_of_line(line, i, &ino, &mtime, &size);
            if (face < 0)
                continue;
            seen++;
            assert_true(node_ino(&mount, expected[i].oid, face, snapshot->serial) == ino);
            assert_true(snapshot->mtime == mtime);
            if (face < FORMAT_COUNT) {
                assert_true(view_id(PLACE_WHOLE(snapshot, face)) == ino);
                assert_true(snapshot_face(snapshot, formats[face])->size == size);
            } else {
                assert_true(manifest.size == size);
            }
        }
        fclose(lines);
        buffer_clear(&manifest);
        snapshot_unref(snapshot);
    }
    assert_int_equal(seen, EXPECTED * (KNOWN + 1));
}

/* The rows that are there are what the record says. */
static void test_rows(void **state)
{
    (void)state;
    for (int i = 1; i < EXPECTED; i++) {
        struct snapshot *snapshot = load(expected[i].oid);
        for (size_t g = 0; g < snapshot->group_count; g++) {
            const struct group *group = snapshot->groups[g];
            struct rowgroup *rows;
            uint8_t *bytes;
            size_t size;
            uint64_t most = rowgroup_file_most(snapshot->schema, group->rows, group->bytes);
            assert_int_equal(
                store_get_group(store, group->relation, group->id, most, &bytes, &size), 0);
            assert_int_equal(rowgroup_decode(bytes, size, snapshot->schema, &rows), 0);
            assert_true(rows->rows == group->rows && rows->row_id_sum == group->row_id_sum &&
                        hash128_equal(rows->content, group->content));
            rowgroup_free(rows);
        }
        snapshot_unref(snapshot);
    }
}

static int load_damaged(struct buffer *record)
{
    struct snapshot *snapshot = NULL;
    assert_int_equal(store_put_record(store, expected[0].oid, "table", record), 0);
    int rc = snapshot_load(store, expected[0].oid, &snapshot);
    snapshot_unref(snapshot);
    return rc;
}

/* Whose checksum holds all the same. */
static void test_damage(void **state)
{
    (void)state;
    struct buffer record = {0};
    assert_int_equal(store_get_record(store, expected[0].oid, "table", &record), 0);
    size_t whole = record.size;
    for (size_t size = 0; size <= whole; size++) {
        record.size = size;
        assert_int_equal(load_damaged(&record), size == whole ? 0 : -EBADMSG);
    }
    static const uint8_t changes[] = {0x01, 0x80, 0xFF, 0x7F};
    for (size_t at = 0; at < whole; at++)
        for (size_t i = 0; i < sizeof changes; i++) {
            record.data[at] ^= changes[i];
            int rc = load_damaged(&record);
            record.data[at] ^= changes[i];
            assert_true(rc == 0 || rc == -EBADMSG);
        }
    assert_int_equal(buffer_append_byte(&record, 0), 0);
    assert_int_equal(load_damaged(&record), -EBADMSG);
    buffer_clear(&record);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_fields), TEST(test_files), TEST(test_rows),
                                       TEST(test_damage)};
    int failed = 0;
    for (layout = 3; layout <= 6; layout++)
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
