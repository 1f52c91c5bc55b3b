/* A table snapshot as a record of the store, and back:
 *
 *   u32 version of this layout, key, times, schema, sources, groups, formats, children
 *
 * all as record.h writes numbers and strings. */
#include "fs/snapshot.h"

#include <errno.h>
#include <stdlib.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int try_rc = (call);                                                                       \
        if (try_rc < 0)                                                                            \
            return try_rc;                                                                         \
    } while (0)

enum { LAYOUT = 3 };

static const char kind[] = "table";

static int put_head(const struct snapshot *snapshot, struct buffer *out)
{
    const struct version_key *key = &snapshot->key;
    TRY(record_put_u32(out, LAYOUT));
    TRY(record_put_u64(out, key->system_id));
    TRY(record_put_u32(out, key->timeline));
    TRY(record_put_u32(out, key->database));
    TRY(record_put_u32(out, key->relation));
    TRY(record_put_string(out, key->mark));
    TRY(record_put_string(out, key->signature));
    TRY(record_put_string(out, key->run));
    TRY(record_put_u8(out, key->durable));
    TRY(record_put_u8(out, key->proves));
    TRY(record_put_u8(out, (uint8_t)snapshot->relation.kind));
    TRY(record_put_string(out, snapshot->relation.schema));
    TRY(record_put_string(out, snapshot->relation.name));
    TRY(record_put_u64(out, snapshot->serial));
    TRY(record_put_u64(out, snapshot->lineage));
    TRY(record_put_u64(out, (uint64_t)snapshot->mtime));
    return record_put_u64(out, (uint64_t)snapshot->fetched_at);
}

static int put_group(const struct group *group, struct buffer *out)
{
    TRY(record_put_u64(out, group->id));
    TRY(record_put_u32(out, group->source));
    TRY(record_put_u32(out, group->range.first.block));
    TRY(record_put_u32(out, group->range.first.offset));
    TRY(record_put_u32(out, group->range.end.block));
    TRY(record_put_u32(out, group->range.end.offset));
    TRY(record_put_u32(out, group->rows));
    TRY(record_put_u64(out, group->bytes));
    TRY(record_put_u64(out, group->row_id_sum));
    TRY(record_put_u64(out, group->content.high));
    TRY(record_put_u64(out, group->content.low));
    for (int i = 0; i < FORMAT_COUNT; i++)
        TRY(record_put_u64(out, group->sizes[i]));
    return 0;
}

static int put_face(const struct face *face, struct buffer *out)
{
    TRY(record_put_u32(out, (uint32_t)-face->refused));
    TRY(record_put_string(out, face->reason != NULL ? face->reason : ""));
    TRY(record_put_u8(out, face->measured));
    TRY(record_put_u8(out, face->hashed));
    TRY(record_put_u64(out, face->hash.high));
    return record_put_u64(out, face->hash.low);
}

static int put_all(const struct snapshot *snapshot, struct buffer *out)
{
    TRY(put_head(snapshot, out));
    TRY(schema_put(snapshot->schema, out));
    TRY(record_put_u32(out, (uint32_t)snapshot->source_count));
    for (size_t i = 0; i < snapshot->source_count; i++) {
        TRY(record_put_u32(out, snapshot->sources[i].oid));
        TRY(record_put_u8(out, snapshot->sources[i].by_ctid));
    }
    TRY(record_put_u64(out, snapshot->group_count));
    for (size_t i = 0; i < snapshot->group_count; i++)
        TRY(put_group(snapshot->groups[i], out));
    for (int i = 0; i < FORMAT_COUNT; i++)
        TRY(put_face(&snapshot->faces[i], out));
    return snapshot->children != NULL ? record_put_string(out, snapshot->children) : 0;
}

int snapshot_save(struct snapshot *snapshot)
{
    struct buffer record = {0};
    int rc = put_all(snapshot, &record);
    if (rc == 0)
        rc = store_put_record(snapshot->store, snapshot->key.relation, kind, &record);
    buffer_clear(&record);
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++)
        snapshot->groups[i]->kept = true;
    return rc;
}

