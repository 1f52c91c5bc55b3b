#include "fs/fetch.h"

#include "fs/group_copy.h"
#include "fs/log.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    /* A COPY's start costs about a millisecond; but what the workers have rendered ahead of the
     * first of them waits in memory, so that together they are not further than this from each
     * other. */
    TASKS_BYTES = 16 << 20,
    TASK_BYTES_LEAST = 2 << 20,
    TASKS_AT_MOST = 1 << 16,
    ATTEMPTS = 3,
    WORKERS_AT_MOST = 64
};

/* One range of one source, and the groups it gave. */
struct task {
    const struct source *source;
    struct ctid_range range;
    struct group **groups;
    size_t count;
};

struct fetch {
    const struct fetch_place *place;
    pthread_mutex_t lock; /* guards stopped, sessions, next_task, rc, error */
    bool stopped;
    struct session *sessions[WORKERS_AT_MOST];
    struct task *tasks;
    size_t task_count, next_task;
    int rc;
    struct error error;
    atomic_bool failed;
    struct readpoint *readpoint;
    const struct schema *schema;
    bool discard;     /* only to see whether the server gives it */
    unsigned measure; /* mask of formats */
    struct prefill *prefills[FORMAT_COUNT];
    int64_t after;        /* the mtime of what its path showed before */
    atomic_bool unstored; /* a group found no room in the store */
    _Atomic uint64_t rows, bytes;
};

int fetch_new(const struct fetch_place *place, struct fetch **out)
{
    struct fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL)
        return -ENOMEM;
    fetch->place = place;
    pthread_mutex_init(&fetch->lock, NULL);
    *out = fetch;
    return 0;
}

void fetch_free(struct fetch *fetch)
{
    if (fetch == NULL)
        return;
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}

void fetch_stop(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->stopped = true;
    for (int i = 0; i < WORKERS_AT_MOST; i++)
        if (fetch->sessions[i] != NULL)
            session_stop(fetch->sessions[i]);
    pthread_mutex_unlock(&fetch->lock);
}

void fetch_after(struct fetch *fetch, int64_t mtime) { fetch->after = mtime; }

void fetch_prefill(struct fetch *fetch, int format, struct prefill *prefill)
{
    fetch->prefills[format] = prefill;
}

/* What has been stored will not be what the file is. */
static void spoil_prefills(struct fetch *fetch)
{
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (fetch->prefills[i] != NULL) {
            prefill_spoil(fetch->prefills[i]);
            fetch->prefills[i] = NULL;
        }
}

void fetch_progress(const struct fetch *fetch, uint64_t *rows, uint64_t *bytes)
{
    *rows = fetch->rows;
    *bytes = fetch->bytes;
}

/* From now on fetch_stop reaches the session. */
static int enlist(struct fetch *fetch, int slot, struct session *session)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->sessions[slot] = session;
    int rc = fetch->stopped ? -EINTR : 0;
    pthread_mutex_unlock(&fetch->lock);
    return rc;
}

static void delist(struct fetch *fetch, int slot)
{
    pthread_mutex_lock(&fetch->lock);
    fetch->sessions[slot] = NULL;
    pthread_mutex_unlock(&fetch->lock);
}

static void fail(struct fetch *fetch, int rc, const struct error *error)
{
    pthread_mutex_lock(&fetch->lock);
    if (fetch->rc == 0) {
        fetch->rc = rc;
        fetch->error = *error;
    }
    fetch->failed = true;
    pthread_mutex_unlock(&fetch->lock);
}

/* ---- one task ---- */

struct task_copy {
    struct fetch *fetch;
    struct task *task;
    struct group_copy copy;
    struct buffer scratch;
};

int fetch_body_size(const struct schema *schema, const struct rowgroup *rows, int format,
                    bool rendered, struct buffer *scratch, uint64_t *out)
{
    const struct format *f = formats[format];
    if (f->body_size != NULL && !rendered) {
        *out = f->body_size(schema, rows);
        return 0;
    }
    scratch->size = 0;
    int rc = f->body(schema, rows, scratch);
    if (rc == 0)
        *out = scratch->size;
    return rc;
}

