/* One row group at a time: from the store, else from the server again. */
#include "fs/base/log.h"
#include "fs/base/mapping.h"
#include "fs/base/patience.h"
#include "fs/base/waiters.h"
#include "fs/rows/fetch.h"
#include "fs/rows/group_copy.h"

#include <errno.h>
#include <stdlib.h>

/* -ENOENT: not there; -EBADMSG: not what was put there. */
int fetch_stored(struct store *store, const struct snapshot *snapshot, const struct group *group,
                 struct rowgroup **out)
{
    uint8_t *bytes;
    size_t size;
    uint64_t most = rowgroup_file_most(snapshot->schema, group->rows, group->bytes);
    int rc = store_get_group(store, group->relation, group->id, most, &bytes, &size);
    if (rc < 0)
        return rc;
    rc = rowgroup_decode(bytes, size, snapshot->schema, out);
    if (rc < 0) {
        free(bytes);
        return rc;
    }
    if ((*out)->rows == group->rows && hash128_equal((*out)->content, group->content))
        return 0;
    rowgroup_free(*out);
    return -EBADMSG;
}

/* Picks one group out of a COPY. Of a stream it passes over all rows in front of the group. */
struct picker {
    struct group_copy copy;
    uint64_t skip;
    const struct group *group;
    struct rowgroup *found;
};

/* Sets where the next piece ends: where the group begins, or where the group ends. The group is
 * known by its number of rows. */
static void aim(struct picker *picker)
{
    enum { PIECE_ROWS = 1 << 16, PIECE_BYTES = 4 << 20 };
    bool skipping = picker->skip > 0;
    picker->copy.group_bytes = skipping ? PIECE_BYTES : UINT64_MAX;
    picker->copy.group_rows = !skipping                   ? picker->group->rows
                              : picker->skip < PIECE_ROWS ? (uint32_t)picker->skip
                                                          : PIECE_ROWS;
}

static int pick_group(void *context, struct rowgroup *rows, const struct ctid_range *range)
{
    struct picker *picker = context;
    (void)range;
    if (picker->found != NULL) { /* more rows than there were */
        rowgroup_free(rows);
        return -ESTALE;
    }
    if (picker->skip > 0) {
        picker->skip -= rows->rows;
        rowgroup_free(rows);
        aim(picker);
        return 0;
    }
    picker->found = rows;
    /* Of a stream, what follows belongs to other groups; of a range, nothing may follow. */
    return picker->copy.schema->with_row_ids ? 0 : -ECANCELED;
}

static int copy_again(struct readpoint *readpoint, struct session *session,
                      struct snapshot *snapshot, size_t number, struct rowgroup **out,
                      struct error *error)
{
    const struct group *group = snapshot->groups[number];
    const struct source *source = NULL;
    for (size_t i = 0; i < readpoint->source_count; i++)
        if (readpoint->sources[i].oid == snapshot->sources[group->source].oid &&
            readpoint->sources[i].by_ctid == snapshot->sources[group->source].by_ctid)
            source = &readpoint->sources[i];
    if (source == NULL)
        return error_set(error, -ESTALE,
                         "%s.%s has lost a partition since its rows were read; open the file again",
                         snapshot->relation.schema, snapshot->relation.name);
    struct picker picker = {.group = group};
    const struct ctid_range *range = source->by_ctid ? &group->range : NULL;
    for (size_t i = number;
         !source->by_ctid && i > 0 && snapshot->groups[i - 1]->source == group->source; i--)
        picker.skip += snapshot->groups[i - 1]->rows;
    int rc = group_copy_init(&picker.copy, snapshot->schema, range, pick_group, &picker, error);
    if (rc < 0)
        return rc;
    aim(&picker);
    uint64_t said = 0;
    rc = readpoint_copy(readpoint, session, snapshot->schema, source, range, group_copy_feed,
                        &picker.copy, &said, error);
    if (rc == 0)
        rc = group_copy_finish(&picker.copy, said);
    if (rc == -EBADMSG || rc == -EREMOTEIO)
        rc = -EIO; /* the way here was at fault, not the rows */
    if (rc == -ECANCELED && picker.found != NULL)
        rc = 0;
    group_copy_clear(&picker.copy);
    bool same = rc == 0 && picker.found != NULL && picker.found->rows == group->rows &&
                hash128_equal(picker.found->content, group->content) &&
                picker.found->row_id_sum == group->row_id_sum;
    if (rc == -ESTALE || (rc == 0 && !same))
        rc = error_set(error, -ESTALE,
                       "%s.%s has changed since its rows were read, and the cache has lost them; "
                       "open the file again",
                       snapshot->relation.schema, snapshot->relation.name);
    if (rc < 0)
        rowgroup_free(picker.found);
    else
        *out = picker.found;
    return rc;
}

