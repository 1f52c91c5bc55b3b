/* Cutting a table into pieces, and their times: over groups that are made up, edited at random as a
 * refresh would leave them. */
#include "fs/rows/pieces.h"
#include "fs/rows/snapshot_times.h"
#include "tests/unit/rows.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SOURCES = 3, STREAM = 1, GROUPS_MOST = 4096, GROUP_BYTES = 4 << 20 };

static uint64_t state;

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static uint64_t below(uint64_t n) { return random_number() % n; }

/* ---- made-up snapshots ---- */

struct world {
    struct group *groups[GROUPS_MOST]; /* of the snapshot that comes next */
    size_t count;
    struct snapshot *snapshot; /* the last one */
    int64_t now;
    bool crowded; /* several groups begin in one page */
    bool still;   /* the stream does not change */
};

static struct group *new_group(uint32_t source, struct ctid first, struct ctid end, uint64_t bytes)
{
    struct group *group = calloc(1, sizeof *group);
    must(group != NULL);
    group->refs = 1;
    group->kept = true;
    group->source = source;
    group->range = (struct ctid_range){first, end};
    group->rows = 1 + (uint32_t)below(1000);
    group->bytes = bytes;
    group->content = (struct hash128){.high = random_number(), .low = random_number()};
    return group;
}

static uint64_t some_bytes(void) { return (3 << 20) + below(1 << 20); }

static struct ctid behind(const struct world *world, struct ctid from)
{
    if (world->crowded && from.offset < 90)
        return (struct ctid){from.block, (uint16_t)(from.offset + 30)};
    return (struct ctid){from.block + 1 + (uint32_t)below(9), (uint16_t)(1 + below(20))};
}

static const struct ctid far = {UINT32_MAX, 0};

static void fill(struct world *world, size_t each)
{
    for (uint32_t s = 0; s < SOURCES; s++) {
        struct ctid at = {0, 0};
        for (size_t i = 0; i < each; i++) {
            struct ctid end = s == STREAM || i + 1 == each ? far : behind(world, at);
            world->groups[world->count++] = new_group(s, at, end, some_bytes());
            if (s != STREAM)
                at = end;
        }
    }
}

static void publish(struct world *world)
{
    struct snapshot *fresh;
    must(snapshot_new(NULL, &fresh) == 0);
    fresh->schema = rows_schema(&rows_tables[0]);
    fresh->key = (struct version_key){.system_id = 7, .database = 5, .relation = 3, .output = 1};
    fresh->relation.kind = RELATION_TABLE;
    fresh->relation.schema = strdup("public");
    fresh->relation.name = strdup("t");
    for (uint32_t s = 0; s < SOURCES; s++) {
        const struct snapshot_source source = {.oid = 100 + s, .by_ctid = s != STREAM};
        must(snapshot_add_source(fresh, &source) == 0);
    }
    for (size_t i = 0; i < world->count; i++)
        must(snapshot_add_group(fresh, group_ref(world->groups[i])) == 0);
    fresh->mtime = ++world->now;
    must(snapshot_take_times(fresh, world->snapshot) == 0);
    snapshot_unref(world->snapshot);
    world->snapshot = fresh;
}

static void close_world(struct world *world)
{
    for (size_t i = 0; i < world->count; i++)
        group_unref(world->groups[i]);
    snapshot_unref(world->snapshot);
}

static void take_out(struct world *world, size_t i)
{
    group_unref(world->groups[i]);
    memmove(&world->groups[i], &world->groups[i + 1], (--world->count - i) * sizeof *world->groups);
}

static void put_in(struct world *world, size_t i, struct group *group)
{
    must(world->count < GROUPS_MOST);
    memmove(&world->groups[i + 1], &world->groups[i], (world->count++ - i) * sizeof *world->groups);
    world->groups[i] = group;
}

/* Rows of the group have changed: it is copied anew, from the end of the one before, and may have
 * become two. */
static void change(struct world *world, size_t i)
{
    const struct group *was = world->groups[i], *before = i > 0 ? world->groups[i - 1] : NULL;
    uint32_t source = was->source;
    struct ctid first = was->range.first, end = was->range.end;
    if (before != NULL && before->source == source && source != STREAM)
        first = before->range.end;
    bool splits = below(4) == 0 && source != STREAM && first.block + 1 < end.block;
    struct ctid middle = {first.block + 1, (uint16_t)below(5)};
    uint64_t bytes = source == STREAM ? some_bytes() : was->bytes;
    take_out(world, i);
    put_in(world, i, new_group(source, first, splits ? middle : end, splits ? GROUP_BYTES : bytes));
    if (splits)
        put_in(world, i + 1, new_group(source, middle, end, 1 << 20));
}

