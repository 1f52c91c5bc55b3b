#include "fs/rows/fetch.h"

#include "codec/clock.h"
#include "codec/column_list.h"
#include "fs/base/log.h"
#include "fs/rows/feed_relay.h"
#include "fs/rows/fetch_changes.h"
#include "fs/rows/fetch_refusals.h"
#include "fs/rows/snapshot_settle.h"

#include <errno.h>
#include <stdlib.h>

enum { ATTEMPTS = 3 };

struct tries {
    bool led;    /* an attempt has reached the server */
    bool enough; /* it has waited for a lock too long, or given one up too often */
    bool let_go; /* it has let go because others wanted our locks; so often: */
    int gave_way;
    int failed; /* not counting attempts that let go */
};

struct fetch {
    const struct fetch_place *place;
    struct crew *crew;
    struct fetch_copy copy;
    struct prefill *prefills[FORMAT_COUNT];
    const char *columns;       /* NULL: all */
    struct changes found, all; /* what the plan borrows; if all is copied, the second */
    int64_t after;             /* the mtime of what its path showed before */
    struct feed_relay relay;
    struct {
        struct snapshot *basis; /* without groups; NULL: nothing was left */
        struct changes changes;
        bool of_old; /* its rows were brought up to date from the old snapshot's */
    } left;          /* what a failed attempt has left */
    bool of_old;     /* the same of what is being copied now */
    bool same_rows;  /* the rows are those of the old snapshot, which lacks parts of them */
    struct tries tries;
    struct lock_turn turn;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t stopping;
    bool changes; /* rows have changed, for certain */
    bool stopped;
    bool held; /* the crew belongs to the snapshot: stopping the fetch must not stop it */
};

int fetch_new(const struct fetch_place *place, struct progress *progress, struct fetch **out)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL)
        return -ENOMEM;
    if (crew_new(place->pool, place->jobs, place->enders, &fetch->crew) < 0) {
        free(fetch);
        return -ENOMEM;
    }
    fetch->place = place;
    fetch->copy = (struct fetch_copy){
        .place = place, .crew = fetch->crew, .progress = progress, .prefills = fetch->prefills};
    progress->rows = progress->bytes = progress->groups_copied = progress->groups_kept = 0;
    progress_stage(progress, STAGE_WAITING, 0);
    pthread_mutex_init(&fetch->lock, NULL);
    clock_cond_init(&fetch->stopping);
    feed_relay_init(&fetch->relay);
    *out = fetch;
    return 0;
}

static void forget_left(struct fetch *fetch)
{
    snapshot_unref(fetch->left.basis);
    fetch->left.basis = NULL;
    changes_clear(&fetch->left.changes);
}

void fetch_free(struct fetch *fetch)
{
    if (fetch == NULL)
        return;
    crew_unref(fetch->crew);
    feed_relay_clear(&fetch->relay);
    forget_left(fetch);
    fetch_copy_clear(&fetch->copy);
    changes_clear(&fetch->found);
    changes_clear(&fetch->all);
    pthread_cond_destroy(&fetch->stopping);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}

void fetch_stop(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->stopped = true;
    pthread_cond_broadcast(&fetch->stopping);
    if (!fetch->held)
        crew_stop(fetch->crew);
    pthread_mutex_unlock(&fetch->lock);
}

const struct feed_ids *fetch_made_of(const struct fetch *fetch) { return &fetch->relay.made_of; }

struct feed *fetch_feed(struct fetch *fetch) { return feed_relay_now(&fetch->relay); }

void fetch_after(struct fetch *fetch, int64_t mtime) { fetch->after = mtime; }

void fetch_choose(struct fetch *fetch, const char *columns) { fetch->columns = columns; }

void fetch_prefill(struct fetch *fetch, int format, struct prefill *prefill)
{
    fetch->prefills[format] = prefill;
}

/* The bytes stored so far will not be the file's. */
static void spoil_prefills(struct fetch *fetch)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (fetch->prefills[i] != NULL) {
            prefill_spoil(fetch->prefills[i]);
            fetch->prefills[i] = NULL;
        }
}