/* The same, as long as the reader needs it. */
static int copy_patiently(struct readpoint *readpoint, struct session *session,
                          struct snapshot *snapshot, size_t number, struct rowgroup **out,
                          struct error *error)
{
    session_also_stop(session, patience_stop());
    int rc = copy_again(readpoint, session, snapshot, number, out, error);
    session_also_stop(session, NULL);
    return rc;
}

/* Reads the group from the read point that the snapshot itself was read from. -ENOTCONN: it has
 * none, or no longer. */
static int from_held(struct snapshot *snapshot, size_t number, struct rowgroup **out,
                     struct error *error)
{
    struct session *session;
    struct crew *crew = snapshot_held(snapshot);
    if (crew == NULL)
        return -ENOTCONN;
    int rc = crew_take(crew, &session, error);
    if (rc == 0) {
        rc = copy_patiently(crew_readpoint(crew), session, snapshot, number, out, error);
        crew_give(crew, session);
    }
    if (rc == -EAGAIN || rc == -EBUSY || (rc == -EINTR && !patience_stopped()))
        /* this reader did not cause it */
        rc = -ENOTCONN;
    if (rc == -ENOTCONN)
        snapshot_let_go_of(snapshot, crew);
    crew_unref(crew);
    return rc;
}

/* ---- a read point that is opened for lost groups ---- */

/* The attempts to get a lost group. */
struct chase {
    const struct fetch_place *place;
    struct snapshot *snapshot;
    struct crew *crew; /* the crew of the attempt under way */
    struct lock_turn turn;
    int failed;
    bool reopens; /* this reader opens the read point, and has the snapshot's lock for that */
};

/* 0: this reader is to open a read point, and has the lock for that. 1: another reader has opened
 * one. Negative: another reader has failed to, meanwhile. */
static int begin_reopening(struct chase *chase, struct error *error)
{
    struct reopening *reopening = &chase->snapshot->reopening;
    unsigned failures = reopening->failures;
    waiters_away();
    int rc = patience_lock(&reopening->lock, error);
    waiters_back();
    if (rc < 0)
        return rc;
    struct crew *crew = snapshot_held(chase->snapshot);
    if (crew != NULL && crew_is_open(crew))
        rc = 1;
    else if (reopening->failures != failures)
        rc = error_set(error, reopening->rc, "%s", reopening->reason.text);
    crew_unref(crew);
    chase->reopens = rc == 0;
    if (rc != 0)
        pthread_mutex_unlock(&reopening->lock);
    return rc;
}

/* Whether a failure concerns this reader only: it was stopped, had no memory, or lost its
 * connection. Then the next reader tries. */
static bool is_own_failure(int rc) { return rc == -EINTR || rc == -ENOMEM || rc == -ENOTCONN; }

static void end_reopening(struct chase *chase, int rc, const struct error *error)
{
    struct reopening *reopening = &chase->snapshot->reopening;
    if (!chase->reopens)
        return;
    if (rc < 0 && !is_own_failure(rc)) {
        reopening->rc = rc;
        reopening->reason = *error;
        reopening->failures++;
    }
    chase->reopens = false;
    pthread_mutex_unlock(&reopening->lock);
}

static int open_in_turn(struct chase *chase, struct error *error)
{
    struct lock_line *line = chase->place->line;
    const struct relation *relation = chase->turn.wait.relation;
    int rc = crew_lead(chase->crew, relation, error);
    if (rc < 0 || line == NULL)
        return rc < 0 ? rc : crew_open(chase->crew, relation, error);
    crew_lock_patience(chase->crew, lock_turn_begin(line, &chase->turn));
    rc = crew_open(chase->crew, relation, error);
    lock_turn_end(line, &chase->turn, rc == 0);
    return rc;
}

