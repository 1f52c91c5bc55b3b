#include "fs/rows/fetch_making.h"

#include "fs/rows/fetch_refusals.h"
#include "fs/rows/snapshot_settle.h"
#include "fs/rows/snapshot_times.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static void forget_left(struct fetch_making *making)
{
    snapshot_unref(making->left.basis);
    making->left.basis = NULL;
    changes_clear(&making->left.changes);
}

void fetch_making_init(struct fetch_making *making, const struct fetch_place *place,
                       struct crew *crew, struct progress *progress)
{
    *making = (struct fetch_making){.place = place, .crew = crew};
    making->copy = (struct fetch_copy){
        .place = place, .crew = crew, .progress = progress, .prefills = making->prefills};
    feed_relay_init(&making->relay);
}

void fetch_making_done(struct fetch_making *making)
{
    fetch_copy_clear(&making->copy);
    changes_clear(&making->found);
}

void fetch_making_clear(struct fetch_making *making)
{
    feed_relay_clear(&making->relay);
    forget_left(making);
    fetch_making_done(making);
    changes_clear(&making->all);
}

void fetch_making_spoil_prefills(struct fetch_making *making)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (making->prefills[i] != NULL) {
            prefill_spoil(making->prefills[i]);
            making->prefills[i] = NULL;
        }
}

/* All but the groups. */
static int take_basis(const struct fetch_making *making, struct snapshot *snapshot)
{
    const struct readpoint *readpoint = crew_readpoint(making->crew);
    int rc =
        snapshot_take_basis(snapshot, &readpoint->relation, &readpoint->key, readpoint->schema);
    if (rc == 0)
        rc = snapshot_take_columns(snapshot, making->columns);
    for (size_t i = 0; rc == 0 && i < readpoint->source_count; i++) {
        const struct source *source = &readpoint->sources[i];
        const struct snapshot_source known = {source->oid, source->filenode, source->by_ctid};
        rc = snapshot_add_source(snapshot, &known);
    }
    if (rc == 0) {
        snapshot->children = strdup(readpoint->children != NULL ? readpoint->children : "");
        rc = snapshot->children == NULL ? -ENOMEM : 0;
    }
    return rc;
}