/* What cannot be measured now stays unknown, and says why when somebody asks for it. */
static void measure_group(struct task_copy *copy, const struct rowgroup *rows, struct group *group)
{
    struct fetch *fetch = copy->fetch;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        uint64_t size;
        bool wanted = formats[i]->body_size != NULL || (fetch->measure & 1U << i);
        if (!wanted || !formats[i]->possible(fetch->schema))
            continue;
        struct prefill *prefill = fetch->prefills[i];
        int rc = fetch_body_size(fetch->schema, rows, i, prefill != NULL, &copy->scratch, &size);
        if (rc == 0)
            group->sizes[i] = size;
        if (prefill != NULL && rc == 0)
            prefill_put(prefill, (size_t)(copy->task - fetch->tasks), copy->scratch.data,
                        copy->scratch.size);
        else if (prefill != NULL)
            prefill_spoil(prefill);
    }
}

static int store_group(struct fetch *fetch, const struct rowgroup *rows, const struct group *group)
{
    struct rowgroup_image image;
    int rc = rowgroup_encode(rows, fetch->schema, &image);
    if (rc < 0)
        return rc;
    const struct fetch_place *place = fetch->place;
    rc = store_put_group(place->store, group->relation, group->id, &image);
    if (rc == -ENOSPC && place->in_use != NULL &&
        store_make_room(place->store, image.size, place->in_use, place->context))
        rc = store_put_group(place->store, group->relation, group->id, &image);
    rowgroup_image_clear(&image);
    if (rc < 0 && !atomic_exchange(&fetch->unstored, true))
        log_say(LOG_SAY_ERROR,
                "%s.%s: row groups find no room in the cache %s (%s); they are read from the "
                "server again when needed",
                fetch->readpoint->relation.schema, fetch->readpoint->relation.name,
                store_path(fetch->place->store), strerror(-rc));
    return rc == -ENOMEM ? rc : 0;
}

static int task_add_group(struct task *task, struct group *group)
{
    if ((task->count & (task->count - 1)) == 0) {
        size_t room = task->count == 0 ? 1 : 2 * task->count;
        struct group **grown = realloc(task->groups, room * sizeof(struct group *));
        if (grown == NULL)
            return -ENOMEM;
        task->groups = grown;
    }
    task->groups[task->count++] = group;
    return 0;
}

static int take_group(void *context, struct rowgroup *rows, const struct ctid_range *range)
{
    struct task_copy *copy = context;
    struct fetch *fetch = copy->fetch;
    int rc = 0;
    if (fetch->discard)
        goto out;
    struct group *group = group_new(fetch->place->store, fetch->readpoint->key.relation, rows);
    if (group == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    group->source = (uint32_t)(copy->task->source - fetch->readpoint->sources);
    group->range = *range;
    measure_group(copy, rows, group);
    rc = store_group(fetch, rows, group);
    if (rc == 0)
        rc = task_add_group(copy->task, group);
    if (rc < 0)
        group_unref(group);
out:
    fetch->rows += rows->rows;
    rowgroup_free(rows);
    return rc;
}

static int feed_task(void *context, const uint8_t *bytes, size_t size)
{
    struct task_copy *copy = context;
    copy->fetch->bytes += size;
    if (copy->fetch->failed)
        return -ECANCELED;
    return group_copy_feed(&copy->copy, bytes, size);
}

static int run_task(struct fetch *fetch, struct task *task, struct session *session,
                    struct error *error)
{
    struct task_copy copy = {.fetch = fetch, .task = task};
    const struct ctid_range *range = task->source->by_ctid ? &task->range : NULL;
    int rc = group_copy_init(&copy.copy, fetch->schema, range, take_group, &copy, error);
    if (rc < 0)
        return error_set(error, rc, "no memory to fetch with");
    if (fetch->place->group_bytes > 0)
        copy.copy.group_bytes = fetch->place->group_bytes;
    rc = readpoint_copy(fetch->readpoint, session, fetch->schema, task->source, range, feed_task,
                        &copy, error);
    if (rc == 0)
        rc = group_copy_finish(&copy.copy);
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++)
        if (fetch->prefills[i] != NULL)
            prefill_run_done(fetch->prefills[i], (size_t)(task - fetch->tasks));
    group_copy_clear(&copy.copy);
    buffer_clear(&copy.scratch);
    return rc;
}