/* *session: the leader's session, taken. */
static int open_readpoint(struct chase *chase, struct session **session, struct error *error)
{
    const struct fetch_place *place = chase->place;
    const struct snapshot *snapshot = chase->snapshot;
    int rc = open_in_turn(chase, error);
    if (rc < 0)
        return rc;
    const struct version_key *key = &crew_readpoint(chase->crew)->key;
    rc = mark_check(key->mark, place->system_id, place->database, error);
    if (rc < 0)
        return rc;
    if (strcmp(key->signature, snapshot->key.signature) != 0)
        return error_set(error, -ESTALE,
                         "%s.%s has been altered since its rows were read, and the cache has lost "
                         "them; open the file again",
                         snapshot->relation.schema, snapshot->relation.name);
    rc = crew_take(chase->crew, session, error);
    return rc == -ENOTCONN ? -EAGAIN : rc; /* others already wait for its lock */
}

/* Whether to try again. Waits for a lock that another session has; gives way to sessions that wait
 * for ours, and after conflicts. */
static bool chase_again(struct chase *chase, int *rc, struct error *error)
{
    enum { TIMES = 5 };
    char why[256];
    const struct fetch_place *place = chase->place;
    if (*rc == -EBUSY && place->line != NULL) {
        struct error reason = {""};
        *rc = lock_wait_note(place->waits, &chase->turn.wait, crew_leader(chase->crew), &reason);
        if (*rc < 0)
            *error = reason;
        return *rc == 0;
    }
    if (*rc != -EAGAIN || ++chase->failed >= TIMES)
        return false;
    if (crew_is_wanted(chase->crew, why, sizeof why))
        log_say(LOG_SAY_INFO, "%s.%s: a read lets go of its lock, since %s",
                chase->turn.wait.relation->schema, chase->turn.wait.relation->name, why);
    return true;
}

/* For a lock, waits for the turn; else for a moment. */
static int pause_before(struct chase *chase, bool locked)
{
    return locked ? lock_turn_wait(chase->place->line, &chase->turn, patience_stop())
                  : lock_wait_pause(patience_stop());
}

/* Opens a read point. If one group is lost, others are, too: once it is open, all read from it. */
static bool from_now(struct chase *chase, size_t number, struct rowgroup **out, int *rc,
                     struct error *error)
{
    struct snapshot *snapshot = chase->snapshot;
    const struct fetch_place *place = chase->place;
    struct session *session = NULL;
    *rc = crew_new(place->pool, place->jobs, place->enders, &chase->crew);
    if (*rc < 0) {
        error_set(error, *rc, "no memory to read with");
        return false;
    }
    *rc = open_readpoint(chase, &session, error);
    if (*rc == 0) {
        if (place->held != NULL)
            (void)snapshot_hold(snapshot, chase->crew, place->held);
        end_reopening(chase, 0, NULL);
        *rc = copy_patiently(crew_readpoint(chase->crew), session, snapshot, number, out, error);
    }
    bool again = *rc < 0 && chase_again(chase, rc, error);
    bool locked = *rc == 0;
    if (session != NULL)
        crew_give(chase->crew, session);
    bool gone = *rc < 0 && (!is_own_failure(*rc) || !crew_is_open(chase->crew));
    if (session != NULL && (gone || again))
        snapshot_let_go_of(snapshot, chase->crew);
    crew_unref(chase->crew);
    if (again && pause_before(chase, locked) < 0) {
        *rc = error_set(error, -EINTR, "stopped");
        again = false;
    }
    return again;
}

static int from_server(const struct fetch_place *place, struct snapshot *snapshot, size_t number,
                       struct rowgroup **out, struct error *error)
{
    struct chase chase = {.place = place,
                          .snapshot = snapshot,
                          .turn = {.wait = {.relation = &snapshot->relation, .what = "read"}}};
    bool again = true;
    int rc = 0;
    while (again) {
        if (!chase.reopens) {
            rc = from_held(snapshot, number, out, error);
            again = rc == -ENOTCONN;
            if (again)
                rc = begin_reopening(&chase, error);
            again &= rc >= 0;
        }
        if (chase.reopens)
            again = from_now(&chase, number, out, &rc, error);
    }
    end_reopening(&chase, rc, error);
    if (place->line != NULL)
        lock_wait_over(place->waits, &chase.turn.wait);
    return rc;
}

