/* A table snapshot as a record of the store, and back:
 *
 *   u32 version of this layout, key, times, schema, sources, formats, groups, times of the groups,
 *   faces, children, columns
 *
 * all as record.h writes numbers and strings. `formats` are those that the program had: the name,
 * u8 flags (FORMAT_NOTES …), the encoder, u64 the time of its files if that is another one than the
 * snapshot's, else 0. Of each group a size follows for each format that has sizes at all, in their
 * order, with the note, and then as many faces as there are formats. What is not among them is
 * unknown; what this program does not have is passed over. If a format has another encoder now, its
 * files are others: they get a later time, and are measured again when they are asked for. Files of
 * some columns or some groups are not among them: there may be any number, and each is measured
 * again when it is asked for. The list of columns is in the record of a snapshot that has only
 * those, which is called select-HASH in place of table.
 *
 * Records of older layouts are read, too. Those of layout 6 name no encoders, have sizes in all formats
 * and no times of the groups. Those of layout 5 have no notes. Those of layout 4 do not
 * name their formats, which are csv, bin and jsonl. Rows in those of layout 3 were proven under one
 * run of the server, and the record does not tell the run's position. */
#include "fs/rows/snapshot_times.h"
#include "fs/rows/snapshot_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int try_rc = (call);                                                                       \
        if (try_rc < 0)                                                                            \
            return try_rc;                                                                         \
    } while (0)

enum {
    LAYOUT = 7,
    LAYOUT_WITHOUT_ENCODERS = 6, /* and without the groups' times */
    LAYOUT_WITHOUT_NOTES = 5,
    LAYOUT_OF_THREE_FORMATS = 4,
    LAYOUT_OF_ONE_RUN = 3
};

enum { ERRNO_MOST = 4095 };

/* The most bytes of a group's body: its text is not much longer than its rows. As many such bodies
 * as a record has room for have a size together that a file can have. */
#define BODY_MOST (UINT64_C(1) << 40)
_Static_assert(RECORD_BYTES_MOST / 64 * BODY_MOST <= INT64_MAX, "sums of sizes do not overflow");

static const char table_kind[] = "table", select_kind[] = "select-";

enum { KIND_SIZE = 32 };

static void kind_of(const char *columns, char kind[KIND_SIZE])
{
    if (columns == NULL)
        snprintf(kind, KIND_SIZE, "%s", table_kind);
    else
        snprintf(kind, KIND_SIZE, "%s%016llx", select_kind,
                 (unsigned long long)selection_number(columns));
}

enum { FORMATS_MOST = 64 };
_Static_assert((int)FORMAT_COUNT <= (int)FORMATS_MOST, "a record has room for all formats");

enum {
    FORMAT_NOTES = 1, /* its bodies come with notes */
    FORMAT_SIZES = 2, /* some groups have a size in it */
    FORMAT_FLAGS_MOST = 3
};

struct record_format {
    /* NULL: this program does not have it, or only one of the two programs takes notes for it */
    const struct format *format;
    uint8_t flags;
    bool other; /* it has another encoder now: what is told of its bytes does not hold */
};

/* The formats that a record tells of, in its order. */
struct record_formats {
    int count;
    struct record_format all[FORMATS_MOST];
};

static void put_run(const struct server_run *run, struct text *out)
{
    record_put_string(out, run->text);
    record_put_u32(out, run->timeline);
    record_put_u64(out, run->position);
}

static void put_head(const struct snapshot *snapshot, struct text *out)
{
    const struct version_key *key = &snapshot->key;
    record_put_u32(out, LAYOUT);
    record_put_u64(out, key->system_id);
    record_put_u32(out, key->database);
    record_put_u32(out, key->relation);
    record_put_u32(out, key->output);
    record_put_string(out, key->mark);
    record_put_string(out, key->signature);
    record_put_u8(out, key->proves);
    record_put_u8(out, (uint8_t)key->run_count);
    for (int i = 0; i < key->run_count; i++)
        put_run(&key->runs[i], out);
    record_put_u8(out, (uint8_t)snapshot->relation.kind);
    record_put_string(out, snapshot->relation.schema);
    record_put_string(out, snapshot->relation.name);
    record_put_u64(out, snapshot->serial);
    record_put_u64(out, snapshot->lineage);
    record_put_u64(out, (uint64_t)snapshot->mtime);
    record_put_u64(out, (uint64_t)snapshot->fetched_at);
}