/* Rows have come at the end of the source that the group is of. */
static void append(struct world *world, size_t i)
{
    while (i + 1 < world->count && world->groups[i + 1]->source == world->groups[i]->source)
        i++;
    uint32_t source = world->groups[i]->source;
    if (source == STREAM) {
        put_in(world, i + 1, new_group(source, (struct ctid){0, 0}, far, some_bytes()));
        return;
    }
    struct ctid first = world->groups[i]->range.first, middle = behind(world, first);
    take_out(world, i);
    put_in(world, i, new_group(source, first, middle, GROUP_BYTES));
    put_in(world, i + 1, new_group(source, middle, far, some_bytes()));
}

static void edit(struct world *world)
{
    size_t i = below(world->count);
    if (world->still && world->groups[i]->source == STREAM)
        return;
    switch (below(4)) {
    case 0: /* all of a group's rows have gone; the last group of a source stretches to the end */
        if (world->count > 8 && i + 1 < world->count && i > 0 &&
            world->groups[i + 1]->source == world->groups[i]->source)
            take_out(world, i);
        break;
    case 1:
        append(world, i);
        break;
    default:
        change(world, i);
    }
}

/* ---- cuts ---- */

static struct pieces *cut(const struct world *world, uint64_t size)
{
    struct pieces *pieces;
    assert_int_equal(pieces_new(world->snapshot, size, &pieces), 0);
    return pieces;
}

static uint64_t bytes_of(const struct snapshot *snapshot, const struct piece *piece)
{
    uint64_t bytes = 0;
    for (size_t i = piece->first; i < piece->end; i++)
        bytes += snapshot->groups[i]->bytes;
    return bytes;
}

/* They are all rows in their order, none of two sources; names are in the same order, and lead to
 * them. */
static void assert_whole(const struct snapshot *snapshot, const struct pieces *pieces)
{
    char before[PIECE_NAME_SIZE] = "", name[PIECE_NAME_SIZE];
    size_t next = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        const struct piece *piece = &pieces->list[i];
        assert_int_equal(piece->first, next);
        assert_true(piece->end > piece->first);
        next = piece->end;
        for (size_t k = piece->first; k < piece->end; k++)
            assert_int_equal(snapshot->groups[k]->source, snapshot->groups[piece->first]->source);
        piece_name(snapshot, pieces, piece, name);
        assert_true(piece_is_name(name, strlen(name)));
        assert_true(strcmp(before, name) < 0);
        assert_ptr_equal(pieces_find(snapshot, pieces, name, strlen(name)), piece);
        strcpy(before, name);
    }
    assert_int_equal(next, snapshot->group_count);
}

static void test_bounds(void **unused)
{
    (void)unused;
    static const uint64_t sizes[] = {16 << 20, 64 << 20, 100000000, UINT64_C(1) << 30};
    for (int pass = 0; pass < 2; pass++)
        for (size_t s = 0; s < 4; s++) {
            struct world world = {.crowded = pass == 1};
            state = 88172645463325252;
            fill(&world, 1200);
            publish(&world);
            struct pieces *pieces = cut(&world, sizes[s]);
            assert_whole(world.snapshot, pieces);
            uint64_t all = 0, closed = 0;
            for (size_t i = 0; i < pieces->count; i++) {
                const struct piece *piece = &pieces->list[i];
                uint64_t bytes = bytes_of(world.snapshot, piece);
                assert_true(bytes <= 2 * sizes[s] + (pass == 1 ? 4 : 0) * GROUP_BYTES);
                if (!piece->closed)
                    continue;
                assert_true(bytes >= sizes[s] / 2);
                all += bytes;
                closed++;
            }
            assert_true(closed > 0);
            assert_true(all / closed > sizes[s] / 2 && all / closed < sizes[s] * 3 / 2);
            pieces_free(pieces);
            close_world(&world);
        }
}