static void put_back(struct store *store, const struct snapshot *snapshot,
                     const struct group *group, const struct rowgroup *rows, bool damaged)
{
    if (damaged)
        store_drop_group(store, group->relation, group->id);
    if (store_used(store) + group->bytes > store_limit(store))
        return;
    if (store_put_rows(store, group->relation, group->id, rows, snapshot->schema) < 0)
        log_say(LOG_SAY_DEBUG, "a row group fetched again finds no room in the cache");
}

int fetch_group(const struct fetch_place *place, struct snapshot *snapshot, size_t number,
                struct rowgroup **out, struct error *error)
{
    const struct group *group = snapshot->groups[number];
    int rc = fetch_stored(place->store, snapshot, group, out);
    if (rc == 0 || rc == -ENOMEM)
        return rc;
    bool damaged = rc != -ENOENT;
    int refused = patience_ask(error);
    if (refused < 0)
        return refused;
    if (damaged)
        log_say(LOG_SAY_ERROR,
                "%s.%s: row group %zu in the cache is damaged (%s); fetching it again",
                snapshot->relation.schema, snapshot->relation.name, number, strerror(-rc));
    struct error reason = {""};
    rc = from_server(place, snapshot, number, out, &reason);
    if (rc < 0 && error != NULL)
        *error = reason;
    if (rc == 0) {
        put_back(place->store, snapshot, group, *out, damaged);
        return 0;
    }
    if (rc == -EINTR)
        return rc;
    if (rc == -ESTALE) {
        snapshot->broken = true;
        rc = -EIO;
    }
    log_say(LOG_SAY_ERROR, "%s.%s: row group %zu: %s", snapshot->relation.schema,
            snapshot->relation.name, number, reason.text[0] != '\0' ? reason.text : strerror(-rc));
    return rc;
}

/* ---- as far as a view needs it ---- */

/* The parts of these columns. *count: how many; the caller frees them. */
static int list_parts(const struct schema *schema, int **out, int *count)
{
    int *parts = malloc(((size_t)schema->column_count * PART_KINDS + 1) * sizeof *parts);
    *count = 0;
    if (parts == NULL)
        return -ENOMEM;
    for (int i = 0; i < schema->column_count; i++)
        for (int kind = 0; kind < PART_KINDS; kind++)
            if (schema->columns[i].part[kind] != PART_NONE)
                parts[(*count)++] = schema->columns[i].part[kind];
    *out = parts;
    return 0;
}

/* The kernel reads these parts, and none between them. */
static void expect_parts(const struct mapping *mapping, const int *parts, int count)
{
    enum { PAGE = 4096 };
    size_t all;
    const uint8_t *file = mapping_bytes(mapping, &all);
    for (int i = 0; i < count; i++) {
        uint64_t offset, size;
        rowgroup_file_place(file, parts[i], &offset, &size);
        if (offset + size > PAGE) /* the first page has been read */
            mapping_expect(mapping, offset, size);
    }
}

static int use_mapped(const struct view *view, const struct group *group,
                      const struct mapping *mapping, use_rows *use, void *context, bool *used)
{
    struct rowgroup_head head;
    struct rowgroup *rows;
    int *parts = NULL, count = 0;
    size_t size;
    mapping_read_little(mapping);
    const uint8_t *file = mapping_bytes(mapping, &size);
    int rc = rowgroup_file_head(file, size, view->snapshot->schema, &head);
    if (rc == 0 && (head.rows != group->rows || !hash128_equal(head.content, group->content)))
        rc = -EBADMSG;
    if (rc == 0)
        rc = list_parts(view_schema(view), &parts, &count);
    if (rc < 0)
        return rc;
    expect_parts(mapping, parts, count);
    rc = rowgroup_file_parts(file, size, &head, parts, count, &rows);
    free(parts);
    if (rc < 0)
        return rc;
    rc = use(context, rows);
    rowgroup_free(rows);
    *used = mapping_is_intact(mapping);
    return rc;
}