/* A bit for each run of the key under which the group is proven. */
static uint8_t proven_under(const struct group *group, const struct version_key *key)
{
    uint8_t mask = 0;
    for (int i = 0; i < key->run_count; i++)
        if (group_is_proven(group, server_run_id(&key->runs[i])))
            mask |= (uint8_t)(1U << i);
    return mask;
}

static void put_group(const struct group *group, const struct version_key *key, struct text *out)
{
    record_put_u64(out, group->id);
    record_put_u32(out, group->source);
    record_put_u32(out, group->range.first.block);
    record_put_u32(out, group->range.first.offset);
    record_put_u32(out, group->range.end.block);
    record_put_u32(out, group->range.end.offset);
    record_put_u32(out, group->rows);
    record_put_u64(out, group->bytes);
    record_put_u64(out, group->row_id_sum);
    record_put_u64(out, group->content.high);
    record_put_u64(out, group->content.low);
    record_put_u8(out, proven_under(group, key));
}

static void put_sizes(const struct group *group, const struct record_formats *known,
                      struct text *out)
{
    for (int i = 0; i < known->count; i++) {
        const struct rendition rendition = {.format = known->all[i].format};
        if (!(known->all[i].flags & FORMAT_SIZES))
            continue;
        const struct measure *measure = measures_find(&group->measures, &rendition);
        record_put_u64(out, measure != NULL ? measure->size : SIZE_UNKNOWN);
        if (known->all[i].flags & FORMAT_NOTES)
            record_put_bytes(out, measure != NULL ? measure->note : NULL,
                             measure != NULL ? measure->note_size : 0);
    }
}

static void put_times(const struct snapshot *snapshot, struct text *out)
{
    for (size_t i = 0; i < snapshot->group_count; i++) {
        struct group_times times = snapshot_times(snapshot, i);
        record_put_u64(out, (uint64_t)times.since);
        record_put_u64(out, (uint64_t)times.behind);
    }
}

static bool has_sizes(const struct snapshot *snapshot, const struct format *format)
{
    const struct rendition rendition = {.format = format};
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (measures_find(&snapshot->groups[i]->measures, &rendition) != NULL)
            return true;
    return false;
}

static void put_formats(const struct snapshot *snapshot, struct record_formats *known,
                        struct text *out)
{
    uint8_t count = 0;
    for (int i = 0; i < FORMAT_COUNT; i++)
        count += face_is_known(snapshot_face(snapshot, formats[i]));
    record_put_u8(out, count);
    for (int i = 0; i < FORMAT_COUNT && known->count < count; i++) {
        struct record_format *one = &known->all[known->count];
        if (!face_is_known(snapshot_face(snapshot, formats[i])))
            continue;
        one->format = formats[i];
        one->flags = (uint8_t)((formats[i]->notes ? FORMAT_NOTES : 0) |
                               (has_sizes(snapshot, formats[i]) ? FORMAT_SIZES : 0));
        record_put_string(out, one->format->name);
        record_put_u8(out, one->flags);
        record_put_string(out, format_encoder(one->format));
        record_put_u64(out, (uint64_t)snapshot->renewed[i]);
        known->count++;
    }
}

static void put_face(const struct face *face, struct text *out)
{
    record_put_u32(out, (uint32_t)-face->refused);
    record_put_string(out, face->reason != NULL ? face->reason : "");
    record_put_u8(out, face->measured);
    record_put_u8(out, face->hashed);
    record_put_u64(out, face->hash.high);
    record_put_u64(out, face->hash.low);
}

