#include "fs/rows/snapshot_view.h"

#include "codec/bytes.h"

#include <errno.h>
#include <stdlib.h>

struct view view_ref(const struct view *view)
{
    struct view kept = *view;
    snapshot_ref(kept.snapshot);
    columns_ref(kept.rendition.columns);
    return kept;
}

void view_unref(const struct view *view)
{
    columns_unref(view->rendition.columns);
    snapshot_unref(view->snapshot);
}

uint64_t view_id(const struct view *view)
{
    const struct version_key *key = &view->snapshot->key;
    uint64_t parts[] = {
        key->system_id,         key->database, key->relation, rendition_hash(&view->rendition),
        view->snapshot->serial, view->first,   view->end};
    bool whole = view->first == 0 && view->end == VIEW_TO_END;
    uint64_t id = hash64(parts, whole ? sizeof parts - 2 * sizeof *parts : sizeof parts);
    uint64_t selected[] = {id, selection_number(view->snapshot->columns)};
    id = selected[1] == 0 ? id : hash64(selected, sizeof selected);
    const char *name = view->rendition.format->name;
    int place = format_find(name, strlen(name));
    /* A format of single columns alone has no place, and is never renewed. */
    int64_t time = place >= 0 ? view->snapshot->renewed[place] : view->snapshot->mtime;
    uint64_t renewed[] = {id, (uint64_t)time};
    return renewed[1] == 0 ? id : hash64(renewed, sizeof renewed);
}

/* ---- faces ---- */

static void free_list(struct face *first)
{
    struct face *next;
    for (struct face *face = first; face != NULL; face = next) {
        next = face->next;
        columns_unref(face->rendition.columns);
        schema_free(face->chosen);
        free(face->reason);
        buffer_clear(&face->head);
        buffer_clear(&face->tail);
        free(face->offsets);
        free(face->counts);
        free(face);
    }
}

void faces_free(struct snapshot *snapshot)
{
    for (int i = 0; i < FACE_LISTS; i++) {
        free_list(snapshot->faces[i]);
        snapshot->faces[i] = NULL;
    }
}

static size_t list_of(const struct view *view) { return view->first % FACE_LISTS; }

static struct face *look_up(const struct snapshot *snapshot, const struct view *view)
{
    struct face *face = snapshot->faces[list_of(view)];
    while (face != NULL && (face->first != view->first || face->end != view->end ||
                            !rendition_same(&face->rendition, &view->rendition)))
        face = face->next;
    return face;
}

static const struct face *face_in(const struct snapshot *snapshot, const struct view *view)
{
    static const struct face nothing;
    const struct face *face = look_up(snapshot, view);
    return face != NULL ? face : &nothing;
}

const struct face *view_face(const struct view *view) { return face_in(view->snapshot, view); }

const struct face *snapshot_face(const struct snapshot *snapshot, const struct format *format)
{
    const struct view view = view_whole(NULL, format);
    return face_in(snapshot, &view);
}

static int new_face(const struct view *view, struct face **out)
{
    const struct columns *columns = view->rendition.columns;
    struct face *face = calloc(1, sizeof *face);
    int rc = face == NULL ? -ENOMEM : 0;
    if (rc == 0 && columns != NULL)
        rc = schema_choose(view->snapshot->schema, columns->numbers, columns->count, &face->chosen);
    if (rc == 0 && columns != NULL)
        schema_copy_all(face->chosen);
    if (rc < 0) {
        free(face);
        return rc;
    }
    face->rendition = view->rendition;
    columns_ref(face->rendition.columns);
    face->first = view->first;
    face->end = view->end;
    *out = face;
    return 0;
}

/* Under the snapshot's lock. */
static int need_face(const struct view *view, struct face **out)
{
    struct snapshot *snapshot = view->snapshot;
    struct face *face = look_up(snapshot, view);
    if (face == NULL) {
        int rc = new_face(view, &face);
        if (rc < 0)
            return rc;
        face->next = snapshot->faces[list_of(view)];
        snapshot->faces[list_of(view)] = face;
    }
    *out = face;
    return 0;
}

int view_make_face(const struct view *view, struct face **out)
{
    pthread_mutex_lock(&view->snapshot->lock);
    int rc = need_face(view, out);
    pthread_mutex_unlock(&view->snapshot->lock);
    return rc;
}

const struct schema *view_schema(const struct view *view)
{
    return view->rendition.columns == NULL ? view->snapshot->schema : view_face(view)->chosen;
}

int snapshot_ask_all(struct snapshot *snapshot)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        const struct view view = view_whole(snapshot, formats[i]);
        struct face *face;
        rc = view_make_face(&view, &face);
        if (rc == 0)
            face->asked = true;
    }
    return rc;
}

int view_refuse(const struct view *view, int why, const char *reason)
{
    struct face *face;
    char *copy = strdup(reason);
    pthread_mutex_lock(&view->snapshot->lock);
    int rc = copy == NULL ? -ENOMEM : need_face(view, &face);
    if (rc == 0) {
        free(face->reason);
        face->reason = copy;
        face->refused = why;
    }
    pthread_mutex_unlock(&view->snapshot->lock);
    if (rc < 0)
        free(copy);
    return rc;
}

