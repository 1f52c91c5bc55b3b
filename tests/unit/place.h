/* A store in a directory of its own, and snapshots of the hand-made tables of rows.h in it, for
 * tests of fs/ that need no server. The place's session pool leads to a server that is not there:
 * whatever the store does not have is lost. */
#ifndef TESTS_PLACE_H
#define TESTS_PLACE_H

#include "fs/search/corpus_cache.h"
#include "fs/views/view.h"
#include "tests/unit/rows.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

struct place {
    char dir[64];
    struct store *store;
    struct server *server;
    struct fetch_place fetch;
    struct corpus_cache *corpora;
};

enum { PLACE_RELATION = 4711 };

static const struct store_name place_name = {.system_id = 7, .database = 5, .role = "tester"};

static inline int place_remove(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static inline void place_open(struct place *place, uint64_t limit)
{
    *place = (struct place){.dir = "/tmp/pgvecfs-test.XXXXXX"};
    must(mkdtemp(place->dir) != NULL);
    must(store_open(place->dir, &place_name, limit, &place->store, NULL) == 0);
    must(server_parse("host=/nonexistent", &place->server, NULL) == 0);
    place->fetch = (struct fetch_place){.store = place->store,
                                        .system_id = place_name.system_id,
                                        .database = place_name.database,
                                        .jobs = 1};
    must(session_pool_new(place->server, 1, &place->fetch.pool) == 0);
    must(corpus_cache_new(&place->fetch, 64 << 20, &place->corpora) == 0);
}

static inline void place_close(struct place *place)
{
    corpus_cache_free(place->corpora);
    session_pool_free(place->fetch.pool);
    server_free(place->server);
    store_close(place->store);
    nftw(place->dir, place_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void place_measure(struct snapshot *snapshot, const struct rowgroup *rows,
                                 struct group *group)
{
    for (int f = 0; f < FORMAT_COUNT; f++) {
        struct fetch_body body = {0};
        const struct rendition rendition = {.format = formats[f]};
        if (!formats[f]->possible(snapshot->schema))
            continue;
        must(fetch_body_measure(&body, &rendition, snapshot->schema, rows, true, group) == 0);
        fetch_body_clear(&body);
    }
}

/* A pointer to the view of a whole file. */
#define PLACE_WHOLE(of, format_place)                                                              \
    (&(struct view){                                                                               \
        .snapshot = (of), .rendition = {.format = formats[format_place]}, .end = VIEW_TO_END})

/* The face of a whole file, and a group's size in it, to be changed. */
static inline struct face *place_face(struct snapshot *snapshot, int format)
{
    const struct view view = view_whole(snapshot, formats[format]);
    struct face *face;
    must(view_make_face(&view, &face) == 0);
    return face;
}

static inline uint64_t *place_size(struct group *group, int format)
{
    const struct rendition rendition = {.format = formats[format]};
    struct measure *measure =
        (struct measure *)(uintptr_t)measures_find(&group->measures, &rendition);
    must(measure != NULL);
    return &measure->size;
}

static inline char *place_copy(const char *text)
{
    char *copy = strdup(text);
    must(copy != NULL);
    return copy;
}

static inline void place_describe(struct snapshot *snapshot, const struct rows_table *table)
{
    snapshot->key =
        (struct version_key){.system_id = 7,
                             .database = 5,
                             .relation = PLACE_RELATION,
                             .mark = place_copy("10:20:30"),
                             .signature = place_copy("0123456789abcdef"),
                             .output = OUTPUT_VERSION,
                             .proves = true,
                             .run_count = 2,
                             .runs = {{"1700000000.5-1", 1, 5000}, {"1690000000.25-2", 2, 4000}}};
    snapshot->relation.oid = PLACE_RELATION;
    snapshot->relation.kind = RELATION_TABLE;
    snapshot->relation.schema = place_copy("public");
    snapshot->relation.name = place_copy(table->name);
    snapshot->sources = calloc(1, sizeof *snapshot->sources);
    must(snapshot->sources != NULL);
    snapshot->sources[0] = (struct snapshot_source){
        .oid = PLACE_RELATION, .filenode = PLACE_RELATION + 1, .by_ctid = table->with_row_ids};
    snapshot->source_count = 1;
    snapshot->serial = 42;
    snapshot->lineage = 41;
    snapshot->mtime = 1700000000;
    snapshot->fetched_at = INT64_C(1700000000123456);
}

/* A snapshot of rows [0, rows), cut into groups of `each`, which the store has; all possible
 * formats measured, the others refused. */
static inline struct snapshot *place_snapshot(struct place *place, const struct rows_table *table,
                                              uint32_t rows, uint32_t each)
{
    struct snapshot *snapshot;
    must(snapshot_new(place->store, &snapshot) == 0);
    snapshot->schema = rows_schema(table);
    place_describe(snapshot, table);
    for (uint32_t first = 0; first < rows; first += each) {
        struct rowgroup *group =
            rows_group(table, snapshot->schema, first, first + each < rows ? first + each : rows);
        struct group *known = group_new(place->store, PLACE_RELATION, group);
        struct rowgroup_image image;
        must(known != NULL && rowgroup_encode(group, snapshot->schema, true, &image) == 0);
        must(store_put_group(place->store, PLACE_RELATION, known->id, &image) == 0);
        rowgroup_image_clear(&image);
        known->range =
            (struct ctid_range){{first / 3, (uint16_t)(first % 3 + 1)},
                                {(first + each) / 3, (uint16_t)((first + each) % 3 + 1)}};
        place_measure(snapshot, group, known);
        group_prove(known, server_run_id(&snapshot->key.runs[first / each % 2]));
        must(snapshot_add_group(snapshot, known) == 0);
        rowgroup_free(group);
    }
    must(snapshot_ask_all(snapshot) == 0);
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct view view = view_whole(snapshot, formats[f]);
        if (formats[f]->possible(snapshot->schema))
            must(view_measured(&view) == 0);
        else
            must(view_refuse(&view, -EIO, "no binary output function") == 0);
    }
    return snapshot;
}

/* Appends the whole view as it must be, without the store, the caches or the offsets. */
static inline void place_view(const struct rows_table *table, const struct snapshot *snapshot,
                              uint32_t rows, int format, struct buffer *out)
{
    uint32_t each = snapshot->group_count > 0 ? snapshot->groups[0]->rows : 1;
    rows_view(table, snapshot->schema, snapshot->schema, formats[format], 0, rows, each, out);
}

/* view_read into one buffer, appended. */
static inline int place_read(struct body_cache *cache, const struct view *view, uint64_t offset,
                             uint64_t size, bool patient, struct buffer *out, struct error *error)
{
    struct view_bytes bytes = {0};
    int rc = view_read(cache, view, offset, size, patient, &bytes, error);
    size_t sum = 0;
    for (int i = 0; rc == 0 && i < bytes.count; i++) {
        must(buffer_append(out, bytes.pieces[i].iov_base, bytes.pieces[i].iov_len) == 0);
        sum += bytes.pieces[i].iov_len;
    }
    must(rc < 0 || sum == bytes.size);
    view_bytes_clear(cache, &bytes);
    return rc;
}

#endif