static void put_all(const struct snapshot *snapshot, struct text *out)
{
    put_head(snapshot, out);
    schema_put(snapshot->schema, out);
    record_put_u32(out, (uint32_t)snapshot->source_count);
    for (size_t i = 0; i < snapshot->source_count; i++) {
        record_put_u32(out, snapshot->sources[i].oid);
        record_put_u32(out, snapshot->sources[i].filenode);
        record_put_u8(out, snapshot->sources[i].by_ctid);
    }
    struct record_formats known = {0};
    put_formats(snapshot, &known, out);
    record_put_u64(out, snapshot->group_count);
    for (size_t i = 0; i < snapshot->group_count; i++) {
        put_group(snapshot->groups[i], &snapshot->key, out);
        put_sizes(snapshot->groups[i], &known, out);
    }
    put_times(snapshot, out);
    for (int i = 0; i < known.count; i++)
        put_face(snapshot_face(snapshot, known.all[i].format), out);
    const char *columns = snapshot->columns, *children = snapshot->children;
    if (children != NULL || columns != NULL)
        record_put_string(out, children != NULL ? children : "");
    if (columns != NULL)
        record_put_string(out, columns);
}

int snapshot_save(struct snapshot *snapshot)
{
    struct text record = {0};
    char kind[KIND_SIZE];
    kind_of(snapshot->columns, kind);
    put_all(snapshot, &record);
    int rc = record.failed;
    if (rc == 0)
        rc = store_put_record(snapshot->store, snapshot->key.relation, kind, &record.bytes);
    text_clear(&record);
    for (size_t i = 0; rc == 0 && i < snapshot->group_count; i++)
        snapshot->groups[i]->kept = true;
    if (rc == 0)
        snapshot->unsaved = false;
    return rc;
}

static int get_run(struct record_reader *in, struct server_run *run)
{
    char *text = record_get_string(in);
    bool fits = !in->bad && strlen(text) < sizeof run->text;
    if (fits)
        memcpy(run->text, text, strlen(text) + 1);
    free(text);
    return fits ? 0 : -EBADMSG;
}

/* Layout 3: u64 system id, u32 timeline, u32 database, u32 relation, mark, signature, run, u8
 * whether a crash could take it back, u8 whether it proves. */
static int get_key_of_one_run(struct record_reader *in, struct version_key *key)
{
    key->system_id = record_get_u64(in);
    key->runs[0].timeline = record_get_u32(in);
    key->database = record_get_u32(in);
    key->relation = record_get_u32(in);
    key->output = 1;
    key->mark = record_get_string(in);
    key->signature = record_get_string(in);
    TRY(get_run(in, &key->runs[0]));
    key->run_count = 1;
    (void)record_get_u8(in);
    key->proves = record_get_u8(in) != 0;
    return in->bad ? -EBADMSG : 0;
}

static int get_key(struct record_reader *in, struct version_key *key)
{
    key->system_id = record_get_u64(in);
    key->database = record_get_u32(in);
    key->relation = record_get_u32(in);
    key->output = record_get_u32(in);
    key->mark = record_get_string(in);
    key->signature = record_get_string(in);
    key->proves = record_get_u8(in) != 0;
    uint8_t runs = record_get_u8(in);
    if (in->bad || runs > RUNS_KEPT)
        return -EBADMSG;
    for (; key->run_count < runs; key->run_count++) {
        struct server_run *run = &key->runs[key->run_count];
        TRY(get_run(in, run));
        run->timeline = record_get_u32(in);
        run->position = record_get_u64(in);
    }
    return in->bad ? -EBADMSG : 0;
}

static bool is_kind(uint8_t kind_of_relation)
{
    switch ((enum relation_kind)kind_of_relation) {
    case RELATION_TABLE:
    case RELATION_PARTITIONED:
    case RELATION_VIEW:
    case RELATION_MATVIEW:
    case RELATION_FOREIGN:
    case RELATION_SPREAD:
        return true;
    case RELATION_STATEMENT: /* it ends with its mount */
        break;
    }
    return false;
}

