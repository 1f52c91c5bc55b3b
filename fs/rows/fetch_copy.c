#include "fs/rows/fetch_copy.h"

#include "codec/array.h"
#include "codec/clock.h"
#include "codec/rowgroup_agree.h"
#include "fs/base/log.h"
#include "fs/rows/group_copy.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum {
    /* A COPY's start costs about a millisecond. But what the workers have rendered ahead of the
     * first of them waits in memory: together they are at most this far from each other. */
    TASKS_BYTES = 16 << 20,
    TASK_BYTES_LEAST = 2 << 20,
    TASKS_AT_MOST = 1 << 16
};

/* ---- the plan ---- */

void fetch_copy_clear(struct fetch_copy *copy)
{
    for (size_t i = 0; i < copy->task_count; i++) {
        for (size_t k = 0; k < copy->tasks[i].count; k++)
            group_unref(copy->tasks[i].groups[k]);
        free(copy->tasks[i].groups);
    }
    free(copy->tasks);
    free(copy->work);
    copy->tasks = NULL;
    copy->work = NULL;
    copy->task_count = copy->work_count = 0;
    copy->failed = copy->unstored = copy->works = copy->strayed = false;
}

static struct task *add_task(struct fetch_copy *copy, uint32_t source, struct ctid_range range)
{
    struct task *grown = array_room(copy->tasks, copy->task_count, sizeof *grown);
    if (grown == NULL)
        return NULL;
    copy->tasks = grown;
    grown += copy->task_count++;
    *grown = (struct task){.source = source, .range = range};
    return grown;
}