static int measure_known(struct snapshot *snapshot)
{
    for (int f = 0; f < FORMAT_COUNT; f++) {
        const struct view view = view_whole(snapshot, formats[f]);
        bool known = formats[f]->possible(snapshot->schema) && view_face(&view)->refused == 0;
        for (size_t i = 0; known && i < snapshot->group_count; i++)
            known = group_size(snapshot->groups[i], &view.rendition) != SIZE_UNKNOWN;
        int rc = known ? view_measured(&view) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Makes the snapshot from what has been copied. */
static int assemble(struct fetch_making *making, struct snapshot *snapshot)
{
    int rc = take_basis(making, snapshot);
    if (rc == 0)
        rc = fetch_copy_take(&making->copy, snapshot);
    return rc < 0 ? rc : measure_known(snapshot);
}

static int begin_feed(struct fetch_making *making, struct error *error)
{
    struct snapshot *basis = NULL;
    struct feed *feed;
    int rc = snapshot_new(making->place->store, &basis);
    if (rc == 0)
        rc = take_basis(making, basis);
    if (rc == 0)
        snapshot_share(basis, making->crew);
    if (rc == 0)
        rc = feed_new(basis, &feed);
    else
        snapshot_unref(basis);
    if (rc < 0)
        return error_set(error, rc, "no memory to fetch with");
    feed_relay_begin(&making->relay, feed);
    making->copy.feed = feed;
    return 0;
}

/* Copies what is planned, all of which the readers along get. */
static int copy_planned(struct fetch_making *making, struct error *error)
{
    struct error reason = {""};
    making->copy.schema = crew_readpoint(making->crew)->schema;
    making->copy.discard = false;
    int rc = begin_feed(making, &reason);
    if (rc == 0)
        rc = fetch_copy_run(&making->copy, &reason);
    making->copy.feed = NULL;
    feed_relay_end(&making->relay, rc, fetch_is_passing(rc), reason.text);
    if (rc < 0 && error != NULL)
        *error = reason;
    return rc;
}

/* Whether the rows of `old` came from the same files as the read point's. A record from before
 * filenodes were kept has none. */
static bool same_files(const struct snapshot *old, const struct readpoint *readpoint)
{
    bool same = old->source_count == readpoint->source_count;
    for (size_t i = 0; same && i < old->source_count; i++) {
        const struct snapshot_source *was = &old->sources[i];
        const struct source *is = &readpoint->sources[i];
        same = was->oid == is->oid && was->by_ctid && is->by_ctid &&
               (was->filenode == is->filenode || was->filenode == 0);
    }
    return same;
}

/* Cuts groups as `old` was cut, if that is possible: else equal contents would not be seen to be
 * equal. */
static int plan_all(struct fetch_making *making)
{
    const struct snapshot *old = making->copy.old;
    fetch_copy_clear(&making->copy);
    changes_clear(&making->all);
    making->copy.schema = crew_readpoint(making->crew)->schema;
    if (old == NULL || !same_files(old, crew_readpoint(making->crew)))
        return fetch_copy_plan_all(&making->copy);
    int rc = changes_of(old, &making->all);
    if (rc < 0)
        return rc == -EBADMSG ? fetch_copy_plan_all(&making->copy) : rc;
    for (size_t i = 0; i < making->all.count; i++)
        making->all.stretches[i].unknown = making->all.stretches[i].changed = true;
    return fetch_copy_plan_changes(&making->copy, &making->all);
}

static int plan_and_copy_all(struct fetch_making *making, struct error *error)
{
    int rc = plan_all(making);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : copy_planned(making, error);
}

static int copy_whole(struct fetch_making *making, struct snapshot *snapshot, struct error *error)
{
    struct readpoint *readpoint = crew_readpoint(making->crew);
    struct schema *schema = readpoint->schema;
    unsigned wanted = fetch_wanted_parts(&making->copy), parts = wanted;
    schema_number(schema, readpoint->with_binary, parts);
    int rc = plan_and_copy_all(making, error);
    bool anew = rc == -EIO;
    if (anew) {
        fetch_making_spoil_prefills(making);
        rc = refusals_find(&making->copy, snapshot, error);
        parts = rc > 0 ? (unsigned)rc : 0;
    }
    if (rc < 0)
        return rc;
    schema_number(schema, readpoint->with_binary, parts);
    unsigned impossible = refusals_impossible(schema, snapshot, wanted);
    if (impossible == 0 && !anew)
        return 0;
    /* The columns of these formats were left out of what has been copied, and asking changes the
     * parts. */
    fetch_making_spoil_prefills(making);
    rc = impossible == 0 ? 0 : refusals_explain(&making->copy, impossible, snapshot);
    if (rc < 0)
        return error_set(error, rc, "cannot find out which formats the server refuses");
    schema_number(schema, readpoint->with_binary, parts);
    return plan_and_copy_all(making, error);
}

/* Whether groups of `old` can stand beside new ones: cut by the same schema, and nothing was
 * refused by the server. */
static bool is_kept_schema(const struct snapshot *old, const struct fetch_making *making)
{
    struct readpoint *readpoint = crew_readpoint(making->crew);
    unsigned parts = fetch_wanted_parts(&making->copy);
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (face_is_denied(snapshot_face(old, formats[i])) && !fetch_leaves_out(i, parts))
            return false;
    schema_number(readpoint->schema, readpoint->with_binary, parts);
    return schema_same(old->schema, readpoint->schema);
}

/* Copies what has changed. Nothing is stored ahead: the groups that have not changed stand in
 * between, and are rendered only when they are read. */
static int copy_changed(struct fetch_making *making, const struct changes *changes,
                        struct error *error)
{
    fetch_making_spoil_prefills(making);
    making->copy.schema = crew_readpoint(making->crew)->schema;
    int rc = fetch_copy_plan_changes(&making->copy, changes);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : copy_planned(making, error);
}

static int put_heads(struct fetch_making *making)
{
    struct buffer head = {0};
    const struct format_view told = {.schema = crew_readpoint(making->crew)->schema,
                                     .rows = ROWS_UNKNOWN};
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        head.size = 0;
        if (making->prefills[i] != NULL && (rc = format_head(formats[i], &told, &head)) == 0)
            prefill_head(making->prefills[i], &head);
    }
    buffer_clear(&head);
    return rc;
}

/* Whether the rows may be copied as a whole. */
static int check_size(const struct fetch_making *making, struct error *error)
{
    const struct readpoint *readpoint = crew_readpoint(making->crew);
    uint64_t bytes = 0;
    for (size_t i = 0; i < readpoint->source_count; i++)
        bytes += readpoint->sources[i].bytes;
    if (making->bytes_most == 0 || bytes <= making->bytes_most)
        return 0;
    return error_set(error, -EFBIG,
                     "the table has %" PRIu64
                     " bytes and must be copied first; by max_stat=, stat does "
                     "that for no more than %" PRIu64 ": open a file of it, and stat succeeds",
                     bytes, making->bytes_most);
}

/* `changes`: those of `basis`; NULL: everything is copied. Within a lineage a row's id names the
 * same row for ever: a lineage ends if ids could not be compared, or may stand for other rows than
 * before. */
static int make_snapshot(struct fetch_making *making, const struct snapshot *old,
                         const struct snapshot *basis, const struct changes *changes,
                         struct snapshot **out, struct error *error)
{
    struct snapshot *snapshot;
    int rc = snapshot_new(making->place->store, &snapshot);
    if (rc < 0)
        return rc;
    rc = snapshot_ask_all(snapshot);
    if (rc == 0)
        rc = refusals_note_json(&making->copy, snapshot);
    making->copy.old = basis;
    bool whole = changes == NULL || !is_kept_schema(basis, making);
    if (rc == 0 && !whole) {
        rc = copy_changed(making, changes, error);
        whole = rc == -EIO; /* copying everything finds out what is refused */
    }
    if (whole && (rc == 0 || rc == -EIO)) {
        making->copy.old = old;
        rc = check_size(making, error);
        if (rc == 0)
            rc = put_heads(making);
        if (rc == 0)
            rc = copy_whole(making, snapshot, error);
    }
    if (rc == 0)
        rc = assemble(making, snapshot);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    if (making->same_rows)
        snapshot_stamp_as(snapshot, old);
    else
        snapshot_stamp(snapshot, old, making->after);
    rc = snapshot_take_times(snapshot, old);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    bool of_old = making->of_old && !making->copy.strayed;
    snapshot->lineage = of_old ? old->lineage : snapshot->serial;
    if (old != NULL)
        version_key_inherit(&snapshot->key, &old->key);
    *out = snapshot;
    return 0;
}

/* ---- whether anything has changed ---- */

static bool same_relation(const struct snapshot *old, const struct readpoint *readpoint)
{
    const struct version_key *a = &old->key, *b = &readpoint->key;
    return strcmp(old->relation.name, readpoint->relation.name) == 0 &&
           strcmp(old->relation.schema, readpoint->relation.schema) == 0 &&
           a->system_id == b->system_id && a->database == b->database &&
           a->relation == b->relation && strcmp(a->signature, b->signature) == 0 &&
           same_files(old, readpoint);
}

/* Whether a request waits for a format whose parts were left out of `old`. */
static bool is_lacking(const struct fetch_making *making, const struct snapshot *old)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if ((making->copy.measure & 1U << i) && snapshot_face(old, formats[i])->refused == 0 &&
            !formats[i]->possible(old->schema))
            return true;
    return false;
}