static int get_head(struct record_reader *in, uint32_t layout, struct snapshot *snapshot)
{
    struct version_key *key = &snapshot->key;
    TRY(layout == LAYOUT_OF_ONE_RUN ? get_key_of_one_run(in, key) : get_key(in, key));
    snapshot->relation.oid = key->relation;
    uint8_t kind_of_relation = record_get_u8(in);
    snapshot->relation.kind = (enum relation_kind)kind_of_relation;
    snapshot->relation.schema = record_get_string(in);
    snapshot->relation.name = record_get_string(in);
    /* Serials are times, or a little more than the one before (snapshot_stamp). */
    snapshot->serial = (uint64_t)record_get_microseconds(in);
    snapshot->lineage = (uint64_t)record_get_microseconds(in);
    snapshot->mtime = record_get_seconds(in);
    snapshot->fetched_at = record_get_microseconds(in);
    return in->bad || !is_kind(kind_of_relation) ? -EBADMSG : 0;
}

static int get_sources(struct record_reader *in, uint32_t layout, struct snapshot *snapshot)
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
        if (layout > LAYOUT_OF_ONE_RUN)
            source->filenode = record_get_u32(in);
        source->by_ctid = record_get_u8(in) != 0;
        snapshot->source_count++;
    }
    return in->bad ? -EBADMSG : 0;
}

static struct ctid get_ctid(struct record_reader *in)
{
    uint32_t block = record_get_u32(in);
    return (struct ctid){block, (uint16_t)record_get_u32_to(in, UINT16_MAX)};
}

static uint64_t get_size(struct record_reader *in)
{
    uint64_t size = record_get_u64(in);
    in->bad |= size > BODY_MOST && size != SIZE_UNKNOWN;
    return size;
}

static const struct format *get_name(struct record_reader *in, uint32_t layout, int number)
{
    static const char *const three[] = {"csv", "bin", "jsonl"};
    bool named = layout > LAYOUT_OF_THREE_FORMATS;
    char *read = named ? record_get_string(in) : NULL;
    const char *name = named ? read : three[number];
    int place = name != NULL ? format_find(name, strlen(name)) : -1;
    free(read);
    return place >= 0 ? formats[place] : NULL;
}

static uint8_t get_flags(struct record_reader *in, uint32_t layout)
{
    if (layout > LAYOUT_WITHOUT_ENCODERS) {
        uint8_t flags = record_get_u8(in);
        in->bad |= flags > FORMAT_FLAGS_MOST;
        return flags;
    }
    bool notes = layout > LAYOUT_WITHOUT_NOTES && record_get_u8(in) != 0;
    return FORMAT_SIZES | (notes ? FORMAT_NOTES : 0);
}

/* Whether the format has another encoder now. */
static bool get_encoder(struct record_reader *in, uint32_t layout, const struct format *format)
{
    char *read = layout > LAYOUT_WITHOUT_ENCODERS ? record_get_string(in) : NULL;
    bool other = format != NULL && strcmp(read != NULL ? read : "", format_encoder(format)) != 0;
    free(read);
    return other;
}

static int get_format(struct record_reader *in, uint32_t layout, int number,
                      struct snapshot *snapshot, struct record_format *out)
{
    const struct format *format = get_name(in, layout, number);
    struct face *face;
    out->flags = get_flags(in, layout);
    out->other = get_encoder(in, layout, format);
    int64_t renewed = layout > LAYOUT_WITHOUT_ENCODERS ? record_get_seconds(in) : 0;
    in->bad |= renewed != 0 && renewed <= snapshot->mtime;
    if (in->bad || (format != NULL && snapshot_face(snapshot, format)->asked))
        return -EBADMSG;
    if (format == NULL || format->notes != ((out->flags & FORMAT_NOTES) != 0))
        return 0;
    const struct view view = view_whole(snapshot, format);
    int place = format_find(format->name, strlen(format->name));
    TRY(view_make_face(&view, &face));
    face->asked = true;
    out->format = format;
    snapshot->renewed[place] = renewed;
    if (out->other) {
        snapshot_renew(snapshot, place);
        snapshot->unsaved = true;
    }
    return 0;
}