static struct task *next_task(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    struct task *task = NULL;
    if (fetch->rc == 0 && fetch->next_task < fetch->task_count)
        task = &fetch->tasks[fetch->next_task++];
    pthread_mutex_unlock(&fetch->lock);
    return task;
}

static void work_off(struct fetch *fetch, struct session *session)
{
    struct task *task;
    while ((task = next_task(fetch)) != NULL) {
        struct error error = {""};
        int rc = run_task(fetch, task, session, &error);
        if (rc < 0)
            fail(fetch, rc, &error);
    }
}

struct worker {
    struct fetch *fetch;
    int slot;
    pthread_t thread;
};

/* A worker that cannot join is missed, not an error: the leader does its tasks. */
static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    struct fetch *fetch = worker->fetch;
    struct session *session;
    struct error error = {""};
    if (session_take(fetch->place->pool, false, &session, &error) < 0)
        return NULL;
    if (enlist(fetch, worker->slot, session) == 0) {
        int rc = readpoint_join(fetch->readpoint, session, &error);
        if (rc == 0) {
            work_off(fetch, session);
            readpoint_leave(fetch->readpoint, session);
        } else {
            log_say(LOG_SAY_DEBUG, "a second session could not join the read point: %s",
                    error.text);
        }
    }
    delist(fetch, worker->slot);
    session_give(session);
    return NULL;
}

/* All tasks, by the leader and its helpers; the first error. */
static int work_all(struct fetch *fetch, struct session *leader, struct error *error)
{
    struct worker workers[WORKERS_AT_MOST];
    int wanted = fetch->place->jobs < WORKERS_AT_MOST ? fetch->place->jobs : WORKERS_AT_MOST,
        started = 1;
    for (; started < wanted && (size_t)started < fetch->task_count; started++) {
        workers[started] = (struct worker){.fetch = fetch, .slot = started};
        if (pthread_create(&workers[started].thread, NULL, run_worker, &workers[started]) != 0)
            break;
    }
    work_off(fetch, leader);
    for (int i = 1; i < started; i++)
        pthread_join(workers[i].thread, NULL);
    if (fetch->rc < 0 && error != NULL)
        *error = fetch->error;
    return fetch->rc;
}

/* ---- the tasks ---- */

static void forget_tasks(struct fetch *fetch)
{
    for (size_t i = 0; i < fetch->task_count; i++) {
        for (size_t k = 0; k < fetch->tasks[i].count; k++)
            group_unref(fetch->tasks[i].groups[k]);
        free(fetch->tasks[i].groups);
    }
    free(fetch->tasks);
    fetch->tasks = NULL;
    fetch->task_count = fetch->next_task = 0;
}

static uint64_t ranges_of(const struct fetch *fetch, const struct source *source)
{
    if (!source->by_ctid || source->pages == 0)
        return 1;
    uint64_t each = (uint64_t)(TASKS_BYTES / fetch->place->jobs);
    uint64_t ranges = source->bytes / (each < TASK_BYTES_LEAST ? TASK_BYTES_LEAST : each) + 1;
    ranges = ranges > TASKS_AT_MOST ? TASKS_AT_MOST : ranges;
    return ranges > source->pages ? source->pages : ranges;
}

