#include "fs/rows/pieces.h"

#include "codec/array.h"
#include "codec/record.h"
#include "fs/rows/snapshot_times.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- where to cut ---- */

/* A group has this many bytes at most, unless it is a single row. */
#define GROUP_BYTES ((uint64_t)(4 << 20))

/* Whether a group of so many bytes is one behind which to cut, by its place: with a likelihood in
 * proportion to the bytes, so that there is one in every `every` bytes on average. */
static bool is_chosen(const struct group *group, uint64_t every)
{
    const uint32_t end[] = {group->source, group->range.end.block, group->range.end.offset};
    return (uint64_t)(((unsigned __int128)hash64(end, sizeof end) * every) >> 64) < group->bytes;
}

/* Whether a piece that has so many bytes with this group, its last one, ends behind it. */
static bool ends_behind(const struct group *group, bool by_ctid, uint64_t bytes, uint64_t size)
{
    if (!by_ctid)
        return bytes >= size;
    if (group->range.end.block <= group->range.first.block || bytes < size / 2)
        return false;
    bool full = bytes + GROUP_BYTES > 2 * size;
    return full || is_chosen(group, size / 2);
}

static int add_piece(struct pieces *pieces, const struct piece *piece)
{
    struct piece *grown = array_room(pieces->list, pieces->count, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    pieces->list = grown;
    pieces->list[pieces->count++] = *piece;
    return 0;
}

static bool ends_source(const struct snapshot *snapshot, size_t group)
{
    return group + 1 == snapshot->group_count ||
           snapshot->groups[group + 1]->source != snapshot->groups[group]->source;
}

static int cut(const struct snapshot *snapshot, uint64_t size, struct pieces *pieces)
{
    struct piece piece = {0};
    uint64_t bytes = 0;
    uint32_t number = 0; /* of a piece in its source */
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++) {
        const struct group *group = snapshot->groups[i];
        bool by_ctid = snapshot->sources[group->source].by_ctid, ends = ends_source(snapshot, i);
        if (piece.first == i)
            piece.place = by_ctid ? group->range.first.block : number;
        bytes += group->bytes;
        piece.closed = ends_behind(group, by_ctid, bytes, size);
        if (!piece.closed && !ends)
            continue;
        piece.end = i + 1;
        rc = add_piece(pieces, &piece);
        piece.first = i + 1;
        bytes = 0;
        number = ends ? 0 : number + 1;
    }
    return rc;
}

static int hash_schema(const struct snapshot *snapshot, uint64_t *out)
{
    struct text record = {0};
    schema_put(snapshot->schema, &record);
    record_put_u32(&record, snapshot->key.output);
    int rc = record.failed;
    if (rc == 0)
        *out = hash64(record.bytes.data, record.bytes.size);
    text_clear(&record);
    return rc;
}

int pieces_new(const struct snapshot *snapshot, uint64_t size, struct pieces **out)
{
    struct pieces *pieces = calloc(1, sizeof *pieces);
    if (pieces == NULL)
        return -ENOMEM;
    pieces->digits = 2;
    for (size_t most = 100; most < snapshot->source_count; most *= 10)
        pieces->digits++;
    size =
        size < INT64_MAX / 2 ? size : INT64_MAX / 2; /* no sum of a relation's bytes is as large */
    int rc = hash_schema(snapshot, &pieces->schema);
    if (rc == 0)
        rc = cut(snapshot, size, pieces);
    if (rc < 0)
        pieces_free(pieces);
    else
        *out = pieces;
    return rc;
}

void pieces_free(struct pieces *pieces)
{
    if (pieces == NULL)
        return;
    free(pieces->list);
    free(pieces);
}

/* ---- names ---- */

static uint32_t source_of(const struct snapshot *snapshot, const struct piece *piece)
{
    return snapshot->groups[piece->first]->source;
}

void piece_name(const struct snapshot *snapshot, const struct pieces *pieces,
                const struct piece *piece, char out[PIECE_NAME_SIZE])
{
    uint32_t source = source_of(snapshot, piece);
    const char *form =
        snapshot->sources[source].by_ctid ? "%0*" PRIu32 "-%08" PRIx32 : "%0*" PRIu32 "-%08" PRIu32;
    snprintf(out, PIECE_NAME_SIZE, form, pieces->digits, source, piece->place);
}