/* Reads the formats, each of which may occur once. */
static int get_formats(struct record_reader *in, uint32_t layout, struct snapshot *snapshot,
                       struct record_formats *out)
{
    int count = layout > LAYOUT_OF_THREE_FORMATS ? record_get_u8(in) : 3;
    if (in->bad || count > FORMATS_MOST)
        return -EBADMSG;
    for (; out->count < count; out->count++)
        TRY(get_format(in, layout, out->count, snapshot, &out->all[out->count]));
    return 0;
}

static int get_sizes(struct record_reader *in, const struct record_formats *known,
                     struct group *group)
{
    for (int i = 0; i < known->count; i++) {
        const struct record_format *one = &known->all[i];
        const struct rendition rendition = {.format = one->format};
        struct note note = {NULL, 0};
        if (!(one->flags & FORMAT_SIZES))
            continue;
        uint64_t size = get_size(in);
        if (one->flags & FORMAT_NOTES)
            note.bytes = record_get_bytes(in, &note.size);
        if (in->bad)
            return -EBADMSG;
        if (one->format != NULL && !one->other && size != SIZE_UNKNOWN)
            TRY(measures_add(&group->measures, &rendition, size, &note));
    }
    return 0;
}

static int get_group(struct record_reader *in, uint32_t layout, const struct record_formats *known,
                     struct snapshot *snapshot)
{
    struct group *group = calloc(1, sizeof *group);
    if (group == NULL)
        return -ENOMEM;
    group->refs = 1;
    group->kept = true;
    group->store = snapshot->store;
    group->relation = snapshot->key.relation;
    group->id = record_get_u64_to(in, store_id_end() - 1);
    group->source = record_get_u32(in);
    group->range.first = get_ctid(in);
    group->range.end = get_ctid(in);
    group->rows = record_get_u32_to(in, ROWGROUP_ROWS_MOST);
    group->bytes = record_get_u64_to(in, ROWGROUP_BYTES_MOST);
    group->row_id_sum = record_get_u64(in);
    group->content.high = record_get_u64(in);
    group->content.low = record_get_u64(in);
    uint8_t proven = layout == LAYOUT_OF_ONE_RUN ? 1 : record_get_u8(in);
    for (int i = 0; i < snapshot->key.run_count; i++)
        if (proven & 1U << i)
            group_prove(group, server_run_id(&snapshot->key.runs[i]));
    int rc = get_sizes(in, known, group);
    if (rc == 0 && (in->bad || group->source >= snapshot->source_count))
        rc = -EBADMSG;
    if (rc == 0)
        rc = snapshot_add_group(snapshot, group);
    if (rc == 0) {
        store_note_id(snapshot->store, group->id);
        return 0;
    }
    measures_clear(&group->measures);
    free(group);
    return rc;
}

static int get_times(struct record_reader *in, struct snapshot *snapshot)
{
    struct group_times *times = malloc((snapshot->group_count + 1) * sizeof *times);
    if (times == NULL)
        return -ENOMEM;
    snapshot->times = times;
    for (size_t i = 0; i < snapshot->group_count; i++) {
        times[i].since = record_get_seconds(in);
        times[i].behind = record_get_seconds(in);
    }
    return in->bad ? -EBADMSG : 0;
}

/* Checks that each group has an id, and so a file, of its own. */
static int check_ids(const struct snapshot *snapshot)
{
    uint64_t *ids;
    int rc = snapshot_group_ids(snapshot, &ids);
    if (rc < 0)
        return rc;
    for (size_t i = 1; i < snapshot->group_count; i++)
        if (ids[i] == ids[i - 1])
            rc = -EBADMSG;
    free(ids);
    return rc;
}