static int make_tasks(struct fetch *fetch)
{
    const struct readpoint *readpoint = fetch->readpoint;
    uint64_t total = 0;
    for (size_t i = 0; i < readpoint->source_count; i++)
        total += ranges_of(fetch, &readpoint->sources[i]);
    fetch->tasks = calloc(total + 1, sizeof *fetch->tasks);
    if (fetch->tasks == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < readpoint->source_count; i++) {
        const struct source *source = &readpoint->sources[i];
        uint64_t ranges = ranges_of(fetch, source);
        for (uint64_t k = 0; k < ranges; k++) {
            struct task *task = &fetch->tasks[fetch->task_count++];
            task->source = source;
            task->range.first.block = (uint32_t)(source->pages * k / ranges);
            task->range.end.block =
                k + 1 == ranges ? UINT32_MAX : (uint32_t)(source->pages * (k + 1) / ranges);
        }
    }
    return 0;
}

/* Copies everything that `schema` (numbered) asks for. */
static int copy_all(struct fetch *fetch, bool discard, struct error *error)
{
    forget_tasks(fetch);
    fetch->rc = 0;
    fetch->failed = false;
    fetch->unstored = false;
    fetch->discard = discard;
    fetch->rows = fetch->bytes = 0;
    int rc = make_tasks(fetch);
    return rc < 0 ? error_set(error, rc, "no memory to fetch with")
                  : work_all(fetch, fetch->readpoint->leader, error);
}

/* ---- what the server refuses ---- */

/* With a binary part for every column, so that the server says in its own words which it has none
 * for. */
static void number_for_trial(struct readpoint *readpoint, int format, bool *all)
{
    for (int i = 0; i < readpoint->schema->column_count; i++)
        all[i] = readpoint->with_binary[i] || formats[format]->parts == 1U << PART_BINARY;
    schema_number(readpoint->schema, all, formats[format]->parts);
}

/* Asks for one format alone. */
static int try_format(struct fetch *fetch, int format, struct error *error)
{
    struct readpoint *readpoint = fetch->readpoint;
    bool *all = calloc((size_t)readpoint->schema->column_count + 1, sizeof *all);
    if (all == NULL)
        return -ENOMEM;
    number_for_trial(readpoint, format, all);
    free(all);
    fetch->schema = readpoint->schema;
    return copy_all(fetch, true, error);
}

static int refuse(struct face *face, int rc, const struct error *error)
{
    face->refused = rc;
    free(face->reason);
    face->reason = strdup(error->text);
    return face->reason == NULL ? -ENOMEM : 0;
}

/* The whole did not come: finds the formats that do alone. Returns the mask of their parts, or the
 * error of all. */
static int find_refusals(struct fetch *fetch, struct face *faces, struct error *error)
{
    unsigned parts = 0;
    int given = 0, rc = 0;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        struct error reason = {""};
        rc = try_format(fetch, i, &reason);
        if (rc == 0) {
            parts |= formats[i]->parts;
            given++;
        } else if (rc != -EIO && rc != -EACCES) {
            if (error != NULL)
                *error = reason;
            return rc;
        } else {
            if (i == 0 && error != NULL)
                *error = reason;
            int memory = refuse(&faces[i], rc, &reason);
            if (memory < 0)
                return memory;
        }
    }
    return given > 0 ? (int)parts : faces[0].refused;
}

/* Formats for which the schema as numbered has not all parts. */
static unsigned impossible_formats(const struct schema *schema, const struct face *faces)
{
    unsigned mask = 0;
    for (int i = 0; i < FORMAT_COUNT; i++)
        if (faces[i].refused == 0 && !formats[i]->possible(schema))
            mask |= 1U << i;
    return mask;
}

/* Asks for each of them: the server says in its own words why not, or gives it after all (an array
 * of a type without binary output is fine as long as it is NULL), and then its columns are fetched.
 */