/* ---- measuring ---- */

static uint64_t rows_of(const struct view *view)
{
    uint64_t rows = 0;
    for (size_t i = view->first; i < view_end(view); i++)
        rows += view->snapshot->groups[i]->rows;
    return rows;
}

/* *out: NULL if the format has none. */
static int list_notes(const struct view *view, struct note **out)
{
    size_t end = view_end(view);
    *out = NULL;
    if (!view->rendition.format->notes)
        return 0;
    struct note *notes = calloc(end - view->first + 1, sizeof *notes);
    if (notes == NULL)
        return -ENOMEM;
    for (size_t i = view->first; i < end; i++) {
        const struct measure *measure =
            measures_find(&view->snapshot->groups[i]->measures, &view->rendition);
        if (measure != NULL)
            notes[i - view->first] = (struct note){measure->note, measure->note_size};
    }
    *out = notes;
    return 0;
}

struct format_view view_told(const struct view *view, const struct schema *schema)
{
    return (struct format_view){
        .schema = schema, .rows = rows_of(view), .groups = view_end(view) - view->first};
}

int view_tail(const struct view *view, const struct schema *schema, const uint64_t *offsets,
              struct buffer *out)
{
    struct note *notes;
    const struct format_view told = view_told(view, schema);
    int rc = list_notes(view, &notes);
    if (rc == 0)
        rc = format_tail(view->rendition.format, &told, notes, offsets, out);
    free(notes);
    return rc;
}

static int make_head(const struct view *view, struct format_view *told, struct buffer *head)
{
    struct note *notes;
    int rc = list_notes(view, &notes);
    told->notes = notes;
    if (rc == 0)
        rc = format_head(view->rendition.format, told, head);
    told->notes = NULL;
    free(notes);
    return rc;
}

/* From where each body counts: what all those before it have counted. */
static int add_counts(const struct view *view, struct face *face)
{
    size_t groups = view_end(view) - view->first;
    uint64_t sum = 0, *counts = malloc((groups + 1) * sizeof *counts);
    if (counts == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < groups; i++) {
        const struct measure *measure =
            measures_find(&view->snapshot->groups[view->first + i]->measures, &view->rendition);
        counts[i] = sum;
        sum += measure->note_size == 8 ? load_le64(measure->note) : 0;
    }
    free(face->counts);
    face->counts = counts;
    return 0;
}

static int measure(const struct view *view, struct face *face)
{
    const struct snapshot *snapshot = view->snapshot;
    const struct schema *schema = face->chosen != NULL ? face->chosen : snapshot->schema;
    struct format_view told = view_told(view, schema);
    uint64_t *offsets = malloc((told.groups + 1) * sizeof *offsets);
    if (offsets == NULL)
        return -ENOMEM;
    face->head.size = face->tail.size = 0;
    int rc = make_head(view, &told, &face->head);
    if (rc == 0 && view->rendition.format->counts)
        rc = add_counts(view, face);
    offsets[0] = face->head.size;
    for (size_t i = 0; i < told.groups; i++)
        offsets[i + 1] =
            offsets[i] + group_size(snapshot->groups[view->first + i], &view->rendition);
    if (rc == 0)
        rc = view_tail(view, schema, offsets, &face->tail);
    if (rc < 0) {
        free(offsets);
        return rc;
    }
    face->offsets = offsets;
    face->size = offsets[told.groups] + face->tail.size;
    return 0;
}

int view_measured(const struct view *view)
{
    struct face *face;
    pthread_mutex_lock(&view->snapshot->lock);
    int rc = need_face(view, &face);
    if (rc == 0 && !face->measured) {
        rc = measure(view, face);
        if (rc == 0)
            face->measured = true;
    }
    pthread_mutex_unlock(&view->snapshot->lock);
    return rc;
}

int view_hashed(const struct view *view, struct hash128 hash)
{
    struct face *face;
    pthread_mutex_lock(&view->snapshot->lock);
    int rc = need_face(view, &face);
    if (rc == 0) {
        face->hash = hash;
        face->hashed = true;
    }
    pthread_mutex_unlock(&view->snapshot->lock);
    return rc;
}

static int take_face(struct snapshot *fresh, const struct face *old)
{
    const struct view view = {fresh, old->rendition, old->first, old->end};
    int rc = old->measured ? view_measured(&view) : 0;
    if (old->refused == -EDOM)
        rc = view_refuse(&view, -EDOM, old->reason);
    return rc == 0 && old->hashed ? view_hashed(&view, old->hash) : rc;
}

int snapshot_take_faces(struct snapshot *fresh, const struct snapshot *old)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < fresh->group_count; i++)
        rc = measures_copy(&fresh->groups[i]->measures, &old->groups[i]->measures);
    for (int i = 0; i < FACE_LISTS; i++)
        for (const struct face *face = old->faces[i]; rc == 0 && face != NULL; face = face->next)
            if (face->measured || face->hashed || face->refused == -EDOM)
                rc = take_face(fresh, face);
    return rc;
}
