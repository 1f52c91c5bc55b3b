#include "fs/rows/fetch_changes.h"

#include "codec/array.h"

#include <errno.h>
#include <stdlib.h>

int changes_add(struct changes *changes, const struct stretch *stretch)
{
    struct stretch *grown = array_room(changes->stretches, changes->count, sizeof *grown);
    if (grown == NULL)
        return -ENOMEM;
    changes->stretches = grown;
    changes->stretches[changes->count++] = *stretch;
    if (stretch->group != NULL)
        group_ref(stretch->group);
    return 0;
}

int changes_of(const struct snapshot *snapshot, struct changes *out)
{
    const struct ctid everywhere = {UINT32_MAX, 0};
    struct changes changes = {0};
    size_t next = 0;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < snapshot->source_count; i++) {
        struct stretch stretch = {.source = i};
        do {
            bool mine = next < snapshot->group_count && snapshot->groups[next]->source == i;
            stretch.group = mine ? snapshot->groups[next++] : NULL;
            bool last = next >= snapshot->group_count || snapshot->groups[next]->source != i;
            stretch.range.end = mine && !last ? stretch.group->range.end : everywhere;
            rc = changes_add(&changes, &stretch);
            stretch.range.first = stretch.range.end;
        } while (rc == 0 && stretch.range.end.block != UINT32_MAX);
    }
    /* the groups are out of order: it is no record of ours */
    if (rc == 0 && next != snapshot->group_count)
        rc = -EBADMSG;
    if (rc < 0)
        changes_clear(&changes);
    else
        *out = changes;
    return rc;
}

void changes_doubt(struct changes *changes, uint64_t run, bool believes)
{
    for (size_t i = 0; i < changes->count; i++) {
        struct stretch *stretch = &changes->stretches[i];
        if (stretch->group != NULL && !(believes && group_is_proven(stretch->group, run)))
            stretch->unknown = stretch->changed = true;
    }
}

/* What one statement asks for. */
struct asking {
    struct changes *changes;
    const struct source *sources;
    size_t each; /* stretches */
    struct progress *progress;
};

static int compare_some(void *context, size_t number, struct session *session, struct error *error)
{
    const struct asking *asking = context;
    const struct changes *changes = asking->changes;
    size_t at = number * asking->each, end = at + asking->each;
    end = end < changes->count ? end : changes->count;
    struct ctid_range *ranges = malloc(asking->each * sizeof *ranges);
    struct fingerprint *now = malloc(asking->each * sizeof *now);
    int rc =
        ranges == NULL || now == NULL ? error_set(error, -ENOMEM, "no memory to compare with") : 0;
    while (rc == 0 && at < end) {
        struct stretch *first = &changes->stretches[at];
        size_t n = 0;
        for (; at + n < end && first[n].source == first->source && !first[n].unknown; n++)
            ranges[n] = first[n].range;
        if (n == 0) {
            first->changed = true;
            at++;
            asking->progress->done++;
            continue;
        }
        memset(now, 0, n * sizeof *now);
        rc = readpoint_fingerprint(session, &asking->sources[first->source], ranges, n, now, error);
        for (size_t i = 0; rc == 0 && i < n; i++) {
            const struct group *group = first[i].group;
            first[i].changed = now[i].rows != (group != NULL ? group->rows : 0) ||
                               now[i].sum != (group != NULL ? group->row_id_sum : 0);
        }
        at += n;
        asking->progress->done += n;
    }
    free(ranges);
    free(now);
    return rc;
}

int changes_find(struct crew *crew, struct changes *changes, struct progress *progress,
                 struct error *error)
{
    enum { AT_ONCE = 64, ROWS_FOR_ONE = 20000 };
    uint64_t rows = 0;
    progress_stage(progress, STAGE_COMPARING, changes->count);
    for (size_t i = 0; i < changes->count; i++)
        rows += changes->stretches[i].group != NULL ? changes->stretches[i].group->rows : 0;
    struct asking asking = {
        .changes = changes, .sources = crew_readpoint(crew)->sources, .progress = progress};
    /* Using another session costs more than this many rows do. */
    asking.each = rows < ROWS_FOR_ONE ? changes->count : changes->count / 8 + 1;
    asking.each = asking.each < AT_ONCE ? asking.each : AT_ONCE;
    int rc = 0;
    if (changes->count > 0)
        rc = crew_run(crew, (changes->count + asking.each - 1) / asking.each, compare_some, &asking,
                      error);
    changes->changed = 0;
    for (size_t i = 0; i < changes->count; i++)
        changes->changed += changes->stretches[i].changed;
    return rc;
}

bool changes_are_seen(const struct changes *changes)
{
    size_t i = 0;
    while (i < changes->count && (!changes->stretches[i].changed || changes->stretches[i].unknown))
        i++;
    return i < changes->count;
}

void changes_clear(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        group_unref(changes->stretches[i].group);
    free(changes->stretches);
    *changes = (struct changes){0};
}