static void test_odd_sizes(void **unused)
{
    (void)unused;
    static const uint64_t sizes[] = {1, 2, 3, 4095, (4 << 20) - 1, 7654321, INT64_MAX, UINT64_MAX};
    struct world world = {0};
    state = 1234567;
    fill(&world, 50);
    publish(&world);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct pieces *pieces = cut(&world, sizes[i]);
        assert_whole(world.snapshot, pieces);
        if (sizes[i] <= 4096)
            assert_int_equal(pieces->count, world.count);
        if (sizes[i] >= INT64_MAX)
            assert_int_equal(pieces->count, SOURCES);
        pieces_free(pieces);
    }
    close_world(&world);
}

static void test_no_rows(void **unused)
{
    (void)unused;
    struct world world = {0};
    publish(&world);
    struct pieces *pieces = cut(&world, 64 << 20);
    assert_int_equal(pieces->count, 0);
    assert_null(pieces_find(world.snapshot, pieces, "00-00000000", 11));
    pieces_free(pieces);
    close_world(&world);
}

static void test_names(void **unused)
{
    (void)unused;
    static const char *const bad[] = {"",
                                      "0",
                                      "00",
                                      "00-",
                                      "0-00000000",
                                      "00-0000000",
                                      "00_00000000",
                                      "00-0000000G",
                                      "00-0000000A",
                                      "00-00000000 ",
                                      "-1-00000000",
                                      "00-000000000000",
                                      "00000000000-00000000"};
    static const char *const other[] = {"000-00000000", "00-000000000",        "00-00ffffff",
                                        "99-00000000",  "4294967296-00000000", "01-4294967296"};
    struct world world = {0};
    state = 99;
    fill(&world, 5);
    publish(&world);
    struct pieces *pieces = cut(&world, 1);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(piece_is_name(bad[i], strlen(bad[i])));
        assert_null(pieces_find(world.snapshot, pieces, bad[i], strlen(bad[i])));
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_null(pieces_find(world.snapshot, pieces, other[i], strlen(other[i])));
    char name[PIECE_NAME_SIZE];
    piece_name(world.snapshot, pieces, &pieces->list[0], name);
    assert_string_equal(name, "00-00000000");
    piece_name(world.snapshot, pieces, &pieces->list[6], name);
    assert_string_equal(name, "01-00000001"); /* the second of the stream */
    pieces_free(pieces);
    close_world(&world);
}

/* ---- edits ---- */

/* A piece that there has been. */
struct seen {
    char name[PIECE_NAME_SIZE];
    uint64_t ino;
    int64_t mtime;
};

enum { SEEN_MOST = 1 << 17 };
static struct seen seen[SEEN_MOST];
static size_t seen_count;

static void note(const struct snapshot *snapshot, const struct pieces *pieces,
                 const struct piece *piece)
{
    struct seen *one = &seen[seen_count++];
    must(seen_count < SEEN_MOST);
    piece_name(snapshot, pieces, piece, one->name);
    one->ino = piece_ino(snapshot, pieces, piece, formats[0]);
    one->mtime = piece_mtime(snapshot, piece);
}

/* Notes the pieces, and gives the number of those that the version before, noted from `before` on,
 * does not have so. */
static size_t note_all(const struct snapshot *snapshot, const struct pieces *pieces, size_t before)
{
    size_t end = seen_count, fresh = 0;
    for (size_t i = 0; i < pieces->count; i++) {
        note(snapshot, pieces, &pieces->list[i]);
        const struct seen *now = &seen[seen_count - 1];
        bool had = false;
        for (size_t k = before; k < end && !had; k++)
            had = strcmp(seen[k].name, now->name) == 0 && seen[k].ino == now->ino &&
                  seen[k].mtime == now->mtime;
        fresh += !had;
    }
    return fresh;
}

/* A name that holds other bytes than at any time before has a later time than then. */
static void assert_later(size_t from)
{
    for (size_t i = from; i < seen_count; i++)
        for (size_t k = 0; k < from; k++)
            if (strcmp(seen[i].name, seen[k].name) == 0 && seen[i].ino != seen[k].ino)
                assert_true(seen[i].mtime > seen[k].mtime);
}

static void run_edits(bool crowded, bool still, size_t each, uint64_t size, int edits,
                      double most_on_average)
{
    struct world world = {.crowded = crowded, .still = still};
    size_t before = 0, fresh = 0;
    seen_count = 0;
    fill(&world, each);
    publish(&world);
    for (int n = 0; n <= edits; n++) {
        struct pieces *pieces = cut(&world, size);
        size_t from = seen_count, changed = note_all(world.snapshot, pieces, before);
        assert_whole(world.snapshot, pieces);
        assert_later(from);
        fresh += n > 0 ? changed : 0;
        before = from;
        pieces_free(pieces);
        edit(&world);
        publish(&world);
    }
    if (most_on_average > 0)
        assert_true((double)fresh / edits < most_on_average);
    close_world(&world);
}