/* Finds what of `old` has changed. 1: it cannot be told. */
static int compare(struct fetch_making *making, const struct snapshot *old, struct changes *out,
                   struct error *error)
{
    const struct readpoint *readpoint = crew_readpoint(making->crew);
    if (old == NULL || old->broken || !old->key.proves || !readpoint->key.proves ||
        !same_relation(old, readpoint))
        return 1;
    int rc = changes_of(old, out);
    if (rc == -EBADMSG)
        return 1;
    if (rc < 0)
        return error_set(error, rc, "no memory to compare with");
    changes_doubt(out, server_run_id(&readpoint->key.runs[0]), making->copy.believes);
    return changes_find(making->crew, out, making->copy.progress, error);
}

/* ---- going on after an attempt that came to nothing ---- */

void fetch_making_leave(struct fetch_making *making)
{
    const struct readpoint *readpoint = crew_readpoint(making->crew);
    struct snapshot *basis = NULL;
    struct changes changes;
    if (readpoint == NULL || !readpoint->key.proves || !readpoint->schema->with_row_ids ||
        making->copy.discard || making->copy.task_count == 0 ||
        snapshot_new(making->place->store, &basis) < 0)
        return;
    if (take_basis(making, basis) < 0 || fetch_copy_leave(&making->copy, &changes) < 0) {
        snapshot_unref(basis);
        return;
    }
    forget_left(making);
    making->left.basis = basis;
    making->left.changes = changes;
    making->left.of_old = making->of_old && !making->copy.strayed;
}