/* *used: `use` has had the rows, and what it gives is what counts. */
static int use_stored(const struct view *view, size_t number, use_rows *use, void *context,
                      bool *used)
{
    const struct snapshot *snapshot = view->snapshot;
    const struct group *group = snapshot->groups[number];
    struct mapping *mapping;
    uint64_t most = rowgroup_file_most(snapshot->schema, group->rows, group->bytes);
    int rc = store_map_group(snapshot->store, group->relation, group->id, most, &mapping);
    if (rc < 0)
        return rc;
    rc = use_mapped(view, group, mapping, use, context, used);
    mapping_close(mapping);
    return rc;
}

int fetch_use(const struct fetch_place *place, const struct view *view, size_t number,
              use_rows *use, void *context, struct error *error)
{
    struct rowgroup *rows;
    bool used = false;
    int rc = view->rendition.columns == NULL ? 0 : use_stored(view, number, use, context, &used);
    if (used || rc == -ENOMEM)
        return rc;
    rc = fetch_group(place, view->snapshot, number, &rows, error);
    if (rc < 0)
        return rc;
    rc = use(context, rows);
    rowgroup_free(rows);
    return rc;
}

/* ---- measuring ---- */

void fetch_body_clear(struct fetch_body *body)
{
    buffer_clear(&body->bytes);
    buffer_clear(&body->note);
}

int fetch_body_measure(struct fetch_body *body, const struct rendition *rendition,
                       const struct schema *schema, const struct rowgroup *rows, bool bytes,
                       struct group *group)
{
    const struct format *format = rendition->format;
    if (format->body_size != NULL && !bytes) {
        uint64_t size;
        int rc = format->body_size(schema, rows, &size);
        return rc < 0 ? rc : measures_add(&group->measures, rendition, size, NULL);
    }
    body->bytes.size = body->note.size = 0;
    if (format->survey != NULL && !bytes) {
        uint64_t size;
        int rc = format->survey(schema, rows, &body->note, &size);
        return rc < 0 ? rc
                      : measures_add(&group->measures, rendition, size,
                                     &(struct note){body->note.data, body->note.size});
    }
    int rc = format->body(schema, rows, &body->note, &body->bytes);
    if (rc < 0)
        return rc;
    return measures_add(&group->measures, rendition, body->bytes.size,
                        &(struct note){body->note.data, body->note.size});
}

/* Threads that measure one group after another. */
struct measuring {
    const struct fetch_place *place;
    const struct view *view;
    const struct schema *schema;
    const atomic_bool *stop;
    struct prefill *prefill;
    struct progress *progress;
    atomic_size_t next;
    pthread_mutex_t lock; /* guards what follows, which is of the first group that failed */
    size_t failed;
    int rc;
    struct error error;
};

/* The first group in the file that has a value without a form is found, however many threads there
 * are: those in front of it have been begun before. */
static void note_failure(struct measuring *measuring, size_t number, int rc,
                         const struct error *error)
{
    pthread_mutex_lock(&measuring->lock);
    if (measuring->rc == 0 || number < measuring->failed) {
        measuring->failed = number;
        measuring->rc = rc;
        measuring->error = *error;
    }
    pthread_mutex_unlock(&measuring->lock);
    measuring->next = view_end(measuring->view); /* the others end too */
}

/* Says which value of the group has no form. -EDOM. */
static int say_formless(const struct measuring *measuring, size_t number,
                        const struct rowgroup *rows, struct error *error)
{
    const struct view *view = measuring->view;
    const struct format *format = view->rendition.format;
    struct formless value;
    int rc = format->formless(measuring->schema, rows, &value);
    if (rc < 0)
        return error_set(error, rc, "no memory to measure with");
    uint64_t row = (uint64_t)value.row + 1;
    for (size_t i = view->first; i < number; i++)
        row += view->snapshot->groups[i]->rows;
    return error_set(error, -EDOM, "column %s, row %llu: %s has no form in %s",
                     measuring->schema->columns[value.column].name, (unsigned long long)row,
                     value.why, format->name);
}

/* One group, and its body. */
struct measured {
    const struct measuring *measuring;
    size_t number;
    struct fetch_body *body;
    bool used;
    struct error *error;
};