/* Reads why the view was refused, if it was: the field is there in any case. */
static int get_refusal(struct record_reader *in, struct face *face)
{
    int refused = -(int)record_get_u32_to(in, ERRNO_MOST);
    char *reason = record_get_string(in);
    if (in->bad || face == NULL || refused == 0) {
        free(reason);
        return in->bad ? -EBADMSG : 0;
    }
    face->refused = refused;
    face->reason = reason;
    return 0;
}

static int get_face(struct record_reader *in, struct snapshot *snapshot,
                    const struct record_format *one)
{
    const struct format *format = one->format;
    const struct view view = view_whole(snapshot, format);
    struct face *face = NULL;
    if (format != NULL)
        TRY(view_make_face(&view, &face));
    TRY(get_refusal(in, face));
    bool measured = record_get_u8(in) != 0, hashed = record_get_u8(in) != 0;
    struct hash128 hash = {.high = record_get_u64(in)};
    hash.low = record_get_u64(in);
    if (in->bad || face == NULL || one->other)
        return in->bad ? -EBADMSG : 0;
    face->hash = hash;
    face->hashed = hashed;
    if (!measured)
        return 0;
    if (face->refused < 0 || !format->possible(snapshot->schema))
        return -EBADMSG;
    for (size_t i = 0; i < snapshot->group_count; i++)
        if (group_size(snapshot->groups[i], &view.rendition) == SIZE_UNKNOWN)
            return -EBADMSG;
    return view_measured(&view);
}

static int get_all(struct record_reader *in, struct snapshot *snapshot)
{
    uint32_t layout = record_get_u32(in);
    struct record_formats known = {0};
    if (layout > LAYOUT || layout < LAYOUT_OF_ONE_RUN)
        return -EBADMSG;
    TRY(get_head(in, layout, snapshot));
    TRY(schema_get(in, &snapshot->schema));
    TRY(get_sources(in, layout, snapshot));
    TRY(get_formats(in, layout, snapshot, &known));
    uint64_t groups = record_get_u64(in);
    for (uint64_t i = 0; i < groups; i++)
        TRY(get_group(in, layout, &known, snapshot));
    TRY(check_ids(snapshot));
    if (layout > LAYOUT_WITHOUT_ENCODERS)
        TRY(get_times(in, snapshot));
    for (int i = 0; i < known.count; i++)
        TRY(get_face(in, snapshot, &known.all[i]));
    if (!in->bad && in->at != in->end)
        snapshot->children = record_get_string(in);
    if (!in->bad && in->at != in->end)
        snapshot->columns = record_get_string(in);
    return in->bad || in->at != in->end ? -EBADMSG : 0;
}

static bool is_of_rows(const char *kind)
{
    return strcmp(kind, table_kind) == 0 || strncmp(kind, select_kind, strlen(select_kind)) == 0;
}

int snapshot_load_kind(struct store *store, uint32_t relation, const char *kind,
                       struct snapshot **out)
{
    struct buffer record = {0};
    struct snapshot *snapshot = NULL;
    int rc = is_of_rows(kind) ? store_get_record(store, relation, kind, &record) : -ENOENT;
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

static bool same_columns(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int snapshot_load_columns(struct store *store, uint32_t relation, const char *columns,
                          struct snapshot **out)
{
    struct snapshot *snapshot;
    char kind[KIND_SIZE];
    kind_of(columns, kind);
    int rc = snapshot_load_kind(store, relation, kind, &snapshot);
    if (rc == 0 && !same_columns(snapshot->columns, columns)) {
        snapshot_unref(snapshot);
        rc = -EBADMSG;
    }
    if (rc == 0)
        *out = snapshot;
    return rc;
}

int snapshot_load(struct store *store, uint32_t relation, struct snapshot **out)
{
    return snapshot_load_columns(store, relation, NULL, out);
}