static int get_head(struct record_reader *in, struct snapshot *snapshot)
{
    struct version_key *key = &snapshot->key;
    if (record_get_u32(in) != LAYOUT)
        return -EBADMSG;
    key->system_id = record_get_u64(in);
    key->timeline = record_get_u32(in);
    key->database = record_get_u32(in);
    key->relation = record_get_u32(in);
    key->mark = record_get_string(in);
    key->signature = record_get_string(in);
    key->run = record_get_string(in);
    key->durable = record_get_u8(in) != 0;
    key->proves = record_get_u8(in) != 0;
    snapshot->relation.oid = key->relation;
    snapshot->relation.kind = (enum relation_kind)record_get_u8(in);
    snapshot->relation.schema = record_get_string(in);
    snapshot->relation.name = record_get_string(in);
    snapshot->serial = record_get_u64(in);
    snapshot->lineage = record_get_u64(in);
    snapshot->mtime = (int64_t)record_get_u64(in);
    snapshot->fetched_at = (int64_t)record_get_u64(in);
    return in->bad ? -EBADMSG : 0;
}

static int get_sources(struct record_reader *in, struct snapshot *snapshot)
{
    uint32_t count = record_get_u32(in);
    if (in->bad || count > (size_t)(in->end - in->at))
        return -EBADMSG;
    snapshot->sources = calloc((size_t)count + 1, sizeof *snapshot->sources);
    if (snapshot->sources == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count && !in->bad; i++) {
        struct snapshot_source *source = &snapshot->sources[i];
        source->oid = record_get_u32(in);
        source->by_ctid = record_get_u8(in) != 0;
        snapshot->source_count++;
    }
    return in->bad ? -EBADMSG : 0;
}

static int get_group(struct record_reader *in, struct snapshot *snapshot)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->refs = 1;
    group->kept = true;
    group->store = snapshot->store;
    group->relation = snapshot->key.relation;
    group->id = record_get_u64(in);
    group->source = record_get_u32(in);
    group->range.first.block = record_get_u32(in);
    group->range.first.offset = (uint16_t)record_get_u32(in);
    group->range.end.block = record_get_u32(in);
    group->range.end.offset = (uint16_t)record_get_u32(in);
    group->rows = record_get_u32(in);
    group->bytes = record_get_u64(in);
    group->row_id_sum = record_get_u64(in);
    group->content.high = record_get_u64(in);
    group->content.low = record_get_u64(in);
    for (int i = 0; i < FORMAT_COUNT; i++)
        group->sizes[i] = record_get_u64(in);
    int rc = in->bad || group->source >= snapshot->source_count ? -EBADMSG : 0;
    if (rc == 0)
        rc = snapshot_add_group(snapshot, group);
    if (rc < 0)
        free(group);
    return rc;
}

static int get_face(struct record_reader *in, struct snapshot *snapshot, int format)
{
    struct face *face = &snapshot->faces[format];
    face->refused = -(int)(record_get_u32(in) & 0xFFF);
    face->reason = record_get_string(in);
    bool measured = record_get_u8(in) != 0;
    face->hashed = record_get_u8(in) != 0;
    face->hash.high = record_get_u64(in);
    face->hash.low = record_get_u64(in);
    if (in->bad)
        return -EBADMSG;
    if (!measured)
        return 0;
    if (face->refused < 0 || !formats[format]->possible(snapshot->schema))
        return -EBADMSG;
    uint64_t sum = 0;
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (snapshot->groups[i]->sizes[format] > INT64_MAX ||
            (sum += snapshot->groups[i]->sizes[format]) > INT64_MAX)
            return -EBADMSG;
    return snapshot_measured(snapshot, format);
}

static int get_all(struct record_reader *in, struct snapshot *snapshot)
{
    TRY(get_head(in, snapshot));
    TRY(schema_get(in, &snapshot->schema));
    TRY(get_sources(in, snapshot));
    uint64_t groups = record_get_u64(in);
    for (uint64_t i = 0; i < groups; i++)
        TRY(get_group(in, snapshot));
    for (int i = 0; i < FORMAT_COUNT; i++)
        TRY(get_face(in, snapshot, i));
    if (!in->bad && in->at != in->end)
        snapshot->children = record_get_string(in);
    return in->bad || in->at != in->end ? -EBADMSG : 0;
}

int snapshot_load(struct store *store, uint32_t relation, struct snapshot **out)
{
    struct buffer record = {0};
    struct snapshot *snapshot = NULL;
    int rc = store_get_record(store, relation, kind, &record);
    if (rc == 0)
        rc = snapshot_new(store, &snapshot);
    if (rc == 0) {
        struct record_reader in = {.at = record.data, .end = record.data + record.size};
        rc = get_all(&in, snapshot);
        if (rc == 0 && snapshot->key.relation != relation)
            rc = -EBADMSG;
    }
    buffer_clear(&record);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    *out = snapshot;
    return 0;
}