static int add_group(struct task *task, struct group *group)
{
    struct group **grown = array_room(task->groups, task->count, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    task->groups = grown;
    task->groups[task->count++] = group;
    return 0;
}

static int add_range(struct fetch_copy *copy, uint32_t number, struct ctid_range range)
{
    const struct source *source = &crew_readpoint(copy->crew)->sources[number];
    uint64_t first = range.first.block, end = range.end.block;
    if (end == UINT32_MAX)
        end = source->pages > first ? source->pages : first + 1;
    uint64_t each = (uint64_t)(TASKS_BYTES / copy->place->jobs),
             pages = end > first ? end - first : 1;
    each = each < TASK_BYTES_LEAST ? TASK_BYTES_LEAST : each;
    uint64_t bytes = source->pages > 0 ? source->bytes / source->pages * pages : 0;
    uint64_t pieces = source->by_ctid ? bytes / each + 1 : 1;
    pieces = pieces > TASKS_AT_MOST ? TASKS_AT_MOST : pieces;
    pieces = pieces > pages ? pages : pieces;
    for (uint64_t i = 0; i < pieces; i++) {
        struct ctid_range piece = range;
        if (i > 0)
            piece.first = (struct ctid){(uint32_t)(first + pages * i / pieces), 0};
        if (i + 1 < pieces)
            piece.end = (struct ctid){(uint32_t)(first + pages * (i + 1) / pieces), 0};
        if (add_task(copy, number, piece) == NULL)
            return -ENOMEM;
    }
    return 0;
}

/* Lists the tasks that are to be copied. */
static int list_work(struct fetch_copy *copy)
{
    copy->work = malloc((copy->task_count + 1) * sizeof *copy->work);
    if (copy->work == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < copy->task_count; i++)
        if (!copy->tasks[i].kept)
            copy->work[copy->work_count++] = i;
    return 0;
}

int fetch_copy_plan_all(struct fetch_copy *copy)
{
    const struct ctid_range everything = {.end = {UINT32_MAX, 0}};
    const struct readpoint *readpoint = crew_readpoint(copy->crew);
    fetch_copy_clear(copy);
    for (size_t i = 0; i < readpoint->source_count; i++) {
        int rc = add_range(copy, (uint32_t)i, everything);
        if (rc < 0)
            return rc;
    }
    return list_work(copy);
}

static int keep(struct fetch_copy *copy, const struct stretch *stretch)
{
    struct task *task = add_task(copy, stretch->source, stretch->range);
    if (task == NULL)
        return -ENOMEM;
    task->kept = true;
    if (stretch->group == NULL)
        return 0;
    int rc = add_group(task, group_ref(stretch->group));
    if (rc < 0) {
        group_unref(stretch->group);
        return rc;
    }
    if (!store_has_group(copy->place->store, stretch->group->relation, stretch->group->id))
        copy->unstored = true;
    return 0;
}

/* Whether it has changed, and so may have left small groups beside it. What was not copied yet has
 * not. */
static bool has_changed(const struct stretch *stretch)
{
    return stretch->changed && !stretch->unknown;
}

/* Whether to cut a group anew with the changed one next to it: if it is so small that many like it
 * would gather. */
static bool again(const struct changes *changes, size_t i)
{
    enum { SMALL = 1 << 20 };
    const struct stretch *at = &changes->stretches[i];
    if (at->changed)
        return true;
    if (at->group != NULL && at->group->bytes >= SMALL)
        return false;
    return (i > 0 && at[-1].source == at->source && has_changed(&at[-1])) ||
           (i + 1 < changes->count && at[1].source == at->source && has_changed(&at[1]));
}

/* Whether its rows are to be compared with what was there. */
static bool is_to_compare(const struct stretch *stretch)
{
    return stretch->unknown && stretch->group != NULL;
}

/* Whether the group's row ids name rows of this server, too. */
static bool is_proven(const struct fetch_copy *copy, const struct group *group)
{
    const struct version_key *key = &crew_readpoint(copy->crew)->key;
    return copy->believes && group_is_proven(group, server_run_id(&key->runs[0]));
}

/* Adds a task of as many stretches as one task takes. Returns their number. */
static int add_compared(struct fetch_copy *copy, const struct stretch *first, size_t most)
{
    enum { GROWN = 4 };
    const struct source *source = &crew_readpoint(copy->crew)->sources[first->source];
    uint64_t each = (uint64_t)(TASKS_BYTES / copy->place->jobs), bytes = 0;
    each = each < TASK_BYTES_LEAST ? TASK_BYTES_LEAST : each;
    size_t n = 0;
    for (; n < most && bytes < each && is_to_compare(&first[n]) && first[n].source == first->source;
         n++) {
        uint64_t from = first[n].range.first.block, to = first[n].range.end.block;
        to = to < source->pages ? to : source->pages;
        uint64_t more = to > from ? source->bytes / source->pages * (to - from) : 0;
        bool last = first[n].range.end.block == UINT32_MAX;
        if (last && n > 0 && more > GROWN * each)
            break;
        bytes += more;
    }
    const struct ctid_range range = {first->range.first, first[n - 1].range.end};
    /* Behind the last group the table has grown: that is work for several tasks. */
    if (range.end.block == UINT32_MAX && bytes > GROWN * each) {
        for (size_t i = 0; i < n; i++)
            if (!is_proven(copy, first[i].group))
                copy->strayed = true;
        return add_range(copy, first->source, range) < 0 ? -ENOMEM : (int)n;
    }
    struct task *task = add_task(copy, first->source, range);
    if (task == NULL)
        return -ENOMEM;
    task->like = first;
    task->like_count = n;
    return (int)n;
}

int fetch_copy_plan_changes(struct fetch_copy *copy, const struct changes *changes)
{
    fetch_copy_clear(copy);
    copy->share = copy->old != NULL && schema_same(copy->old->schema, copy->schema);
    for (size_t i = 0, n; i < changes->count; i += n) {
        const struct stretch *first = &changes->stretches[i];
        if (is_to_compare(first)) {
            int taken = add_compared(copy, first, changes->count - i);
            if (taken < 0)
                return taken;
            n = (size_t)taken;
            continue;
        }
        for (n = 1;
             again(changes, i) && i + n < changes->count && first[n].source == first->source &&
             again(changes, i + n) && !is_to_compare(&first[n]);
             n++)
            ;
        int rc = !again(changes, i)
                     ? keep(copy, first)
                     : add_range(copy, first->source,
                                 (struct ctid_range){first->range.first, first[n - 1].range.end});
        if (rc < 0)
            return rc;
    }
    return list_work(copy);
}

/* ---- one task ---- */

struct task_copy {
    struct fetch_copy *copy;
    size_t number;
    struct task *task;
    struct group_copy groups;
    struct fetch_body body;
    uint64_t pages; /* pages that count as done so far */
};

/* If the group cannot be measured now its size stays unknown; the error shows when a request asks
 * for it. */
static void measure_group(struct task_copy *t, const struct rowgroup *rows, struct group *group)
{
    struct fetch_copy *copy = t->copy;
    for (int i = 0; i < FORMAT_COUNT; i++) {
        const struct rendition rendition = {.format = formats[i]};
        bool wanted = formats[i]->at_once || (copy->measure & 1U << i);
        if (!wanted || !formats[i]->possible(copy->schema))
            continue;
        struct prefill *prefill = copy->prefills[i];
        if (prefill == NULL && group_size(group, &rendition) != SIZE_UNKNOWN)
            continue;
        int rc =
            fetch_body_measure(&t->body, &rendition, copy->schema, rows, prefill != NULL, group);
        if (prefill != NULL && rc == 0)
            prefill_put(prefill, t->number, t->body.bytes.data, t->body.bytes.size);
        else if (prefill != NULL)
            prefill_spoil(prefill);
    }
}

static int store_group(struct fetch_copy *copy, const struct rowgroup *rows,
                       const struct group *group)
{
    const struct fetch_place *place = copy->place;
    int rc = store_put_rows(place->store, group->relation, group->id, rows, copy->schema);
    if (rc == -ENOSPC && place->in_use != NULL) {
        /* Makes more room than that, so that not every group has to make room for itself. */
        bool disk = store_disk_is_full(place->store, group->bytes);
        uint64_t share = disk ? store_used(place->store) : store_limit(place->store);
        store_make_room(place->store, 2 * group->bytes + share / 64, disk, place->in_use,
                        place->context);
        rc = store_put_rows(place->store, group->relation, group->id, rows, copy->schema);
    }
    const struct relation *relation = &crew_readpoint(copy->crew)->relation;
    if (rc < 0 && !atomic_exchange(&copy->unstored, true))
        log_say(LOG_SAY_ERROR,
                "%s.%s: row groups find no room in the cache %s (%s); they are read from the "
                "server again when needed",
                relation->schema, relation->name, store_path(place->store), strerror(-rc));
    return rc == -ENOMEM ? rc : 0;
}

/* The old group in the place of these rows; NULL: there is none. Groups are cut wherever an old one
 * ended. */
static struct group *group_before(const struct task_copy *t, const struct rowgroup *rows)
{
    const struct stretch *like = t->task->like;
    struct row_id row = rowgroup_row_id(rows, 0);
    for (size_t i = 0; i < t->task->like_count; i++) {
        struct ctid end = like[i].range.end;
        if (ctid_before((struct ctid){row.block, row.offset}, end))
            return like[i].group;
    }
    return NULL;
}

/* Another run of the server has other rows in the group's place: whether they may be what the
 * group's rows have become since. */
static bool is_later(const struct fetch_copy *copy, const struct group *group,
                     const struct rowgroup *rows)
{
    struct rowgroup *before = NULL;
    uint32_t horizon;
    if (!copy->share || !mark_horizon(copy->old->key.mark, &horizon) ||
        fetch_stored(copy->place->store, copy->old, group, &before) < 0)
        return false;
    bool agrees = rowgroup_agrees(before, rows, horizon);
    rowgroup_free(before);
    return agrees;
}

/* The old group, a new reference, if these are its rows; else a new group. */
static struct group *settle_group(struct task_copy *t, const struct rowgroup *rows,
                                  const struct ctid_range *range, bool *kept)
{
    struct fetch_copy *copy = t->copy;
    struct group *group = t->task->like_count > 0 ? group_before(t, rows) : NULL;
    bool same = group != NULL && group->rows == rows->rows &&
                hash128_equal(group->content, rows->content) &&
                group->row_id_sum == rows->row_id_sum;
    if (group != NULL && !same && !is_proven(copy, group) && !is_later(copy, group, rows))
        copy->strayed = true;
    *kept = same && copy->share;
    if (*kept)
        return group_ref(group);
    group = group_new(copy->place->store, crew_readpoint(copy->crew)->key.relation, rows);
    if (group != NULL) {
        group->source = t->task->source;
        group->range = *range;
    }
    return group;
}

static int keep_group(struct task_copy *t, struct rowgroup *rows, const struct ctid_range *range)
{
    struct fetch_copy *copy = t->copy;
    bool kept;
    struct group *group = settle_group(t, rows, range, &kept);
    if (group == NULL)
        return -ENOMEM;
    group_prove(group, server_run_id(&crew_readpoint(copy->crew)->key.runs[0]));
    measure_group(t, rows, group);
    int rc = kept && store_has_group(copy->place->store, group->relation, group->id)
                 ? 0
                 : store_group(copy, rows, group);
    if (rc == 0 && copy->feed != NULL)
        rc = feed_put(copy->feed, t->number, group);
    if (rc == 0)
        rc = add_group(t->task, group);
    if (rc < 0)
        group_unref(group);
    if (kept)
        copy->progress->groups_kept++;
    else
        copy->progress->groups_copied++;
    return rc;
}

static uint64_t pages_of(const struct task_copy *t, struct ctid end)
{
    const struct source *source = &crew_readpoint(t->copy->crew)->sources[t->task->source];
    uint32_t from = t->task->range.first.block;
    uint32_t to = end.block < source->pages ? end.block : source->pages;
    return to > from ? to - from : 0;
}

static void note_pages(struct task_copy *t, uint64_t pages)
{
    if (pages <= t->pages)
        return;
    t->copy->progress->done += pages - t->pages;
    t->pages = pages;
}

static int take_group(void *context, struct rowgroup *rows, const struct ctid_range *range)
{
    struct task_copy *t = context;
    int rc = t->copy->discard ? 0 : keep_group(t, rows, range);
    t->copy->progress->rows += rows->rows;
    note_pages(t, pages_of(t, range->end));
    rowgroup_free(rows);
    return rc;
}

static int feed_task(void *context, const uint8_t *bytes, size_t size)
{
    struct task_copy *t = context;
    t->copy->progress->bytes += size;
    if (t->copy->failed)
        return -ECANCELED;
    return group_copy_feed(&t->groups, bytes, size);
}

static int copy_task(struct fetch_copy *copy, size_t number, struct session *session,
                     struct error *error)
{
    struct task_copy t = {.copy = copy, .number = copy->work[number]};
    t.task = &copy->tasks[t.number];
    struct readpoint *readpoint = crew_readpoint(copy->crew);
    const struct source *source = &readpoint->sources[t.task->source];
    const struct ctid_range *range = source->by_ctid ? &t.task->range : NULL;
    struct ctid *cuts = malloc((t.task->like_count + 1) * sizeof *cuts);
    int rc = cuts == NULL ? -ENOMEM
                          : group_copy_init(&t.groups, copy->schema, range, take_group, &t, error);
    if (rc < 0) {
        free(cuts);
        return error_set(error, rc, "no memory to fetch with");
    }
    for (size_t i = 0; i + 1 < t.task->like_count; i++)
        cuts[t.groups.cut_count++] = t.task->like[i].range.end;
    t.groups.cuts = cuts;
    if (copy->place->group_bytes > 0)
        t.groups.group_bytes = copy->place->group_bytes;
    uint64_t said = 0;
    rc = readpoint_copy(readpoint, session, copy->schema, source, range, feed_task, &t, &said,
                        error);
    if (rc == 0)
        rc = group_copy_finish(&t.groups, said);
    for (int i = 0; rc == 0 && i < FORMAT_COUNT; i++)
        if (copy->prefills[i] != NULL)
            prefill_run_done(copy->prefills[i], t.number);
    if (rc == 0 && copy->feed != NULL)
        feed_run_done(copy->feed, t.number);
    note_pages(&t, pages_of(&t, t.task->range.end));
    if (rc < 0)
        copy->failed = true;
    t.task->done = rc == 0;
    group_copy_clear(&t.groups);
    fetch_body_clear(&t.body);
    free(cuts);
    return rc;
}

static bool take_slot(sem_t *slots)
{
    struct timespec until = clock_after_ms(50);
    return sem_clockwait(slots, CLOCK_MONOTONIC, &until) == 0;
}

/* One task of each fetch always works: a slow relation must not stop the others. */
static int run_task(void *context, size_t number, struct session *session, struct error *error)
{
    struct fetch_copy *copy = context;
    sem_t *slots = copy->place->slots;
    bool first = slots == NULL || !atomic_exchange(&copy->works, true), slot = false;
    while (!first && !slot && !copy->failed && !crew_is_wanted(copy->crew, NULL, 0)) {
        slot = take_slot(slots);
        if (!slot)
            first = !atomic_exchange(&copy->works, true);
    }
    int rc = first || slot ? copy_task(copy, number, session, error) : -ECANCELED;
    if (first)
        copy->works = false;
    if (slot)
        sem_post(slots);
    return rc;
}

/* ---- all ---- */

static uint64_t pages_to_copy(const struct fetch_copy *copy)
{
    const struct readpoint *readpoint = crew_readpoint(copy->crew);
    uint64_t pages = 0;
    for (size_t i = 0; i < copy->work_count; i++) {
        const struct task *task = &copy->tasks[copy->work[i]];
        if (!readpoint->sources[task->source].by_ctid)
            return 0;
        struct task_copy t = {.copy = (struct fetch_copy *)copy, .task = (struct task *)task};
        pages += pages_of(&t, task->range.end);
    }
    return pages;
}

static int feed_kept(struct fetch_copy *copy)
{
    for (size_t i = 0; i < copy->task_count; i++) {
        const struct task *task = &copy->tasks[i];
        if (!task->kept)
            continue;
        copy->progress->groups_kept += task->count;
        for (size_t k = 0; k < task->count && copy->feed != NULL; k++) {
            int rc = feed_put(copy->feed, i, task->groups[k]);
            if (rc < 0)
                return rc;
        }
        if (copy->feed != NULL)
            feed_run_done(copy->feed, i);
    }
    return 0;
}

int fetch_copy_run(struct fetch_copy *copy, struct error *error)
{
    progress_stage(copy->progress, STAGE_COPYING, pages_to_copy(copy));
    copy->progress->groups_kept = 0; /* groups that an earlier attempt kept are counted again */
    int rc = feed_kept(copy);
    if (rc < 0)
        return error_set(error, rc, "no memory to fetch with");
    return copy->work_count == 0 ? 0
                                 : crew_run(copy->crew, copy->work_count, run_task, copy, error);
}

/* Adds what is still to be compared of a task that was broken off behind `from`. */
static int leave_compared(const struct task *task, struct ctid from, struct changes *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < task->like_count; i++) {
        struct stretch stretch = task->like[i];
        if (!ctid_before(from, stretch.range.end))
            continue;
        if (ctid_before(stretch.range.first, from))
            stretch.range.first = from;
        rc = changes_add(out, &stretch);
    }
    return rc;
}