static int explain_impossible(struct fetch *fetch, unsigned mask, struct face *faces)
{
    for (int i = 0; i < FORMAT_COUNT; i++) {
        if (!(mask & 1U << i))
            continue;
        struct error reason = {""};
        int rc = try_format(fetch, i, &reason);
        for (int k = 0; rc == 0 && k < fetch->readpoint->schema->column_count; k++)
            fetch->readpoint->with_binary[k] = true;
        if (rc == -EIO || rc == -EACCES)
            rc = refuse(&faces[i], rc, &reason);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the snapshot ---- */

static int64_t now_microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int take_sources(const struct readpoint *readpoint, struct snapshot *snapshot)
{
    snapshot->sources = calloc(readpoint->source_count + 1, sizeof *snapshot->sources);
    if (snapshot->sources == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < readpoint->source_count; i++) {
        struct snapshot_source *source = &snapshot->sources[i];
        *source = (struct snapshot_source){.oid = readpoint->sources[i].oid,
                                           .by_ctid = readpoint->sources[i].by_ctid};
        snapshot->source_count++;
    }
    return 0;
}

static int take_key(const struct readpoint *readpoint, struct snapshot *snapshot)
{
    snapshot->key = readpoint->key;
    snapshot->key.mark = strdup(readpoint->key.mark);
    snapshot->key.signature = strdup(readpoint->key.signature);
    snapshot->relation = readpoint->relation;
    snapshot->relation.schema = strdup(readpoint->relation.schema);
    snapshot->relation.name = strdup(readpoint->relation.name);
    return snapshot->key.mark == NULL || snapshot->key.signature == NULL ||
                   snapshot->relation.schema == NULL || snapshot->relation.name == NULL
               ? -ENOMEM
               : 0;
}

static int take_groups(struct fetch *fetch, struct snapshot *snapshot)
{
    for (size_t i = 0; i < fetch->task_count; i++)
        for (size_t k = 0; k < fetch->tasks[i].count; k++) {
            int rc = snapshot_add_group(snapshot, fetch->tasks[i].groups[k]);
            if (rc < 0)
                return rc;
            fetch->tasks[i].groups[k] = NULL;
        }
    return 0;
}

static int measure_known(struct snapshot *snapshot)
{
    for (int f = 0; f < FORMAT_COUNT; f++) {
        bool known = formats[f]->possible(snapshot->schema) && snapshot->faces[f].refused == 0;
        for (size_t i = 0; known && i < snapshot->group_count; i++)
            known = snapshot->groups[i]->sizes[f] != SIZE_UNKNOWN;
        int rc = known ? snapshot_measured(snapshot, f) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Makes the snapshot of what has been copied; takes the read point's schema. */
static int assemble(struct fetch *fetch, struct snapshot *snapshot)
{
    struct readpoint *readpoint = fetch->readpoint;
    int rc = take_key(readpoint, snapshot);
    if (rc == 0)
        rc = take_sources(readpoint, snapshot);
    if (rc == 0)
        rc = take_groups(fetch, snapshot);
    if (rc < 0)
        return rc;
    snapshot->schema = readpoint->schema;
    readpoint->schema = NULL;
    return measure_known(snapshot);
}

/* Later than the one before by a whole second at least, so that tools which compare whole seconds
 * see it. */
static void stamp(struct snapshot *snapshot, const struct snapshot *old, int64_t after)
{
    snapshot->fetched_at = now_microseconds();
    snapshot->mtime = snapshot->fetched_at / 1000000;
    snapshot->serial = (uint64_t)snapshot->fetched_at;
    if (snapshot->mtime <= after)
        snapshot->mtime = after + 1;
    if (old == NULL)
        return;
    if (snapshot->mtime <= old->mtime)
        snapshot->mtime = old->mtime + 1;
    if (snapshot->serial <= old->serial)
        snapshot->serial = old->serial + 1;
}

static int copy_changed(struct fetch *fetch, struct face *faces, struct error *error)
{
    struct readpoint *readpoint = fetch->readpoint;
    struct schema *schema = readpoint->schema;
    unsigned parts = 1 << PART_BINARY | 1 << PART_TEXT | 1 << PART_JSON;
    schema_number(schema, readpoint->with_binary, parts);
    fetch->schema = schema;
    int rc = copy_all(fetch, false, error);
    bool again = rc == -EIO;
    if (again) {
        spoil_prefills(fetch);
        rc = find_refusals(fetch, faces, error);
        parts = rc > 0 ? (unsigned)rc : 0;
    }
    if (rc < 0)
        return rc;
    schema_number(schema, readpoint->with_binary, parts);
    unsigned impossible = impossible_formats(schema, faces);
    if (impossible == 0 && !again)
        return 0;
    /* Their columns were left out of what has been copied, and asking moves the parts. */
    spoil_prefills(fetch);
    rc = impossible == 0 ? 0 : explain_impossible(fetch, impossible, faces);
    if (rc < 0)
        return error_set(error, rc, "cannot find out which formats the server refuses");
    schema_number(schema, readpoint->with_binary, parts);
    return copy_all(fetch, false, error);
}

static int put_heads(struct fetch *fetch)
{
    struct buffer head = {0};
    int rc = 0;
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++) {
        head.size = 0;
        if (fetch->prefills[i] != NULL &&
            (rc = formats[i]->head(fetch->readpoint->schema, &head)) == 0)
            prefill_head(fetch->prefills[i], &head);
    }
    buffer_clear(&head);
    return rc;
}

static int make_snapshot(struct fetch *fetch, struct snapshot *old, struct snapshot **out,
                         struct error *error)
{
    struct snapshot *snapshot;
    int rc = snapshot_new(fetch->place->store, &snapshot);
    if (rc < 0)
        return rc;
    rc = put_heads(fetch);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    rc = copy_changed(fetch, snapshot->faces, error);
    if (rc == 0)
        rc = assemble(fetch, snapshot);
    if (rc < 0) {
        snapshot_unref(snapshot);
        return rc;
    }
    stamp(snapshot, old, fetch->after);
    *out = snapshot;
    return 0;
}

/* ---- whether anything has changed ---- */

static bool same_history(const struct snapshot *old, const struct readpoint *readpoint)
{
    const struct version_key *a = &old->key, *b = &readpoint->key;
    return strcmp(old->relation.name, readpoint->relation.name) == 0 &&
           strcmp(old->relation.schema, readpoint->relation.schema) == 0 &&
           a->system_id == b->system_id && a->timeline == b->timeline &&
           a->database == b->database && a->relation == b->relation &&
           strcmp(a->signature, b->signature) == 0;
}

static int refresh_mark(struct snapshot *old, const char *mark)
{
    char *copy = strdup(mark);
    if (copy == NULL)
        return -ENOMEM;
    free(old->key.mark);
    old->key.mark = copy;
    return 0;
}

/* 1: the rows are those of `old`, proved by key and fingerprint. */
static int unchanged(struct fetch *fetch, struct snapshot *old, struct error *error)
{
    struct readpoint *readpoint = fetch->readpoint;
    if (old == NULL || old->broken || !old->key.proves || !readpoint->key.proves ||
        !same_history(old, readpoint))
        return 0;
    uint64_t rows, sum;
    int rc = readpoint_fingerprint(readpoint, &rows, &sum, error);
    if (rc < 0)
        return rc;
    if (rows != old->rows || sum != old->row_id_sum)
        return 0;
    rc = refresh_mark(old, readpoint->key.mark);
    return rc < 0 ? rc : 1;
}

/* 1: nothing visible has changed in the whole cluster since `old` was found to be current. */
static int nothing_happened(struct session *session, struct snapshot *old, struct error *error)
{
    if (old == NULL || old->broken || !old->key.proves)
        return 0;
    char *mark;
    int rc = catalog_mark(session, &mark, error);
    if (rc < 0)
        return rc;
    bool same = strcmp(mark, old->key.mark) == 0;
    free(mark);
    return same;
}

/* The path that led here must still be the relation's. */
static int check_name(const struct readpoint *readpoint, const struct relation *relation,
                      struct error *error)
{
    const struct relation *now = &readpoint->relation;
    if (strcmp(now->schema, relation->schema) == 0 && strcmp(now->name, relation->name) == 0)
        return 0;
    return error_set(error, -ENOENT, "it is called %s.%s now", now->schema, now->name);
}

/* Where groups found no room on disk, the read point is held: they are read from it as long as
 * somebody needs the snapshot. */
static int fetch_under(struct fetch *fetch, struct session *leader, const struct relation *relation,
                       struct snapshot *old, struct snapshot **out, bool *holding,
                       struct error *error)
{
    int rc = nothing_happened(leader, old, error);
    if (rc != 0) {
        *out = rc > 0 ? snapshot_ref(old) : NULL;
        return rc < 0 ? rc : 0;
    }
    rc = readpoint_open(leader, relation, &fetch->readpoint, error);
    if (rc < 0)
        return rc;
    struct snapshot *fresh = NULL;
    rc = check_name(fetch->readpoint, relation, error);
    if (rc == 0)
        rc = unchanged(fetch, old, error);
    if (rc > 0)
        fresh = snapshot_ref(old);
    else if (rc == 0)
        rc = make_snapshot(fetch, old, &fresh, error);
    *holding = rc >= 0 && fresh != old && fetch->unstored && fetch->place->held != NULL &&
               snapshot_hold(fresh, fetch->readpoint, fetch->place->held);
    if (!*holding)
        readpoint_close(fetch->readpoint);
    fetch->readpoint = NULL;
    forget_tasks(fetch);
    if (rc < 0)
        return rc;
    *out = fresh;
    return 0;
}

/* Equal rows are the same version, however they were found to be equal. */
static struct snapshot *settle(struct snapshot *fresh, struct snapshot *old)
{
    if (fresh == old || old == NULL || old->broken || !snapshot_same_content(fresh, old)) {
        bool saved = fresh != old && snapshot_save(fresh) == 0;
        if (fresh != old && !saved)
            log_say(LOG_SAY_ERROR,
                    "%s.%s: its record finds no room in the cache %s; after the next mount it is "
                    "fetched again",
                    fresh->relation.schema, fresh->relation.name, store_path(fresh->store));
        if (saved && old != NULL)
            snapshot_forsake(old, fresh);
        return fresh;
    }
    /* The signature is equal, so that from here on the new key's history stands for the old rows as
     * well. */
    old->key.timeline = fresh->key.timeline;
    char *mark = old->key.mark;
    old->key.mark = fresh->key.mark;
    fresh->key.mark = mark;
    snapshot_unref(fresh);
    return snapshot_ref(old);
}

int fetch_table(struct fetch *fetch, const struct relation *relation, struct snapshot *old,
                unsigned measure, struct snapshot **out, struct error *error)
{
    fetch->measure = measure;
    struct snapshot *fresh = NULL;
    /* A connection may be lost, and a standby ends a COPY that stands in the way of its recovery:
     * another one may do better. */
    int rc = -ENOTCONN;
    for (int attempt = 0; (rc == -ENOTCONN || rc == -EAGAIN) && attempt < ATTEMPTS; attempt++) {
        struct session *leader;
        bool holding = false;
        if (attempt > 0) {
            spoil_prefills(fetch);
            log_say(LOG_SAY_INFO, "%s.%s: %s; trying again", relation->schema, relation->name,
                    error != NULL ? error->text : "connection lost");
        }
        rc = session_take(fetch->place->pool, true, &leader, error);
        if (rc < 0)
            return rc; /* the server is not there: no use in asking three times */
        rc = enlist(fetch, 0, leader);
        if (rc == 0)
            rc = fetch_under(fetch, leader, relation, old, &fresh, &holding, error);
        delist(fetch, 0);
        if (!holding)
            session_give(leader);
    }
    if (rc < 0)
        return rc;
    *out = settle(fresh, old);
    return 0;
}