static bool can_go_on(const struct fetch_making *making)
{
    const struct snapshot *basis = making->left.basis;
    struct readpoint *readpoint = crew_readpoint(making->crew);
    return basis != NULL && readpoint->key.proves && same_relation(basis, readpoint) &&
           version_key_believes(&basis->key, &readpoint->key) && is_kept_schema(basis, making);
}

int fetch_making_nothing_happened(struct fetch_making *making, struct snapshot *old,
                                  struct error *error)
{
    if (old == NULL || old->broken || !old->key.proves || is_lacking(making, old))
        return 0;
    char *mark;
    int rc = catalog_mark(crew_leader(making->crew), &mark, error);
    if (rc < 0)
        return rc;
    bool same = mark_holds(old->key.mark, mark);
    free(mark);
    return same;
}

/* Checks that the relation still has the name of the path that led here. */
static int check_name(const struct readpoint *readpoint, const struct relation *relation,
                      struct error *error)
{
    const struct relation *now = &readpoint->relation;
    if (strcmp(now->schema, relation->schema) == 0 && strcmp(now->name, relation->name) == 0)
        return 0;
    return error_set(error, -ENOENT, "it is called %s.%s now", now->schema, now->name);
}

int fetch_making_run(struct fetch_making *making, const struct relation *relation,
                     struct snapshot *old, struct snapshot **out, struct error *error)
{
    const struct readpoint *readpoint = crew_readpoint(making->crew);
    int rc =
        mark_check(readpoint->key.mark, making->place->system_id, making->place->database, error);
    if (rc == 0)
        rc = check_name(readpoint, relation, error);
    making->copy.believes = old != NULL && version_key_believes(&old->key, &readpoint->key);
    bool on = rc == 0 && can_go_on(making);
    if (!on)
        forget_left(making);
    /* What a failed attempt has left does not tell whether only parts are to be added to the rows
     * of `old`. */
    bool with_old = rc == 0 && (!on || (old != NULL && is_lacking(making, old)));
    if (with_old)
        rc = compare(making, old, &making->found, error);
    making->same_rows = with_old && rc == 0 && making->found.changed == 0 &&
                        snapshot_same_children(old, crew_readpoint(making->crew)->children);
    struct changes *changes = on ? &making->left.changes : &making->found;
    if (on && rc >= 0)
        rc = changes_find(making->crew, changes, making->copy.progress, error);
    bool told = rc == 0;
    making->of_old = on ? making->left.of_old : told;
    if (told && !on && changes_are_seen(changes))
        making->changes = true;
    if (making->same_rows && !is_lacking(making, old)) {
        rc = snapshot_confirm(old, &readpoint->key);
        *out = rc == 0 ? snapshot_ref(old) : NULL;
    } else if (rc >= 0) {
        rc = make_snapshot(making, old, on ? making->left.basis : old, told ? changes : NULL, out,
                           error);
    }
    return rc;
}