bool fetch_has_changes(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    bool changes = fetch->changes;
    pthread_mutex_unlock(&fetch->lock);
    return changes;
}

static void note_changes(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->changes = true;
    pthread_mutex_unlock(&fetch->lock);
}

/* An attempt that fails with such an error is made again. */
static bool is_passing(int rc) { return rc == -ENOTCONN || rc == -EAGAIN || rc == -EBUSY; }

/* ---- the snapshot ---- */

/* All but the groups. */
static int take_basis(const struct fetch *fetch, struct snapshot *snapshot)
{
    const struct readpoint *readpoint = crew_readpoint(fetch->crew);
    int rc =
        snapshot_take_basis(snapshot, &readpoint->relation, &readpoint->key, readpoint->schema);
    if (rc == 0)
        rc = snapshot_take_columns(snapshot, fetch->columns);
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
static int assemble(struct fetch *fetch, struct snapshot *snapshot)
{
    int rc = take_basis(fetch, snapshot);
    if (rc == 0)
        rc = fetch_copy_take(&fetch->copy, snapshot);
    return rc < 0 ? rc : measure_known(snapshot);
}

/* Its rows, with more parts of them. */
static void stamp_as(struct snapshot *snapshot, const struct snapshot *old)
{
    snapshot->fetched_at = old->fetched_at;
    snapshot->mtime = old->mtime;
    snapshot->serial = old->serial;
}

static int begin_feed(struct fetch *fetch, struct error *error)
{
    struct snapshot *basis = NULL;
    struct feed *feed;
    int rc = snapshot_new(fetch->place->store, &basis);
    if (rc == 0)
        rc = take_basis(fetch, basis);
    if (rc == 0)
        snapshot_share(basis, fetch->crew);
    if (rc == 0)
        rc = feed_new(basis, &feed);
    else
        snapshot_unref(basis);
    if (rc < 0)
        return error_set(error, rc, "no memory to fetch with");
    feed_relay_begin(&fetch->relay, feed);
    fetch->copy.feed = feed;
    return 0;
}

/* Copies what is planned, all of which the readers along get. */
static int copy_planned(struct fetch *fetch, struct error *error)
{
    struct error reason = {""};
    fetch->copy.schema = crew_readpoint(fetch->crew)->schema;
    fetch->copy.discard = false;
    int rc = begin_feed(fetch, &reason);
    if (rc == 0)
        rc = fetch_copy_run(&fetch->copy, &reason);
    fetch->copy.feed = NULL;
    feed_relay_end(&fetch->relay, rc, is_passing(rc), reason.text);
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
static int plan_all(struct fetch *fetch)
{
    const struct snapshot *old = fetch->copy.old;
    fetch_copy_clear(&fetch->copy);
    changes_clear(&fetch->all);
    fetch->copy.schema = crew_readpoint(fetch->crew)->schema;
    if (old == NULL || !same_files(old, crew_readpoint(fetch->crew)))
        return fetch_copy_plan_all(&fetch->copy);
    int rc = changes_of(old, &fetch->all);
    if (rc < 0)
        return rc == -EBADMSG ? fetch_copy_plan_all(&fetch->copy) : rc;
    for (size_t i = 0; i < fetch->all.count; i++)
        fetch->all.stretches[i].unknown = fetch->all.stretches[i].changed = true;
    return fetch_copy_plan_changes(&fetch->copy, &fetch->all);
}

static int plan_and_copy_all(struct fetch *fetch, struct error *error)
{
    int rc = plan_all(fetch);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : copy_planned(fetch, error);
}

static int copy_whole(struct fetch *fetch, struct snapshot *snapshot, struct error *error)
{
    struct readpoint *readpoint = crew_readpoint(fetch->crew);
    struct schema *schema = readpoint->schema;
    unsigned wanted = fetch_wanted_parts(&fetch->copy), parts = wanted;
    schema_number(schema, readpoint->with_binary, parts);
    int rc = plan_and_copy_all(fetch, error);
    bool anew = rc == -EIO;
    if (anew) {
        spoil_prefills(fetch);
        rc = refusals_find(&fetch->copy, snapshot, error);
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
    spoil_prefills(fetch);
    rc = impossible == 0 ? 0 : refusals_explain(&fetch->copy, impossible, snapshot);
    if (rc < 0)
        return error_set(error, rc, "cannot find out which formats the server refuses");
    schema_number(schema, readpoint->with_binary, parts);
    return plan_and_copy_all(fetch, error);
}

/* Whether groups of `old` can stand beside new ones: cut by the same schema, and nothing was
 * refused by the server. */
static bool is_kept_schema(const struct snapshot *old, const struct fetch *fetch)
{
    struct readpoint *readpoint = crew_readpoint(fetch->crew);
    unsigned parts = fetch_wanted_parts(&fetch->copy);
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (snapshot_face(old, formats[i])->refused < 0 && !fetch_leaves_out(i, parts))
            return false;
    schema_number(readpoint->schema, readpoint->with_binary, parts);
    return schema_same(old->schema, readpoint->schema);
}

/* Copies what has changed. Nothing is stored ahead: the groups that have not changed stand in
 * between, and are rendered only when they are read. */
static int copy_changed(struct fetch *fetch, const struct changes *changes, struct error *error)
{
    spoil_prefills(fetch);
    fetch->copy.schema = crew_readpoint(fetch->crew)->schema;
    int rc = fetch_copy_plan_changes(&fetch->copy, changes);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : copy_planned(fetch, error);
}

static int put_heads(struct fetch *fetch)
{
    struct buffer head = {0};
    const struct format_view told = {.schema = crew_readpoint(fetch->crew)->schema,
                                     .rows = ROWS_UNKNOWN};
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        head.size = 0;
        if (fetch->prefills[i] != NULL && (rc = format_head(formats[i], &told, &head)) == 0)
            prefill_head(fetch->prefills[i], &head);
    }
    buffer_clear(&head);
    return rc;
}

/* `changes`: those of `basis`; NULL: everything is copied. Within a lineage a row's id names the
 * same row for ever: a lineage ends if ids could not be compared, or may stand for other rows than
 * before. */
static int make_snapshot(struct fetch *fetch, const struct snapshot *old,
                         const struct snapshot *basis, const struct changes *changes,
                         struct snapshot **out, struct error *error)
{
    struct snapshot *snapshot;
    int rc = snapshot_new(fetch->place->store, &snapshot);
    if (rc < 0)
        return rc;
    rc = snapshot_ask_all(snapshot);
    if (rc == 0)
        rc = refusals_note_json(&fetch->copy, snapshot);
    fetch->copy.old = basis;
    bool whole = changes == NULL || !is_kept_schema(basis, fetch);
    if (rc == 0 && !whole) {
        rc = copy_changed(fetch, changes, error);
        whole = rc == -EIO; /* copying everything finds out what is refused */
    }
    if (whole && (rc == 0 || rc == -EIO)) {
        fetch->copy.old = old;
        rc = put_heads(fetch);
        if (rc == 0)
            rc = copy_whole(fetch, snapshot, error);
    }
    if (rc == 0)
        rc = assemble(fetch, snapshot);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    if (fetch->same_rows)
        stamp_as(snapshot, old);
    else
        snapshot_stamp(snapshot, old, fetch->after);
    bool of_old = fetch->of_old && !fetch->copy.strayed;
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
static bool is_lacking(const struct fetch *fetch, const struct snapshot *old)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if ((fetch->copy.measure & 1U << i) && snapshot_face(old, formats[i])->refused == 0 &&
            !formats[i]->possible(old->schema))
            return true;
    return false;
}

/* Finds what of `old` has changed. 1: it cannot be told. */
static int compare(struct fetch *fetch, const struct snapshot *old, struct changes *out,
                   struct error *error)
{
    const struct readpoint *readpoint = crew_readpoint(fetch->crew);
    if (old == NULL || old->broken || !old->key.proves || !readpoint->key.proves ||
        !same_relation(old, readpoint))
        return 1;
    int rc = changes_of(old, out);
    if (rc == -EBADMSG)
        return 1;
    if (rc < 0)
        return error_set(error, rc, "no memory to compare with");
    changes_doubt(out, server_run_id(&readpoint->key.runs[0]), fetch->copy.believes);
    return changes_find(fetch->crew, out, fetch->copy.progress, error);
}

/* ---- going on after an attempt that came to nothing ---- */

/* Keeps what has been copied, if its rows can be compared: the next attempt need not copy it
 * again. */
static void leave(struct fetch *fetch)
{
    const struct readpoint *readpoint = crew_readpoint(fetch->crew);
    struct snapshot *basis = NULL;
    struct changes changes;
    if (readpoint == NULL || !readpoint->key.proves || !readpoint->schema->with_row_ids ||
        fetch->copy.discard || fetch->copy.task_count == 0 ||
        snapshot_new(fetch->place->store, &basis) < 0)
        return;
    if (take_basis(fetch, basis) < 0 || fetch_copy_leave(&fetch->copy, &changes) < 0) {
        snapshot_unref(basis);
        return;
    }
    forget_left(fetch);
    fetch->left.basis = basis;
    fetch->left.changes = changes;
    fetch->left.of_old = fetch->of_old && !fetch->copy.strayed;
}

static bool can_go_on(const struct fetch *fetch)
{
    const struct snapshot *basis = fetch->left.basis;
    struct readpoint *readpoint = crew_readpoint(fetch->crew);
    return basis != NULL && readpoint->key.proves && same_relation(basis, readpoint) &&
           version_key_believes(&basis->key, &readpoint->key) && is_kept_schema(basis, fetch);
}

/* 1: no visible change in the whole cluster since `old` was found to be up to date. */
static int nothing_happened(struct fetch *fetch, struct snapshot *old, struct error *error)
{
    if (old == NULL || old->broken || !old->key.proves || is_lacking(fetch, old))
        return 0;
    char *mark;
    int rc = catalog_mark(crew_leader(fetch->crew), &mark, error);
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

/* *out: a fresh snapshot, or `old` again. */
static int compare_and_copy(struct fetch *fetch, const struct relation *relation,
                            struct snapshot *old, struct snapshot **out, struct error *error)
{
    const struct readpoint *readpoint = crew_readpoint(fetch->crew);
    int rc =
        mark_check(readpoint->key.mark, fetch->place->system_id, fetch->place->database, error);
    if (rc == 0)
        rc = check_name(readpoint, relation, error);
    fetch->copy.believes = old != NULL && version_key_believes(&old->key, &readpoint->key);
    bool on = rc == 0 && can_go_on(fetch);
    if (!on)
        forget_left(fetch);
    /* What a failed attempt has left does not tell whether only parts are to be added to the rows
     * of `old`. */
    bool with_old = rc == 0 && (!on || (old != NULL && is_lacking(fetch, old)));
    if (with_old)
        rc = compare(fetch, old, &fetch->found, error);
    fetch->same_rows = with_old && rc == 0 && fetch->found.changed == 0 &&
                       snapshot_same_children(old, crew_readpoint(fetch->crew)->children);
    struct changes *changes = on ? &fetch->left.changes : &fetch->found;
    if (on && rc >= 0)
        rc = changes_find(fetch->crew, changes, fetch->copy.progress, error);
    bool told = rc == 0;
    fetch->of_old = on ? fetch->left.of_old : told;
    if (told && !on && changes_are_seen(changes))
        note_changes(fetch);
    if (fetch->same_rows && !is_lacking(fetch, old)) {
        rc = snapshot_confirm(old, &readpoint->key);
        *out = rc == 0 ? snapshot_ref(old) : NULL;
    } else if (rc >= 0) {
        rc = make_snapshot(fetch, old, on ? fetch->left.basis : old, told ? changes : NULL, out,
                           error);
    }
    return rc;
}

/* Whether copying may lock more than what is locked by now, through users' functions that it
 * runs. */
static bool may_lock_more(const struct readpoint *readpoint)
{
    return !readpoint->schema->with_row_ids || readpoint->json_apart;
}

/* For whoever asks for columns that there are not there is no such file. */
static int choose_columns(struct fetch *fetch, struct error *error)
{
    struct readpoint *readpoint = crew_readpoint(fetch->crew);
    int *numbers, count;
    int rc = column_list_numbers(fetch->columns, readpoint->schema, &numbers, &count, error);
    if (rc < 0)
        return rc == -EINVAL ? -ENOENT : rc;
    rc = readpoint_choose(readpoint, numbers, count);
    free(numbers);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with") : 0;
}

static int open_chosen(struct fetch *fetch, const struct relation *relation, struct error *error)
{
    int rc = crew_open(fetch->crew, relation, error);
    return rc == 0 && fetch->columns != NULL ? choose_columns(fetch, error) : rc;
}

/* Where others have the lock it is waited for as long as the turn allows. */
static int lock_and_open(struct fetch *fetch, const struct relation *relation, struct error *error)
{
    struct lock_line *line = fetch->place->line;
    if (line == NULL)
        return open_chosen(fetch, relation, error);
    crew_lock_patience(fetch->crew, lock_turn_begin(line, &fetch->turn));
    int rc = open_chosen(fetch, relation, error);
    bool all = rc == 0 && !may_lock_more(crew_readpoint(fetch->crew));
    lock_turn_end(line, &fetch->turn, all);
    if (all)
        lock_wait_over(line->waits, &fetch->turn.wait);
    else if (rc == 0)
        lock_wait_rest(line->waits, &fetch->turn.wait);
    return rc;
}

/* If groups found no room on disk, the snapshot holds the read point: its readers get those groups
 * from there as long as they need the snapshot. */
static int fetch_under(struct fetch *fetch, const struct relation *relation, struct snapshot *old,
                       struct snapshot **out, struct error *error)
{
    int rc = nothing_happened(fetch, old, error);
    if (rc != 0) {
        *out = rc > 0 ? snapshot_ref(old) : NULL;
        return rc < 0 ? rc : 0;
    }
    rc = lock_and_open(fetch, relation, error);
    if (rc < 0)
        return rc;
    rc = compare_and_copy(fetch, relation, old, out, error);
    if (rc != -EBUSY && fetch->place->line != NULL)
        lock_wait_over(fetch->place->waits, &fetch->turn.wait);
    if (is_passing(rc))
        leave(fetch);
    if (rc == 0 && *out != old && fetch->copy.unstored && fetch->place->held != NULL) {
        pthread_mutex_lock(&fetch->lock);
        if (fetch->stopped)
            rc = error_set(error, -EINTR, "stopped");
        else
            fetch->held = snapshot_hold(*out, fetch->crew, fetch->place->held);
        pthread_mutex_unlock(&fetch->lock);
        if (rc < 0)
            snapshot_unref(*out);
    }
    fetch_copy_clear(&fetch->copy);
    changes_clear(&fetch->found);
    return rc;
}

/* Pauses after a failed attempt, unless the fetch is stopped. */
static void pause_before(struct fetch *fetch, int milliseconds)
{
    struct timespec until = clock_after_ms(milliseconds);
    pthread_mutex_lock(&fetch->lock);
    while (!fetch->stopped &&
           pthread_cond_timedwait(&fetch->stopping, &fetch->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&fetch->lock);
}

/* Whether to try again. A connection may be lost, and a standby ends a COPY that stands in the way
 * of its recovery: another attempt may succeed a moment later. For another session's lock the fetch
 * waits as long as that takes: -EINPROGRESS. */
static bool try_again(struct fetch *fetch, int *rc, const struct error *error)
{
    struct tries *tries = &fetch->tries;
    const struct relation *relation = fetch->turn.wait.relation;
    if (!is_passing(*rc) || tries->enough || !tries->led)
        return false; /* the server cannot be reached: asking three times is of no use */
    bool locked = *rc == -EBUSY;
    if (!locked && !tries->let_go && ++tries->failed >= ATTEMPTS)
        return false;
    spoil_prefills(fetch);
    progress_stage(fetch->copy.progress, STAGE_WAITING, 0);
    if (locked) {
        *rc = -EINPROGRESS;
        return false;
    }
    if (!tries->let_go)
        log_say(LOG_SAY_INFO, "%s.%s: %s; trying again", relation->schema, relation->name,
                error->text[0] != '\0' ? error->text : strerror(-*rc));
    pause_before(fetch, tries->let_go ? LOCK_PAUSE_MS : tries->failed * 1000);
    tries->let_go = false;
    return true;
}

/* Another session has a lock. Notes which. Negative: it has had the lock for too long. */
static int wait_for_lock(struct fetch *fetch, struct error *error)
{
    struct error reason = {""};
    struct lock_line *line = fetch->place->line;
    if (line == NULL)
        return -EBUSY;
    int rc = lock_wait_note(line->waits, &fetch->turn.wait, crew_leader(fetch->crew), &reason);
    if (rc < 0)
        *error = reason;
    return rc;
}

/* Another session waits for a lock that this attempt had. -EAGAIN; -EBUSY after five times in a
 * row. */
static int note_giving_way(struct fetch *fetch, const char *why, struct error *error)
{
    enum { TIMES = 5 };
    struct tries *tries = &fetch->tries;
    const struct relation *relation = fetch->turn.wait.relation;
    tries->let_go = true;
    tries->enough = ++tries->gave_way >= TIMES;
    fetch->copy.progress->gave_way++;
    log_say(LOG_SAY_INFO, "%s.%s: the fetch lets go of its locks, since %s; %s", relation->schema,
            relation->name, why, tries->enough ? "it ends" : "it goes on later");
    return tries->enough ? error_set(error, -EBUSY,
                                     "%s.%s could not be read to its end, %d times in a row, "
                                     "because others wanted to lock it: %s",
                                     relation->schema, relation->name, TIMES, why)
                         : error_set(error, -EAGAIN, "%s", why);
}

/* One attempt. *out: a fresh snapshot, or `old` again. */
static int try(struct fetch *fetch, struct snapshot *old, struct snapshot **out,
               struct error *error)
{
    struct tries *tries = &fetch->tries;
    int rc = crew_lead(fetch->crew, fetch->turn.wait.relation, error);
    if (rc < 0 && rc != -EBUSY)
        return rc;
    tries->led = true;
    if (rc == 0)
        rc = fetch_under(fetch, fetch->turn.wait.relation, old, out, error);
    char why[256];
    int waits = rc == -EBUSY ? wait_for_lock(fetch, error) : 0;
    tries->enough |= waits < 0;
    if (rc == -EBUSY)
        rc = waits < 0 ? waits : rc;
    else if (rc < 0 && rc != -EINTR && crew_is_wanted(fetch->crew, why, sizeof why))
        rc = note_giving_way(fetch, why, error);
    if (!fetch->held)
        crew_dismiss(fetch->crew);
    return rc;
}

struct lock_turn *fetch_turn(struct fetch *fetch) { return &fetch->turn; }

int fetch_table(struct fetch *fetch, const struct relation *relation, struct snapshot *old,
                unsigned measure, struct snapshot **out, struct error *error)
{
    fetch->copy.measure = measure;
    struct snapshot *fresh = NULL;
    struct error reason = {""};
    int rc;
    if (fetch->turn.wait.since == 0) {
        fetch->turn.wait.relation = relation;
        fetch->turn.wait.what = "rows";
    }
    do {
        rc = try(fetch, old, &fresh, &reason);
    } while (try_again(fetch, &rc, &reason));
    if (rc == -EINPROGRESS)
        return rc;
    if (fetch->place->line != NULL)
        lock_wait_over(fetch->place->waits, &fetch->turn.wait);
    rc = rc == -EREMOTEIO ? -EIO : rc; /* it is no refusal, but those that wait treat it alike */
    feed_relay_settle(&fetch->relay, rc, fresh, reason.text);
    if (rc < 0) {
        if (error != NULL)
            *error = reason;
        return rc;
    }
    *out = snapshot_settle(fresh, old);
    return 0;
}