/* The groups of a task that was broken off are whole: each ends at the beginning of the next
 * one. */
static int leave_task(const struct task *task, bool compared, struct changes *out)
{
    struct stretch stretch = {.source = task->source, .range = task->range};
    bool known = task->kept || task->done;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < task->count; i++) {
        bool last = known && i + 1 == task->count;
        stretch.group = task->groups[i];
        stretch.range.end = last ? task->range.end : stretch.group->range.end;
        rc = changes_add(out, &stretch);
        stretch.range.first = stretch.range.end;
    }
    if (!known && compared && task->like_count > 0)
        return rc < 0 ? rc : leave_compared(task, stretch.range.first, out);
    stretch.group = NULL;
    stretch.range.end = task->range.end;
    stretch.unknown = stretch.changed = !known;
    return rc == 0 && (!known || task->count == 0) ? changes_add(out, &stretch) : rc;
}

int fetch_copy_leave(const struct fetch_copy *copy, struct changes *out)
{
    struct changes changes = {0};
    for (size_t i = 0; i < copy->task_count; i++) {
        int rc = leave_task(&copy->tasks[i], copy->share, &changes);
        if (rc < 0) {
            changes_clear(&changes);
            return rc;
        }
    }
    *out = changes;
    return 0;
}

int fetch_copy_take(struct fetch_copy *copy, struct snapshot *snapshot)
{
    for (size_t i = 0; i < copy->task_count; i++)
        for (size_t k = 0; k < copy->tasks[i].count; k++) {
            int rc = snapshot_add_group(snapshot, copy->tasks[i].groups[k]);
            if (rc < 0)
                return rc;
            copy->tasks[i].groups[k] = NULL;
        }
    return 0;
}