static int measure_rows(void *context, const struct rowgroup *rows)
{
    struct measured *measured = context;
    const struct measuring *measuring = measured->measuring;
    const struct view *view = measuring->view;
    measured->used = true;
    int rc =
        fetch_body_measure(measured->body, &view->rendition, measuring->schema, rows,
                           measuring->prefill != NULL, view->snapshot->groups[measured->number]);
    if (rc == -EDOM && view->rendition.format->formless != NULL)
        rc = say_formless(measuring, measured->number, rows, measured->error);
    return rc;
}

static int measure_group(struct measuring *measuring, size_t number, struct fetch_body *body,
                         struct error *error)
{
    const struct view *view = measuring->view;
    struct prefill *prefill = measuring->prefill;
    struct measured measured = {measuring, number, body, false, error};
    if (group_size(view->snapshot->groups[number], &view->rendition) != SIZE_UNKNOWN &&
        prefill == NULL)
        return 0;
    int rc = fetch_use(measuring->place, view, number, measure_rows, &measured, error);
    if (rc < 0 && !measured.used)
        return rc;
    if (rc == -EDOM)
        return rc;
    if (rc < 0)
        return error_set(error, rc, "row group %zu cannot be written as %s: %s", number,
                         view->rendition.format->name,
                         rc == -EBADMSG ? "the server sent a value that is not one of its type"
                                        : strerror(-rc));
    if (prefill != NULL) {
        prefill_put(prefill, number - view->first, body->bytes.data, body->bytes.size);
        prefill_run_done(prefill, number - view->first);
    }
    return 0;
}

static void *measure_groups(void *argument)
{
    struct measuring *measuring = argument;
    struct fetch_body body = {0};
    struct patience patience = {.waits = true, .stop = measuring->stop};
    size_t end = view_end(measuring->view);
    int rc = 0;
    patience_begin(&patience);
    while (rc == 0) {
        struct error error = {""};
        size_t number = atomic_fetch_add(&measuring->next, 1);
        if (number >= end)
            break;
        rc = *measuring->stop ? -EINTR : measure_group(measuring, number, &body, &error);
        measuring->progress->done++;
        if (rc < 0)
            note_failure(measuring, number, rc, &error);
    }
    fetch_body_clear(&body);
    patience_end(&patience);
    return NULL;
}

static void prefill_begin(struct prefill *prefill, const struct view *view,
                          const struct schema *schema)
{
    struct buffer head = {0};
    const struct format_view told = view_told(view, schema);
    int rc = format_head(view->rendition.format, &told, &head);
    if (rc == 0)
        prefill_head(prefill, &head);
    else
        prefill_spoil(prefill);
    buffer_clear(&head);
}

int fetch_measure(const struct fetch_place *place, const struct view *view, const atomic_bool *stop,
                  struct prefill *prefill, struct progress *progress, struct error *error)
{
    enum { THREADS_AT_MOST = 64 };
    pthread_t threads[THREADS_AT_MOST];
    struct measuring measuring = {.place = place,
                                  .view = view,
                                  .stop = stop,
                                  .prefill = prefill,
                                  .progress = progress,
                                  .next = view->first,
                                  .lock = PTHREAD_MUTEX_INITIALIZER};
    size_t groups = view_end(view) - view->first;
    struct face *face;
    int rc = view_make_face(view, &face);
    if (rc < 0)
        return error_set(error, rc, "%s",
                         rc == -EINVAL ? "there is no such column" : "no memory to measure with");
    measuring.schema = view_schema(view);
    progress_stage(progress, STAGE_MEASURING, groups);
    if (prefill != NULL)
        prefill_begin(prefill, view, measuring.schema);
    int started = 1;
    for (; started < place->jobs && started < THREADS_AT_MOST && (size_t)started < groups;
         started++)
        if (pthread_create(&threads[started], NULL, measure_groups, &measuring) != 0)
            break;
    measure_groups(&measuring);
    for (int i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    if (measuring.rc < 0 && error != NULL)
        *error = measuring.error;
    rc = measuring.rc < 0 ? measuring.rc : view_measured(view);
    if (measuring.rc == 0 && rc == -EDOM)
        error_set(error, rc, "column \"%s\": the values have different numbers of dimensions",
                  measuring.schema->columns[0].name);
    return rc;
}