bool piece_is_name(const char *name, size_t size)
{
    enum { SOURCE_MOST = 10, PLACE_LEAST = 8, PLACE_MOST = 10 };
    size_t digits = strspn(name, "0123456789");
    if (digits < 2 || digits > SOURCE_MOST || digits >= size || name[digits] != '-')
        return false;
    size_t place = strspn(name + digits + 1, "0123456789abcdef");
    return place >= PLACE_LEAST && place <= PLACE_MOST && digits + 1 + place == size;
}

/* Compares a piece with a source and a place that are looked for. */
static int compare(const struct snapshot *snapshot, const struct piece *piece, uint32_t source,
                   uint32_t place)
{
    uint32_t own = source_of(snapshot, piece);
    return own != source           ? (own > source) - (own < source)
           : piece->place != place ? (piece->place > place) - (piece->place < place)
                                   : 0;
}

const struct piece *pieces_find(const struct snapshot *snapshot, const struct pieces *pieces,
                                const char *name, size_t size)
{
    char *dash, right[PIECE_NAME_SIZE];
    if (!piece_is_name(name, size))
        return NULL;
    unsigned long long source = strtoull(name, &dash, 10);
    if (source >= snapshot->source_count)
        return NULL;
    unsigned long long place =
        strtoull(dash + 1, NULL, snapshot->sources[source].by_ctid ? 16 : 10);
    if (place > UINT32_MAX)
        return NULL;
    size_t low = 0, high = pieces->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct piece *piece = &pieces->list[middle];
        int order = compare(snapshot, piece, (uint32_t)source, (uint32_t)place);
        if (order == 0) { /* another way of writing the name names nothing */
            piece_name(snapshot, pieces, piece, right);
            return strlen(right) == size && memcmp(right, name, size) == 0 ? piece : NULL;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- what it is ---- */

struct view piece_view(struct snapshot *snapshot, const struct piece *piece,
                       const struct format *format)
{
    return (struct view){.snapshot = snapshot,
                         .rendition = {.format = format},
                         .first = piece->first,
                         .end = piece->end};
}

static int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t piece_mtime(const struct snapshot *snapshot, const struct piece *piece)
{
    int64_t time = INT64_MIN;
    for (size_t i = piece->first; i < piece->end; i++) {
        struct group_times times = snapshot_times(snapshot, i);
        time = later(time, times.since);
        if (i + 1 < piece->end || !piece->closed)
            time = later(time, times.behind);
    }
    return time;
}

static int64_t renewed_at(const struct snapshot *snapshot, const struct format *format)
{
    return snapshot->renewed[format_find(format->name, strlen(format->name))];
}

int64_t piece_file_mtime(const struct snapshot *snapshot, const struct piece *piece,
                         const struct format *format)
{
    int64_t rows = piece_mtime(snapshot, piece), renewed = renewed_at(snapshot, format);
    return renewed > rows ? renewed : rows;
}

uint64_t piece_ino(const struct snapshot *snapshot, const struct pieces *pieces,
                   const struct piece *piece, const struct format *format)
{
    const struct version_key *key = &snapshot->key;
    char name[PIECE_NAME_SIZE];
    piece_name(snapshot, pieces, piece, name);
    uint64_t parts[] = {key->system_id,
                        key->database,
                        key->relation,
                        format->number,
                        pieces->schema,
                        hash64(name, strlen(name)),
                        piece->end - piece->first,
                        0};
    uint64_t *number = &parts[sizeof parts / sizeof *parts - 1];
    for (size_t i = piece->first; i < piece->end; i++) {
        const struct hash128 content = snapshot->groups[i]->content;
        uint64_t chain[] = {*number, content.high, content.low, snapshot->groups[i]->rows};
        *number = hash64(chain, sizeof chain);
    }
    uint64_t ino = hash64(parts, sizeof parts);
    uint64_t renewed[] = {ino, (uint64_t)renewed_at(snapshot, format)};
    if (renewed[1] != 0)
        ino = hash64(renewed, sizeof renewed);
    return ino > 1 ? ino : 2; /* 0 is none, and 1 is the root's in the kernel */
}
