/* Every (offset, length) of small views of several row groups gives the bytes of the whole view;
 * beyond its end there is nothing. With a cache of bodies that holds all, and with one that holds
 * next to nothing.
 *
 *   view_reads          every table and format, up to 25 rows in groups of 1 to 25
 *   view_reads short    up to 7 rows, in groups of 3; of a long file some offsets and lengths
 */
#include "fs/views/view.h"

#include "tests/unit/place.h"

static unsigned long long reads;
static bool brief;

struct reader {
    struct body_cache *cache;
    struct view view;
    const struct buffer *whole;
};

static bool check_read(struct reader *reader, uint64_t offset, uint64_t size, bool patient)
{
    struct buffer out = {0};
    uint64_t there = offset < reader->whole->size ? reader->whole->size - offset : 0;
    uint64_t expected = size < there ? size : there;
    must(buffer_append_text(&out, "##") == 0);
    int rc = place_read(reader->cache, &reader->view, offset, size, patient, &out, NULL);
    bool same =
        rc == 0 && out.size == 2 + expected && memcmp(out.data, "##", 2) == 0 &&
        (expected == 0 || memcmp(out.data + 2, reader->whole->data + offset, expected) == 0);
    buffer_clear(&out);
    reads++;
    return same || (!patient && rc == -EAGAIN);
}

static bool check_view(struct reader *reader)
{
    uint64_t n = reader->whole->size, step = brief && n > 500 ? n / 97 | 1 : 1;
    for (uint64_t offset = 0; offset <= n + 2; offset += step)
        for (uint64_t size = 0; size <= n + 3 - offset; size += step)
            if (!check_read(reader, offset, size, true) ||
                !check_read(reader, offset, size, false)) {
                fprintf(stderr, "%s: %llu bytes at %llu of %llu\n",
                        reader->view.rendition.format->name, (unsigned long long)size,
                        (unsigned long long)offset, (unsigned long long)n);
                return false;
            }
    static const uint64_t far[] = {UINT32_MAX, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < 4; i++)
        if (!check_read(reader, 0, far[i], true) || !check_read(reader, n / 2, far[i], true) ||
            !check_read(reader, far[i], 1, true) ||
            !check_read(reader, far[i], UINT64_MAX - far[i], true))
            return false;
    return true;
}

static bool check_table(struct place *place, const struct rows_table *table, uint32_t rows,
                        uint32_t each, uint64_t limit)
{
    struct snapshot *snapshot = place_snapshot(place, table, rows, each);
    struct workers *workers;
    struct body_cache *cache;
    must(workers_new(1, &workers) == 0 &&
         body_cache_new(&place->fetch, workers, 2, NULL, limit, &cache) == 0);
    bool good = true;
    for (int f = 0; good && f < FORMAT_COUNT; f++) {
        struct buffer whole = {0};
        if (!formats[f]->possible(snapshot->schema))
            continue;
        place_view(table, snapshot, rows, f, &whole);
        struct reader reader = {cache, view_whole(snapshot, formats[f]), &whole};
        good = check_view(&reader);
        buffer_clear(&whole);
    }
    workers_free(workers);
    body_cache_free(cache);
    snapshot_unref(snapshot);
    if (!good)
        fprintf(stderr, "table %s, %u rows in groups of %u\n", table->name, rows, each);
    return good;
}

int main(int argc, char **argv)
{
    bool good = true;
    struct place place;
    (void)argv;
    brief = argc > 1;
    place_open(&place, 100 << 20);
    for (size_t i = 0; good && i < ROWS_TABLES; i++)
        for (uint32_t rows = 0; good && rows <= (brief ? 7 : 25); rows += brief ? 7 : 5)
            for (uint32_t each = brief ? 3 : 1; good && each <= (brief ? 3 : 25); each += 6)
                good = check_table(&place, &rows_tables[i], rows, each, 1 << 20) &&
                       (brief || rows > 10 || check_table(&place, &rows_tables[i], rows, each, 1));
    place_close(&place);
    if (good)
        printf("%llu reads of views gave their bytes\n", reads);
    return good ? 0 : 1;
}