/* An edit changes the piece that it is in, and at times some behind, up to where cuts are the same
 * again. */
static void test_edits_move_few_cuts(void **unused)
{
    (void)unused;
    state = 424242;
    run_edits(false, true, 500, 64 << 20, 80, 3);
    run_edits(true, true, 500, 64 << 20, 80, 4);
}

static void test_times(void **unused)
{
    (void)unused;
    for (int pass = 0; pass < 40; pass++) {
        state = 1000003 + (uint64_t)pass;
        run_edits(pass % 2, false, 3 + (size_t)pass % 5, (uint64_t)(1 + pass % 4) << 22, 120, 0);
    }
}

/* The times are those of what is in the piece, and of what is behind it only if that is the end. */
static void test_time_of_a_piece(void **unused)
{
    (void)unused;
    struct world world = {.now = 1000};
    state = 5;
    fill(&world, 6);
    publish(&world);
    struct pieces *pieces = cut(&world, UINT64_MAX);
    for (size_t i = 0; i < SOURCES; i++)
        assert_int_equal(piece_mtime(world.snapshot, &pieces->list[i]), 1001);
    pieces_free(pieces);
    take_out(&world, 5); /* the last of the first source */
    publish(&world);
    pieces = cut(&world, UINT64_MAX);
    assert_int_equal(piece_mtime(world.snapshot, &pieces->list[0]), 1002);
    assert_int_equal(piece_mtime(world.snapshot, &pieces->list[1]), 1001);
    pieces_free(pieces);
    take_out(&world, 12); /* in the middle of the third */
    publish(&world);
    pieces = cut(&world, UINT64_MAX);
    assert_int_equal(piece_mtime(world.snapshot, &pieces->list[0]), 1002);
    assert_int_equal(piece_mtime(world.snapshot, &pieces->list[2]), 1003);
    pieces_free(pieces);
    pieces = cut(&world, 1); /* each by itself */
    assert_int_equal(piece_mtime(world.snapshot, &pieces->list[11]), 1001);
    pieces_free(pieces);
    /* columns of other names are other bytes; so are other rows beside them */
    free((char *)world.snapshot->relation.name);
    world.snapshot->relation.name = strdup("other");
    publish(&world);
    pieces = cut(&world, 1);
    for (size_t i = 0; i < pieces->count; i++)
        assert_int_equal(piece_mtime(world.snapshot, &pieces->list[i]), 1004);
    pieces_free(pieces);
    close_world(&world);
}

/* Different in anything that it is made of; the same for the same. */
static void test_numbers(void **unused)
{
    (void)unused;
    struct world world = {0};
    state = 77;
    fill(&world, 4);
    publish(&world);
    struct pieces *pieces = cut(&world, 1);
    const struct piece *piece = &pieces->list[0];
    uint64_t ino = piece_ino(world.snapshot, pieces, piece, formats[0]);
    assert_true(ino > 1);
    assert_true(ino == piece_ino(world.snapshot, pieces, piece, formats[0]));
    assert_true(ino != piece_ino(world.snapshot, pieces, piece, formats[1]));
    assert_true(ino != piece_ino(world.snapshot, pieces, &pieces->list[1], formats[0]));
    struct piece two = *piece;
    two.end++;
    assert_true(ino != piece_ino(world.snapshot, pieces, &two, formats[0]));
    pieces->schema++;
    assert_true(ino != piece_ino(world.snapshot, pieces, piece, formats[0]));
    pieces->schema--;
    world.snapshot->key.relation++;
    assert_true(ino != piece_ino(world.snapshot, pieces, piece, formats[0]));
    world.snapshot->key.relation--;
    world.snapshot->mtime++;
    world.snapshot->serial++; /* the version is not part of it */
    assert_true(ino == piece_ino(world.snapshot, pieces, piece, formats[0]));
    world.snapshot->groups[0]->content.low++;
    assert_true(ino != piece_ino(world.snapshot, pieces, piece, formats[0]));
    pieces_free(pieces);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_odd_sizes),
        cmocka_unit_test(test_no_rows), cmocka_unit_test(test_names),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_time_of_a_piece),
        cmocka_unit_test(test_times),   cmocka_unit_test(test_edits_move_few_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
